# SPDX-License-Identifier: MPL-2.0
"""renameat2(2): renames that never replace, and exchanges of two names in one step."""

import ctypes
import os

from hull.linux.syscall import check, libc

libc.renameat2.argtypes = (
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
)  # fmt: skip

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2


def rename_noreplace(src_dir: int, src: str, dst_dir: int, dst: str) -> None:
    """Rename; KernelError with EEXIST if there is something under the new name."""
    _renameat2(src_dir, src, dst_dir, dst, RENAME_NOREPLACE)


def rename_exchange(one_dir: int, one: str, other_dir: int, other: str) -> None:
    """Give each the other's name, in one step that is seen whole or not at all."""
    _renameat2(one_dir, one, other_dir, other, RENAME_EXCHANGE)


def _renameat2(src_dir: int, src: str, dst_dir: int, dst: str, flags: int) -> None:
    names = src_dir, os.fsencode(src), dst_dir, os.fsencode(dst)
    check(libc.renameat2(*names, flags), f"rename {src} to {dst}")
