# SPDX-License-Identifier: MPL-2.0
"""One instance's states: what comes next, given what is wanted of it, and what others hear of that.

One method of an instance runs at a time: what is asked meanwhile is kept in its vertex, as what is
wanted, and looked at when the method has ended.

Actions, in the order in which they are to be done:
    ("run", FMRI, METHOD)           begin a method; its end is told by `ended`
    ("state", FMRI)                 the vertex has another state, next state or auxiliary state, or
                                    another stop to come
    ("log", FMRI, TEXT)             a line in the instance's log
    ("explain", FMRI, TEXT)         what svcs -x says if maintenance is what comes of it
    ("abandon", FMRI)               its contract is no business of ours any more
    ("kill", FMRI)                  end what is left in its contract
    ("later", FMRI, SECONDS)        call `resume` then
    ("override", FMRI)              disable it for now: general_ovr/enabled
"""

from collections.abc import Callable

from smf import outcome
from smf.config import CHILD
from smf.graph import YES, Graph, Vertex
from smf.outcome import Outcome
from smf.states import (
    DEGRADED,
    DISABLED,
    EXCLUDE_ALL,
    MAINTENANCE,
    NONE,
    OFFLINE,
    ONLINE,
    OPTIONAL_ALL,
    REQUIRE_ANY,
    UNINITIALIZED,
)

Action = tuple[object, ...]

# How grave it is for those that depend on what stopped: they stop if their restart_on is as much.
FAULT, RESTART, REFRESH = 1, 2, 3
SEVERITY = {"none": 0, "error": FAULT, "restart": RESTART, "refresh": REFRESH}
# Why something stops, in the log, and how grave that is.
CAUSES = {
    "core": ("process dumped core", FAULT),
    "signal": ("process received fatal signal from outside the service", FAULT),
    "empty": ("all processes in service exited", RESTART),
    "exit": ("service exited", RESTART),
    "restart": ("restarted by request", RESTART),
    "dependency": ("dependency activity requires stop", RESTART),
    "disable": ("disabled", RESTART),
    "maintenance": ("put to maintenance", RESTART),
    "shutdown": ("the system goes down", RESTART),
}
OF_CONTRACT = ("core", "signal", "empty", "exit")
WAIT_GAP, WAIT_COUNT = 1.0, 5  # of a child that fails quickly: then one start a second


