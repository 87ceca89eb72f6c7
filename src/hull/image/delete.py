# SPDX-License-Identifier: MPL-2.0
"""`imgadm delete` and `vacuum`: images leave this host."""

from hull.errors import Error, ImageHasDependentClones, ImageNotInstalled
from hull.image import store
from hull.image.download import Progress
from hull.image.manifest import check_uuid
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import JsonObject


def delete_image(pool: Pool, paths: Paths, uuid: str) -> JsonObject:
    """`{"uuid"}`. Raises ImageNotInstalled, ImageHasDependentClones."""
    check_uuid(uuid)
    with store.lock_image(paths, uuid):
        try:
            check_unused(store.find(pool, paths, uuid))
        except ImageNotInstalled:
            if not store.is_installed(paths, uuid, pool.name):  # else a deletion that failed midway
                raise
        pool.destroy(f"{pool.name}/{uuid}", recursive=True)
        store.remove(paths, uuid, pool.name)
    return {"uuid": uuid}


def check_unused(image: store.Listed) -> None:
    """Raises ImageHasDependentClones."""
    if not image.clones:
        return
    others = f" and {len(image.clones) - 1} others..." if len(image.clones) > 1 else ""
    raise ImageHasDependentClones(
        f'image "{image.uuid}" has dependent clones: {image.clones[0]}{others}',
        hint=f"vmadm list image_uuid={image.uuid}",
    )


def unused(images: list[store.Listed]) -> list[store.Listed]:
    """Images that nothing but other unused images depends on: those that depend come first."""
    clones = {image.dataset: set(image.clones) for image in images}
    by_name = {image.dataset: image for image in images}
    found: list[store.Listed] = []
    while free := [name for name, left in clones.items() if not left]:
        for name in free:
            found.append(by_name[name])
            del clones[name]
        for left in clones.values():
            left.difference_update(free)
    return found


def list_unused(pool: Pool, paths: Paths) -> list[JsonObject]:
    """What `vacuum` would delete, in that order: `[{"uuid", "title"}]`."""
    found = unused(store.images(pool, paths))
    return [{"uuid": image.uuid, "title": image.title} for image in found]


def vacuum(pool: Pool, paths: Paths, uuids: list[str], progress: Progress) -> JsonObject:
    """Delete those of these images that are still unused: `{"deleted"}`.

    Raises the first error, and goes no further then.
    """
    deleted = 0
    for uuid in uuids:
        title = store.find(pool, paths, uuid).title
        try:
            delete_image(pool, paths, uuid)
        except Error as exc:
            progress({"line": f"Error deleting image {uuid} ({title}): {exc.message}"})
            raise
        progress({"line": f"Deleted image {uuid} ({title})"})
        deleted += 1
    return {"deleted": deleted}
