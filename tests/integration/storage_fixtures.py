# SPDX-License-Identifier: MPL-2.0
"""Real pools on sparse files, one directory each, gone afterwards whatever happens."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hull.linux import btrfs
from hull.linux.loop import attached
from hull.linux.mount import MS_NOATIME, mount, mount_at, umount
from hull.linux.run import run
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import MARKER, create_pool

GIB = 1 << 30


@contextmanager
def btrfs_pool(directory: Path, *, size: int = 4 * GIB) -> Iterator[BtrfsPool]:
    """A pool as `hull up` makes it: with simple quotas if the kernel has them."""
    directory.mkdir(parents=True, exist_ok=True)
    mountpoint = directory / "zones"
    try:
        create_pool(directory / "pool.img", mountpoint, size=size)
        yield BtrfsPool("zones", mountpoint)
    finally:
        unmount_all(mountpoint)


@contextmanager
def classic_pool(directory: Path) -> Iterator[BtrfsPool]:
    """A pool with classic quota groups, as Linux before 6.7 makes it."""
    directory.mkdir(parents=True, exist_ok=True)
    image, mountpoint = directory / "pool.img", directory / "zones"
    with image.open("wb") as file:
        file.truncate(4 * GIB)
    run("mkfs.btrfs", "--quiet", str(image))
    mountpoint.mkdir()
    try:
        with attached(image) as device:
            mount(str(device), mountpoint, "btrfs", flags=MS_NOATIME)
        (mountpoint / ".snapshots").mkdir()
        (mountpoint / ".staging").mkdir()
        (mountpoint / MARKER).write_text('{"v": 1, "name": "zones"}')
        fd = os.open(mountpoint, os.O_RDONLY)
        try:
            btrfs.enable_quotas(fd, simple=False)
        finally:
            os.close(fd)
        yield BtrfsPool("zones", mountpoint)
    finally:
        unmount_all(mountpoint)


def unmount_all(mountpoint: Path) -> None:
    while mount_at(mountpoint):
        umount(mountpoint, lazy=True)
