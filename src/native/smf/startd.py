# SPDX-License-Identifier: MPL-2.0
"""svc.startd: does what the engine says, and tells it what happens. One thread, asleep at rest.

What it hears: svc.configd, when something in the repository changes; the kernel, when a child of
its own ends or a contract becomes empty; svc.init, when a process ends that nobody else waits for.
svc.init speaks lines over a socket: "d PID CONTRACT STATUS", a death; and "e CONTRACT" when it was
asked so and has told all deaths before, so that a service's core dump is heard of before its end.

Before a method is forked its contract is in the repository: a startd that is killed has left
nothing that the next one does not know of.
"""

import _socket as socket  # socket loads enum, selectors and libm: see docs/design/0003-smf.md
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable

from smf import record as records
from smf import states
from smf.actions import ACTIONS
from smf.client import Client
from smf.config import CHILD, Config, read, restarter
from smf.contract import Contracts
from smf.engine import Engine
from smf.errors import Broken, NotFound, SmfError, Stale
from smf.fmri import MASTER, instance_of, service_of
from smf.graph import Vertex
from smf.methods import Methods, console
from smf.outcome import cause_of_death
from smf.places import Places
from smf.provision import Provisioning
from smf.record import RESTARTER, Record
from smf.requests import Requests
from smf.tree import OPTIONS, RUNNING, START, Groups, compose, enabled, option, value

SHUTDOWN = 50.0  # seconds, for everything to go down: less than a zone is given
DEPTH = 20_000  # of Python's calls: a chain of services is walked by recursion
CHUNK = 1 << 16
BATCH = 16  # instances to be read at a time


