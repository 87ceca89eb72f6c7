# SPDX-License-Identifier: MPL-2.0
"""The kernel's view, which SMF cannot talk itself out of: processes and cgroups."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One that is no zombie."""

    pid: int
    parent: int
    comm: str


def processes() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (each := read_process(int(entry.name))):
            found.append(each)
    return found


def read_process(pid: int) -> Process | None:
    """A process, unless it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    comm = text[text.index("(") + 1 : text.rindex(")")]
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return None if state in "ZX" else Process(pid, int(parent), comm)


def arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def v2_root() -> Path:
    """Where cgroup v2 is mounted, alone or beside v1."""
    for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists():
            return path
    raise AssertionError("cgroup v2 is not mounted")


def members(cgroup: Path) -> list[Process]:
    """The processes in a cgroup and below it."""
    found = []
    for file in [cgroup / "cgroup.procs", *cgroup.rglob("cgroup.procs")]:
        with suppress(OSError):
            found += [read_process(int(pid)) for pid in file.read_text().split()]
    unique = {each.pid: each for each in found if each}
    return list(unique.values())


def kill_cgroup(cgroup: Path, patience: float = 10) -> None:
    """End all processes of a cgroup, those that are just being started included."""
    deadline = time.monotonic() + patience
    while cgroup.is_dir() and (found := members(cgroup)) and time.monotonic() < deadline:
        with suppress(OSError):
            (cgroup / "cgroup.kill").write_text("1")
        for each in found:  # before Linux 5.14 there is no cgroup.kill
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        time.sleep(0.02)


def remove_cgroup(cgroup: Path, patience: float = 5) -> None:
    """Leaves first; a zombie may keep one busy for a moment."""
    deadline = time.monotonic() + patience
    while cgroup.is_dir() and time.monotonic() < deadline:
        below = sorted((p for p in cgroup.rglob("*") if p.is_dir()), reverse=True)
        for each in (*below, cgroup):
            with suppress(OSError):
                each.rmdir()
        if cgroup.is_dir():
            time.sleep(0.02)
