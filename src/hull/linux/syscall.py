# SPDX-License-Identifier: MPL-2.0
"""The C library, for the system calls that Python has no function for."""

import ctypes
import os

from hull.errors import KernelError

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def oserror(operation: str) -> KernelError:
    """The error of the call that has just failed."""
    number = ctypes.get_errno()
    return KernelError(operation, number, os.strerror(number))


def check(result: int, operation: str) -> int:
    """Pass a call's result on, or raise KernelError if it is negative."""
    if result < 0:
        raise oserror(operation)
    return result
