# SPDX-License-Identifier: MPL-2.0
"""What an instance needs: whether it can come up as things are, and what to enable for it.

Pure: it sees the repository through `World`, and files through a function.
"""

from collections.abc import Callable

from smf.fmri import MASTER, file_path, instance_of, is_file, service_of
from smf.states import (
    DEGRADED,
    MAINTENANCE,
    ONLINE,
    OPTIONAL_ALL,
    REQUIRE_ALL,
    REQUIRE_ANY,
    RUNNING_STATES,
)
from smf.tree import Group, Groups, enabled, of_type, value

YES, NOT_YET, NEVER = range(3)  # how far a dependency is, better first


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
        self.stuck: set[str] = set()  # what waits for something that will not come
        self._configured = configured
        self._known: dict[str, Groups] = {}

    def configured(self, fmri: str) -> Groups:
        if fmri not in self._known:
            self._known[fmri] = self._configured(fmri)
        return self._known[fmri]

    def state(self, fmri: str) -> str:
        return value(self.now.get(fmri, {}), "restarter", "state")

    def enabled(self, fmri: str) -> bool:
        return enabled(self.now.get(fmri, {})) is True

    def instances(self, entity: str) -> list[str]:
        """The instances that a dependency's entity means."""
        if instance_of(entity):
            return [entity] if entity in self.now else []
        return self.of_service.get(entity, [])

    def dependencies(self, fmri: str) -> list[tuple[str, Group]]:
        return list(of_type(self.configured(fmri), "dependency"))


def restarter_of(world: World, fmri: str) -> str:
    """The instance's restarter."""
    return value(world.configured(fmri), "general", "restarter") or MASTER


def reach(world: World, fmri: str) -> int:
    """How far an instance is from being able to run: YES, NOT_YET, or NEVER without an admin."""
    waiting = _waiting(world, fmri)
    # Round by round, so that neither circles nor long chains matter.
    before = -1
    while before != len(world.stuck):
        before = len(world.stuck)
        for each in reversed(waiting):
            if each not in world.stuck and _needs(world, each) == NEVER:
                world.stuck.add(each)
    return _needs(world, fmri)


def _waiting(world: World, fmri: str) -> list[str]:
    """What an instance waits for, near or far, that waits itself."""
    found = {fmri: None}
    todo = [fmri]
    while todo:
        each = todo.pop()
        groups = [group.values("entities") for _, group in world.dependencies(each)]
        for entity in (restarter_of(world, each), *(one for group in groups for one in group)):
            for other in [] if is_file(entity) else world.instances(entity):
                state = world.state(other)
                is_up = state in RUNNING_STATES or state == MAINTENANCE
                if other not in found and world.enabled(other) and not is_up:
                    found[other] = None
                    todo.append(other)
    return list(found)[1:]


def _needs(world: World, fmri: str) -> int:
    """The worst of its dependency groups, and its restarter."""
    found = [_group(world, group) for _, group in world.dependencies(fmri)]
    if (restarter := restarter_of(world, fmri)) != MASTER:
        found.append(_instance(world, restarter))
    return max(found, default=YES)


def _group(world: World, group: Group) -> int:
    entities = group.values("entities")
    grouping = group.value("grouping")
    if not entities:
        return YES
    if grouping == REQUIRE_ALL:
        return max(_entity(world, each) for each in entities)
    if grouping == REQUIRE_ANY:
        return min(_entity(world, each) for each in entities)
    if grouping == OPTIONAL_ALL:
        return max(_optional(world, each) for each in entities)
    return max(_excluded(world, each) for each in entities)


def _file(world: World, entity: str) -> bool:
    return world.exists(file_path(entity))


def _entity(world: World, entity: str) -> int:
    """Of a service, any instance will do."""
    if is_file(entity):
        return YES if _file(world, entity) else NEVER
    return min((_instance(world, each) for each in world.instances(entity)), default=NEVER)


def _instance(world: World, fmri: str) -> int:
    if fmri not in world.now or not world.enabled(fmri):
        return NEVER
    state = world.state(fmri)
    if state in RUNNING_STATES:
        return YES
    return NEVER if state == MAINTENANCE or fmri in world.stuck else NOT_YET


def _optional(world: World, entity: str) -> int:
    """What will not come is not waited for; files are."""
    if is_file(entity):
        return _entity(world, entity)
    found = [_instance(world, each) for each in world.instances(entity)]
    return NOT_YET if NOT_YET in found and YES not in found else YES


def _excluded(world: World, entity: str) -> int:
    if is_file(entity):
        return NEVER if _file(world, entity) else YES
    worst = YES
    for each in world.instances(entity):
        state = world.state(each)
        if state in (ONLINE, DEGRADED):
            worst = max(worst, NEVER if world.enabled(each) else NOT_YET)
        elif state not in ("", "disabled", MAINTENANCE):
            worst = max(worst, NOT_YET)
    return worst


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
        restarter = restarter_of(self.world, fmri)
        found = [] if restarter == MASTER else self._one_of(fmri, [restarter])
        for _, group in self.world.dependencies(fmri):
            entities = group.values("entities")
            services = [each for each in entities if not is_file(each)]
            if group.value("grouping") == REQUIRE_ALL:
                for entity in services:
                    found += self._one_of(fmri, [entity])
            elif group.value("grouping") == REQUIRE_ANY and len(services) == len(entities):
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
