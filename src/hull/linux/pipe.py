# SPDX-License-Identifier: MPL-2.0
"""Pipes to and from programs that may hang: who waits for one of them gives up in the end."""

import fcntl
import os
import select
from contextlib import suppress

from hull.errors import Timeout
from hull.linux import run

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
        _wait(fd, select.POLLOUT, "nobody reads")
        with suppress(BlockingIOError):
            left = left[os.write(fd, left) :]


def read_some(fd: int, size: int) -> bytes:
    """Up to `size` bytes, none at the end. Raises Timeout if none come for run.STALL seconds."""
    _wait(fd, select.POLLIN, "nobody writes")
    return os.read(fd, size)


def _wait(fd: int, event: int, what: str) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(run.STALL * 1000):
        raise Timeout(f"{what} for {run.STALL:.0f} seconds")
