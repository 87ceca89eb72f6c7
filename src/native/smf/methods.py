# SPDX-License-Identifier: MPL-2.0
"""Methods under way: their processes, contracts and time limits, from `begin` to an Outcome.

A start method's contract is the service. A stop or refresh method has a contract of its own, and a
stop has ended when the service's contract is empty as well. What is killed is waited for before the
instance starts again, so that no service ever runs twice.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from smf import outcome, spawn
from smf.config import CHILD, TRANSIENT, Config
from smf.context import BadContext, Context, resolve
from smf.contract import Contracts, populated_by
from smf.errors import SmfError
from smf.expand import expand
from smf.outcome import Outcome
from smf.places import LIB
from smf.record import Record
from smf.tree import Groups

TRUE, KILL = ":true", ":kill"
LOG_MODE = 0o644
PRIMARY, BESIDE, DYING = "primary", "beside", "dying"


class Method:
    """One that runs."""

    __slots__ = ("contract", "deadline", "fmri", "name", "pid", "settings", "timed_out", "waits")

    def __init__(self, fmri: str, name: str, settings: Config) -> None:
        self.fmri = fmri
        self.name = name
        self.settings = settings
        self.deadline: float | None = None
        found = settings.methods.get(name)
        # The start of a child-model service is the service.
        endless = name == "start" and settings.duration == CHILD
        if found and found.timeout is not None and not endless:
            self.deadline = time.monotonic() + found.timeout
        self.pid = 0  # 0: it has ended
        self.contract = 0  # that it runs in
        self.timed_out = False
        self.waits: Outcome | None = None  # how it ended; now it waits for the service to


class Launch:
    """A method that is to be forked as soon as the repository knows of it."""

    __slots__ = ("command", "context", "method")

    def __init__(self, method: Method, command: str, context: Context) -> None:
        self.method = method
        self.command = command
        self.context = context


class Methods:
    """All methods under way, and all contracts."""

    def __init__(
        self,
        contracts: Contracts,
        records: dict[str, Record],
        zone: str,
        *,
        watch: Callable[[int], None],
        unwatch: Callable[[int], None],
        ended: Callable[[str, str, Outcome], None],
        empty: Callable[[str, int], None],
        elsewhere: Callable[[str], Groups],
    ) -> None:
        """`watch`, `unwatch`: have epoll watch a descriptor for POLLPRI, or no longer. `ended`: a
        method has; `empty`: a service's contract is. `elsewhere`: see smf.expand."""
        self.contracts = contracts
        self.records = records
        self.zone = zone
        self.verbose = False  # whether the console has what the logs have
        self.under_way: dict[str, Method] = {}  # by FMRI
        self.children: dict[int, str] = {}  # pids of child-model services
        self.launches: list[Launch] = []
        self.postponed: dict[str, tuple[str, Config]] = {}
        self._dumped: set[str] = set()  # whose processes were told to end already
        self._watch, self._unwatch = watch, unwatch
        self._ended, self._empty = ended, empty
        self._elsewhere = elsewhere
        self._owners: dict[int, tuple[str, str]] = {}  # contract -> (FMRI, what it is to it)
        self._watched: dict[int, int] = {}  # descriptor -> contract
        self._descriptors: dict[int, int] = {}

    # -- beginning ---------------------------------------------------------------------------------
    def begin(self, fmri: str, name: str, settings: Config) -> None:
        """Run a method; `ended` is told at once if there is nothing to run."""
        record = self.records[fmri]
        if name == "start":
            self.retire(fmri, kill=True)
            if self._dying(fmri):
                self.postponed[fmri] = (name, settings)
                return
            record.start_status = None
        found = settings.methods.get(name)
        command = found.command if found else ""
        self.log(fmri, f"executing {name} method ({_quoted(command)})")
        method = Method(fmri, name, settings)
        self.under_way[fmri] = method
        if name == "stop" and fmri in self._dumped:
            self._dumped.discard(fmri)
            self._stopped(method, Outcome(outcome.OK, "is left out"))
        elif not found or command.strip() in (TRUE, ""):
            self._without_process(method)
        elif command.split()[:1] == [KILL]:
            self._signal(method, command)
        else:
            self._prepare(method, command)

    def dump(self, fmri: str) -> None:
        """Have a service dump core, and its next stop be no more than waiting for its end."""
        self._dumped.add(fmri)
        for contract in self.records[fmri].contracts:
            self.contracts.signal(contract, signal.SIGABRT)

    def _prepare(self, method: Method, command: str) -> None:
        """Everything that may go wrong before there is a process."""
        settings = method.settings
        try:
            text = expand(command, method.fmri, method.name, settings.groups, self._elsewhere)
            context = resolve(settings.methods[method.name].group, settings.groups)
            if settings.duration == CHILD:
                _require_program(text)
        except SmfError as exc:
            self._finish(method, Outcome(outcome.FATAL, f"was not run: {exc}", 96 << 8))
            return
        for entry in context.bad:
            self.log(method.fmri, f'"{entry}" cannot be in the environment, and is left out')
        context.environment |= {
            "SMF_FMRI": method.fmri,
            "SMF_METHOD": method.name,
            "SMF_RESTARTER": "svc:/system/svc/restarter:default",
            "SMF_ZONENAME": self.zone,
            "SMF_LIB": LIB,
            "SMF_PYTHON": sys.executable,  # in memory already
        }
        record = self.records[method.fmri]
        method.contract = self.contracts.create()
        if method.name == "start":
            record.contracts = [method.contract]
            record.start_time = time.time_ns()
            self._own(method.contract, method.fmri, PRIMARY)
        else:
            record.transient = method.contract
            self._own(method.contract, method.fmri, BESIDE)
        self.launches.append(Launch(method, text, context))

    def launch(self) -> None:
        """Fork what is prepared, now that what it will be is written down."""
        launches, self.launches = self.launches, []
        for launch in launches:
            method = launch.method
            if self.under_way.get(method.fmri) is not method:
                continue
            procs = self.contracts.path(method.contract, "cgroup.procs")
            log = self._open_log(method.fmri)
            try:
                method.pid, pipe = spawn.start(launch.command, launch.context, procs, log)
            except OSError as exc:  # no process to be had
                self._finish(method, Outcome(outcome.FAILED, f"was not run: {exc.strerror}"))
                continue
            finally:
                os.close(log)
            self.contracts.expect(method.contract, pipe)
            if method.name == "start":
                self.records[method.fmri].start_pid = method.pid
                if method.settings.duration == CHILD:
                    self.children[method.pid] = method.fmri
                    self._finish(method, Outcome(outcome.OK, "has begun"))

    def _without_process(self, method: Method) -> None:
        """`:true`, or no method at all: it does nothing, and that went well."""
        if method.name == "stop":
            self.retire(method.fmri, kill=False)
        self._finish(method, Outcome(outcome.OK, "has nothing to do"))

    def _signal(self, method: Method, command: str) -> None:
        """`:kill [-SIGNAL]`."""
        number = signal_number(command)
        if method.settings.duration == TRANSIENT or method.name != "stop":
            text = "failed: :kill needs a contract, and a transient service has none"
            self._finish(method, Outcome(outcome.FATAL, text))
        elif number is None:
            self._finish(method, Outcome(outcome.FATAL, f'failed: "{command}" names no signal'))
        else:
            for contract in self.records[method.fmri].contracts:
                self.contracts.signal(contract, number)
            self._stopped(method, Outcome(outcome.OK, "has sent its signal"))

    # -- ending ------------------------------------------------------------------------------------
    def process_ended(self, pid: int, status: int) -> bool:
        """A child of startd has ended; whether it was a method."""
        method = next((each for each in self.under_way.values() if each.pid == pid), None)
        if method is None:
            return False
        method.pid = 0
        how = outcome.of_wait_status(method.name, status)
        if method.timed_out:
            how = Outcome(outcome.TIMEOUT, "timed out, and was killed", status)
        if method.name == "start":
            self.records[method.fmri].start_status = status
        if method.contract and method.name != "start":
            self.records[method.fmri].transient = 0
            self._bury(method.contract)
        if method.name == "start" and method.settings.duration == TRANSIENT:
            self.retire(method.fmri, kill=False)
        if method.name == "stop" and how.kind == outcome.OK:
            self._stopped(method, how)
        else:
            self._finish(method, how)
        return True

    def _stopped(self, method: Method, how: Outcome) -> None:
        """The stop method has done its part; the service ends when its contract is empty."""
        method.waits = how
        if not any(map(self.contracts.populated, self.records[method.fmri].contracts)):
            self._service_gone(method)

    def _service_gone(self, method: Method) -> None:
        assert method.waits
        self.retire(method.fmri, kill=False)
        self._finish(method, method.waits)

    def _finish(self, method: Method, how: Outcome) -> None:
        del self.under_way[method.fmri]
        if how.kind not in (outcome.FAILED, outcome.FATAL, outcome.TIMEOUT) and method.contract:
            self.log(method.fmri, f'method "{method.name}" {how.text}')
        self._ended(method.fmri, method.name, how)

    def expire(self) -> None:
        """Kill what has taken too long."""
        now = time.monotonic()
        for method in list(self.under_way.values()):
            if method.deadline is None or method.deadline > now or method.timed_out:
                continue
            method.timed_out = True
            self.log(method.fmri, f'method "{method.name}" or service exit timed out')
            if method.contract:
                self.contracts.kill(method.contract)
            if method.name == "stop":
                for contract in self.records[method.fmri].contracts:
                    self.log(method.fmri, f"killing contract {contract}")
                    self.contracts.kill(contract)
                method.waits = method.waits and Outcome(
                    outcome.TIMEOUT, "timed out: the service had not ended"
                )

    def next_deadline(self) -> float | None:
        """When `expire` has something to do, if nothing else happens."""
        waiting = (each for each in self.under_way.values() if not each.timed_out)
        return min((each.deadline for each in waiting if each.deadline is not None), default=None)

    # -- contracts ---------------------------------------------------------------------------------
    def adopt(self, fmri: str) -> None:
        """Watch the contracts that an earlier startd made."""
        for contract in self.records[fmri].contracts:
            self._own(contract, fmri, PRIMARY)

    def retire(self, fmri: str, *, kill: bool) -> None:
        """The contracts of an instance are the service's no longer; they go when they are empty."""
        record = self.records[fmri]
        record.start_pid = 0
        if kill:
            record.dying = list(dict.fromkeys([*record.dying, *record.contracts]))
            for contract in list(record.dying):  # it leaves the list when it is gone
                self.contracts.kill(contract)
                self._bury(contract, fmri)
        else:
            for contract in record.contracts:
                self._bury(contract)
        record.contracts = []

    def stray(self, contract: int, *, kill: bool) -> None:
        """A contract that is nobody's: of a method that was under way, or an abandoned one."""
        if kill:
            self.contracts.kill(contract)
        self._bury(contract)

    def forget(self, fmri: str) -> None:
        """The instance was deleted: what is left of it ends, and nobody is told."""
        self.postponed.pop(fmri, None)
        method = self.under_way.pop(fmri, None)
        if method and method.contract:
            self.contracts.kill(method.contract)
            self._bury(method.contract)
        self.retire(fmri, kill=True)

    def owner(self, contract: int) -> str:
        """The instance whose service a contract is; "" if none's."""
        fmri, role = self._owners.get(contract, ("", ""))
        return fmri if role == PRIMARY else ""

    def changed(self, descriptor: int) -> None:
        """epoll says that a contract has become empty, or populated."""
        contract = self._watched.get(descriptor)
        if contract is None:
            return
        if populated_by(descriptor):
            self.contracts.entered(contract)
            return
        fmri, role = self._owners[contract]
        if role == DYING:
            self._drop(contract)
            self._resume(fmri)
            return
        if role != PRIMARY:
            return
        method = self.under_way.get(fmri)
        if method and method.waits:
            self._service_gone(method)
        else:
            self._empty(fmri, contract)

    def _own(self, contract: int, fmri: str, role: str) -> None:
        self._owners[contract] = (fmri, role)
        if contract not in self._descriptors:
            try:
                descriptor = self.contracts.watch(contract)
            except OSError:  # it has gone
                return
            self._descriptors[contract] = descriptor
            self._watched[descriptor] = contract
            self._watch(descriptor)
            populated_by(descriptor)

    def _bury(self, contract: int, waits: str = "") -> None:
        """Remove a contract as soon as it is empty; `waits`: who cannot start before."""
        if not self.contracts.populated(contract) and self.contracts.remove(contract):
            self._drop(contract)
            return
        self._own(contract, waits, DYING)
        if not self.contracts.populated(contract) and self.contracts.remove(contract):
            self._drop(contract)  # it has become empty before it was watched

    def _drop(self, contract: int) -> None:
        self.contracts.remove(contract)
        fmri, _ = self._owners.pop(contract, ("", ""))
        if fmri in self.records and contract in self.records[fmri].dying:
            self.records[fmri].dying.remove(contract)
        descriptor = self._descriptors.pop(contract, None)
        if descriptor is not None:
            del self._watched[descriptor]
            # Closing is not enough: a method that was just forked has it still, and epoll would go
            # on about it, by a number that is another contract's meanwhile.
            self._unwatch(descriptor)
            os.close(descriptor)

    def _dying(self, fmri: str) -> bool:
        return (fmri, DYING) in self._owners.values()

    def _resume(self, fmri: str) -> None:
        if fmri in self.postponed and not self._dying(fmri):
            name, settings = self.postponed.pop(fmri)
            self.begin(fmri, name, settings)

    # -- logs --------------------------------------------------------------------------------------
    def log(self, fmri: str, text: str) -> None:
        """A line of startd's own in an instance's log, and perhaps on the console."""
        if self.verbose:
            console(f"{fmri}: {text}")
        descriptor = self._open_log(fmri)
        stamp = time.strftime("%b %e %H:%M:%S")
        line = f"[ {stamp} {text}. ]\n".encode("utf-8", "surrogateescape")
        try:
            os.write(descriptor, line)
        except OSError:  # a full disk keeps nothing from running
            pass
        finally:
            os.close(descriptor)

    def _open_log(self, fmri: str) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        path = self.records[fmri].logfile
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, flags, LOG_MODE)
        except OSError:  # nowhere to write is no reason not to run
            return os.open(os.devnull, flags)


def console(text: str) -> None:
    """A line where svc.init writes."""
    try:
        os.write(2, f"{text}\n".encode("utf-8", "surrogateescape"))
    except OSError:  # it may be on a disk that is full
        return


def signal_number(command: str) -> int | None:
    """The signal of `:kill`, `:kill -9`, `:kill -HUP`, `:kill -SIGHUP`; None if there is none."""
    words = command.split()
    if len(words) == 1:
        return signal.SIGTERM
    name = words[1].removeprefix("-")
    if name.isdigit():
        return int(name) if 0 < int(name) < signal.NSIG else None
    found = getattr(signal, "SIG" + name.removeprefix("SIG"), None)
    return int(found) if isinstance(found, signal.Signals) else None


def _require_program(command: str) -> None:
    """A child is online as soon as it is forked: what cannot be executed must not get so far."""
    program = command.split()[0] if command.split() else ""
    if program.startswith("/") and not os.access(program, os.X_OK):
        raise BadContext(f"there is no program {program}")


def _quoted(command: str) -> str:
    return command if command.startswith(":") else f'"{command}"' if command else "null"
