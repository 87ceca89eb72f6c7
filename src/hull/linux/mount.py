# SPDX-License-Identifier: MPL-2.0
"""mount(2), umount2(2) and /proc/self/mountinfo."""

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

from hull.linux.syscall import check, libc, oserror

libc.mount.argtypes = (
    ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p,
)  # fmt: skip
libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)

MS_NOSUID = 2
MS_NODEV = 4
MS_NOATIME = 1024
MS_BIND = 4096
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One line of mountinfo(5). `root` is what of the file system is shown at `target`."""

    device: str  # major:minor
    root: str
    target: str
    options: frozenset[str]  # of this mount
    fstype: str
    source: str
    super_options: frozenset[str]  # of the file system


def parse_mountinfo(text: str) -> list[Mount]:
    """The text of /proc/PID/mountinfo, in its order: of two on one target the later is seen."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        _, _, device, root, target, options, *_ = left.split(" ")
        fstype, source, super_options = right.split(" ", 2)
        found.append(
            Mount(
                device=device,
                root=_unescape(root),
                target=_unescape(target),
                options=frozenset(options.split(",")),
                fstype=fstype,
                source=_unescape(source),
                super_options=frozenset(super_options.split(",")),
            )
        )
    return found


def _unescape(text: str) -> str:
    r"""Undo the kernel's octal escapes (`\040` is a blank)."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mounts() -> list[Mount]:
    """Every mount that this process sees."""
    text = Path("/proc/self/mountinfo").read_bytes()
    return parse_mountinfo(text.decode(errors="surrogateescape"))


def mount_at(target: Path) -> Mount | None:
    """The uppermost mount on exactly this directory, if there is one."""
    wanted = os.path.realpath(target)
    return next((found for found in reversed(mounts()) if found.target == wanted), None)


def is_mounted(target: Path) -> bool:
    return mount_at(target) is not None


def mount(source: str, target: Path, fstype: str, *, flags: int = 0, data: str = "") -> None:
    """mount(2) with the kernel's own words; raises KernelError."""
    arguments = os.fsencode(source), os.fsencode(target), fstype.encode(), flags, data.encode()
    check(libc.mount(*arguments), f"mount {source} on {target}")


def bind(source: Path, target: Path) -> None:
    """Show `source`, without what is mounted below it, at `target` too."""
    mount(str(source), target, "none", flags=MS_BIND)


def mount_tmpfs(target: Path, *, size: int, mode: int = 0o755) -> None:
    """A file system in memory of at most `size` bytes, without devices or set-uid programs."""
    data = f"size={size},mode={mode:o}"
    mount("tmpfs", target, "tmpfs", flags=MS_NOSUID | MS_NODEV, data=data)


def umount(target: Path, *, lazy: bool = False) -> None:
    """Take the uppermost mount off `target`; `lazy` (MNT_DETACH) even if it is busy.

    What is not mounted is left as it is. Raises KernelError, with EBUSY if it is in use.
    """
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0)
    if libc.umount2(os.fsencode(target), flags) < 0:
        error = oserror(f"umount {target}")
        if is_mounted(target):
            raise error
