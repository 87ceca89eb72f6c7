# SPDX-License-Identifier: MPL-2.0
"""An image file becomes a dataset.

It is unpacked, while it comes, into POOL/UUID-partial, which gets `@final`, its record in
/var/imgadm and last of all its name, when it is whole. A record without a dataset is nobody's:
`recover` removes it.
"""

import shutil
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from hull.errors import Exists, OriginNotInstalled, Unsupported
from hull.image import store
from hull.image.compression import HEAD
from hull.image.download import Content, drain
from hull.image.extract import SCRATCH, TAR, extraction
from hull.image.layer import layer_argv
from hull.image.manifest import ImageManifest
from hull.image.squashfs import is_squashfs, unsquash
from hull.paths import Paths
from hull.storage.pool import Pool

IMPORTABLE = ("zone-dataset", "lx-dataset", "docker")
PARTIAL = "-partial"


def check_importable(manifest: ImageManifest) -> None:
    """Raises Unsupported if this host cannot use the image."""
    if manifest.type not in IMPORTABLE:
        raise Unsupported(
            f'image "{manifest.uuid}" is of type {manifest.type}',
            hint=f"this host imports {', '.join(IMPORTABLE)}",
        )


def receive(
    pool: Pool, paths: Paths, manifest: ImageManifest, source: str, content: Content
) -> None:
    """Make the dataset of an image from its file, and record it as installed.

    The caller holds the image's lock. Raises OriginNotInstalled, Corrupt, HostError, and what
    `content` raises if it is wrong; then nothing is left of it.
    """
    check_importable(manifest)
    image = store.Image(manifest=manifest, zpool=pool.name, source=source)
    partial = image.dataset + PARTIAL
    remove_leftovers(pool, paths, image, partial)
    with ExitStack() as undo:
        undo.callback(pool.destroy, partial, recursive=True)
        root = create_partial(pool, partial, manifest.origin)
        unpack(manifest, content, root, paths)
        pool.set(partial, quota=0)
        pool.snapshot(f"{partial}@{store.FINAL}")
        undo.callback(store.remove, paths, manifest.uuid, pool.name)
        store.add(paths, image)
        pool.rename(partial, image.dataset)
        undo.pop_all()


def unpack(manifest: ImageManifest, content: Content, root: Path, paths: Paths) -> None:
    """The file holds a whole root, or a layer over the origin's. Raises Unsupported, Corrupt."""
    first = b""
    while len(first) < HEAD and (more := next(content.chunks, b"")):
        first += more
    if is_squashfs(first) and not manifest.origin:
        drain(content)  # it is read from its end
        unsquash(content.path, root, paths.run)
        return
    is_layer = manifest.origin or manifest.type == "docker"
    program = layer_argv(manifest.file.uncompressed_digest) if is_layer else TAR
    with extraction(root, paths.run, program) as under_way:
        under_way.feed(chain([first], content.chunks))
    drain(content)  # a decompressor need not read what follows the archive's end


def remove_leftovers(pool: Pool, paths: Paths, image: store.Image, partial: str) -> None:
    """What a crash has left of an earlier import. A VM of the same UUID is none."""
    if (paths.etc_zones / f"{image.manifest.uuid}.json").exists():
        raise Exists(f'"{image.manifest.uuid}" is a VM of this host, no image can have its UUID')
    for name in (partial, image.dataset):
        pool.destroy(name, recursive=True)


def create_partial(pool: Pool, name: str, origin: str) -> Path:
    """The dataset to unpack into; returns its root directory: empty, or what the origin's is.

    A small file can unpack to a huge one: it may take half of what is free, so that VMs can still
    write meanwhile, and while the pool gets the space back.
    """
    if not origin:
        mountpoint = Path(pool.create(name).mountpoint)
        # Programs in it may be set-user-id: nobody but root gets at them from outside.
        mountpoint.chmod(0o700)
        (mountpoint / "root").mkdir(mode=0o755)
    else:
        check_origin(pool, origin)
        mountpoint = Path(pool.clone(store.origin_snapshot(origin, pool.name), name).mountpoint)
    used = 0 if not pool.features.quota_includes_shared else pool.datasets(name)[0].referenced
    pool.set(name, quota=used + shutil.disk_usage(mountpoint).free // 2)
    return mountpoint / "root"


def check_origin(pool: Pool, origin: str) -> None:
    """Raises OriginNotInstalled."""
    if not store.has_final(pool, origin):
        raise OriginNotInstalled(
            f'origin image "{origin}" was not found on zpool "{pool.name}"',
            hint=f"imgadm import {origin}",
        )


def recover(pool: Pool, paths: Paths) -> None:
    """Remove what imports have left that were under way when hulld died."""
    for scratch in paths.run.glob(f"{SCRATCH}*"):
        shutil.rmtree(scratch)
    names = {dataset.name for dataset in pool.datasets(usage=False)}
    for name in names:
        if name.endswith(PARTIAL) and name.count("/") == 1:
            pool.destroy(name, recursive=True)
    for uuid in store.recorded(paths, pool.name):
        if f"{pool.name}/{uuid}" not in names:
            store.remove(paths, uuid, pool.name)
