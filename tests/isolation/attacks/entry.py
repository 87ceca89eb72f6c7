# SPDX-License-Identifier: MPL-2.0
"""What comes into a zone with a process that the host's root starts there."""

import ctypes
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress

from tests.isolation.attacks.base import GIVEN, attack, begin, libc, syscall

PTRACE_SEIZE = 0x4206
KEYCTL_SEARCH, SESSION_KEYRING = 10, -3
NOBODY = 65534
WRITTEN = b"#!/bin/sh\necho overwritten\n"
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


@attack(12, 17)
def descriptors() -> str:
    """What of one's own open files is neither a pipe nor a thing of the zone's."""
    return _odd_files("self") or "nothing"


@attack(12, 17)
def descriptors_of_init() -> str:
    return _odd_files("1") or "nothing"


def _odd_files(process: str) -> str:
    found = set()
    own = _own_sockets()
    for fd in os.listdir(f"/proc/{process}/fd"):
        with suppress(FileNotFoundError):  # the directory itself
            path = f"/proc/{process}/fd/{fd}"
            target = os.readlink(path)
            if target.startswith(("pipe:", "/dev/", "/proc/")) or target in own:
                continue
            # Memory that the zone's init has made for itself; of the host's, root is nobody here.
            if target.startswith("/memfd:") and os.stat(path).st_uid != NOBODY:
                continue
            if not os.path.exists(target):
                found.add(target)
    return " ".join(sorted(found))


def _own_sockets() -> set[str]:
    """Those of the network namespace, such as svc.init's; the host's are in no list there."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        return {f"socket:[{line.split()[6]}]" for line in file.readlines()[1:]}


def _is_hosts(path: str) -> bool:
    """Whether a program is none of the zone's."""
    return path.startswith("/memfd:") or not os.path.exists(path.removesuffix(" (deleted)"))


def _program(pid: str) -> str:
    path = os.readlink(f"/proc/{pid}/exe")
    return f"program {os.path.basename(path)}" if _is_hosts(path) else ""


def _trace(pid: str) -> str:
    """By a child: what has a tracer cannot end before that lets it."""
    child = os.fork()
    if child == 0:
        traced = libc.ptrace(PTRACE_SEIZE, int(pid), None, None) == 0
        with suppress(OSError):
            os._exit(0 if traced and _is_hosts(os.readlink(f"/proc/{pid}/exe")) else 1)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return "" if status else "traced"


def _files(pid: str) -> str:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if GIVEN["host"] in os.readlink(f"/proc/{pid}/fd/{fd}"):
                return "files"
    return ""


def _environment(pid: str) -> str:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return "environment" if GIVEN["secret"].encode() in file.read() else ""


def _memory(pid: str) -> str:
    with open(f"/proc/{pid}/maps") as file:
        return "memory" if "crun" in file.read() else ""


def _root(pid: str) -> str:
    there, here = os.stat(f"/proc/{pid}/root"), os.stat("/")
    return "" if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) else "root"


LOOKS: tuple[Callable[[str], str], ...] = (
    _program, _files, _environment, _memory, _root, _trace,
)  # fmt: skip


@attack(12, 26)
def watch_entries() -> str:
    """Look at every new process as soon and as often as one can, until standard input ends.

    What of the host's was seen in one of them.
    """
    known = set(os.listdir("/proc"))
    found: set[str] = set()
    begin()
    while not select.select([0], [], [], 0)[0]:
        for pid in set(os.listdir("/proc")) - known:
            if pid.isdigit():
                known.add(pid)
                _look_until_gone(pid, found)
    return " ".join(sorted(found - {""})) or "nothing"


def _look_until_gone(pid: str, found: set[str]) -> None:
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline and os.path.exists(f"/proc/{pid}"):
        for look in LOOKS:
            with suppress(OSError):
                found.add(look(pid))


@attack(26)
def overwrite_the_program() -> str:
    """Hold the program of whoever enters, and write to it when it runs no longer.

    /bin/su leads to /proc/self/exe: to the program that runs it.
    """
    known = set(os.listdir("/proc"))
    held: list[int] = []
    begin()
    while not select.select([0], [], [], 0)[0]:
        for pid in set(os.listdir("/proc")) - known:
            with suppress(OSError):
                fd = os.open(f"/proc/{pid}/exe", os.O_PATH)
                if _is_hosts(os.readlink(f"/proc/{pid}/exe")):
                    held.append(fd)
                    known.add(pid)
                else:
                    os.close(fd)
    if not held:
        return "nothing"
    for fd in held:
        with suppress(OSError), open(f"/proc/self/fd/{fd}", "wb", buffering=0) as program:
            program.write(WRITTEN)
            return "done"
    return "refused"


@attack(11)
def session_key() -> str:
    """A key of whoever came in."""
    syscall(250, KEYCTL_SEARCH, SESSION_KEYRING, b"user", GIVEN["secret"].encode(), 0)
    return "done"
