# SPDX-License-Identifier: MPL-2.0
"""svc.init: the first process of a native zone, and the parent of a hosted host's services.

It forks svc.configd and svc.startd, again when they die, and holds what must outlive them: the door
to the repository, and the socket on which it tells startd of deaths. Everything is imported before
the first fork, so that the three of them share it.
"""

import _socket as socket  # socket loads enum, selectors and libm: see docs/design/0003-smf.md
import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable

from smf import bootargs
from smf.client import Client
from smf.configd import Configd
from smf.contract import NAME, Contracts, own_cgroup
from smf.errors import SmfError
from smf.places import Places
from smf.seed import plant
from smf.startd import Startd
from smf.store import Store

BOOTARGS = "bootargs"  # of the environment: `zoneadm boot --`
CONFIGD, STARTD = "svc.configd", "svc.startd"
SHUTDOWN = (signal.SIGTERM, signal.SIGINT, signal.SIGPWR)
PR_SET_CHILD_SUBREAPER = 36
BACKLOG = 4096
QUICK, LONGEST = 2.0, 5.0  # seconds: who dies sooner is started later each time, up to that
CONFIGD_LAST = 10.0  # seconds for configd to end
USAGE = "usage: svc.init [--bare] [--root DIRECTORY] [-s] [-m OPTION,...]\n"


class Child:
    """One of the two daemons."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.name = name
        self.body = body
        self.pid = 0
        self.begun = 0.0
        self.pause = 0.0  # before it is forked again

    def fork(self) -> None:
        self.begun = time.monotonic()
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            call_me(self.name)
            self.body()
            status = 0
        except SmfError as exc:
            sys.stderr.write(f"{self.name}: {exc}\n")
        except Exception as exc:  # noqa: BLE001  # whatever it is: not on as svc.init
            import traceback

            traceback.print_exception(exc)
        finally:
            sys.stderr.flush()
            os._exit(status)

    def ended(self, status: int) -> None:
        """Who was killed did nothing wrong, and is needed at once."""
        self.pid = 0
        killed = status & 0x7F == signal.SIGKILL
        quick = time.monotonic() - self.begun < QUICK and not killed
        self.pause = min(max(0.05, self.pause * 2), LONGEST) if quick else 0.0


class Init:
    """The parent."""

    def __init__(self, places: Places, options: dict[str, str], *, bare: bool) -> None:
        """`options`: see smf.bootargs. `bare`: import nothing."""
        self.places = places
        os.makedirs(places.volatile, mode=0o755, exist_ok=True)
        os.makedirs(places.etc, mode=0o755, exist_ok=True)
        self.contracts = Contracts(f"{own_cgroup()}/{NAME}")
        plant(places)
        _write(f"{places.volatile}/contracts", self.contracts.directory)
        _write(f"{places.volatile}/init.pid", str(os.getpid()))
        self.prefix = f"{cgroup_of(os.getpid()).rstrip('/')}/{NAME}/"
        self.door = _listen(places.door)
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.ours.settimeout(0)
        zone = zone_name()

        def configd() -> None:
            Configd(Store(places.repository, places.nonpersistent), self.door).serve()

        def startd() -> None:
            bootargs.remember(Client(places.door), options)
            if not bare:
                _import_early(places)
            Startd(places, self.contracts, theirs, zone).run()

        self.configd, self.startd = Child(CONFIGD, configd), Child(STARTD, startd)
        self.stopping = False
        self._asked = b""
        self._untold = b""

    def run(self) -> None:
        """Until a signal says that it is the end, and startd has stopped everything."""
        wakeup = self._catch_signals()
        poll = select.poll()
        poll.register(wakeup, select.POLLIN)
        gc.collect()
        gc.freeze()  # what is shared stays shared: no collection writes to it
        while True:
            self._keep_alive()
            if self.stopping and not self.startd.pid:
                break
            poll.register(self.ours, select.POLLIN | (select.POLLOUT if self._untold else 0))
            for descriptor, _ in poll.poll(self._pause()):
                if descriptor == wakeup:
                    os.read(wakeup, 4096)
                else:
                    self._answer()
            self._reap()
            self._tell(b"")
        self._end()

    def _catch_signals(self) -> int:
        mine, kernels = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(kernels, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in SHUTDOWN:
            signal.signal(number, self._stop)
        return mine

    def _stop(self, *_: object) -> None:
        self.stopping = True
        if self.startd.pid:
            os.kill(self.startd.pid, signal.SIGTERM)

    def _keep_alive(self) -> None:
        now = time.monotonic()
        for child in (self.configd, self.startd):
            over = self.stopping and child is self.startd and child.begun
            if not child.pid and not over and now >= child.begun + child.pause:
                child.fork()

    def _pause(self) -> float | None:
        """Milliseconds until one of them is to be forked again."""
        waiting = [each for each in (self.configd, self.startd) if not each.pid]
        if not waiting:
            return None
        due = min(each.begun + each.pause for each in waiting)
        return max(0.0, due - time.monotonic()) * 1000 + 1

    # -- deaths ------------------------------------------------------------------------------------
    def _reap(self) -> None:
        """Bury every process that has nobody else, and tell startd of it."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            contract = contract_of(found.si_pid, self.prefix)
            _, status = os.waitpid(found.si_pid, 0)
            for child in (self.configd, self.startd):
                if found.si_pid == child.pid:
                    child.ended(status)
                    break
            else:
                self._tell(b"d %d %d %d\n" % (found.si_pid, contract, status))

    def _tell(self, line: bytes) -> None:
        """A line to startd, when it has room: it may be away for a moment."""
        self._untold += line
        while self._untold:
            try:
                sent = self.ours.send(self._untold)
            except BlockingIOError:
                return
            self._untold = self._untold[sent:]

    def _answer(self) -> None:
        """startd asks for a word when all deaths up to now are told."""
        try:
            self._asked += self.ours.recv(4096)
        except BlockingIOError:
            return
        self._reap()
        *numbers, self._asked = self._asked.split(b"\n")
        for number in numbers:
            self._tell(b"e " + number + b"\n")

    def _end(self) -> None:
        if os.path.isdir(self.contracts.directory):  # startd was in a hurry
            self.contracts.end()
        if self.configd.pid:
            os.kill(self.configd.pid, signal.SIGTERM)
            _wait(self.configd.pid, CONFIGD_LAST)
        for name in ("repository_door", "contracts", "init.pid"):
            _remove(f"{self.places.volatile}/{name}")
        if os.getpid() == 1:
            _signal_all(signal.SIGTERM)


