# SPDX-License-Identifier: MPL-2.0
"""The processes of a contract, as svcs -p shows them. A contract is a cgroup; see docs/design."""

import os

from smf.places import Places

PROC = "/proc"


class Process:
    """A process at the moment it was looked at."""

    __slots__ = ("arguments", "name", "pid", "started")

    def __init__(self, pid: int, name: str, started: int, arguments: str) -> None:
        self.pid = pid
        self.name = name
        self.started = started  # seconds since the epoch
        self.arguments = arguments


def of_contracts(places: Places, numbers: tuple[str, ...]) -> list[Process]:
    """By process ID. What ends while it is looked at is not in it."""
    directory = _read(places.volatile + "/contracts").strip()
    if not directory or not numbers:
        return []
    pids: set[int] = set()
    for number in numbers:
        _collect(f"{directory}/{number}", pids)
    booted = _boot_time()
    found = (_process(pid, booted) for pid in sorted(pids))
    return [process for process in found if process]


def _collect(directory: str, pids: set[int]) -> None:
    """A service may have made cgroups below its own."""
    # 0 is a process that this PID namespace does not see.
    pids.update(pid for pid in map(int, _read(f"{directory}/cgroup.procs").split()) if pid)
    try:
        with os.scandir(directory) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in below:
        _collect(path, pids)


def _process(pid: int, booted: int) -> Process | None:
    stat = _read(f"{PROC}/{pid}/stat")
    if not stat:
        return None
    head, _, rest = stat.rpartition(")")
    ticks = int(rest.split()[19])
    started = booted + ticks // os.sysconf("SC_CLK_TCK")
    name = head.partition("(")[2]
    arguments = _read(f"{PROC}/{pid}/cmdline").rstrip("\0").replace("\0", " ")
    return Process(pid, name, started, arguments or name)


def _boot_time() -> int:
    for line in _read(f"{PROC}/stat").splitlines():
        if line.startswith("btime "):
            return int(line[6:])
    return 0


def _read(path: str) -> str:
    """A file's text; "" if it is not there, or not any more."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
