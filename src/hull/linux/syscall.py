# SPDX-License-Identifier: MPL-2.0
"""The C library, for the system calls that Python has no function for."""

import ctypes
import errno
import os

from hull.errors import KernelError

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


# The machine has run out of something, or is broken: nobody's mistake, wherever it shows.
SHORTAGES = frozenset((
    errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
    errno.ENOSPC, errno.EROFS,
))  # fmt: skip


def shortage(exc: OSError) -> KernelError | None:
    """What to tell of an error that no operation expects; None if it is a mistake of ours."""
    if exc.errno not in SHORTAGES:
        return None
    return KernelError(str(exc.filename or "the system"), exc.errno, os.strerror(exc.errno))


def oserror(operation: str) -> KernelError:
    """The error of the call that has just failed."""
    number = ctypes.get_errno()
    return KernelError(operation, number, os.strerror(number))


def check(result: int, operation: str) -> int:
    """Pass a call's result on, or raise KernelError if it is negative."""
    if result < 0:
        raise oserror(operation)
    return result
