# SPDX-License-Identifier: MPL-2.0
"""The dependency graph: what may run, as things are. Pure but for a look whether a file is there.

Each instance has a standing in the eyes of those that depend on it: YES, it runs; NO, not yet; or
NEVER, unless an administrator does something. It is kept, and computed anew when something that it
is made of changes, so that a change costs as much as what it changes.
"""

from collections.abc import Callable, Iterable, Iterator

from smf.config import Config, Dependency, edges
from smf.fmri import file_path, instance_of, is_file, service_of
from smf.states import (
    DISABLED,
    EXCLUDE_ALL,
    MAINTENANCE,
    NONE,
    OPTIONAL_ALL,
    REQUIRE_ALL,
    REQUIRE_ANY,
    RUNNING_STATES,
    UNINITIALIZED,
)

YES, NO, NEVER = "yes", "no", "never"


class Vertex:
    """An instance, with where it stands and what was asked of it while it was busy."""

    __slots__ = (
        "abandon", "allowed", "aux", "cause", "config", "contract_cause", "failures", "fmri",
        "invalid", "leaving", "maintain", "method", "next", "refresh", "restart", "standing",
        "starts", "state", "stop", "throttled", "transient",
    )  # fmt: skip

    def __init__(self, fmri: str, config: Config) -> None:
        self.fmri = fmri
        self.config = config
        self.state = UNINITIALIZED
        self.next = NONE
        self.aux = NONE
        self.standing = NO
        self.method = ""  # that runs
        self.failures = 0  # of methods, in a row
        self.starts: list[float] = []
        self.transient = False  # it said that it leaves nothing behind
        self.throttled = False  # it waits before it starts again
        self.allowed = True  # by the milestone
        self.leaving = False  # it is to go down before what it depends on does
        self.invalid = ""  # auxiliary state of what is wrong with its dependencies
        self.cause = ""  # why the stop method runs
        # What was asked and has not been done: in a word, "" if nothing.
        self.restart = self.refresh = self.stop = self.contract_cause = self.maintain = ""
        self.abandon = False  # `maintain` leaves its processes alone

    @property
    def running(self) -> bool:
        return self.state in RUNNING_STATES

    @property
    def wanted(self) -> bool:
        """Whether it is to run, as far as it itself goes."""
        return bool(self.config.enabled) and self.allowed

    @property
    def to_stop(self) -> tuple[str, str]:
        """(cause, auxiliary state) of the stop that is under way, or due when another method has
        ended: what another startd has to know of it. Two times "" if there is none."""
        if self.method == "stop":
            return self.cause, self.aux
        if self.maintain:
            return "abandon" if self.abandon else "maintenance", self.maintain
        if cause := self.contract_cause or (self.restart and "restart") or self.stop:
            return cause, NONE
        return "", ""


