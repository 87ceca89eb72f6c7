# SPDX-License-Identifier: MPL-2.0
"""A zone's cgroups: on cgroup v2, on the v1 hierarchies, and where a host has both.

    v1  /sys/fs/cgroup/CONTROLLER/hull-HOST/UUID    limits; owned by the host's root
    v2  /sys/fs/cgroup/hull-HOST/UUID               limits, where v2 has the controller
        /sys/fs/cgroup/hull-HOST/UUID/zone          the zone's processes; systemd's or SMF's own it

A zone is put into every hierarchy: its cgroup namespace begins there, and it sees nothing above.
"""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hull.errors import HostError, KernelError, Timeout
from hull.linux import mount

CPU_PERIOD = 100_000  # microseconds
# What the kernel takes at most; more means the same.
MOST_PROCESSES = 1 << 22
MOST_QUOTA = 1 << 43  # microseconds: it counts in 2^-20 of a CPU, in 64 bits
MOST_MEMORY = (1 << 63) - 4096  # bytes
# What a zone may open; mknod is not among it. The first wall is that its mounts have no devices.
DEVICES = (
    "c 1:3 rw",  # null
    "c 1:5 rw",  # zero
    "c 1:7 rw",  # full
    "c 1:8 rw",  # random
    "c 1:9 rw",  # urandom
    "c 5:0 rw",  # tty
    "c 5:1 rw",  # console
    "c 5:2 rw",  # ptmx
    "c 136:* rw",  # pts
)
NOT_CONTROLLERS = frozenset(("rw", "ro", "xattr", "noprefix", "clone_children"))
# A zone with systemd or SMF makes cgroups of its own: bounded, as they are kernel memory.
MAX_DEPTH, MAX_DESCENDANTS = 16, 1024
CONTRACT = "/svc/"  # in a cgroup's path, before the number of a contract of SMF's
V2_CONTROLLERS = ("cpu", "io", "memory", "pids")


@dataclass(frozen=True)
class Layout:
    """Which hierarchies this host has, and where."""

    v1: dict[str, Path] = field(default_factory=dict)  # controller or name=X -> mount point
    unified: Path | None = None
    controllers: frozenset[str] = frozenset()  # of v2

    @property
    def hybrid(self) -> bool:
        return self.unified is not None and bool(self.v1)


@dataclass(frozen=True, kw_only=True)
class Values:
    """Limits in the kernel's units; None lifts one."""

    memory: int | None = None  # bytes
    swap: int | None = None  # bytes on top of memory
    processes: int | None = None
    cpu_shares: int = 100  # of 100
    cpu_cap: int | None = None  # per cent of one CPU
    io_weight: int = 100  # of 100


def parse_layout(mounts: list[mount.Mount]) -> Layout:
    """The cgroup hierarchies among a host's mounts."""
    v1: dict[str, Path] = {}
    unified: Path | None = None
    for found in mounts:
        if found.fstype == "cgroup2" and unified is None:
            unified = Path(found.target)
        elif found.fstype == "cgroup":
            for name in sorted(found.super_options - NOT_CONTROLLERS):
                v1.setdefault(name, Path(found.target))
    return Layout(v1, unified)


def host_layout() -> Layout:
    """The hierarchies of this host. HostError if it has none."""
    found = parse_layout(mount.mounts())
    if found.unified is None:
        if not found.v1:
            raise HostError(
                "no cgroup hierarchy is mounted", hint="mount cgroup2 on /sys/fs/cgroup"
            )
        return found
    controllers = (found.unified / "cgroup.controllers").read_text().split()
    return Layout(found.v1, found.unified, frozenset(controllers))


