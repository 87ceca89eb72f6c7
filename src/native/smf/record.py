# SPDX-License-Identifier: MPL-2.0
"""What startd writes of an instance, and finds again when it was killed: the group `restarter`."""

import time

from smf import states
from smf.tree import Group, Groups, Property, to_wire

RESTARTER = "restarter"


class Record:
    """See smf.states for what the properties mean."""

    __slots__ = (
        "arrived", "asker", "aux", "contracts", "dying", "explained", "fmri", "logfile", "next",
        "since", "start_pid", "start_status", "start_time", "state", "to_stop", "transient",
    )  # fmt: skip

    def __init__(self, fmri: str, logfile: str) -> None:
        self.fmri = fmri
        self.logfile = logfile
        self.state, self.next, self.aux = states.UNINITIALIZED, states.NONE, states.NONE
        self.arrived = False  # it has come to run, and the repository has not heard of it yet
        self.to_stop = ("", "")  # see smf.graph.Vertex
        self.since = time.time_ns()
        self.contracts: list[int] = []  # what the service is
        self.dying: list[int] = []  # what was killed, and is waited for before the next start
        self.transient = 0  # the contract of a method that runs beside it
        self.start_pid = 0
        self.start_time = 0
        self.start_status: int | None = None
        self.asker = ""
        self.explained = ""  # what went wrong last, in words

    def become(
        self, state: str, following: str, aux: str, to_stop: tuple[str, str] = ("", "")
    ) -> None:
        if state != self.state:
            self.since = time.time_ns()
        running = states.RUNNING_STATES
        self.arrived = state in running and (self.arrived or self.state not in running)
        self.state, self.next, self.aux, self.to_stop = state, following, aux, to_stop

    def wire(self) -> object:
        """As svc.configd takes it."""
        properties = {
            "state": Property("astring", [self.state]),
            "next_state": Property("astring", [self.next]),
            "auxiliary_state": Property("astring", [self.aux]),
            "state_timestamp": Property("time", [_time(self.since)]),
            "logfile": Property("astring", [self.logfile]),
            "contract": Property("count", map(str, self.contracts)),
        }
        if self.to_stop[0]:
            properties["stop_cause"] = Property("astring", self.to_stop)
        if self.dying:
            properties["dying_contract"] = Property("count", map(str, self.dying))
        if self.transient:
            properties["transient_contract"] = Property("count", [str(self.transient)])
        if self.start_pid:
            properties["start_pid"] = Property("count", [str(self.start_pid)])
        if self.start_time:
            properties["start_method_timestamp"] = Property("time", [_time(self.start_time)])
        if self.start_status is not None:
            status = str(self.start_status)
            properties["start_method_waitstatus"] = Property("integer", [status])
        if self.explained and self.state == states.MAINTENANCE:
            properties["auxiliary_text"] = Property("astring", [self.explained])
        if self.asker:
            properties["auxiliary_fmri"] = Property("astring", [self.asker])
        return to_wire(Group("framework", properties, persistent=False))


def read(fmri: str, groups: Groups, logfile: str) -> Record | None:
    """The record that an earlier startd wrote; None if there is none."""
    group = groups.get(RESTARTER)
    if group is None or group.value("state") not in states.STATES:
        return None
    record = Record(fmri, group.value("logfile") or logfile)
    record.state = group.value("state")
    record.next = group.value("next_state", states.NONE)
    record.aux = group.value("auxiliary_state", states.NONE)
    cause, why, *_ = *group.values("stop_cause"), "", ""
    record.to_stop = cause, why
    record.since = _nanoseconds(group.value("state_timestamp"))
    record.contracts = [int(number) for number in group.values("contract")]
    record.dying = [int(number) for number in group.values("dying_contract")]
    record.transient = int(group.value("transient_contract", "0"))
    record.start_pid = int(group.value("start_pid", "0"))
    record.start_time = _nanoseconds(group.value("start_method_timestamp"))
    if status := group.value("start_method_waitstatus"):
        record.start_status = int(status)
    record.asker = group.value("auxiliary_fmri")
    record.explained = group.value("auxiliary_text")
    return record


def _time(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.partition(".")
    return int(seconds or 0) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)
