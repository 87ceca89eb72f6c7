# SPDX-License-Identifier: MPL-2.0
"""The host's processes, names, messages and control groups."""

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator

from tests.isolation.attacks.base import GIVEN, attack, last_error, libc, mount, rewrite, syscall

PTRACE_SEIZE = 0x4206
TAKEN_OVER = "taken-over"
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _victim() -> int:
    """A process of the host's, as the host numbers it."""
    return int(GIVEN["victim"])


@attack(13)
def signal_a_host_process() -> str:
    os.kill(_victim(), 0)
    return "done"


@attack(12)
def trace_a_host_process() -> str:
    last_error(libc.ptrace(PTRACE_SEIZE, _victim(), None, None))
    return "done"


@attack(12)
def read_a_host_process() -> str:
    """Its environment, as /proc shows it."""
    with open(f"/proc/{_victim()}/environ", "rb") as file:
        return "done" if GIVEN["secret"].encode() in file.read() else "somebody else"


@attack(12)
def hold_a_host_process() -> str:
    os.close(os.pidfd_open(_victim()))
    return "done"


@attack(13)
def processes_there() -> str:
    """How many more than a zone's few."""
    return (
        "something"
        if len([name for name in os.listdir("/proc") if name.isdigit()]) > 8
        else ("nothing")
    )


@attack(14)
def shared_memory() -> str:
    """A segment of the host's, by its key."""
    last_error(libc.shmget(int(GIVEN["key"]), 0, 0))
    return "done"


@attack(14)
def message_queue() -> str:
    """A POSIX queue of the host's, by its name."""
    fd = syscall(240, GIVEN["name"].encode(), os.O_RDONLY, 0, 0)
    os.close(fd)
    return "done"


@attack(14, 19)
def abstract_socket() -> str:
    """A socket of the host's without a file."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + GIVEN["name"])
    return "done"


@attack(15)
def host_name() -> str:
    """Give the machine another name; the test looks whether it has."""
    socket.sethostname(TAKEN_OVER)
    return "done"


@attack(19)
def links_there() -> str:
    """The host's network."""
    return (
        "something" if GIVEN["link"] in {name for _, name in socket.if_nameindex()} else ("nothing")
    )


@attack(19)
def host_loopback() -> str:
    """What listens on the host's 127.0.0.1, such as vminfod."""
    with socket.create_connection(("127.0.0.1", int(GIVEN["port"])), timeout=5):
        return "done"


# -- control groups --------------------------------------------------------------------------------
def _hierarchies() -> Iterator[tuple[str, str]]:
    """Every hierarchy that can be mounted: where it is then, and one's own group in it."""
    with open("/proc/self/cgroup") as file:
        groups = [line.rstrip("\n").split(":", 2) for line in file]
    for number, name, path in groups:
        place = f"/root/cg{number}"
        kind, data = ("cgroup", name) if name else ("cgroup2", "")
        with contextlib.suppress(OSError):
            mount("cgroup", place, kind, 0, data)
            yield place, place + path


LIMITS = (
    "memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cpu.max", "cpu.shares",
    "cpu.weight", "devices.allow", "freezer.state", "cgroup.max.descendants",
)  # fmt: skip


@attack(16)
def raise_a_limit() -> str:
    """Any of one's own limits, to what it is."""
    found = "nothing"
    for _, own in _hierarchies():
        for name in LIMITS:
            with contextlib.suppress(OSError):
                rewrite(f"{own}/{name}", b"c 1:3 rw")
                found = "done"
    return found


@attack(16)
def leave_the_cgroup() -> str:
    """By a group of one's own beside it, or the root of the hierarchy."""
    found = "nothing"
    for place, _ in _hierarchies():
        if os.path.exists(f"{place}/cgroup.procs") and _is_root(place):
            try:
                with open(f"{place}/cgroup.procs", "w") as file:
                    file.write(str(os.getpid()))
            except OSError:
                continue
            found = "done"
    return found


def _is_root(place: str) -> bool:
    """Whether this is the hierarchy's own root, above all zones."""
    return any(name.startswith("hull-") for name in os.listdir(place))


@attack(16)
def release_agent() -> str:
    """The program that the kernel runs, as root of the machine, when a v1 group is empty."""
    found = "nothing"
    for place, _ in _hierarchies():
        try:
            if os.path.exists(f"{place}/release_agent"):
                found = rewrite(f"{place}/release_agent")
        except OSError:
            continue
    return found


@attack(16)
def other_cgroups() -> str:
    """The neighbours' groups."""
    found = [place for place, _ in _hierarchies() if _is_root(place)]
    return "something" if found else "nothing"
