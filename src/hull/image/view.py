# SPDX-License-Identifier: MPL-2.0
"""What imgadm's list, get, ancestry, avail, show and channels print."""

import logging

from hull.errors import HostError, ManifestValidation, NoSources
from hull.image import store
from hull.image.imgapi import Imgapi
from hull.image.import_ import find
from hull.image.manifest import check_uuid, parse_manifest
from hull.image.sources import Configured, named, open_source, sources
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject

log = logging.getLogger("hull.image")


def list_images(pool: Pool, paths: Paths) -> list[JsonObject]:
    """`[{"manifest", "zpool", "source", "cloneNames", "clones"}]`, oldest first."""
    return [
        {"source": None, **image.record, "cloneNames": [*image.clones], "clones": len(image.clones)}
        for image in store.images(pool, paths)
    ]


def get_image(pool: Pool, paths: Paths, uuid: str) -> JsonObject:
    """`{"manifest", "zpool", "source"?, "children": {"snapshots": […], "clones": […]}}`.

    Raises ImageNotInstalled.
    """
    check_uuid(uuid)
    image = store.find(pool, paths, uuid)
    snapshots: list[Json] = [snapshot.name for snapshot in pool.snapshots(image.dataset)]
    return image.record | {"children": {"snapshots": snapshots, "clones": [*image.clones]}}


def ancestry(pool: Pool, paths: Paths, uuid: str) -> list[JsonObject]:
    """The image, then its origins, as `get` shows them. Raises ImageNotInstalled."""
    check_uuid(uuid)
    return [store.record(image) for image in store.ancestry(paths, uuid, pool.name)]


def available_images(paths: Paths, channel: str = "") -> JsonObject:
    """`{"images": [{"manifest", "source"}], "errors": [{"code", "message"}]}`.

    Oldest first, each image once; sources that fail do not keep the others' away. Raises NoSources.
    """
    asked = sources(paths)
    if not asked:
        raise NoSources("imgadm has no configured sources", hint="imgadm sources -a URL adds one")
    found: dict[str, JsonObject] = {}
    errors: list[Json] = []
    for source in asked:
        try:
            listed = open_source(source, channel).list()
        except HostError as exc:
            log.warning("%s", exc)
            errors.append({"code": exc.code, "message": exc.message})
            continue
        for data in listed:
            if _is_valid(data, source.url):
                found.setdefault(str(data["uuid"]), {"manifest": data, "source": source.url})
    return {"images": [*sorted(found.values(), key=_age)], "errors": errors}


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


def available_image(paths: Paths, name: str) -> JsonObject:
    """`{"manifest", "source"}` from the first source that has it. Raises ActiveImageNotFound."""
    found = find(named(paths, ""), name)
    return {"manifest": found.manifest.data, "source": found.url}


def channels(paths: Paths) -> list[JsonObject]:
    """`[{"name", "description"?, "default"?, "source"}]` of the sources that have channels."""
    found: list[JsonObject] = []
    for source in sources(paths):
        driver = open_source(source)
        listed = driver.channels() if isinstance(driver, Imgapi) else []
        found += [item | {"source": source.url} for item in listed if isinstance(item, dict)]
    return found


def check_sources(paths: Paths) -> list[JsonObject]:
    """`[{"url", "type", "ok", "error"?}]`: each source is asked whether it is there."""
    return [_checked(source) for source in sources(paths)]


def _checked(source: Configured) -> JsonObject:
    shown: JsonObject = {"url": source.url, "type": source.type}
    try:
        open_source(source).ping()
    except HostError as exc:
        return shown | {"ok": False, "error": exc.message}
    return shown | {"ok": True}