class Startd:
    """The master restarter."""

    def __init__(
        self, places: Places, contracts: Contracts, init: socket.socket, zone: str
    ) -> None:
        self.places = places
        self.client = Client(places.door)
        self.init = init
        self.engine = Engine(os.path.exists, time.monotonic)
        self.records: dict[str, Record] = {}
        self.epoll = select.epoll()
        self.methods = Methods(
            contracts, self.records, zone,
            watch=self._watch_contract, unwatch=self.epoll.unregister,
            ended=self.engine.ended, empty=self._ask_init, elsewhere=self._composed,
        )  # fmt: skip
        self.requests = Requests(self.client, self.engine, self.methods, self._settings)
        self.watch: socket.socket | None = None
        self.claim: list[tuple[str, str, int]] = []  # that this is the one startd
        self.dirty: dict[str, None] = {}  # whose record is to be written
        self.timers: dict[str, float] = {}  # when an instance may start again
        self.terminated = False
        self.provisioning = Provisioning(places, self.client)
        self._heard = b""
        self._told = b""

    # -- from start to end -------------------------------------------------------------------------
    def run(self) -> None:
        """Until SIGTERM, and until everything has gone down then."""
        sys.setrecursionlimit(DEPTH)
        wakeup = self._catch_signals()
        self.epoll.register(wakeup, select.EPOLLIN)
        self.init.setblocking(False)  # noqa: FBT003  # socket's own
        self.epoll.register(self.init, select.EPOLLIN)
        self._connect()
        deadline = None
        while True:
            self._perform()
            if self.terminated and deadline is None:
                deadline = time.monotonic() + SHUTDOWN
                self.engine.shut_down()
                continue
            if deadline is None:
                self.provisioning.judge(self.engine.graph)
            elif self.engine.quiet() or time.monotonic() > deadline:
                break
            for descriptor, _ in self.epoll.poll(self._pause(deadline)):
                self._hear(descriptor, wakeup)
            self.methods.expire()
            self._expire_timers()
        self.methods.contracts.end()

    def _catch_signals(self) -> int:
        mine, kernels = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(kernels, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminate)
        return mine

    def _terminate(self, *_: object) -> None:
        self.terminated = True

    def _pause(self, deadline: float | None) -> float | None:
        """Seconds until something is to be done without being asked; None: never."""
        times = [*self.timers.values(), self.methods.next_deadline(), deadline]
        first = min((each for each in times if each is not None), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def _hear(self, descriptor: int, wakeup: int) -> None:
        if descriptor == wakeup:
            _drain(wakeup)
            self._reap()
        elif descriptor == self.init.fileno():
            self._hear_init()
        elif self.watch and descriptor == self.watch.fileno():
            self._hear_configd()
        else:
            self.methods.changed(descriptor)

    # -- what there is -----------------------------------------------------------------------------
    def _connect(self) -> None:
        """Watch the repository from now on, and learn what there is."""
        found = self.client.watch()
        self.watch = socket.socket(fileno=found.detach())
        self.watch.setblocking(False)  # noqa: FBT003  # socket's own
        self.epoll.register(self.watch, select.EPOLLIN)
        self._heard = b""
        if self.records:
            self._reload()
        else:
            self._load()

    def _load(self) -> None:
        """Everything, at startd's start: what an earlier one has left is taken over."""
        self._be_master()
        now = self.client.dump(["general", "general_ovr", *OPTIONS, RESTARTER])
        self.engine.milestone = option(now.get(MASTER, {}), "milestone", "all")
        self.methods.verbose = option(now.get(MASTER, {}), "boot_messages", "quiet") != "quiet"
        known: set[int] = set()
        beside: set[int] = set()  # of stop and refresh methods that were under way
        running: dict[str, Groups] = {}
        mine = [fmri for fmri in now if instance_of(fmri) and fmri != MASTER]
        for number, fmri in enumerate(mine):
            if number % BATCH == 0:  # all at once would take memory that is never given back
                running = self.client.dump(snapshot=RUNNING, of=mine[number : number + BATCH])
            groups = compose(now[fmri], now.get(service_of(fmri), {}))
            found = records.read(fmri, groups, self.places.logfile(fmri))
            if found is None and RUNNING not in self.client.snapshots(fmri):
                self.client.commit([["snapshot", fmri, RUNNING, ""]])
            settings = read(fmri, running.get(fmri, {}), groups)
            beside.add(found.transient if found else 0)
            self._take_over(fmri, settings, found)
            known.update(self.records[fmri].contracts)
        for number in set(self.methods.contracts.all()) - known:
            self.methods.stray(number, kill=number in beside)
        self.engine.begin()
        self._hold_back(self.engine.graph.vertices.values())
        for fmri in now:
            if fmri != MASTER:
                self.requests.look(fmri)

    def _take_over(self, fmri: str, settings: Config, found: Record | None) -> None:
        """An instance as it is found; a method that was under way has never been."""
        record = found or Record(fmri, self.places.logfile(fmri))
        self.records[fmri] = record
        was, record.next = record.next, states.NONE
        record.transient = 0
        vertex = self.engine.adopt(fmri, settings, record.state, record.aux, record.to_stop)
        if not vertex.running:
            self.methods.adopt(fmri)
            self.methods.retire(fmri, kill=True)
            return
        record.dying = []  # or it would not run again
        self.methods.adopt(fmri)
        vertex.transient = not record.contracts
        if was == record.state:
            vertex.refresh = "refresh"
        empty = not any(map(self.methods.contracts.populated, record.contracts))
        if settings.duration == CHILD and record.start_pid:
            self.methods.children[record.start_pid] = fmri
            if empty and not vertex.contract_cause:
                vertex.contract_cause = "exit"
        elif empty:
            for contract in record.contracts:  # svc.init knows whether that was a fault
                self._ask_init(fmri, contract)

    def _be_master(self) -> None:
        """startd is an instance, too, for others to depend on and svcs to show.

        Its record is its claim: what an earlier startd has still sent before it was killed, and
        configd reads only now, comes with another claim, and is not done.
        """
        record = Record(MASTER, self.places.logfile(MASTER))
        record.become(states.ONLINE, states.NONE, states.NONE)
        record.start_pid, record.start_time = os.getpid(), time.time_ns()
        self.client.commit([
            ["add", MASTER],
            ["group", MASTER, "general", "framework", ""],
            ["set", MASTER, "general", "enabled", "boolean", ["true"]],
            ["put", MASTER, RESTARTER, record.wire()],
        ])  # fmt: skip
        claim = self.client.attached(MASTER)[RESTARTER].generation
        self.claim = [(MASTER, RESTARTER, claim)]
        self.records[MASTER] = record
        settings = Config()
        settings.enabled, settings.restarter = True, "svc:/"  # nobody's: it restarts itself
        self.engine.adopt(MASTER, settings, states.ONLINE, states.NONE)

    def _reload(self) -> None:
        """configd is another: whatever has changed since, as far as it matters, and write all."""
        now = self.client.dump(["general", "general_ovr", *OPTIONS])
        for fmri in [*now, *(each for each in self.records if each not in now)]:
            if instance_of(fmri) and fmri != MASTER:
                self._entity(fmri)
                self.requests.look(fmri)
        self.dirty.update(dict.fromkeys(self.records))

    def _composed(self, entity: str) -> Groups:
        """What runs of an entity, and below it what is there now; nothing of one that is not."""
        try:
            live = self.client.composed(entity)
            if not instance_of(entity):
                return live
            return compose(self.client.composed(entity, RUNNING), live)
        except NotFound:
            return {}

    def _settings(self, fmri: str) -> Config:
        """What is configured by the running snapshot, which is taken if there is none. NotFound."""
        live = self.client.composed(fmri)
        if RUNNING not in self.client.snapshots(fmri):
            self.client.commit([["snapshot", fmri, RUNNING, ""]])
        return read(fmri, self.client.composed(fmri, RUNNING), live)

    # -- what is heard -----------------------------------------------------------------------------
    def _hear_configd(self) -> None:
        assert self.watch
        try:
            chunk = self.watch.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:  # killed, or we were too slow: it has told us nothing since
            self.watch.close()
            self._connect()
            return
        *lines, self._heard = (self._heard + chunk).split(b"\n")
        changes = dict.fromkeys(
            (str(fmri), str(group)) for line in lines for fmri, group in json.loads(line)["changed"]
        )
        for fmri, group in changes:
            if not instance_of(fmri):
                continue
            if fmri == MASTER:
                self._master(group)
            elif not group or group in ("general", "general_ovr"):
                self._entity(fmri)
            elif group == ACTIONS:
                self.requests.look(fmri)

    def _master(self, group: str) -> None:
        """Something of startd's own instance has changed."""
        if group in OPTIONS:
            self._go_to_milestone()
        elif group in ("general", "general_ovr") and not enabled(self.client.composed(MASTER)):
            self.methods.log(MASTER, "it is to be disabled, which has no effect")

    def _entity(self, fmri: str) -> None:
        """An instance was made or deleted, enabled or disabled."""
        vertex = self.engine.graph.vertices.get(fmri)
        try:
            if vertex is None:
                settings = self._settings(fmri)
                self.records.setdefault(fmri, Record(fmri, self.places.logfile(fmri)))
                self.engine.configure(fmri, settings)
                self._hold_back([self.engine.graph.vertices[fmri]])
                return
            live = self.client.composed(fmri)
            if restarter(live) != vertex.config.restarter:
                self.engine.configure(fmri, self._settings(fmri))
        except NotFound:
            if vertex is not None:
                self.methods.forget(fmri)
                self.engine.forget(fmri)
                del self.records[fmri]
                self.dirty.pop(fmri, None)
            return
        self.engine.enable(fmri, enabled=enabled(live))
        self._hold_back([vertex])

    def _hold_back(self, vertices: Iterable[Vertex]) -> None:
        """What the milestone does not let run is disabled for now, and is seen to be."""
        if self.terminated:
            return
        for vertex in vertices:
            if vertex.config.enabled and not vertex.allowed and vertex.fmri != MASTER:
                self._disable_for_now(vertex.fmri)

    def _go_to_milestone(self) -> None:
        wanted = option(self.client.composed(MASTER), "milestone", "all")
        if wanted == self.engine.milestone:
            return
        graph = self.engine.graph
        inside = graph.vertices if wanted == "all" else graph.closure([wanted])
        for fmri, groups in self.client.dump(["general_ovr"]).items():
            if fmri in inside and value(groups, "general_ovr", "enabled"):
                self.client.commit([["unset", fmri, "general_ovr", "enabled"]])
        self.engine.go_to(wanted)
        self._hold_back(graph.vertices.values())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if not self.methods.process_ended(pid, status):
                self._child_ended(pid, status)

    def _child_ended(self, pid: int, status: int) -> None:
        fmri = self.methods.children.pop(pid, None)
        if fmri is not None and self.records[fmri].start_pid == pid:
            self.engine.child_ended(fmri, status)

    def _hear_init(self) -> None:
        try:
            chunk = self.init.recv(CHUNK)
        except BlockingIOError:
            return
        *lines, self._told = (self._told + chunk).split(b"\n")
        for line in lines:
            kind, *numbers = line.split()
            if kind == b"d":
                self._died(*map(int, numbers))
            elif fmri := self.methods.owner(int(numbers[0])):
                self.engine.contract(fmri, "empty")

    def _died(self, pid: int, contract: int, status: int) -> None:
        self._child_ended(pid, status)
        fmri, cause = self.methods.owner(contract), cause_of_death(status)
        if fmri and cause:
            self.engine.contract(fmri, cause)

    def _ask_init(self, fmri: str, contract: int) -> None:
        """A service's contract is empty: have init first tell how its processes ended."""
        del fmri
        self.init.send(b"%d\n" % contract)

    def _watch_contract(self, descriptor: int) -> None:
        self.epoll.register(descriptor, select.EPOLLPRI)

    def _expire_timers(self) -> None:
        now = time.monotonic()
        for fmri in [fmri for fmri, due in self.timers.items() if due <= now]:
            del self.timers[fmri]
            self.engine.resume(fmri)

    # -- what is done ------------------------------------------------------------------------------
    def _perform(self) -> None:
        """Do all that the engine wants, until it wants nothing more."""
        while True:
            for what, fmri, *more in self.engine.take():
                self._do(str(what), str(fmri), more)
            if self.engine.actions:
                continue
            # One that had to wait for an earlier contract's end comes without an action.
            self.dirty.update((each.method.fmri, None) for each in self.methods.launches)
            self._write()
            self.methods.launch()
            if not self.engine.actions and not self.dirty:
                return

    def _do(self, what: str, fmri: str, more: list[object]) -> None:
        if fmri not in self.records:  # deleted meanwhile
            return
        if what == "log":
            self.methods.log(fmri, str(more[0]))
        elif what == "explain":
            self.records[fmri].explained = str(more[0])
        elif what == "state":
            vertex = self.engine.graph.vertices[fmri]
            self.records[fmri].become(vertex.state, vertex.next, vertex.aux, vertex.to_stop)
            self.dirty[fmri] = None
        elif what == "run":
            self.methods.begin(fmri, str(more[0]), self.engine.graph.vertices[fmri].config)
            self.dirty[fmri] = None
        elif what in ("kill", "abandon"):
            self.methods.retire(fmri, kill=what == "kill")
            self.dirty[fmri] = None
        elif what == "later":
            assert isinstance(more[0], float)
            self.timers[fmri] = time.monotonic() + more[0]
        elif what == "override":
            self._disable_for_now(fmri)

    def _disable_for_now(self, fmri: str) -> None:
        self.client.commit([
            ["group", fmri, "general_ovr", "framework", "P"],
            ["set", fmri, "general_ovr", "enabled", "boolean", ["false"]],
        ], self.claim)  # fmt: skip
        self.engine.enable(fmri, enabled=False)

    def _write(self) -> None:
        """Tell svc.configd all that has changed: before any method is forked."""
        operations: list[list[object]] = []
        for fmri in self.dirty:
            if record := self.records.get(fmri):
                operations.append(["put", fmri, RESTARTER, record.wire()])
                if record.arrived and fmri != MASTER:
                    operations.append(["snapshot", fmri, START, RUNNING])
                    record.arrived = False
        self.dirty.clear()
        try:
            self.client.commit(operations, self.claim)
        except (Stale, Broken):  # there is another startd; or no configd, and nothing may begin
            raise
        except SmfError as exc:  # one was deleted: each for itself; or the disk is full
            self._write_each(operations, exc)
        self.requests.clear(self.claim)

    def _write_each(self, operations: list[list[object]], why: SmfError) -> None:
        if not isinstance(why, NotFound):
            console(f"svc.startd: {why}")
        for operation in operations:
            try:
                self.client.commit([operation], self.claim)
            except Broken:
                raise
            except SmfError:
                continue


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, CHUNK):
            continue
    except BlockingIOError:
        return
