# SPDX-License-Identifier: MPL-2.0
"""Locks that hold between threads and between processes alike (hulld and `vmadm --here`)."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hull.errors import InUse


@contextmanager
def lock(path: Path, *, what: str, timeout: float = 300.0) -> Iterator[None]:
    """Hold an exclusive lock on a file. Raises InUse if somebody keeps it for `timeout` seconds.

    Each caller opens the file anew, and flock belongs to the open file: so two threads of one
    process exclude each other too. The kernel drops the lock when its holder dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, what, timeout)
        yield
    finally:
        os.close(fd)


def _take(fd: int, what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise InUse(f"{what} is busy with another operation", hint="try again") from None
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
        else:
            return
