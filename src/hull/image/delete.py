# SPDX-License-Identifier: MPL-2.0
"""`imgadm delete`: an image leaves this host."""

from hull.errors import ImageHasDependentClones, NotFound
from hull.image import store
from hull.image.import_ import lock_image
from hull.image.manifest import check_uuid
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import JsonObject


def delete_image(pool: Pool, paths: Paths, uuid: str) -> JsonObject:
    """`{"uuid", "name", "version"}`. Raises ImageNotInstalled, ImageHasDependentClones."""
    check_uuid(uuid)
    with lock_image(paths, uuid):
        image = store.get(paths, uuid, pool.name)
        check_unused(clones(pool, image), uuid)
        pool.destroy(image.dataset, recursive=True)
        store.remove(paths, uuid, pool.name)
    return {"uuid": uuid, "name": image.manifest.name, "version": image.manifest.version}


def clones(pool: Pool, image: store.Image) -> list[str]:
    """The datasets that were made from an image."""
    try:
        snapshots = pool.snapshots(image.dataset)
    except NotFound:
        return []
    return [clone for snapshot in snapshots for clone in snapshot.clones]


def check_unused(names: list[str], uuid: str) -> None:
    if not names:
        return
    others = f" and {len(names) - 1} others..." if len(names) > 1 else ""
    raise ImageHasDependentClones(
        f'image "{uuid}" has dependent clones: {names[0]}{others}',
        hint=f"vmadm list image_uuid={uuid}",
    )