class Graph:
    """All instances, and who depends on whom."""

    def __init__(self, exists: Callable[[str], bool]) -> None:
        """`exists`: whether there is a file."""
        self.vertices: dict[str, Vertex] = {}
        self._services: dict[str, dict[str, None]] = {}  # service -> its instances
        self._dependents: dict[str, dict[str, None]] = {}  # entity, as it is named -> instances
        self._exists = exists

    # -- shape -------------------------------------------------------------------------------------
    def add(self, vertex: Vertex) -> None:
        self.vertices[vertex.fmri] = vertex
        self._services.setdefault(service_of(vertex.fmri), {})[vertex.fmri] = None
        self._link(vertex)

    def configure(self, vertex: Vertex, config: Config) -> None:
        """Another configuration of a vertex that is there."""
        self._unlink(vertex)
        vertex.config = config
        self._link(vertex)

    def remove(self, vertex: Vertex) -> None:
        self._unlink(vertex)
        del self.vertices[vertex.fmri]
        self._services.get(service_of(vertex.fmri), {}).pop(vertex.fmri, None)

    def _link(self, vertex: Vertex) -> None:
        for dependency in vertex.config.dependencies:
            for entity in dependency.entities:
                self._dependents.setdefault(entity, {})[vertex.fmri] = None

    def _unlink(self, vertex: Vertex) -> None:
        for dependency in vertex.config.dependencies:
            for entity in dependency.entities:
                self._dependents.get(entity, {}).pop(vertex.fmri, None)

    def instances(self, entity: str) -> list[Vertex]:
        """The vertices that an entity of a dependency means; none for a file."""
        if is_file(entity):
            return []
        names = [entity] if instance_of(entity) else self._services.get(entity, ())
        return [self.vertices[name] for name in names if name in self.vertices]

    def dependents(self, fmri: str) -> list[Vertex]:
        """Who names this instance, or its service, in a dependency of whatever grouping."""
        named = self._dependents.get(fmri, {}) | self._dependents.get(service_of(fmri), {})
        return [self.vertices[name] for name in named if name in self.vertices]

    def groups_on(self, dependent: Vertex, fmri: str) -> Iterator[Dependency]:
        """The dependencies of one instance that name another."""
        names = (fmri, service_of(fmri))
        for dependency in dependent.config.dependencies:
            if any(name in dependency.entities for name in names):
                yield dependency

    def cycle(self, vertex: Vertex) -> list[str]:
        """A way along dependencies from a vertex back to it: the FMRIs on it, or []."""
        came_from: dict[str, str] = {}
        waiting = [vertex.fmri]
        while waiting:
            here = self.vertices[waiting.pop()]
            for dependency in edges(here.config):
                for entity in dependency.entities:
                    for other in self.instances(entity):
                        if other is vertex:
                            return _way(came_from, here.fmri, vertex.fmri)
                        # One that is out of the game for its own cycle closes no other.
                        if other.fmri not in came_from and not other.invalid:
                            came_from[other.fmri] = here.fmri
                            waiting.append(other.fmri)
        return []

    def closure(self, fmris: Iterable[str]) -> set[str]:
        """Instances, and all that they depend on, directly or not."""
        waiting = [fmri for fmri in fmris if fmri in self.vertices]
        found = set(waiting)
        while waiting:
            for dependency in edges(self.vertices[waiting.pop()].config):
                for entity in dependency.entities:
                    new = {other.fmri for other in self.instances(entity)} - found
                    found |= new
                    waiting += new
        return found

    # -- standing ----------------------------------------------------------------------------------
    def judge(self) -> None:
        """Find the standing of all vertices, of which only the states are known."""
        waiting = list(self.vertices.values())
        while waiting:
            vertex = waiting.pop()
            standing = self.stand(vertex)
            if standing != vertex.standing:
                vertex.standing = standing
                waiting += self.dependents(vertex.fmri)

    def stand(self, vertex: Vertex) -> str:
        """A vertex's standing as things are, from that of what it depends on."""
        if vertex.config.enabled is None or vertex.invalid:
            return NEVER
        if vertex.state == MAINTENANCE:
            return NEVER
        if not vertex.wanted and vertex.state != UNINITIALIZED:
            return NEVER
        if vertex.running:
            return NO if vertex.leaving else YES
        if vertex.state == UNINITIALIZED or vertex.next != NONE:
            return NO
        return NEVER if self.satisfied(vertex) == NEVER else NO

    def satisfied(self, vertex: Vertex) -> str:
        """Whether a vertex's dependencies let it run: YES, NO for now, or NEVER."""
        worst = YES
        for dependency in vertex.config.dependencies:
            found = self.group(dependency)
            if found == NEVER:
                return NEVER
            if found == NO:
                worst = NO
        return worst

    def group(self, dependency: Dependency) -> str:
        """The same of one group."""
        if not dependency.entities:
            return YES
        verdict = _VERDICTS[dependency.grouping]
        return verdict(self, dependency.entities)

    def entity(self, entity: str) -> str:
        """The standing of an entity: a service's is the best of its instances'."""
        if is_file(entity):
            return YES if self._exists(file_path(entity)) else NEVER
        found = {other.standing for other in self.instances(entity)}
        return YES if YES in found else NO if NO in found else NEVER

    def _require_all(self, entities: tuple[str, ...]) -> str:
        found = {self.entity(entity) for entity in entities}
        return NEVER if NEVER in found else NO if NO in found else YES

    def _require_any(self, entities: tuple[str, ...]) -> str:
        found = {self.entity(entity) for entity in entities}
        return YES if YES in found else NO if NO in found else NEVER

    def _optional_all(self, entities: tuple[str, ...]) -> str:
        worst = YES
        for entity in entities:
            if is_file(entity):
                if self.entity(entity) == NEVER:
                    return NEVER
            elif self.entity(entity) == NO:
                worst = NO
        return worst

    def _exclude_all(self, entities: tuple[str, ...]) -> str:
        worst = YES
        for entity in entities:
            if is_file(entity):
                if self.entity(entity) == YES:
                    return NEVER
                continue
            for other in self.instances(entity):
                if other.running and other.wanted:
                    return NEVER
                if other.state not in (DISABLED, MAINTENANCE) and other.config.enabled is not None:
                    worst = NO
        return worst


_VERDICTS: dict[str, Callable[[Graph, tuple[str, ...]], str]] = {
    REQUIRE_ALL: Graph._require_all,
    REQUIRE_ANY: Graph._require_any,
    OPTIONAL_ALL: Graph._optional_all,
    EXCLUDE_ALL: Graph._exclude_all,
}


def _way(came_from: dict[str, str], last: str, first: str) -> list[str]:
    way = [last]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return [*reversed(way), first]