def cgroup_of(pid: int) -> str:
    """The v2 cgroup that a process is in, or was when it ended, as this cgroup namespace has it."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")
    except OSError:
        return ""


def contract_of(pid: int, prefix: str) -> int:
    """The contract of which a process is, or was; 0 if of none. `prefix`: of contracts' cgroups."""
    name = cgroup_of(pid)
    if not name.startswith(prefix):
        return 0
    number = name[len(prefix) :].split("/")[0].removesuffix(" (deleted)")
    return int(number) if number.isdigit() else 0


def call_me(name: str) -> None:
    """The name that ps and pkill show."""
    try:
        _write("/proc/self/comm", name)
    except OSError:
        return


def zone_name() -> str:
    """The zone's own, as its runtime says; "global" elsewhere."""
    if os.getpid() != 1:
        return "global"
    return os.environ.get("container_uuid", "global")  # noqa: SIM112  # systemd's name for it


def adopt_orphans() -> None:
    """Who is not the first process of its PID namespace gets its services' orphans by asking."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise SmfError(f"prctl: {os.strerror(ctypes.get_errno())}")


def main(argv: list[str]) -> int:
    """Exit status 0 after an orderly shutdown."""
    bare = "--bare" in argv
    rest = [word for word in argv if word != "--bare"]
    if rest[:1] == ["--root"] and len(rest) > 1:
        os.environ["HULL_ROOT"] = rest[1]
        rest = rest[2:]
    options, unknown = bootargs.parse([*rest, *os.environ.pop(BOOTARGS, "").split()])
    if unknown:
        sys.stderr.write(f"svc.init: what is {' '.join(unknown)}?\n{USAGE}")
        if os.getpid() != 1:  # a zone is to boot nevertheless
            return 2
    call_me("svc.init")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        if os.getpid() != 1:
            adopt_orphans()
        Init(Places(), options, bare=bare).run()
    except SmfError as exc:
        sys.stderr.write(f"svc.init: {exc}\n")
        return 1
    return 0


def _import_early(places: Places) -> None:
    """Read the platform's manifests, in a process of its own: what that loads is gone with it."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    status = 1
    try:
        from smf.manifest_import import boot

        boot(Client(places.door), places)
        status = 0
    except Exception as exc:  # noqa: BLE001  # services that are known already can run without it
        sys.stderr.write(f"svc.startd: manifests: {exc}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)


def _listen(path: str) -> socket.socket:
    _remove(path)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(path)
    os.chmod(path, 0o666)
    door.listen(BACKLOG)
    return door


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _wait(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _signal_all(number: int) -> None:
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        return