def limit_writes(group: "Group", values: Values) -> Iterator[tuple[Path, str]]:
    """The files to write, in order, to give a group its limits. Pure."""
    v1, v2 = group.v1_directory, group.v2_directory
    if memory := v1("memory"):
        # Memory may never exceed memory+swap, so the latter steps aside first.
        swap_file = memory / "memory.memsw.limit_in_bytes"
        yield swap_file, "-1"
        yield memory / "memory.limit_in_bytes", _or(values.memory, "-1")
        if values.memory is not None and values.swap is not None:
            yield swap_file, str(min(values.memory + values.swap, MOST_MEMORY))
        # What waits in TCP and UDP sockets is not in it, and without a limit is counted nowhere.
        sockets = None if values.memory is None else min(values.memory, MOST_MEMORY) // 2
        yield memory / "memory.kmem.tcp.limit_in_bytes", _or(sockets, "-1")
    elif memory := v2("memory"):
        yield memory / "memory.max", _or(values.memory, "max")
        yield memory / "memory.swap.max", _or(values.swap, "max")
    if pids := v1("pids") or v2("pids"):
        yield pids / "pids.max", _or(_most(values.processes, MOST_PROCESSES), "max")
    quota = _most(values.cpu_cap and values.cpu_cap * CPU_PERIOD // 100, MOST_QUOTA)
    if cpu := v1("cpu"):
        shares = min(max(values.cpu_shares * 1024 // 100, 2), 262_144)
        yield cpu / "cpu.shares", str(shares)
        yield cpu / "cpu.cfs_quota_us", _or(quota, "-1")
    elif cpu := v2("cpu"):
        yield cpu / "cpu.weight", str(min(max(values.cpu_shares, 1), 10_000))
        yield cpu / "cpu.max", f"{_or(quota, 'max')} {CPU_PERIOD}"
    yield from _io_writes(group, values.io_weight)


def _io_writes(group: "Group", weight: int) -> Iterator[tuple[Path, str]]:
    """Weights hold where the disk's scheduler is BFQ or, on v2, iocost is on."""
    if blkio := group.v1_directory("blkio"):
        yield blkio / "blkio.bfq.weight", str(min(max(weight, 1), 1000))
    elif io := group.v2_directory("io"):
        yield io / "io.weight", f"default {min(max(weight, 1), 10_000)}"
        yield io / "io.bfq.weight", f"default {min(max(weight, 1), 1000)}"


def _most(value: int | None, most: int) -> int | None:
    return None if value is None else min(value, most)


def _or(value: int | None, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def _make_room(memory: Path, bound: int) -> None:
    """Bring a v2 group below a new bound, or refuse: the kernel would kill where v1 says EBUSY."""
    used = int((memory / "memory.current").read_text())
    if used > bound:
        with suppress(
            OSError
        ):  # EAGAIN: it could not free as much; before Linux 5.19 there is none
            (memory / "memory.reclaim").write_text(str(used - bound))
        if int((memory / "memory.current").read_text()) > bound:
            raise KernelError("lower the memory limit", errno.EBUSY, os.strerror(errno.EBUSY))


class Group:
    """The cgroups of one zone, in all hierarchies."""

    def __init__(self, layout: Layout, parent: str, name: str) -> None:
        self.layout = layout
        self.parent = parent
        self.name = name

    def v1_directory(self, controller: str) -> Path | None:
        top = self.layout.v1.get(controller)
        return top / self.parent / self.name if top else None

    def v2_directory(self, controller: str = "") -> Path | None:
        top = self.layout.unified
        if top is None or (controller and controller not in self.layout.controllers):
            return None
        return top / self.parent / self.name

    def tops(self) -> list[Path]:
        """The mount points, v2 last, each once (controllers may share one)."""
        unified = [self.layout.unified] if self.layout.unified else []
        return [*dict.fromkeys(self.layout.v1.values()), *unified]

    def entrances(self) -> list[Path]:
        """The files that take a process of one thread into the zone's cgroups, if it writes 0.

        On v1 `tasks`: unlike cgroup.procs it need not hold up every fork of the machine.
        """
        tops = dict.fromkeys(self.layout.v1.values())
        files = [top / self.parent / self.name / "tasks" for top in tops]
        if self.layout.unified:
            files.append(self.layout.unified / self.parent / self.name / "zone/cgroup.procs")
        return files

    def create(self, values: Values, *, owner: int | None) -> None:
        """Make the cgroups with their limits; with `owner`, a host id, the v2 part is its own.

        A failure leaves what has been made to `remove`.
        """
        for top in self.tops():
            v1 = top != self.layout.unified
            _make(top / self.parent, v1=v1)
            if not v1:
                self._give_controllers_below(top)
                self._give_controllers_below(top / self.parent)
            _make(top / self.parent / self.name, v1=v1)
        if devices := self.v1_directory("devices"):
            _write(devices / "devices.deny", "a")
            for device in DEVICES:
                _write(devices / "devices.allow", device)
        self.set_limits(values)
        if self.layout.unified:
            self._create_v2(self.layout.unified, owner)

    def _create_v2(self, top: Path, owner: int | None) -> None:
        mine = top / self.parent / self.name
        self._give_controllers_below(mine)  # conmon reads what the kernel killed from the child
        _write(mine / "cgroup.max.depth", str(MAX_DEPTH))
        _write(mine / "cgroup.max.descendants", str(MAX_DESCENDANTS))
        zone = mine / "zone"
        zone.mkdir(exist_ok=True)
        if owner is not None:
            files = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")
            for path in (zone, *(zone / name for name in files)):
                os.chown(path, owner, owner)

    def _give_controllers_below(self, path: Path) -> None:
        for name in V2_CONTROLLERS:
            if name in self.layout.controllers:
                _write(path / "cgroup.subtree_control", f"+{name}")

    def set_limits(self, values: Values) -> None:
        """Write the limits. KernelError if the kernel refuses one (the zone uses more)."""
        if values.memory is not None and (memory := self._v2_memory()):
            _make_room(memory, values.memory)
        for path, value in limit_writes(self, values):
            # A kernel may be built without swap accounting or bandwidth control.
            if path.exists():
                _write(path, value)

    def _v2_memory(self) -> Path | None:
        """The group's directory if memory is bounded by cgroup v2."""
        mine = self.v2_directory()
        return mine if mine and (mine / "memory.current").exists() else None

    def kill(self) -> None:
        """Kill every process in the group."""
        if (mine := self.v2_directory()) and (mine / "cgroup.kill").exists():
            _write(mine / "cgroup.kill", "1")
            return
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def pids(self) -> set[int]:
        """The processes in any of the group's cgroups, as the host numbers them."""
        found: set[int] = set()
        for top in self.tops():
            for directory, _, _ in os.walk(top / self.parent / self.name):
                with suppress(OSError):
                    found.update(map(int, (Path(directory) / "cgroup.procs").read_text().split()))
        return found

    def remove(self, timeout: float = 10) -> None:
        """Kill what is left in the cgroups and remove them; not an error if there are none."""
        deadline = time.monotonic() + timeout
        pause = 0.0002
        mine = [top / self.parent / self.name for top in self.tops()]
        while left := [path for path in mine if not _remove_empty(path)]:
            if time.monotonic() > deadline:
                raise Timeout(f"cgroup {left[0]} cannot be emptied")
            self.kill()
            # A process leaves its cgroups a moment after its end; v1 has no notice of it.
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def usage(self) -> tuple[int, int, float]:
        """Bytes of memory, processes, and seconds of CPU used so far."""
        memory = self._read("memory", "memory.usage_in_bytes", "memory.current")
        processes = self._read("pids", "pids.current", "pids.current")
        if accounts := self.v1_directory("cpuacct"):
            return memory, processes, int(_read(accounts / "cpuacct.usage")) / 1e9
        if mine := self.v2_directory():
            fields = dict(line.split() for line in _read(mine / "cpu.stat").splitlines())
            return memory, processes, int(fields["usage_usec"]) / 1e6
        return memory, processes, 0.0

    def _read(self, controller: str, v1_file: str, v2_file: str) -> int:
        if path := self.v1_directory(controller):
            return int(_read(path / v1_file))
        if path := self.v2_directory(controller):
            return int(_read(path / v2_file))
        return 0


def remove_parent(layout: Layout, parent: str) -> None:
    """Remove the cgroups above all zones of a host; they stay while a zone is up."""
    for top in {*layout.v1.values(), *([layout.unified] if layout.unified else [])}:
        with suppress(OSError):
            os.rmdir(top / parent)


def remove_tree(top: Path, timeout: float) -> None:
    """Kill what is in a v2 cgroup and those below it, and remove them. Raises Timeout."""
    deadline = time.monotonic() + timeout
    while not _remove_empty(top):
        with suppress(FileNotFoundError):
            (top / "cgroup.kill").write_text("1")  # all below it, too
        if time.monotonic() > deadline:
            raise Timeout(f"cgroup {top} cannot be emptied")
        time.sleep(0.002)


def _remove_empty(top: Path) -> bool:
    """Remove a cgroup and those below it as far as they are empty; whether nothing is left."""
    for directory, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return not top.exists()


def leave_contract(pid: int) -> None:
    """Let a child of hulld's live on when hulld ends: out of its contract, where SMF has put it in.

    To where svc.init is, above all contracts. 0, or a process that has ended, has none to leave.
    """
    above, contract, number = str(own_v2()).rpartition(CONTRACT)
    if pid and contract and number.split("/")[0].isdigit():
        with suppress(ProcessLookupError):
            Path(above, "cgroup.procs").write_text(str(pid))


@cache
def own_v2() -> Path | None:
    """The v2 cgroup that this process was in when first asked; None if there is no such tree."""
    top = host_layout().unified
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    mine = next((line[4:] for line in lines if line.startswith("0::/")), None)
    return top / mine if top and mine is not None else None


def _make(path: Path, *, v1: bool) -> None:
    with suppress(FileExistsError):
        path.mkdir()
    if v1 and (path / "cpuset.cpus").exists():
        # A new v1 cpuset is empty and takes nobody in; also one that is being made by another boot.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (path / name).read_text().strip():
                shutil.copyfile(path.parent / name, path / name)


def _write(path: Path, value: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as exc:
        raise KernelError(f"write {value} to {path}", exc.errno or 0, exc.strerror or "") from exc


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as exc:
        raise KernelError(f"read {path}", exc.errno or 0, exc.strerror or "") from exc
