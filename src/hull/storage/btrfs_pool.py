# SPDX-License-Identifier: MPL-2.0
"""A btrfs pool as a whole: create, import and export it, its health.

A pool is a btrfs on a block device, or on a sparse file that a loop device shows. What makes it
Hull's is the file `.system_pool` at its top.
"""

import errno
import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hull.errors import CommandFailed, Exists, InUse, InvalidState, KernelError, NotFound
from hull.linux import btrfs, loop
from hull.linux.files import sync_directory, write_json
from hull.linux.mount import MS_NOATIME, MS_NODEV, MS_NOSUID, Mount, mount, mount_at, umount
from hull.linux.run import run
from hull.storage.btrfs_area import SNAPSHOTS, STAGING, named_errors
from hull.storage.pool import PoolStatus

log = logging.getLogger("hull.storage")

MARKER = ".system_pool"
# zstd:1 costs little and saves half of a Debian root; whoever owns a delegated dataset may destroy
# what is in it.
# A zone's set-user-id files keep their owners on disk: on the host's side they must do nothing.
_FLAGS = MS_NOATIME | MS_NOSUID | MS_NODEV
_OPTIONS = "compress=zstd:1,user_subvol_rm_allowed"
_MIN_SIZE = 256 << 20
_NOTHING_FOUND = 2  # blkid's exit status


def create_pool(source: Path, mountpoint: Path, *, size: int, name: str = "zones") -> None:
    """Make a pool on a block device, or on a new sparse file of `size` bytes, and import it.

    `size` is for files only. Raises Exists if there is anything on the device, or the file is
    there; InUse if the device or the mountpoint is taken. If it fails, a file is removed again.
    """
    if mount_at(mountpoint):
        raise InUse(f"something is mounted on {mountpoint} already")
    with ExitStack() as failed:
        if source.is_block_device():
            _refuse_used_device(source)
        else:
            _create_file(source, size, failed)
        run("mkfs.btrfs", "--quiet", "--label", name, str(source), timeout=600)
        with _mounted(source, mountpoint, failed):
            _prepare(mountpoint, name)
        failed.pop_all()


def _create_file(source: Path, size: int, failed: ExitStack) -> None:
    if size < _MIN_SIZE:
        raise InvalidState(f"a pool of {size} bytes is too small", hint="give it 1 GiB at least")
    with named_errors(f"create {source}"):
        try:
            fd = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise Exists(f"{source} exists already", hint="import it, or remove it") from None
        failed.callback(source.unlink, missing_ok=True)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)


