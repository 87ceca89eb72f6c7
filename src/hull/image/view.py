# SPDX-License-Identifier: MPL-2.0
"""What `imgadm list, get, avail` and `show` print: installed images, and those of the sources."""

import logging

from hull.errors import HostError, ManifestValidation
from hull.image import store
from hull.image.delete import clones
from hull.image.import_ import find
from hull.image.manifest import check_uuid, parse_manifest
from hull.image.sources import named, open_source, sources
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject

log = logging.getLogger("hull.image")


def list_images(pool: Pool, paths: Paths) -> list[JsonObject]:
    """`[{"manifest", "zpool", "source"?, "cloneNames", "clones"}]`, oldest first."""
    return [_with_clones(pool, image) for image in store.images(paths)]


def _with_clones(pool: Pool, image: store.Image) -> JsonObject:
    names: list[Json] = [*clones(pool, image)]
    return store.record(image) | {"cloneNames": names, "clones": len(names)}


def get_image(pool: Pool, paths: Paths, uuid: str) -> JsonObject:
    """`{"manifest", "zpool", "source"?, "children": {"snapshots": […], "clones": […]}}`.

    Raises ImageNotInstalled.
    """
    check_uuid(uuid)
    image = store.get(paths, uuid, pool.name)
    snapshots: list[Json] = [snapshot.name for snapshot in pool.snapshots(image.dataset)]
    names: list[Json] = [*clones(pool, image)]
    return store.record(image) | {"children": {"snapshots": snapshots, "clones": names}}


def available_images(paths: Paths) -> list[JsonObject]:
    """`[{"manifest", "source"}]` of all sources, each image once, oldest first.

    A source that fails is left out, with a line in the log; if all fail, the first failure is
    raised.
    """
    found: dict[str, JsonObject] = {}
    failure: HostError | None = None
    for source in (asked := sources(paths)):
        try:
            listed = open_source(source).list()
        except HostError as exc:
            log.warning("%s", exc)
            failure = failure or exc
            asked = [other for other in asked if other != source]
            continue
        for data in listed:
            if _is_valid(data, source.url):
                found.setdefault(str(data["uuid"]), {"manifest": data, "source": source.url})
    if failure and not asked:
        raise failure
    return sorted(found.values(), key=_age)


def _is_valid(data: JsonObject, url: str) -> bool:
    try:
        parse_manifest(data)
    except ManifestValidation as exc:
        log.warning("%s lists an image with an invalid manifest: %s", url, exc)
        return False
    return True


def _age(entry: JsonObject) -> tuple[str, str]:
    manifest = entry["manifest"]
    shown = manifest if isinstance(manifest, dict) else {}
    return str(shown.get("published_at") or ""), str(shown.get("name"))


def available_image(paths: Paths, uuid: str) -> JsonObject:
    """`{"manifest", "source"}` from the first source that has it. Raises ActiveImageNotFound."""
    check_uuid(uuid)
    source, _, manifest = find(named(paths, ""), uuid)
    return {"manifest": manifest.data, "source": source.url}
