# SPDX-License-Identifier: MPL-2.0
"""Pipes to and from programs that may hang: who waits for one of them gives up in the end."""

import fcntl
import os
from contextlib import suppress

from hull.errors import Timeout
from hull.linux import run
from hull.linux.ready import readable, writable

SIZE = 1 << 20  # bytes


def opened() -> tuple[int, int]:
    """A large pipe: the ends to read and to write. `write_all` is for the latter."""
    read, write = os.pipe2(os.O_CLOEXEC)
    with suppress(PermissionError):  # the machine allows less: slower, not wrong
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SIZE)
    return read, write


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Raises BrokenPipeError, or Timeout if nobody reads for run.STALL seconds."""
    os.set_blocking(fd, False)  # or a large write would wait for ever
    left = memoryview(data)
    while left:
        if not writable(fd, run.STALL):
            raise Timeout(f"nobody reads for {run.STALL:.0f} seconds")
        with suppress(BlockingIOError):
            left = left[os.write(fd, left) :]


def read_some(fd: int, size: int) -> bytes:
    """Up to `size` bytes, none at the end. Raises Timeout if none come for run.STALL seconds."""
    if not readable(fd, run.STALL):
        raise Timeout(f"nobody writes for {run.STALL:.0f} seconds")
    return os.read(fd, size)
