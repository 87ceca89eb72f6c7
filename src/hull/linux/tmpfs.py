# SPDX-License-Identifier: MPL-2.0
"""The size of a zone's own tmpfs, changed from outside while the zone runs.

What is at a path in a zone its root user decides: one may be of the host's, such as the metadata
socket's directory. So only what is a tmpfs, and on none of the host's mounts, is touched.
"""

import logging
import os
from pathlib import Path

from hull.errors import NotFound
from hull.linux import inroot, mount
from hull.linux.syscall import check, libc

log = logging.getLogger("hull.tmpfs")

SYS_FSCONFIG, SYS_FSPICK = 431, 433
FSPICK_CLOEXEC, FSPICK_EMPTY_PATH = 1, 8
FSCONFIG_SET_STRING, FSCONFIG_CMD_RECONFIGURE = 1, 7


def resize(root: Path, path: str, size: int) -> None:
    """Give the tmpfs at `path` below a zone's `root` (/proc/PID/root) `size` bytes.

    If the zone has something else there nothing is done. KernelError if it holds more than that.
    """
    try:
        fd = inroot.open_path(root, path)
    except NotFound:
        return
    try:
        if not is_zones_own(fd, root):
            log.info("%s in %s is no tmpfs of the zone", path, root)
            return
        picked = libc.syscall(SYS_FSPICK, fd, b"", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)
        context = check(picked, f"reconfigure {path} in a zone")
    finally:
        os.close(fd)
    try:
        value = str(size).encode()
        set_ = libc.syscall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, b"size", value, 0)
        check(set_, f"set the size of {path} in a zone")
        done = libc.syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_RECONFIGURE, None, None, 0)
        check(done, f"give {path} in a zone {size} bytes")
    finally:
        os.close(context)


def is_zones_own(fd: int, root: Path) -> bool:
    """Whether a descriptor is on a tmpfs that the zone has mounted itself, or we for it."""
    number = os.fstat(fd).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    if any(found.device == device for found in mount.mounts()):
        return False
    text = (root.parent / "mountinfo").read_bytes().decode(errors="surrogateescape")
    seen = mount.parse_mountinfo(text)
    return any(found.device == device and found.fstype == "tmpfs" for found in seen)
