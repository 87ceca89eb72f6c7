# SPDX-License-Identifier: MPL-2.0
"""Instances of procfs of their own, for a moment.

The kernel keeps the names below /proc/sys of all namespaces in one list for each instance (dentries
of the same parent and name): with a thousand zones each look-up walks past a thousand. An instance
that was just made has none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hull.linux import mount
from hull.linux.syscall import check, libc

SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 430, 431, 432
FSCONFIG_CMD_CREATE = 6
CLOEXEC = 1  # of fsopen and fsmount


@contextmanager
def opened() -> Iterator[int]:
    """A descriptor of the top of an instance that is mounted nowhere. Raises KernelError."""
    context = check(libc.syscall(SYS_FSOPEN, b"proc", CLOEXEC), "make a procfs")
    try:
        made = libc.syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        check(made, "make a procfs")
        top = check(libc.syscall(SYS_FSMOUNT, context, CLOEXEC, 0), "make a procfs")
    finally:
        os.close(context)
    try:
        yield top
    finally:
        os.close(top)


def cover() -> None:
    """Mount an instance over /proc, in a mount namespace that is nobody else's."""
    mount.mount("proc", Path("/proc"), "proc")
