# SPDX-License-Identifier: MPL-2.0
"""Why an instance does not run: svcs -x. Pure: a View, with dependencies, goes in.

An instance has a reason of its own, or it waits for others. Who has a reason of its own and keeps
others from running is a root cause. Codes are those of illumos's messages, SMF-8000-CODE.
"""

import os.path

from smf import states
from smf.config import read
from smf.errors import BadName
from smf.fmri import LEGACY, MASTER, canonical, instance_of, is_file
from smf.graph import NO, YES, Graph, Vertex
from smf.states import EXCLUDE_ALL, OPTIONAL_ALL, REQUIRE_ANY
from smf.tree import Group
from smf.view import Dependency, Instance, View, dependencies, path_exists

# Maintenance, by auxiliary state: (code, sentence).
MAINTENANCE = {
    "": ("9C", "Its restarter put it in maintenance and gave no reason."),
    states.NONE: ("9C", "Its restarter put it in maintenance and gave no reason."),
    "administrative_request": ("63", "An administrator put it in maintenance."),
    "service_request": ("R4", "Another service put it in maintenance."),
    "dependency_cycle": ("HP", "Its dependencies lead back to itself."),
    "invalid_dependency": ("JA", "It has an invalid dependency."),
    "invalid_restarter": ("2A", "The FMRI of its restarter is invalid."),
    "fault_threshold_reached": ("7Y", "It failed again and again."),
    "method_failed": ("8Q", "A method failed."),
    "restarting_too_quickly": ("L5", "It was restarting too quickly."),
}
# States in which an instance is that may come to run by itself; "" if nobody has looked at it.
_TO_COME = (states.OFFLINE, states.UNINITIALIZED, "")
# For these the start method's exit status has a code of its own.
_OF_METHODS = ("fault_threshold_reached", "method_failed")
# For these startd says in words what it was.
_EXPLAINED = (*_OF_METHODS, "dependency_cycle", "invalid_dependency")


class Reason:
    """Why one instance does not run.

    `culprit` is the instance that it waits for; None if it is to be looked for in itself.
    """

    __slots__ = ("code", "culprit", "text")

    def __init__(self, code: str, text: str, culprit: Instance | None = None) -> None:
        self.code = code
        self.text = text
        self.culprit = culprit


class Root:
    """A root cause of an instance, and the way to it: the instance first, the cause last."""

    __slots__ = ("path",)

    def __init__(self, path: tuple[Instance, ...]) -> None:
        self.path = path

    @property
    def instance(self) -> Instance:
        return self.path[-1]


