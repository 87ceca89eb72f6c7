# SPDX-License-Identifier: MPL-2.0
"""Loop devices (loop(4)): a file as a block device, by direct ioctls."""

import errno
import os
import stat
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hull.errors import HostError, KernelError
from hull.linux.ioctl import ioctl

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOP_CONFIGURE = 0x4C0A
LOOP_GET_STATUS64 = 0x4C05
LOOP_CTL_GET_FREE = 0x4C82
LO_FLAGS_AUTOCLEAR = 4

_MAJOR = 7
# struct loop_config: fd, block_size, struct loop_info64 (lo_flags at its byte 52, lo_file_name at
# 56), eight reserved words.
_CONFIG = struct.Struct("=II 52x I 64s 112x 64x")
# struct loop_info64 begins with the file's device and inode numbers.
_STATUS = struct.Struct("=QQ 216x")
_SYS = Path("/sys/block")


@contextmanager
def attached(file: Path) -> "Iterator[Path]":
    """The block device that shows `file`, at least as long as the context lasts.

    The device lets go of the file by itself when nobody has it open or mounted any more
    (autoclear): mount it inside the context and there is nothing to undo, not even after kill -9.
    """
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, fd = _configure_free(backing, file)
    finally:
        os.close(backing)
    try:
        yield device
    finally:
        os.close(fd)


def _configure_free(backing: int, file: Path) -> tuple[Path, int]:
    """A free device made to show `backing`, and a descriptor that holds it."""
    config = bytearray(_CONFIG.pack(backing, 0, LO_FLAGS_AUTOCLEAR, os.fsencode(file)[-63:]))
    for _ in range(64):  # another process may take the free device first
        device = _free_device()
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            ioctl(fd, LOOP_CONFIGURE, config, name=f"attach {file} to {device}")
        except KernelError as exc:
            os.close(fd)
            if exc.errno != errno.EBUSY:
                raise
        else:
            return device, fd
    raise HostError(f"no loop device to be had for {file}", hint="losetup -l shows who has them")


def _free_device() -> Path:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        number = ioctl(control, LOOP_CTL_GET_FREE, name="look for a free loop device")
    finally:
        os.close(control)
    return make_node(number)


def make_node(number: int) -> Path:
    """/dev/loopN; made if nobody did (no udev, no devtmpfs of our own)."""
    device = Path(f"/dev/loop{number}")
    with suppress(FileExistsError):
        os.mknod(device, stat.S_IFBLK | 0o660, os.makedev(_MAJOR, number))
    return device


def devices_of(file: Path) -> list[Path]:
    """The loop devices that show `file`, lowest number first.

    Told by its inode: the path that sysfs has may be one of another chroot or container.
    """
    try:
        wanted = file.stat()
    except FileNotFoundError:
        return []
    numbers = sorted(
        int(entry.parts[-3].removeprefix("loop")) for entry in _SYS.glob("loop*/loop/backing_file")
    )
    return [
        device
        for device in map(make_node, numbers)
        if _shown_by(device) == (wanted.st_dev, wanted.st_ino)
    ]


def _shown_by(device: Path) -> tuple[int, int]:
    """Device and inode numbers of the file that a loop device shows; zeros if it shows none."""
    status = bytearray(_STATUS.size)
    with suppress(OSError, KernelError):  # it was detached meanwhile
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            ioctl(fd, LOOP_GET_STATUS64, status, name=f"ask what {device} shows")
        finally:
            os.close(fd)
        file_system, inode = _STATUS.unpack(status)
        return file_system, inode
    return 0, 0
