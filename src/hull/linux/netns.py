# SPDX-License-Identifier: MPL-2.0
"""Network namespaces: work done in one, from outside, by a thread that is never used again.

/proc/sys/net shows the namespace of the thread that reads it, so sysctls are set this way too.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hull.errors import NotFound
from hull.linux.namespace import in_thread
from hull.linux.syscall import check, libc

T = TypeVar("T")

CLONE_NEWNET = 0x40000000


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the namespace at `path` (`/proc/PID/ns/net`). Raises NotFound."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no network namespace {path}") from None
    try:
        yield fd
    finally:
        os.close(fd)


def in_netns(namespace: int, function: Callable[[], T]) -> T:
    """Run a function in a network namespace and pass on what it returns or raises."""

    def work() -> T:
        check(libc.setns(namespace, CLONE_NEWNET), "enter a network namespace")
        return function()

    return in_thread(work)
