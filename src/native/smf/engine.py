# SPDX-License-Identifier: MPL-2.0
"""What is to happen: each instance's states, and how one's end or return moves the others. Pure.

The engine is told what is the case (configured, asked, a method ended, a contract's event) and
leaves behind what is to be done, see smf.restarter; startd does it.
"""

from collections.abc import Callable

from smf import outcome
from smf.config import CHILD, TRANSIENT, Config
from smf.graph import Vertex
from smf.outcome import Outcome
from smf.restarter import OF_CONTRACT, RESTART, Restarter
from smf.states import (
    DEGRADED,
    DISABLED,
    MAINTENANCE,
    NONE,
    ONLINE,
    UNINITIALIZED,
)

Action = tuple[object, ...]


class Engine(Restarter):
    """The state machine over a graph."""

    def __init__(self, exists: Callable[[str], bool], clock: Callable[[], float]) -> None:
        """`exists`: whether there is a file. `clock`: seconds, of any origin."""
        super().__init__(exists, clock)
        self.milestone: str = "all"
        self._permitted = "all"  # the milestone by which vertices are allowed

    # -- what is told ------------------------------------------------------------------------------
    def adopt(
        self, fmri: str, config: Config, state: str, aux: str, to_stop: tuple[str, str] = ("", "")
    ) -> Vertex:
        """An instance as an earlier startd left it; call `begin` when all are there.

        `to_stop`: see Vertex. It is stopped (again), to the same effect on those that depend on it.
        """
        vertex = Vertex(fmri, config)
        vertex.state, vertex.aux = state, aux
        cause, why = to_stop
        if cause in ("maintenance", "abandon"):
            vertex.maintain, vertex.abandon = why, cause == "abandon"
        elif vertex.running and cause in OF_CONTRACT:
            vertex.contract_cause = cause
        elif vertex.running and cause == "dependency":
            vertex.stop = cause
        elif vertex.running and cause:  # disable, too: if it is enabled again, it is restarted
            vertex.restart = "restart_request"
        self.graph.add(vertex)
        return vertex

    def begin(self) -> None:
        """All instances are known: judge them."""
        for vertex in list(self.graph.vertices.values()):
            self._validate(vertex)
        self._permit()
        self.graph.judge()
        for vertex in list(self.graph.vertices.values()):
            self._touch(vertex)
            self._settle(vertex)

    def configure(self, fmri: str, config: Config) -> None:
        """A new instance, or what an instance's refresh has brought."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is None:
            vertex = Vertex(fmri, config)
            self.graph.add(vertex)
        else:
            self.graph.configure(vertex, config)
        self._validate(vertex)
        self._permit()
        self._touch(vertex)
        self._settle(vertex)

    def forget(self, fmri: str) -> None:
        """The instance was deleted."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is None:
            return
        dependents = self.graph.dependents(fmri)
        self.graph.remove(vertex)
        self._do("kill", vertex)
        self._release(vertex)
        for dependent in dependents:
            if vertex.running:
                self._bounce(dependent, fmri, RESTART)
            self._touch(dependent)
            self._settle(dependent)

    def enable(self, fmri: str, *, enabled: bool | None) -> None:
        """`enabled` was written; also if it said so before."""
        vertex = self.graph.vertices[fmri]
        before = vertex.config.enabled
        vertex.config.enabled = enabled
        if enabled is not before and enabled is not None:
            self._log(vertex, "enabled" if enabled else "disabled")
        if enabled is False:
            vertex.restart = vertex.contract_cause = vertex.stop = ""
            self._forgive(vertex)
            if vertex.state == MAINTENANCE and not vertex.method:
                self._log(vertex, "leaving maintenance because disable requested")
                vertex.maintain = ""
                self._become(vertex, DISABLED, "disable_request")
        elif enabled:
            self._stay(vertex)
        self._touch(vertex)
        self._settle(vertex)

    def restart(self, fmri: str) -> None:
        """Nothing happens unless it runs."""
        vertex = self.graph.vertices[fmri]
        if vertex.running and vertex.next in (NONE, vertex.state):
            vertex.restart = "restart_request"
            self._forgive(vertex)
            self._settle(vertex)

    def refresh(self, fmri: str, config: Config) -> None:
        """Its configuration is another; if it runs, its method is told, and its dependents are.

        So it is when it is being started, perhaps by what was configured before.
        """
        vertex = self.graph.vertices[fmri]
        self._log(vertex, "rereading configuration")
        if vertex.running or vertex.method == "start":
            vertex.refresh = "refresh"
        self.configure(fmri, config)

    def mark(
        self, fmri: str, state: str, *, immediately: bool = False, service: bool = False
    ) -> None:
        """svcadm mark: maintenance or degraded. `service`: asked by another service;
        `immediately`: without a stop method."""
        vertex = self.graph.vertices[fmri]
        aux = "service_request" if service else "administrative_request"
        if state == DEGRADED:
            if vertex.state == ONLINE and vertex.method != "stop":
                self._become(vertex, DEGRADED, aux)
            return
        if vertex.state == MAINTENANCE:
            return
        vertex.maintain, vertex.abandon = aux, immediately
        self._settle(vertex)

    def clear(self, fmri: str) -> None:
        """Out of maintenance, or of degraded."""
        vertex = self.graph.vertices[fmri]
        if vertex.state == DEGRADED:
            if vertex.method != "stop":
                self._become(vertex, ONLINE, "clear_request")
            return
        if vertex.state != MAINTENANCE or vertex.method:
            return
        self._log(vertex, "leaving maintenance because clear requested")
        self._forgive(vertex)
        vertex.maintain = vertex.stop = vertex.restart = vertex.contract_cause = ""
        self._become(vertex, UNINITIALIZED, "clear_request")
        self._validate(vertex)
        self._settle(vertex)

    def ended(self, fmri: str, method: str, how: Outcome) -> None:
        """A method has ended."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is None or vertex.method != method:
            return
        vertex.method = ""
        if how.kind in (outcome.FAILED, outcome.FATAL, outcome.TIMEOUT):
            self._failed(vertex, method, how)
        else:
            vertex.failures = 0
            {"start": self._started, "stop": self._stopped, "refresh": self._refreshed}[method](
                vertex, how
            )
        self._settle(vertex)

    def contract(self, fmri: str, cause: str) -> None:
        """A contract's event: empty, core or signal. Whether that matters is the instance's say."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is None or (not vertex.running and vertex.method != "start"):
            return
        config = vertex.config
        if config.duration == CHILD or config.duration == TRANSIENT or vertex.transient:
            return
        if cause == "empty":
            if vertex.method == "start":
                return  # it may be empty until the method has ended; then that is looked at
        elif cause in config.ignored or cause not in config.faults:
            return
        if vertex.method != "stop":
            vertex.contract_cause = vertex.contract_cause or cause
        self._settle(vertex)

    def child_ended(self, fmri: str, status: int) -> None:
        """The process that is a child-model service has ended."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is None or not vertex.running or vertex.method == "stop":
            return
        how = outcome.of_wait_status("start", status)
        self._log(vertex, f"the service {how.text}")
        self._do("explain", vertex, f"Its process {how.text}")
        if how.kind == outcome.FATAL:
            vertex.maintain = "method_failed"
        elif how.kind == outcome.OK:
            vertex.starts.clear()
        vertex.contract_cause = "exit"
        self._settle(vertex)

    def resume(self, fmri: str) -> None:
        """The time of a "later" has come."""
        vertex = self.graph.vertices.get(fmri)
        if vertex is not None:
            vertex.throttled = False
            self._settle(vertex)

    def go_to(self, milestone: str) -> None:
        """all, none, or a milestone's FMRI: what it does not need goes down, for now."""
        self.milestone = milestone
        self._permit()

    def shut_down(self) -> None:
        """Everything goes down, what others depend on last; `quiet` says when all is."""
        self.stopping = True
        for vertex in list(self.graph.vertices.values()):
            vertex.allowed = False
        for vertex in list(self.graph.vertices.values()):
            self._touch(vertex)
            self._settle(vertex)

    def quiet(self) -> bool:
        """Whether nothing that startd looks after runs or is on its way."""
        vertices = self.graph.vertices.values()
        return not any(
            vertex.running or vertex.method for vertex in vertices if vertex.config.managed
        )

    # -- judging -----------------------------------------------------------------------------------
    def _validate(self, vertex: Vertex) -> None:
        """Whether its dependencies make sense; maintenance if not."""
        vertex.invalid = ""
        if vertex.config.enabled is None or not vertex.config.managed:
            return
        if not vertex.config.restarter:
            vertex.invalid = "invalid_restarter"
            self._log(vertex, "its restarter is no instance")
        elif vertex.config.invalid:
            vertex.invalid = "invalid_dependency"
            self._log(vertex, f"dependency {vertex.config.invalid} is invalid")
            self._do("explain", vertex, f"Its dependency {vertex.config.invalid} is invalid")
        elif way := self.graph.cycle(vertex):
            vertex.invalid = "dependency_cycle"
            self._log(vertex, "dependency cycle: " + " -> ".join(way))
            said = "Its dependencies lead back to itself: " + " -> ".join(way)
            self._do("explain", vertex, said)

    def _permit(self) -> None:
        """What the milestone lets run."""
        if self.stopping or self.milestone == self._permitted == "all":
            return
        self._permitted = self.milestone
        needed = self.graph.closure([self.milestone])  # of "none": nothing
        for vertex in list(self.graph.vertices.values()):
            permitted = self.milestone == "all" or vertex.fmri in needed
            if vertex.allowed != permitted:
                vertex.allowed = permitted
                self._touch(vertex)
                self._settle(vertex)
