# SPDX-License-Identifier: MPL-2.0
"""`imgadm update`: what the sources say of installed images by now, and their @final snapshots."""

import json

from hull.errors import ActiveImageNotFound, Error, NotFound
from hull.image import store
from hull.image.download import Progress
from hull.image.import_ import Found, find
from hull.image.sources import named
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject


def update_images(
    pool: Pool, paths: Paths, uuids: list[str], *, dry_run: bool, progress: Progress
) -> JsonObject:
    """Update these images, all if none is named; says what it changes, `{"errors": […]}`.

    Raises NotFound, before anything is changed, if one is not installed.
    """
    installed = {image.uuid: image for image in store.images(pool, paths)}
    if missing := [uuid for uuid in uuids if uuid not in installed]:
        listed = ", ".join(missing)
        raise NotFound(f"no installed image with the given UUID(s): {listed}")
    errors: list[Json] = []
    for uuid in uuids or installed:
        try:
            with store.lock_image(paths, uuid):
                _update(pool, paths, installed[uuid], dry_run=dry_run, progress=progress)
        except Error as exc:
            errors.append({"code": exc.code, "message": exc.message})
    return {"errors": errors}


def _update(
    pool: Pool, paths: Paths, image: store.Listed, *, dry_run: bool, progress: Progress
) -> None:
    try:
        found = find(named(paths, ""), image.uuid)
    except ActiveImageNotFound:
        if image.manifest.get("type") != "docker":
            text = f"warning: Could not find image {image.uuid} in image sources (skipping)"
            progress({"line": text})
        return
    if said := changes(image, found):
        if not dry_run:
            made = store.Image(manifest=found.manifest, zpool=pool.name, source=found.url)
            store.add(paths, made)
        progress({"line": said})
    _ensure_final(pool, image, dry_run=dry_run, progress=progress)


def changes(image: store.Listed, found: Found) -> str:
    """The line that tells what is new in a manifest; empty if nothing is."""
    if not image.manifest.get("name"):
        return f'Added manifest info for image {image.uuid} from "{found.url}"'
    fields = differences(image.manifest, found.manifest.data)
    if not fields:
        return ""
    what = f"{len(fields)} manifest field{'' if len(fields) == 1 else 's'}"
    return f'Updated {what} for image {image.uuid} from "{found.url}": {", ".join(fields)}'


def differences(old: JsonObject, new: JsonObject) -> list[str]:
    """The fields that differ; of requirements, which of them."""
    found = []
    for field in [*new, *(key for key in old if key not in new)]:
        before, after = old.get(field), new.get(field)
        if _text(before) == _text(after):
            continue
        if field == "requirements" and isinstance(before, dict) and isinstance(after, dict):
            inner = differences(before, after)
            found += [f"requirements.{key}" for key in inner]
        else:
            found.append(field)
    return found


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _ensure_final(pool: Pool, image: store.Listed, *, dry_run: bool, progress: Progress) -> None:
    """An image's only snapshot is its original, whatever it is called."""
    snapshots = pool.snapshots(image.dataset)
    final = f"{image.dataset}@{store.FINAL}"
    if any(snapshot.name == final for snapshot in snapshots):
        return
    if len(snapshots) != 1:
        raise NotFound(f'image "{image.uuid}" is missing its original snapshot')
    (original,) = snapshots
    if not dry_run:
        pool.rename(original.name, final)
    text = f"Renamed image {image.uuid} original snapshot from {original.name} to {final}"
    progress({"line": text})
