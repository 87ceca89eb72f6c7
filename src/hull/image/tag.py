# SPDX-License-Identifier: MPL-2.0
"""A registry's tags on images of this host: REPO:TAG is one image, the one fetched last."""

from dataclasses import replace

from hull.image import store
from hull.image.manifest import ImageManifest, parse_manifest
from hull.image.store import Image
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import JsonObject

PREFIX, REPO = "docker:tag:", "docker:repo"


def claim_tags(pool: Pool, paths: Paths, manifest: ImageManifest) -> list[str]:
    """Give an installed image the tags of a manifest that was just fetched of it.

    Another image of the repository that had one loses it. An image has the tags of one repository:
    of another it gets none. Returns the REPO:TAG that are new.
    """
    said = tags_of(manifest)
    wanted = {tag for tag in said if tag.startswith(PREFIX)}
    if not wanted:
        return []
    for listed in store.images(pool, paths):
        known = listed.manifest.get("tags")
        if listed.uuid != manifest.uuid and isinstance(known, dict) and wanted & known.keys():
            _change(paths, listed.uuid, pool.name, said, remove=wanted)
    return _change(paths, manifest.uuid, pool.name, said, add=wanted)


def _change(
    paths: Paths,
    uuid: str,
    zpool: str,
    said: JsonObject,
    *,
    add: frozenset[str] | set[str] = frozenset(),
    remove: frozenset[str] | set[str] = frozenset(),
) -> list[str]:
    with store.lock_image(paths, uuid):
        image = store.get(paths, uuid, zpool)
        tags = tags_of(image.manifest)
        if tags.get(REPO) != said.get(REPO):
            return []
        new = sorted(add - tags.keys())
        if new or remove & tags.keys():
            kept = {name: value for name, value in tags.items() if name not in remove}
            _write(paths, image, kept | dict.fromkeys(new, True))
    return [f"{said[REPO]}:{name.removeprefix(PREFIX)}" for name in new]


def _write(paths: Paths, image: Image, tags: JsonObject) -> None:
    data = {**image.manifest.data, "tags": tags}
    store.add(paths, replace(image, manifest=parse_manifest(data)))


def tags_of(manifest: ImageManifest) -> JsonObject:
    tags = manifest.data.get("tags")
    return tags if isinstance(tags, dict) else {}
