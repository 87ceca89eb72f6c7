# SPDX-License-Identifier: MPL-2.0
"""What an instance needs: whether it can come up as things are, and what to enable for it.

Pure: it sees the repository through `World`, and files through a function.
"""

from collections.abc import Callable

from smf.config import Config, read, restarter
from smf.fmri import instance_of, is_file, service_of
from smf.graph import Graph, Vertex
from smf.states import MAINTENANCE, NONE, REQUIRE_ALL, REQUIRE_ANY, RUNNING_STATES, UNINITIALIZED
from smf.tree import Groups, compose, enabled, value


class World:
    """All instances: what they are doing now, and what they depend on."""

    def __init__(
        self,
        now: dict[str, Groups],
        configured: Callable[[str], Groups],
        exists: Callable[[str], bool],
    ) -> None:
        """`now`: general, general_ovr and restarter of every entity; `configured`: an instance's
        running view; `exists`: whether there is a file."""
        self.now = now
        self.exists = exists
        self.of_service: dict[str, list[str]] = {}
        for fmri in now:
            if instance_of(fmri):
                self.of_service.setdefault(service_of(fmri), []).append(fmri)
        self._configured = configured
        self._known: dict[str, Config] = {}

    def settings(self, fmri: str) -> Config:
        if fmri not in self._known:
            self._known[fmri] = read(fmri, self._configured(fmri), self._live(fmri))
        return self._known[fmri]

    def state(self, fmri: str) -> str:
        return value(self.now.get(fmri, {}), "restarter", "state")

    def enabled(self, fmri: str) -> bool:
        return enabled(self.now.get(fmri, {})) is True

    def instances(self, entity: str) -> list[str]:
        """The instances that a dependency's entity means; none for a file."""
        if instance_of(entity):
            return [entity] if entity in self.now else []
        return self.of_service.get(entity, [])

    def restarter(self, fmri: str) -> str:
        """The FMRI of an instance's restarter; "" if it is none."""
        return restarter(self._live(fmri))

    def vertex(self, fmri: str) -> Vertex:
        """An instance as it is now. Whether it is up or out, its dependencies do not matter."""
        state = self.state(fmri) or UNINITIALIZED
        waits = self.enabled(fmri) and state not in (*RUNNING_STATES, MAINTENANCE)
        vertex = Vertex(fmri, self.settings(fmri) if waits else read(fmri, {}, self._live(fmri)))
        vertex.state = state
        vertex.next = value(self.now.get(fmri, {}), "restarter", "next_state", NONE)
        return vertex

    def _live(self, fmri: str) -> Groups:
        return compose(self.now.get(fmri, {}), self.now.get(service_of(fmri), {}))


def reach(world: World, fmri: str) -> str:
    """How far an enabled instance is from being able to run: see Graph.satisfied."""
    graph = Graph(world.exists)
    waiting = [fmri]
    while waiting:
        each = waiting.pop()
        if each in graph.vertices:
            continue
        graph.add(vertex := world.vertex(each))
        for dependency in vertex.config.dependencies:
            for entity in dependency.entities:
                waiting += world.instances(entity)
    graph.judge()
    return graph.satisfied(graph.vertices[fmri])


class Closure:
    """What `enable -r` enables: instances as they were found, and what is wrong."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: dict[str, None] = {}
        self.choices: list[tuple[str, list[str]]] = []  # who needs one of several
        self.problems: list[str] = []

    def add(self, fmri: str) -> None:
        """An instance, and all that it requires."""
        if fmri in self.found:
            return
        self.found[fmri] = None
        path = [(fmri, iter(self._required(fmri)))]
        while path:
            each = next(path[-1][1], None)
            above = [name for name, _ in path]
            if each is None:
                path.pop()
            elif each in above:
                circle = " -> ".join([*above[above.index(each) :], each])
                self.problems.append(f"the dependencies are a circle: {circle}")
            elif each not in self.found:
                self.found[each] = None
                path.append((each, iter(self._required(each))))

    def _required(self, fmri: str) -> list[str]:
        found: list[str] = []
        for dependency in self.world.settings(fmri).dependencies:
            entities = dependency.entities
            services = [each for each in entities if not is_file(each)]
            if dependency.grouping == REQUIRE_ALL:
                for entity in services:
                    found += self._one_of(fmri, [entity])
            elif dependency.grouping == REQUIRE_ANY and len(services) == len(entities):
                found += self._one_of(fmri, services)
        return found

    def _one_of(self, fmri: str, entities: list[str]) -> list[str]:
        """What is to be enabled of these. If it is one of several, people choose."""
        candidates = [each for entity in entities for each in self.world.instances(entity)]
        chosen = [each for each in candidates if self.world.enabled(each)]
        if chosen or len(candidates) == 1:
            return chosen or candidates
        if candidates:
            self.choices.append((fmri, candidates))
        elif entities:
            self.problems.append(f"{fmri} requires {' or '.join(entities)}: there is none")
        return []
