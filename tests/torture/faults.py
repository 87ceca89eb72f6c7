# SPDX-License-Identifier: MPL-2.0
"""Faults at the doors to the outside world: every change that Hull makes passes one of them.

A door is a system call, a program, a netlink or nftables transaction, a write or a sync. `arm`
counts the doors that are passed from then on, and at the Nth of them lets something happen: the
process is killed, the call fails with an errno, or the program that is started hangs.

For a child process that ends after its one operation: Python's audit hooks cannot be removed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hull.errors import KernelError
from hull.linux import namespace, nft, run
from hull.linux.netlink import Netlink
from hull.linux.syscall import libc
from hull.zone import conmon

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# What Python tells its audit hooks of before it does it.
AUDITED = frozenset((
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
    "os.chown", "os.truncate", "os.utime", "os.setxattr", "os.kill", "fcntl.ioctl",
    "subprocess.Popen", "os.posix_spawn", "socket.bind",
))  # fmt: skip
# Requests to btrfs that only look.
LOOKING = frozenset((17, 18, 31, 60, 63))
PROGRAMS = ("subprocess.Popen", "os.posix_spawn")
CALLS = ("mount", "umount2", "unshare", "setns", "syscall", "renameat2")
HANG = ("/bin/sleep", "1000")


@dataclass
class Doors:
    """What has passed since `arm`, and what is to happen at which door."""

    act: Callable[[str], None]
    at: int = 0  # 0: never, only count
    passed: list[str] = field(default_factory=list)
    busy: bool = False

    def door(self, name: str) -> None:
        if self.busy:
            return
        self.busy = True
        try:
            self.passed.append(name)
            if len(self.passed) == self.at:
                self.act(name)
        finally:
            self.busy = False


_doors: list[Doors] = []


def arm(doors: Doors) -> None:
    """From now on every door counts, in this process, until its end or `disarm`."""
    if not _doors:
        sys.addaudithook(_audit)
        _wrap_calls()
    _doors[:] = [doors]


def disarm() -> None:
    """Count no more."""
    _doors[:] = [Doors(act=lambda name: None)]


def kill(name: str) -> None:
    """As `kill -9`: nothing that would still happen does."""
    del name
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number: int) -> Callable[[str], None]:
    """The call fails with this errno."""

    def act(name: str) -> None:
        raise OSError(number, os.strerror(number), name)

    return act


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _doors or threading.current_thread().name == "hasten":  # as often as time has it
        return
    if event == "open":
        path, _, flags = args
        if flags & WRITING and not isinstance(path, int) and path != os.devnull:
            _doors[0].door(f"open {path}")
    elif event in AUDITED and not (event == "fcntl.ioctl" and args[1] & 0xFF in LOOKING):
        what = args[1] if event in PROGRAMS else args[0] if args else ""
        _doors[0].door(f"{event} {what}"[:200])


def _wrap_calls() -> None:
    """The doors that no audit hook is told of."""
    for name in CALLS:
        setattr(libc, name, _failing_call(name, getattr(libc, name)))
    for function in ("fsync", "write"):
        setattr(os, function, _raising(f"os.{function}", getattr(os, function)))
    batch, apply = Netlink.batch, nft.apply

    def netlink_batch(self: Netlink, *requests: Any) -> None:
        with _as_kernel_error():
            _doors[0].door(f"netlink {requests[0].operation if requests else ''}")
        batch(self, *requests)

    def nft_apply(commands: str) -> str:
        with _as_kernel_error():
            _doors[0].door(f"nft {commands.strip().splitlines()[0]}")
        return apply(commands)

    Netlink.batch = netlink_batch  # type: ignore[method-assign]  # a door
    nft.apply = nft_apply


class _as_kernel_error:
    """A failure of what Python has no exception of its own for."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, OSError):
            raise KernelError(str(exc.filename), exc.errno or 0, os.strerror(exc.errno or 0))


def _raising(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _doors[0].door(name)
        return call(*args, **kwargs)

    return wrapped


def _failing_call(name: str, call: Callable[..., int]) -> Callable[..., int]:
    """A function of the C library: it returns -1 and sets errno."""

    def wrapped(*args: Any) -> int:
        try:
            _doors[0].door(f"libc.{name} {args[0] if name == 'syscall' else ''}")
        except OSError as exc:
            ctypes.set_errno(exc.errno or 0)
            return -1
        return call(*args)

    return wrapped


def hang_program(number: int, patience: float) -> Callable[[], bool]:
    """The Nth program that is started from now on hangs, and is waited for `patience` seconds;
    whether it has come to that is what the function returned says."""
    popen = subprocess.Popen
    started: list[object] = []

    class Hanging(popen):  # type: ignore[misc,valid-type]  # a class in a variable
        def __init__(self, argv: object, **rest: Any) -> None:
            started.append(argv)
            super().__init__(HANG if len(started) == number else argv, **rest)

    vars(subprocess).update(Popen=Hanging)
    defaults = run.run.__kwdefaults__
    assert defaults is not None
    defaults["timeout"] = patience
    vars(run).update(STALL=patience)
    vars(conmon).update(CREATE_TIMEOUT=patience)
    vars(namespace).update(MAKE_TIMEOUT=patience)
    return lambda: len(started) >= number