class Explainer:
    """Answers, each worked out once."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._reasons: dict[str, list[Reason]] = {}
        self._graph = _graph(view)
        self._waiting: dict[str, list[Instance]] | None = None

    # -- what is asked -----------------------------------------------------------------------------
    def reasons(self, instance: Instance) -> list[Reason]:
        """Why it does not run, as seen from itself; nothing if it does."""
        if instance.fmri not in self._reasons:
            self._reasons[instance.fmri] = self._find_reasons(instance)
        return self._reasons[instance.fmri]

    def roots(self, instance: Instance) -> list[Root]:
        """What keeps it from running in the end: perhaps itself."""
        found: dict[str, Root] = {}
        self._follow(instance, {}, found, set())
        return list(found.values())

    def troubles(self) -> list[tuple[Instance, int]]:
        """The root causes of all that is enabled and does not run, with how much each holds up;
        the worst first."""
        found: dict[str, Root] = {}
        seen: set[str] = set()
        for instance in self.view.instances.values():
            if instance.enabled and not instance.is_running and instance.fmri not in seen:
                self._follow(instance, {}, found, seen)
        counted = [(root.instance, len(self.impacted(root.instance))) for root in found.values()]
        return sorted(counted, key=lambda each: -each[1])

    def impacted(self, instance: Instance) -> list[Instance]:
        """What is enabled and does not run because, in the end, this one does not."""
        if self._waiting is None:
            self._waiting = self._who_waits()
        found: dict[str, Instance] = {}
        ahead = [instance]
        while ahead:
            for each in self._waiting.get(ahead.pop().fmri, ()):
                if each.fmri not in found and each is not instance:
                    found[each.fmri] = each
                    ahead.append(each)
        return list(found.values())

    # -- one instance ------------------------------------------------------------------------------
    def _find_reasons(self, instance: Instance) -> list[Reason]:
        state = instance.state
        if state in (states.ONLINE, states.LEGACY):
            return []
        if state == states.DISABLED and instance.for_good and self._is_beyond(instance):
            return [_beyond(self.view.milestone)]
        if state in _OF_STATES:
            return [_OF_STATES[state](instance)]
        # Its restarter will get to what it has not been said to run.
        if not instance.enabled and state in _TO_COME:
            return [_disabled(instance)]
        if state not in _TO_COME:
            return [Reason("N3", f'Its state, "{state}", is none that SMF knows.')]
        if restarter := self._restarter(instance):
            return [restarter]
        if state != states.OFFLINE:
            return [Reason("4D", "Its restarter has not looked at it yet.")]
        return self._offline(instance)

    def _offline(self, instance: Instance) -> list[Reason]:
        if instance.next_state == states.ONLINE:
            return [Reason("C4", "Its start method is running.")]
        found = [
            reason
            for dependency in dependencies(instance.running)
            for reason in self._blockers(dependency)
        ]
        if not found and instance.next_state:
            return [Reason("PH", f"It is on its way to {instance.next_state}.")]
        return found or [Reason("AR", "The reason is unknown.")]

    def _restarter(self, instance: Instance) -> Reason | None:
        """What is wrong with its restarter."""
        text = instance.restarter
        try:
            name = canonical(text)
        except BadName:
            name = ""
        if not instance_of(name or "svc:/"):
            return Reason("2A", f'"{text}" is no FMRI of a restarter.')
        found = self.view.instances.get(name)
        if found is None:
            # Whoever answers has a master restarter, whether it is in the repository or not.
            return None if name == MASTER else Reason("3P", f"Its restarter {name} is absent.")
        if found.is_running or (name == MASTER and not found.state):
            return None
        return Reason("5H", f"Its restarter {name} is not running.", found)

    def _is_beyond(self, instance: Instance) -> bool:
        """Whether the milestone does not need it; startd disables that for now."""
        wanted = self.view.milestone
        return wanted != "all" and instance.fmri not in self._graph.closure([wanted])

    # -- dependencies ------------------------------------------------------------------------------
    def _blockers(self, dependency: Dependency) -> list[Reason]:
        """What of a dependency is not as it has to be."""
        grouping, entities = dependency.grouping, dependency.entities
        if grouping == EXCLUDE_ALL:
            return [reason for entity in entities for reason in self._excluded(entity)]
        if grouping not in states.GROUPINGS:
            return [Reason("JA", f'Dependency {dependency.name} has no grouping "{grouping}".')]
        optional = grouping == OPTIONAL_ALL
        blocking = [each for each in entities if self._lacks(each, optional=optional)]
        if grouping == REQUIRE_ANY and len(blocking) < len(entities):
            return []
        return [reason for entity in blocking for reason in self._missing(entity)]

    def _missing(self, entity: str) -> list[Reason]:
        """Why an entity that has to run does not."""
        if is_file(entity):
            return [Reason("E2", f"It depends on {entity}, which is absent.")]
        try:
            members = self.view.members(entity)
        except BadName:
            return [Reason("JA", f'It depends on "{entity}", which is no FMRI.')]
        # Who has not been said to run or not is not there, as far as startd is concerned.
        if all(each.enabled is None for each in members):
            return [Reason("E2", f"It depends on {entity}, which is absent.")]
        return [
            Reason("GE", f"It depends on {each.fmri}, which is {state_word(each)}.", each)
            for each in members
            if self._standing(each) != YES
        ]

    def _excluded(self, entity: str) -> list[Reason]:
        if is_file(entity):
            if path_exists(entity):
                return [Reason("FJ", f"It excludes {entity}, which is there.")]
            return []
        return [
            Reason("FJ", f"It excludes {each.fmri}, which is {state_word(each)}.")
            for each in self.view.services_of(entity)
            if each.state not in (states.DISABLED, states.MAINTENANCE, "")
        ]

    def _lacks(self, entity: str, *, optional: bool) -> bool:
        """Whether an entity is not as a dependency on it wants it."""
        if is_file(entity):
            return not path_exists(entity)
        found = {self._standing(each) for each in self.view.services_of(entity)}
        return YES not in found and (NO in found or not optional)

    def _standing(self, instance: Instance) -> str:
        """In the eyes of startd; but who runs is to blame for nothing, though it may be told to
        stop."""
        return YES if instance.is_running else self._graph.vertices[instance.fmri].standing

    # -- the graph ---------------------------------------------------------------------------------
    def _follow(
        self,
        instance: Instance,
        path: dict[str, Instance],
        found: dict[str, Root],
        seen: set[str],
    ) -> None:
        """Depth first. What has been seen has led to its roots already."""
        seen.add(instance.fmri)
        path[instance.fmri] = instance
        reasons = self.reasons(instance)
        ahead = [each.culprit for each in reasons if each.culprit]
        # An instance of a cycle that waits for nothing but the cycle is as good a root as any.
        closes = bool(ahead) and all(each.fmri in path for each in ahead)
        if closes or any(each.culprit is None for each in reasons):
            found[instance.fmri] = Root(tuple(path.values()))
        for culprit in ahead:
            if culprit.fmri not in seen:
                self._follow(culprit, path, found, seen)
        del path[instance.fmri]

    def _who_waits(self) -> dict[str, list[Instance]]:
        """Culprit: the instances that wait for it directly."""
        found: dict[str, list[Instance]] = {}
        for instance in self.view.instances.values():
            if instance.enabled and not instance.is_running:
                for reason in self.reasons(instance):
                    if reason.culprit:
                        found.setdefault(reason.culprit.fmri, []).append(instance)
        return found


def _graph(view: View) -> Graph:
    """The instances as startd sees them."""
    graph = Graph(os.path.exists)
    for fmri, instance in view.instances.items():
        if fmri.startswith(LEGACY):
            continue
        vertex = Vertex(fmri, read(fmri, instance.running, instance.groups))
        vertex.state = instance.state or states.UNINITIALIZED
        vertex.next = instance.next_state or states.NONE
        graph.add(vertex)
    graph.judge()
    return graph


def state_word(instance: Instance) -> str:
    if instance.state == states.MAINTENANCE:
        return "in maintenance"
    return instance.state or "not looked at yet"


def _degraded(instance: Instance) -> Reason:
    if instance.reason == "administrative_request":
        return Reason("DX", "An administrator marked it as degraded.")
    return Reason("DX", "It runs, but not as well as it should.")


def _beyond(milestone: str) -> Reason:
    short = milestone.removeprefix("svc:/milestone/").removesuffix(":default")
    return Reason(
        "1S", f"Milestone {short} does not need it: `svcadm milestone all` has everything run."
    )


def _disabled(instance: Instance) -> Reason:
    if instance.enabled is None:
        return Reason("05", "It has no property general/enabled: `svcadm enable` makes it.")
    if instance.enabled:
        return Reason("PH", "It is enabled, and its restarter has not acted on that yet.")
    override = instance.groups.get("general_ovr")
    comment = override.value("comment") if override else ""
    said = f': "{comment}"' if comment else ""
    if instance.for_now is False and instance.for_good:
        return Reason("1S", f"An administrator disabled it until the next boot{said}.")
    return Reason("05", f"An administrator disabled it{said}.")


def _maintenance(instance: Instance) -> Reason:
    """startd has written down what went wrong, other restarters may not have."""
    found = instance.reason
    code, text = MAINTENANCE.get(found, ("AR", "The reason is unknown."))
    group = instance.groups.get("restarter", Group(""))
    if found in _OF_METHODS and group.value("start_method_waitstatus") not in ("", "0"):
        code = "KS"
    if found in _EXPLAINED and (said := group.value("auxiliary_text")):
        again = ", again and again" if found == "fault_threshold_reached" else ""
        text = f"{said}{again}."
    elif found == "service_request" and (other := group.value("auxiliary_fmri")):
        text = f"{other} put it in maintenance."
    return Reason(code, text)


# The reason of an instance that says all by its state.
_OF_STATES = {
    states.DEGRADED: _degraded,
    states.MAINTENANCE: _maintenance,
    states.DISABLED: _disabled,
}
