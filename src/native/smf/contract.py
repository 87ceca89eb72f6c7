# SPDX-License-Identifier: MPL-2.0
"""Contracts: each is a cgroup of the v2 hierarchy, named by its number.

They are below the cgroup that svc.init was started in, on mixed hosts too: what is asked of them
(who is in it, is it empty, end it) needs no controller. The directory is in <volatile>/contracts.
"""

import os
import time

from smf.errors import SmfError

NAME = "svc"  # of the cgroup that has the contracts
PROCS, EVENTS, KILL = "cgroup.procs", "cgroup.events", "cgroup.kill"
GONE = 5.0  # seconds in which a killed process has left its cgroup, whatever the machine is doing


def own_cgroup() -> str:
    """The directory of this process's cgroup. SmfError if there is no v2 hierarchy."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split() for line in file]
    tops = [
        (fields[3], fields[4]) for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"
    ]
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        mine = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    if not tops or not mine:
        raise SmfError("no cgroup2 file system is mounted: mount one on /sys/fs/cgroup")
    root, top = tops[0]
    below = mine[0].removeprefix(root.rstrip("/")) if root != "/" else mine[0]
    return top + below.rstrip("/")


class Contracts:
    """The contracts below one cgroup."""

    def __init__(self, directory: str) -> None:
        """`directory`: made if it is not there. SmfError, with what the kernel says."""
        self.directory = directory
        try:
            os.makedirs(directory, exist_ok=True)
            numbers = self.all()
        except OSError as exc:
            raise SmfError(f"{directory}: {exc.strerror}") from exc
        # The greatest number so far, where a fork of this process sees it, and the next fork:
        # svc.init may have told of a death that the next startd hears of.
        self._last = os.memfd_create("contracts")
        self._count(max(numbers, default=0))
        self._entering: dict[int, int] = {}  # contract -> a pipe that closes once it is entered

    def all(self) -> list[int]:
        """The numbers of those that there are."""
        return sorted(int(name) for name in os.listdir(self.directory) if name.isdigit())

    def create(self) -> int:
        """A new one, with a number above those of all that there were since this was made, be it
        in another process."""
        number = int.from_bytes(os.pread(self._last, 8, 0)) + 1
        self._count(number)
        os.mkdir(self.path(number))
        return number

    def _count(self, number: int) -> None:
        os.pwrite(self._last, number.to_bytes(8), 0)

    def expect(self, number: int, pipe: int) -> None:
        """A process is on its way into it, which closes the other end of a pipe when it is there.

        Who asks for the members, or ends them, waits until it is one: or it would be forgotten.
        """
        self._entering[number] = pipe

    def entered(self, number: int) -> None:
        """Wait for the one that is on its way."""
        pipe = self._entering.pop(number, None)
        if pipe is not None:
            os.read(pipe, 1)
            os.close(pipe)

    def path(self, number: int, file: str = "") -> str:
        return f"{self.directory}/{number}" + (f"/{file}" if file else "")

    def members(self, number: int) -> list[int]:
        """The processes in it, and in cgroups below it."""
        self.entered(number)
        found: list[int] = []
        for directory, _, _ in os.walk(self.path(number)):
            try:
                with open(f"{directory}/{PROCS}", encoding="ascii") as file:
                    found += map(int, file.read().split())
            except OSError:  # it went meanwhile
                continue
        return found

    def populated(self, number: int) -> bool:
        """Whether a process is left in it."""
        self.entered(number)
        try:
            with open(self.path(number, EVENTS), encoding="ascii") as file:
                return "populated 1" in file.read()
        except OSError:
            return False

    def watch(self, number: int) -> int:
        """A descriptor that is POLLPRI when it becomes empty or populated; see `populated_by`."""
        return os.open(self.path(number, EVENTS), os.O_RDONLY | os.O_CLOEXEC)

    def signal(self, number: int, signal: int) -> None:
        """To every process in it."""
        for pid in self.members(number):
            try:
                os.kill(pid, signal)
            except ProcessLookupError:
                continue

    def kill(self, number: int) -> None:
        """SIGKILL to all of it at once."""
        self.entered(number)
        try:
            with open(self.path(number, KILL), "w", encoding="ascii") as file:
                file.write("1")
        except FileNotFoundError:  # it is gone; or Linux before 5.14, which has no such file
            self.signal(number, 9)

    def remove(self, number: int) -> bool:
        """Remove an empty one; whether it is gone."""
        for directory, _, _ in os.walk(self.path(number), topdown=False):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def end(self) -> None:
        """Kill and remove all that is left, and the directory itself."""
        deadline = time.monotonic() + GONE
        while numbers := [number for number in self.all() if not self.remove(number)]:
            for number in numbers:
                self.kill(number)
            if time.monotonic() > deadline:
                raise SmfError(f"contracts {numbers} do not end")
            time.sleep(0.005)
        os.rmdir(self.directory)


def populated_by(fd: int) -> bool:
    """What a descriptor of `Contracts.watch` says now; reading it makes it wait for a change."""
    try:
        return b"populated 1" in os.pread(fd, 256, 0)
    except OSError:  # ENODEV: the cgroup was removed
        return False
