# SPDX-License-Identifier: MPL-2.0
"""The Runtime port: what keeps a zone's processes. Drivers: crun (with conmon), fake.

A zone that is up has a runtime record; the record outlives hulld. Contract as everywhere: a method
that raises has changed nothing, removal is idempotent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hull.wire import Json


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource controls, in the kernel's units. 0: no limit."""

    memory: int = 0  # bytes
    swap: int = 0  # bytes of swap on top of memory; 0 is none at all if memory is limited
    processes: int = 0  # tasks
    cpu_shares: int = 100  # SmartOS's: relative, 100 is one share
    cpu_cap: int = 0  # per cent of one CPU
    io_priority: int = 100  # relative, as cpu_shares; where this host has a controller for it
    tmpfs: int = 0  # bytes of /tmp; one that is on disk, or is to be, waits for the next boot


@dataclass(frozen=True, kw_only=True)
class ZoneSpec:
    """All that is needed to bring a zone up: data, made by a brand, executed by a Runtime."""

    uuid: str
    zoneid: int  # small, unique among the zones that are up; its id range and link names follow it
    root: Path  # the zone's root on the host; file owners in it are not shifted
    id_base: int  # first host uid and gid of the zone's range of 65536
    bundle: dict[str, Json]  # OCI config.json, but for root.path, which the driver fills in
    console_log: Path | None  # what init writes; bounded; its directory exists. None: nowhere
    log_limit: int = 0  # bytes, then the log begins anew; 0: a limit of the driver's
    open_stdin: bool = False  # without a terminal: what a client of the console sends is init's
    limits: Limits = field(default_factory=Limits)
    own_cgroups: bool = False  # init wants a writable cgroup2 tree


@dataclass(frozen=True, kw_only=True)
class ExitStatus:
    code: int  # exit status of init, or minus the signal that ended it
    when: float  # seconds since the epoch


@dataclass(frozen=True, kw_only=True)
class Usage:
    memory: int  # bytes charged to the zone
    processes: int
    cpu_seconds: float


# Gets the path of a zone's network namespace, and makes the links in it.
Connect = Callable[[str], None]


def unconnected(netns: str) -> None:
    """No links."""
    del netns


class Runtime(Protocol):
    def create(self, spec: ZoneSpec, connect: Connect = unconnected) -> int:
        """Build the zone up to, but not including, its init; returns the init's pid on the host.

        `connect` is called when there is a network namespace, while the rest is being built: what
        it raises, this raises. From now on the namespace is `/proc/PID/ns/net`; the zone is
        `ready`.
        """
        ...

    def start(self, uuid: str) -> None:
        """Let init run."""
        ...

    def kill(self, uuid: str, signal: int) -> bool:
        """Send a signal to init; no error if there is none any more.

        Returns whether init takes notice: the kernel keeps from it what it does not handle, as one
        that has just been started may not yet.
        """
        ...

    def delete(self, uuid: str) -> None:
        """Kill whatever is left and remove every trace: cgroups, state, console, mounts."""
        ...

    def pid(self, uuid: str) -> int:
        """Init's pid on the host, 0 if the zone is not up."""
        ...

    def wait_exit(self, uuid: str, timeout: float) -> ExitStatus | None:
        """Wait for init's end; None if it still runs after `timeout` seconds."""
        ...

    def zones(self) -> list[str]:
        """The uuids of all zones with a runtime record, alive or dead."""
        ...

    def set_limits(self, uuid: str, limits: Limits) -> None:
        """Change the limits of a running zone."""
        ...

    def usage(self, uuid: str) -> Usage: ...

    def login_argv(self, uuid: str, process: Path, *, tty_socket: str = "") -> list[str]:
        """The program that runs an OCI process (a JSON file) in the zone and ends as it ends.

        With `tty_socket` the zone's own pty is handed over on that Unix socket (SCM_RIGHTS);
        without, the program's standard files must be pipes or sockets: they become the zone's.
        """
        ...

    def console(self, uuid: str) -> Path:
        """The Unix socket (SOCK_SEQPACKET) of the zone's console."""
        ...

    def release(self) -> None:
        """Remove what is left when the last zone is down: the host's own cgroups."""
        ...
