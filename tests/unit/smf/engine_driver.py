# SPDX-License-Identifier: MPL-2.0
"""The engine without a machine: methods end when the test says so, and rules are watched meanwhile.

What must never be, whatever the order of things: two methods of an instance at a time, a start of
what may not start, a disabled instance's stop before those that go with it have stopped.
"""

from collections.abc import Callable

from smf import outcome
from smf.config import Config, Dependency
from smf.engine import Engine
from smf.graph import Vertex
from smf.states import DEGRADED, DISABLED, MAINTENANCE, OFFLINE, ONLINE
from tests.unit.smf.reference import YES, Instance, Needs, Reference

AT_REST = (DISABLED, OFFLINE, ONLINE, DEGRADED, MAINTENANCE)
FILES = {"/there"}


def fmri(number: int | None) -> str:
    return "svc:/m/none:default" if number is None else f"svc:/m/s{number}:default"


def entity(on: int | str | None) -> str:
    return f"file://localhost{on}" if isinstance(on, str) else fmri(on)


def config(needs: tuple[Needs, ...], *, enabled: bool) -> Config:
    made = Config()
    made.enabled = enabled
    made.count = 0  # how often it may start is not the subject
    made.dependencies = tuple(
        Dependency(f"d{number}", each.grouping, each.restart_on, tuple(map(entity, each.on)))
        for number, each in enumerate(needs)
    )
    return made


class Driver:
    """An engine, and the methods that run."""

    def __init__(self, graph: list[tuple[Needs, ...]], choose: Callable[[int], int]) -> None:
        """`choose(n)`: which of n methods ends next."""
        self.needs = graph
        self.choose = choose
        self.engine = Engine(lambda path: path in FILES, lambda: 0.0)
        self.methods: dict[str, str] = {}
        self.broken: set[int] = set()
        self.runs = 0
        self.starts = 0
        for number, needs in enumerate(graph):
            self.engine.configure(fmri(number), config(needs, enabled=False))
        self.perform()

    # -- what is ---------------------------------------------------------------------------------
    def vertex(self, number: int) -> Vertex:
        return self.engine.graph.vertices[fmri(number)]

    @property
    def states(self) -> list[str]:
        return [self.vertex(number).state for number in range(len(self.needs))]

    def enabled(self, number: int) -> bool:
        return bool(self.vertex(number).config.enabled)

    def as_reference(self) -> Reference:
        """The states as they are, with the rules of the other opinion."""
        return Reference(
            [
                Instance(needs, self.enabled(number), state)
                for number, (needs, state) in enumerate(zip(self.needs, self.states, strict=True))
            ],
            FILES,
        )

    # -- what happens ----------------------------------------------------------------------------
    def happens(self, event: str, number: int) -> None:
        name, engine = fmri(number), self.engine
        match event:
            case "enable" | "disable":
                engine.enable(name, enabled=event == "enable")
            case "restart" | "clear":
                getattr(engine, event)(name)
            case "exit" | "core":
                if self.vertex(number).running:  # else there are no processes
                    engine.contract(name, "empty" if event == "exit" else "core")
            case "refresh":
                engine.refresh(name, config(self.needs[number], enabled=self.enabled(number)))
            case "maintenance" | "degraded":
                engine.mark(name, event)
            case "break":
                if not self.vertex(number).running and name not in self.methods:
                    self.broken.add(number)
            case _:
                assert event == "mend"
                self.broken.discard(number)
        self.perform()

    def die(self) -> None:
        """startd is killed. What the next one finds is the states; methods under way are ended."""
        before = [self.vertex(number) for number in range(len(self.needs))]
        self.engine = Engine(lambda path: path in FILES, lambda: 0.0)
        self.methods.clear()
        for vertex, needs in zip(before, self.needs, strict=True):
            found = config(needs, enabled=bool(vertex.config.enabled))
            self.engine.adopt(vertex.fmri, found, vertex.state, vertex.aux, vertex.to_stop)
        self.engine.begin()
        self.perform()

    def perform(self) -> None:
        while actions := self.engine.take():
            for what, name, *more in actions:
                if what == "run":
                    self.begin(str(name), str(more[0]))
                elif what == "later":
                    self.engine.resume(str(name))

    def begin(self, name: str, method: str) -> None:
        assert name not in self.methods, f"{method} of {name} beside {self.methods[name]}"
        number = next(n for n in range(len(self.needs)) if fmri(n) == name)
        if method == "start":
            self.starts += 1
            self.may_start(number)
        elif method == "stop" and self.vertex(number).next == DISABLED:
            self.stops_last(number)
        self.runs += 1
        self.methods[name] = method

    def may_start(self, number: int) -> None:
        vertex, model = self.vertex(number), self.as_reference()
        assert (vertex.state, vertex.next, vertex.config.enabled) == (OFFLINE, ONLINE, True)
        assert model.satisfaction(number) == YES, f"{number} starts: {self.states}"

    def stops_last(self, number: int) -> None:
        model = self.as_reference()
        first = model.dependents(number, ("restart", "refresh"))
        assert not first, f"{number} stops before {first}, which go with it: {self.states}"

    def end_one(self) -> None:
        """One of the methods that run ends."""
        names = list(self.methods)
        name = names[self.choose(len(names))]
        method = self.methods.pop(name)
        fails = method == "start" and any(fmri(number) == name for number in self.broken)
        self.ended(name, method, 96 if fails else 0)

    def ended(self, name: str, method: str, status: int) -> None:
        self.engine.ended(name, method, outcome.of_exit(method, status))
        self.perform()

    def rest(self, most: int) -> None:
        """Until no method runs. AssertionError if that takes more than `most` of them."""
        before = self.runs
        while self.methods:
            self.end_one()
            assert self.runs - before <= most, f"no end of it: {self.states}"

    # -- what must be so once nothing is under way -----------------------------------------------
    def judge(self) -> None:
        model = self.as_reference()
        for number, instance in enumerate(model.instances):
            vertex = self.vertex(number)
            said = f"{number} of {self.states}"
            assert vertex.state in AT_REST, said
            assert vertex.next == "none", said
            if vertex.state == DISABLED:
                assert not instance.enabled, said
            elif vertex.state != MAINTENANCE:
                assert instance.enabled, said
            assert not model.startable(number), f"{said} may start, and does not"
            if vertex.running:
                assert not self.excluded(model, number), f"{said} runs beside what it excludes"

    def excluded(self, model: Reference, number: int) -> list[int]:
        return [
            on
            for needs in self.needs[number]
            if needs.grouping == "exclude_all"
            for on in needs.on
            if isinstance(on, int) and model.instances[on].runs
        ]
