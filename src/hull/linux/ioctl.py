# SPDX-License-Identifier: MPL-2.0
"""ioctl(2): request numbers as the kernel's headers make them, and failures as KernelError."""

import fcntl
import os
from typing import overload

from hull.errors import KernelError

_WRITE, _READ = 1, 2


def request(direction: str, kind: int, number: int, size: int) -> int:
    """The number that _IOR, _IOW or _IOWR ("r", "w", "wr") makes."""
    bits = (_READ if "r" in direction else 0) | (_WRITE if "w" in direction else 0)
    return bits << 30 | size << 16 | kind << 8 | number


@overload
def ioctl(fd: int, number: int, argument: bytearray, *, name: str) -> int: ...
@overload
def ioctl(fd: int, number: int, argument: int = 0, *, name: str) -> int: ...
def ioctl(fd: int, number: int, argument: bytearray | int = 0, *, name: str) -> int:
    """Do it and return what the kernel returned; a bytearray is written back to.

    Other threads run meanwhile (Python lets go of its lock around an ioctl). Raises KernelError.
    """
    try:
        return fcntl.ioctl(fd, number, argument)
    except OSError as exc:
        errno = exc.errno or 0
        raise KernelError(name, errno, os.strerror(errno)) from exc
