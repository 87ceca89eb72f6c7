# SPDX-License-Identifier: MPL-2.0
"""Measuring: samples by row and contender, pings, and what processes take of memory and time."""

import os
import socket
import statistics
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.sandbox import Failed, run

ICMP_ECHO, ICMP_REPLY = 8, 0


@dataclass
class Results:
    """What was measured: `samples[row][contender]`, and why something was not."""

    samples: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, contender: str, value: float) -> None:
        self.samples[row][contender].append(value)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1000


def median(values: list[float]) -> float:
    return statistics.median(values)


def load() -> str:
    """The load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def rotated(names: list[str], turn: int) -> list[str]:
    """A B C, then B C A, ...: nobody always comes first."""
    shift = turn % len(names) if names else 0
    return names[shift:] + names[:shift]


# -- ping ------------------------------------------------------------------------------------------
def checksum(data: bytes) -> int:
    total = sum(int(word) for (word,) in struct.iter_unpack(">H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(identity: int, sequence: int) -> bytes:
    body = struct.pack(">BBHHH", ICMP_ECHO, 0, 0, identity, sequence)
    return struct.pack(">BBHHH", ICMP_ECHO, 0, checksum(body), identity, sequence)


class Pinger:
    """Pings from the network namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._identity = os.getpid() & 0xFFFF

    def until_answer(self, address: str, timeout: float = 5) -> None:
        """Return at the first answer. Raises Failed."""
        deadline = time.monotonic() + timeout
        sequence = 0
        while time.monotonic() < deadline:
            sequence += 1
            self._socket.sendto(echo_request(self._identity, sequence), (address, 0))
            if self._answered(address):
                return
        raise Failed(f"{address} does not answer pings")

    def _answered(self, address: str) -> bool:
        """Wait for the answer for two milliseconds."""
        until = time.monotonic() + 0.002
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet, source = self._socket.recvfrom(2048)
            except TimeoutError:
                return False
            identity = struct.unpack_from(">H", packet, 24)[0]
            if source[0] == address and packet[20] == ICMP_REPLY and identity == self._identity:
                return True
        return False


# -- processes -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Usage:
    """What processes have taken since they started."""

    cpu: float  # seconds
    wakeups: int  # voluntary context switches of all their threads


def status_field(text: str, name: str) -> int:
    """The number in a line such as `VmRSS:   1234 kB`."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def pss(pid: int) -> int:
    """Bytes of memory, shared pages by their share; 0 if the process has gone."""
    try:
        return status_field(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss") * 1024
    except OSError:
        return 0


def members(zone: str) -> list[tuple[int, str]]:
    """The processes in the cgroups of a zone, with their names."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if zone in (directory / "cgroup").read_text():
                found.append((int(directory.name), (directory / "comm").read_text().strip()))
    return found


def rss(pid: int) -> int:
    return status_field(Path(f"/proc/{pid}/status").read_text(), "VmRSS") * 1024


def available() -> int:
    """Bytes of the machine's memory that nobody needs."""
    return status_field(Path("/proc/meminfo").read_text(), "MemAvailable") * 1024


def usage(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    threads = Path(f"/proc/{pid}/task").iterdir()
    switches = [
        status_field((t / "status").read_text(), "voluntary_ctxt_switches") for t in threads
    ]
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), sum(switches))


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


# -- storage ---------------------------------------------------------------------------------------
def parse_btrfs_df(text: str) -> int:
    """Bytes in use, data and metadata, from `btrfs filesystem df --raw`."""
    used: Iterable[str] = (
        line.rpartition("used=")[2] for line in text.splitlines() if "GlobalReserve" not in line
    )
    return sum(int(value) for value in used if value)


def used(path: Path, runner: Callable[..., str] = run) -> int:
    """Bytes that the btrfs at `path` holds, once all is written and what was deleted is gone.

    `runner` sees the mount.
    """
    runner("btrfs", "filesystem", "sync", str(path))  # wakes the cleaner, too
    runner("btrfs", "subvolume", "sync", str(path))
    runner("btrfs", "filesystem", "sync", str(path))
    return parse_btrfs_df(runner("btrfs", "filesystem", "df", "--raw", str(path)))