class Restarter:
    """The instances of a graph, and what is to be done about them."""

    def __init__(self, exists: Callable[[str], bool], clock: Callable[[], float]) -> None:
        """`exists`: whether there is a file. `clock`: seconds, of any origin."""
        self.graph = Graph(exists)
        self.clock = clock
        self.actions: list[Action] = []
        self.stopping = False  # the system goes down

    def take(self) -> list[Action]:
        """What is to be done since last asked."""
        found, self.actions = self.actions, []
        return found

    # -- standing ----------------------------------------------------------------------------------
    def _touch(self, vertex: Vertex) -> None:
        """Bring its standing up to date, and that of all whose standing hangs on it."""
        waiting = [vertex]
        while waiting:
            here = waiting.pop()
            standing = self.graph.stand(here)
            moved = standing != here.standing
            here.standing = standing
            if not moved and here is not vertex:
                continue
            for dependent in self.graph.dependents(here.fmri):
                if moved and dependent is not vertex:
                    waiting.append(dependent)
                self._consider(dependent)

    def _consider(self, dependent: Vertex) -> None:
        """It may be able to start now."""
        if dependent.state == OFFLINE and not dependent.method:
            self._settle(dependent)

    # -- one instance ------------------------------------------------------------------------------
    def _settle(self, vertex: Vertex) -> None:
        """Do the next thing that is to be done with an instance, if none is under way."""
        if vertex.method:
            self._do("state", vertex)  # what is asked meanwhile is not to be lost with startd
            return
        if not vertex.config.managed or vertex.config.enabled is None:
            return
        if vertex.invalid and vertex.wanted and not vertex.running:
            if vertex.state != MAINTENANCE:
                self._maintain(vertex, vertex.invalid)
            return
        if vertex.running:
            self._settle_running(vertex)
        elif vertex.state == UNINITIALIZED:
            if vertex.maintain:
                self._maintain(vertex, vertex.maintain)
                return
            aux = "enable_request" if vertex.aux == NONE else vertex.aux
            self._become(vertex, OFFLINE if vertex.wanted else DISABLED, aux)
            self._settle(vertex)
        elif vertex.state in (OFFLINE, DISABLED):
            self._settle_down(vertex)

    def _settle_down(self, vertex: Vertex) -> None:
        if vertex.maintain:
            self._maintain(vertex, vertex.maintain)
        elif vertex.wanted and vertex.state == DISABLED:
            self._become(vertex, OFFLINE, "enable_request")
            self._settle(vertex)
        elif not vertex.wanted and vertex.state == OFFLINE:
            self._become(vertex, DISABLED, "disable_request")
        elif vertex.state == OFFLINE and self._startable(vertex):
            self._start(vertex)

    def _startable(self, vertex: Vertex) -> bool:
        held = vertex.leaving or vertex.throttled
        return not held and self.graph.satisfied(vertex) == YES

    def _settle_running(self, vertex: Vertex) -> None:
        if vertex.invalid:
            self._stop(vertex, MAINTENANCE, "maintenance", vertex.invalid)
        elif vertex.maintain and vertex.abandon:
            self._do("abandon", vertex)
            self._maintain(vertex, vertex.maintain)
        elif vertex.maintain:
            self._stop(vertex, MAINTENANCE, "maintenance", vertex.maintain)
        elif vertex.contract_cause:
            self._stop(vertex, OFFLINE, vertex.contract_cause, "restart_request")
        elif not vertex.wanted:
            self._leave(vertex, DISABLED, "shutdown" if self.stopping else "disable")
        elif vertex.leaving:
            self._leave(vertex, OFFLINE, "dependency")
        elif vertex.restart:
            self._stop(vertex, OFFLINE, "restart", vertex.restart)
        elif vertex.stop:
            self._stop(vertex, OFFLINE, "dependency", "dependency_activity")
        elif vertex.refresh:
            vertex.refresh = ""
            self._run(vertex, "refresh", vertex.state)

    def _leave(self, vertex: Vertex, target: str, cause: str) -> None:
        """Stop it when those that need it have: the leaves of the graph first."""
        if not vertex.leaving:
            vertex.leaving = True
            self._touch(vertex)
        others = [each for each in self._needing(vertex) if each.running or each.method]
        for other in others:
            if not other.leaving:
                other.leaving = True
                self._forgive(other)
                self._touch(other)
                self._settle(other)
        if not any(each.running or each.method for each in self._needing(vertex)):
            aux = "disable_request" if target == DISABLED else "dependency_activity"
            self._stop(vertex, target, cause, aux)

    def _stay(self, vertex: Vertex) -> None:
        """It is wanted again: it need not leave, nor do those that would have left before it."""
        waiting = [vertex]
        while waiting:
            here = waiting.pop()
            if here.leaving and here.method != "stop" and not self._undermined(here):
                here.leaving = False
                self._touch(here)
                waiting += self._needing(here)

    def _undermined(self, vertex: Vertex) -> bool:
        """Whether it has to go before something that it needs does."""
        if not vertex.wanted:
            return True
        return any(
            other.leaving and other.running
            for group in vertex.config.dependencies
            if group.grouping != EXCLUDE_ALL and SEVERITY[group.restart_on] >= RESTART
            for entity in group.entities
            for other in self.graph.instances(entity)
        )

    def _needing(self, vertex: Vertex) -> list[Vertex]:
        """Who goes down before it: those that mind; at the end of everything, all dependents."""
        least = 0 if self.stopping else RESTART
        return [
            dependent
            for dependent in self.graph.dependents(vertex.fmri)
            if dependent is not vertex
            and any(
                each.grouping != EXCLUDE_ALL and SEVERITY[each.restart_on] >= least
                for each in self.graph.groups_on(dependent, vertex.fmri)
            )
        ]

    def _start(self, vertex: Vertex) -> None:
        config, now = vertex.config, self.clock()
        starts = vertex.starts
        if config.duration == CHILD:
            if len(starts) >= WAIT_COUNT and _mean_gap(starts, WAIT_COUNT) < WAIT_GAP:
                gap = now - starts[-1]
                if gap < WAIT_GAP:
                    vertex.throttled = True
                    self._do("later", vertex, WAIT_GAP - gap)
                    return
            del starts[:-WAIT_COUNT]
        elif len(starts) >= config.count > 0:
            if _mean_gap(starts, config.count) < config.period:
                self._log(vertex, "restarting too quickly, changing state to maintenance")
                self._maintain(vertex, "restarting_too_quickly")
                return
            del starts[: -config.count]
        starts.append(now)
        vertex.transient = False
        vertex.contract_cause = vertex.refresh = ""
        self._run(vertex, "start", ONLINE)

    def _stop(self, vertex: Vertex, target: str, cause: str, aux: str) -> None:
        self._log(vertex, f"stopping because {CAUSES[cause][0]}")
        vertex.aux, vertex.cause = aux, cause
        vertex.stop = vertex.restart = vertex.contract_cause = ""
        self._run(vertex, "stop", target)

    def _run(self, vertex: Vertex, method: str, target: str) -> None:
        vertex.method = method
        vertex.next = target
        self._do("state", vertex)
        self._touch(vertex)
        self._do("run", vertex, method)

    def _started(self, vertex: Vertex, how: Outcome) -> None:
        vertex.transient = how.kind == outcome.NODAEMON
        if vertex.transient:
            self._do("abandon", vertex)
        if how.kind == outcome.DEGRADE:
            self._become(vertex, DEGRADED, "service_request")
        else:
            self._become(vertex, ONLINE, "dependencies_satisfied")
        self._arrived(vertex)
        if how.kind == outcome.TEMP_DISABLE:
            self._do("override", vertex)

    def _arrived(self, vertex: Vertex) -> None:
        """It runs: those stop that must not, or want to begin anew now that it does."""
        for dependent in self.graph.dependents(vertex.fmri):
            for group in self.graph.groups_on(dependent, vertex.fmri):
                late = group.grouping in (OPTIONAL_ALL, REQUIRE_ANY)
                if group.grouping == EXCLUDE_ALL or (
                    late and SEVERITY[group.restart_on] >= RESTART
                ):
                    self._forgive(dependent)
                    self._bounce_now(dependent)

    def _stopped(self, vertex: Vertex, how: Outcome) -> None:
        del how
        if vertex.next == MAINTENANCE:
            vertex.maintain = ""
        vertex.leaving = False
        self._become(vertex, vertex.next, vertex.aux)
        self._departed(vertex, CAUSES[vertex.cause][1])

    def _refreshed(self, vertex: Vertex, how: Outcome) -> None:
        del how
        self._become(vertex, vertex.state, vertex.aux)
        for dependent in self.graph.dependents(vertex.fmri):
            self._bounce(dependent, vertex.fmri, REFRESH)

    def _failed(self, vertex: Vertex, method: str, how: Outcome) -> None:
        """A method that failed is tried again at once, up to three times."""
        self._log(vertex, f'method "{method}" {how.text}')
        self._do("explain", vertex, f"Its {method} method {how.text}")
        vertex.failures += 1
        final = (
            how.kind == outcome.FATAL
            or (how.kind == outcome.TIMEOUT and method == "stop")
            or (how.kind == outcome.TIMEOUT and not vertex.config.timeout_retry)
        )
        if not final and vertex.failures < outcome.TRIES:
            if method == "start":
                vertex.starts.append(self.clock())
            vertex.method = method
            self._do("run", vertex, method)
            return
        self._do("kill", vertex)
        self._maintain(vertex, "method_failed" if final else "fault_threshold_reached", FAULT)

    def _maintain(self, vertex: Vertex, aux: str, severity: int = RESTART) -> None:
        ran = vertex.running
        vertex.failures = 0
        vertex.leaving = False
        vertex.maintain = vertex.restart = vertex.stop = vertex.contract_cause = ""
        vertex.refresh = ""
        vertex.abandon = False
        self._become(vertex, MAINTENANCE, aux)
        if ran:
            self._departed(vertex, severity)

    def _departed(self, vertex: Vertex, severity: int) -> None:
        """It no longer runs: some of those that depend on it stop as well."""
        for dependent in self.graph.dependents(vertex.fmri):
            self._bounce(dependent, vertex.fmri, severity)

    def _release(self, vertex: Vertex) -> None:
        """What it depends on may have waited for its end."""
        for dependency in vertex.config.dependencies:
            for entity in dependency.entities:
                for other in self.graph.instances(entity):
                    if other.leaving or not other.wanted:
                        self._settle(other)

    def _bounce(self, dependent: Vertex, fmri: str, severity: int) -> None:
        """Stop a dependent if what happened is as grave as it says it must be."""
        for group in self.graph.groups_on(dependent, fmri):
            if group.grouping != EXCLUDE_ALL and severity <= SEVERITY[group.restart_on]:
                if severity > FAULT:
                    self._forgive(dependent)
                self._bounce_now(dependent)
                return

    def _bounce_now(self, dependent: Vertex) -> None:
        if dependent.running and dependent.method != "stop":
            dependent.stop = "dependency"
            self._settle(dependent)
        elif dependent.method == "start":
            dependent.stop = "dependency"

    def _forgive(self, vertex: Vertex) -> None:
        """Its starts so far do not count."""
        vertex.starts.clear()
        vertex.failures = 0

    def _become(self, vertex: Vertex, state: str, aux: str) -> None:
        vertex.state, vertex.aux = state, aux
        if not vertex.method:  # else it is still on its way to the next one
            vertex.next = NONE
        self._do("state", vertex)
        self._touch(vertex)
        if not vertex.running:
            self._release(vertex)

    # -- what is to be done ------------------------------------------------------------------------
    def _do(self, what: str, vertex: Vertex, *more: object) -> None:
        self.actions.append((what, vertex.fmri, *more))

    def _log(self, vertex: Vertex, text: str) -> None:
        self._do("log", vertex, text)


def _mean_gap(starts: list[float], count: int) -> float:
    last = starts[-count:]
    return (last[-1] - last[0]) / max(1, len(last) - 1)
