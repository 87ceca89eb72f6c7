# SPDX-License-Identifier: MPL-2.0
"""What an attack is made of. Everything in this package runs inside a zone, as its root.

Standard library only. An attack is a function that returns a word: `done`, an errno's name for a
refusal, or what it saw. It must do no harm where it succeeds, for its control lets it succeed.
"""

import ctypes
import errno
import os
from collections.abc import Callable

Attack = Callable[[], str]

ATTACKS: dict[str, Attack] = {}
ROWS: dict[str, tuple[int, ...]] = {}  # of the isolation checklist (docs/security.md)
GIVEN: dict[str, str] = {}  # what the test tells: a process of the host's, a name …

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 32, 4096
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
Argument = int | bytes | ctypes.Array[ctypes.c_char]


def attack(*rows: int) -> Callable[[Attack], Attack]:
    """Register a function as the attack of its name."""

    def register(function: Attack) -> Attack:
        add(function.__name__, function, *rows)
        return function

    return register


def add(name: str, function: Attack, *rows: int) -> None:
    assert name not in ATTACKS, name
    ATTACKS[name], ROWS[name] = function, rows


def last_error(result: int) -> int:
    """A call's result; OSError if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number: int, *arguments: Argument) -> int:
    """A system call by its number on x86-64; all of a register is passed. Raises OSError."""
    values = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    result: int = libc.syscall(ctypes.c_long(number), *values)
    return last_error(result)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    os.makedirs(target, exist_ok=True)
    words = (word.encode() for word in (source, target, kind))
    last_error(libc.mount(*words, ctypes.c_ulong(flags), data.encode()))


def umount(target: str) -> None:
    last_error(libc.umount2(target.encode(), MNT_DETACH))


def read(path: str, size: int = 4096) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def rewrite(path: str, otherwise: bytes = b"\n") -> str:
    """Write a setting as it is: whoever may do that may change it."""
    try:
        value = read(path)
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EINVAL, errno.EIO, errno.EPERM):
            raise
        value = otherwise
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value or otherwise)
    finally:
        os.close(fd)
    return "done"


def seen(path: str) -> str:
    """How much of a file or directory can be read."""
    if os.path.isdir(path):
        return "something" if os.listdir(path) else "nothing"
    return "something" if read(path, 100).strip() else "nothing"


def begin() -> None:
    """Tell the test that the attack is under way."""
    print("begun", flush=True)


def volunteer(score: int) -> None:
    """When the zone is out of memory, let the kernel kill this process before others."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(score))


def outcome(function: Attack) -> str:
    """The word for what came of an attack."""
    try:
        return function()
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, str(exc))
