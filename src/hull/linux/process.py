# SPDX-License-Identifier: MPL-2.0
"""Processes that are not ours by birth: told from a successor with the same pid by their start."""

import os
import signal as signals
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hull.linux import ready


def start_time(pid: int) -> int:
    """When a process was started, in clock ticks since boot; 0 if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The name in parentheses may itself contain anything.
    fields = stat.rpartition(b") ")[2].split()
    return 0 if fields[0] in b"ZX" else int(fields[19])


@contextmanager
def opened(pid: int, start: int) -> Iterator[int | None]:
    """A pidfd of the process that was started as `pid` at `start`; None if it has ended."""
    fd: int | None = None
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(pid) if pid > 0 else None
    try:
        # Asked after opening: from here on the descriptor cannot mean another process.
        yield fd if fd is not None and start_time(pid) == start else None
    finally:
        if fd is not None:
            os.close(fd)


def arguments(pid: int) -> list[str]:
    """What a process was executed with, its own name first; nothing if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read()).split("\0")[:-1]
    except OSError:
        return []


def having(name: str, argument: str) -> list[int]:
    """The processes that were executed as `name`, with such an argument."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if (had := arguments(pid))[:1] == [name] and argument in had]


def send_signal(pidfd: int, signal: int) -> None:
    """Signal a process; no error if it has ended."""
    with suppress(ProcessLookupError):
        signals.pidfd_send_signal(pidfd, signal)


def notices(pid: int, signal: int) -> bool:
    """Whether a process handles a signal, or has put it off: an init is not told of any other."""
    if signal in (signals.SIGKILL, signals.SIGSTOP):
        return True
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = dict(line.split(":\t", 1) for line in file if line.startswith("Sig"))
        sets = int(lines["SigBlk"], 16) | int(lines["SigCgt"], 16)
    except (OSError, KeyError):
        return False
    return bool(sets >> (signal - 1) & 1)


def wait_end(pidfd: int, timeout: float) -> bool:
    """Wait for a process to end, for `timeout` seconds at most; False if it still runs."""
    return ready.readable(pidfd, timeout)