def _refuse_used_device(source: Path) -> None:
    """Raises Exists if the device has a signature of any kind, InUse if somebody has it open."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as exc:
        raise InUse(f"{source} is in use: {exc.strerror}") from exc
    os.close(fd)
    if found := _signature(source):
        raise Exists(f"{source} is not empty: {found}", hint=f"wipefs --all {source} empties it")


def is_blank_device(source: Path) -> bool:
    """Whether a pool can be made there without a loss: a block device without any signature."""
    return source.is_block_device() and not _signature(source)


def _signature(source: Path) -> str:
    """What blkid sees on a device; empty if nothing."""
    try:
        return run("blkid", "--probe", str(source)).strip()
    except CommandFailed as exc:
        if exc.status == _NOTHING_FOUND:
            return ""
        raise Exists(f"{source} is not empty, and it is unclear what is on it") from exc


def _prepare(mountpoint: Path, name: str) -> None:
    """What a pool has from the beginning; the marker is last."""
    fd = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o755)
        for area in (SNAPSHOTS, STAGING):
            os.mkdir(area, 0o700, dir_fd=fd)
        _enable_quotas(fd)
    finally:
        os.close(fd)
    write_json(mountpoint / MARKER, {"v": 1, "name": name})
    sync_directory(mountpoint)


def _enable_quotas(fd: int) -> None:
    try:
        btrfs.enable_quotas(fd, simple=True)
    except KernelError as exc:
        if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY):
            raise
        log.warning("this kernel has no simple quotas (Linux 6.7): many clones will be slow")
        btrfs.enable_quotas(fd, simple=False)


def import_pool(source: Path, mountpoint: Path) -> None:
    """Mount a pool; nothing happens if it is mounted there already.

    Raises NotFound without the source, InUse if something else is mounted on the mountpoint,
    InvalidState if the source is not one of Hull's pools.
    """
    if not source.exists():
        raise NotFound(f"{source} does not exist", hint="create the pool first")
    there = mount_at(mountpoint)
    if there is not None:
        if not _shows(there, source):
            raise InUse(f"{there.source} is mounted on {mountpoint} already")
        _check_marker(mountpoint, source)
        return
    with ExitStack() as failed:
        with _mounted(source, mountpoint, failed):
            _check_marker(mountpoint, source)
        failed.pop_all()


def _check_marker(mountpoint: Path, source: Path) -> None:
    try:
        marker = json.loads((mountpoint / MARKER).read_text())
    except (OSError, ValueError):
        marker = None
    if not isinstance(marker, dict) or marker.get("v") != 1:
        raise InvalidState(f"{source} is a btrfs, but not one of Hull's pools")


def _shows(there: Mount, source: Path) -> bool:
    if source.is_block_device():
        number = source.stat().st_rdev
        return Path(there.source).is_block_device() and Path(there.source).stat().st_rdev == number
    return Path(there.source) in loop.devices_of(source)


@contextmanager
def _mounted(source: Path, mountpoint: Path, failed: ExitStack) -> Iterator[None]:
    """Mount it; `failed` undoes that. A loop device goes away with its mount by itself."""
    made = not mountpoint.exists()
    mountpoint.mkdir(parents=True, exist_ok=True)
    if made:
        failed.callback(mountpoint.rmdir)
    with ExitStack() as undo:
        device = source
        if not stat.S_ISBLK(source.stat().st_mode):
            # Two devices with the same file system would be mixed up: take the one there is.
            found = loop.devices_of(source)
            device = found[0] if found else undo.enter_context(loop.attached(source))
        try:
            mount(str(device), mountpoint, "btrfs", flags=_FLAGS, data=_OPTIONS)
        except KernelError as exc:
            if exc.errno != errno.EINVAL:
                raise
            raise InvalidState(f"{source} is not a btrfs that this kernel can mount") from exc
        failed.callback(umount, mountpoint, lazy=True)
        yield


def export_pool(mountpoint: Path) -> None:
    """Unmount a pool, and let go of its loop device; idempotent. Raises InUse if it is busy."""
    if mount_at(mountpoint) is None:
        return
    with named_errors(f"export {mountpoint}"):
        umount(mountpoint)


# -- health ---------------------------------------------------------------------------------------


class BtrfsHealth:
    """PoolHealth of the pool mounted at `mountpoint`."""

    def __init__(self, name: str, mountpoint: Path) -> None:
        self.name = name
        self.mountpoint = mountpoint

    def status(self) -> PoolStatus:
        room = os.statvfs(self.mountpoint)
        fd = os.open(self.mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            devices = btrfs.devices(fd)
        finally:
            os.close(fd)
        there = mount_at(self.mountpoint)
        return PoolStatus(
            name=self.name,
            driver="btrfs",
            state=_state(devices, read_only=there is None or "ro" in there.super_options),
            size=room.f_blocks * room.f_frsize,
            allocated=(room.f_blocks - room.f_bfree) * room.f_frsize,
            free=room.f_bavail * room.f_frsize,
            errors=sum(device.errors for device in devices),
            scan=parse_scrub(run("btrfs", "scrub", "status", str(self.mountpoint))),
            devices=tuple(device.path for device in devices),
        )

    def scrub(self, *, wait: bool = False) -> None:
        """Start checking every block, unless that is being done. What it found: see the status."""
        if not self._is_scrubbing():
            run("btrfs", "scrub", "start", str(self.mountpoint))
        while wait and self._is_scrubbing():
            time.sleep(0.2)

    def _is_scrubbing(self) -> bool:
        return self.status().scan.startswith("running")


def _state(devices: list[btrfs.Device], *, read_only: bool) -> str:
    """btrfs turns read-only when it cannot go on; a missing device has no path."""
    if read_only:
        return "SUSPENDED"
    return "ONLINE" if all(device.path for device in devices) else "DEGRADED"


def parse_scrub(text: str) -> str:
    """`btrfs scrub status` in one line: "finished, started DATE, took H:MM:SS: no errors found"."""
    values = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values[key.strip()] = value.strip()
    if "Status" not in values:
        return "none requested"
    errors = values.get("Error summary", "unknown")
    return (
        f"{values['Status']}, started {values.get('Scrub started', 'at an unknown time')}, "
        f"took {values.get('Duration', 'an unknown time')}: {errors}"
    )
