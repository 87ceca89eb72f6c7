# SPDX-License-Identifier: MPL-2.0
"""What is told about a change of state, and to whom. Pure.

A webhook gets a JSON object: `id` (the same if it has to be sent again), `events`, `host`, `zone`,
`fmri`, `from` and `to` (states), `reason` (auxiliary_state), `time` (UTC, ISO 8601), `severity` and
`text`. A file named by msg_template may have %<NAME> for each name in `macros`, and %% for %.
"""

import json
import re
from collections.abc import Iterable

from smf import notify_params
from smf.notify_params import SMTP, WEBHOOK, Way
from smf.states import DEGRADED, MAINTENANCE
from smf.tree import Groups

PROBLEM_STATES = (MAINTENANCE, DEGRADED)
DIAGNOSED, REPAIRED, RESOLVED = "problem-diagnosed", "problem-repaired", "problem-resolved"
CLASS = "ireport.os.smf.state-transition."
SEVERITY = {MAINTENANCE: "major", DEGRADED: "minor"}
_MACRO = re.compile("%(?:%|<([A-Z-]+)>)")


class Transition:
    """An instance has come from one state into another."""

    __slots__ = ("after", "before", "fmri", "reason", "when")

    def __init__(self, fmri: str, before: str, after: str, reason: str, when: str) -> None:
        """`when`: seconds since 1970, as the repository has it: with a fraction."""
        self.fmri = fmri
        self.before = before
        self.after = after
        self.reason = reason
        self.when = when

    def events(self) -> list[str]:
        """The names that notification parameters of changes of state may have."""
        return [f"to-{self.after}", f"from-{self.before}"]

    def problem_events(self) -> list[str]:
        """The names that those of problems may have: a service that cannot run is one."""
        found = []
        if self.after in PROBLEM_STATES:
            found = [DIAGNOSED, *_prefixes("list.suspect")]
        elif self.before in PROBLEM_STATES:
            found = [REPAIRED, RESOLVED, *_prefixes("list.repaired")]
        return [*found, *_prefixes(CLASS + self.after)]


def _prefixes(name: str) -> list[str]:
    """A class and those that it is below, as `ireport.os.*` is asked for."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


class Message:
    """What one destination is told, as it is in the spool."""

    __slots__ = ("events", "host", "id", "parameters", "protocol", "transition", "zone")

    def __init__(
        self, protocol: str, parameters: dict[str, tuple[str, ...]], transition: Transition
    ) -> None:
        self.id = ""  # given by the spool
        self.protocol = protocol
        self.parameters = parameters
        self.transition = transition
        self.events: list[str] = []
        self.host = ""
        self.zone = ""

    def value(self, name: str, default: str = "") -> str:
        """A parameter's first value."""
        return next(iter(self.parameters.get(name, ())), "") or default

    def server(self) -> str:
        """Who has to be reached: a server that is down is not tried for each message."""
        if self.protocol == SMTP:
            return SMTP
        scheme, _, host = self.value("url").split("/")[:3]
        return f"{scheme}//{host.rpartition('@')[2]}"

    def dump(self) -> bytes:
        told = self.transition
        change = [told.fmri, told.before, told.after, told.reason, told.when]
        fields = [self.protocol, self.parameters, change, self.events, self.host, self.zone]
        return json.dumps([self.id, *fields]).encode()


def load(text: bytes) -> Message:
    """The inverse of dump. ValueError if it is no message."""
    try:
        name, protocol, parameters, change, events, host, zone = json.loads(text)
        values = {each: tuple(found) for each, found in parameters.items()}
        message = Message(protocol, values, Transition(*map(str, change)))
    except (TypeError, AttributeError) as exc:
        raise ValueError(f"no message: {exc}") from exc
    message.id, message.events, message.host, message.zone = name, events, host, zone
    return message


def messages(
    transition: Transition, levels: list[tuple[str, Groups]], problems: Groups
) -> list[Message]:
    """One for each destination, however many of its events have happened at once.

    `levels`: see notify_params.lookup; `problems`: the groups of notify_params.PROBLEMS.
    """
    found: dict[str, Message] = {}
    for event in transition.events():
        if told := notify_params.lookup(levels, event):
            _add(found, event, notify_params.ways(told[1]), transition)
    for event in transition.problem_events():
        if told := notify_params.lookup([(notify_params.PROBLEMS, problems)], event):
            _add(found, event, notify_params.ways(told[1]), transition)
    return list(found.values())


def _add(
    found: dict[str, Message], event: str, ways: Iterable[Way], transition: Transition
) -> None:
    for way in ways:
        if way.active:
            for parameters in _destinations(way):
                key = json.dumps([way.protocol, sorted(parameters.items())])
                message = found.setdefault(key, Message(way.protocol, parameters, transition))
                message.events.append(event)


def _destinations(way: Way) -> list[dict[str, tuple[str, ...]]]:
    """One mail goes to all of its addresses; webhooks are called one by one."""
    if way.protocol == SMTP and way.parameters.get("to"):
        return [way.parameters]
    if way.protocol == WEBHOOK:
        return [{"url": (url,)} for url in way.parameters.get("url", ())]
    return []


# -- words -----------------------------------------------------------------------------------------
def macros(message: Message) -> dict[str, str]:
    """What a template may use."""
    told = message.transition
    return {
        "HOSTNAME": message.host,
        "ZONE": message.zone,
        "FMRI": told.fmri,
        "FROM-STATE": told.before,
        "TO-STATE": told.after,
        "REASON": told.reason,
        "CLASS": CLASS + told.after,
        "EVENTS": " ".join(message.events),
        "SEVERITY": SEVERITY.get(told.after, "info"),
        "DATE": iso(told.when),
        "UUID": message.id,
        "TEXT": sentence(message),
    }


def sentence(message: Message) -> str:
    told = message.transition
    why = f" ({told.reason})" if told.reason not in ("", "none") else ""
    return f"{told.fmri} on {message.host} went from {told.before} to {told.after}{why}"


def iso(when: str) -> str:
    """2026-11-28T05:29:30.123456Z"""
    from datetime import UTC, datetime  # dear, and only who sends a message needs it

    seconds, _, fraction = when.partition(".")
    moment = datetime.fromtimestamp(int(seconds or 0), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction[:6].ljust(6, '0')}Z"


def expand(template: str, message: Message) -> str:
    """A template with its macros filled in; one that there is not stays as it is."""
    known = macros(message)
    return _MACRO.sub(
        lambda found: known.get(found[1], found[0]) if found[1] else "%", template
    )  # fmt: skip


TEMPLATE = """\
%<TEXT>.

 Host: %<HOSTNAME>
 Zone: %<ZONE>
 Date: %<DATE>
State: %<TO-STATE>, was %<FROM-STATE>
 Why: %<REASON>

`svcs -xv %<FMRI>` says more.
"""
SUBJECT = "Service Management Event: %<HOSTNAME>:%<FMRI> is %<TO-STATE>"


def webhook_body(message: Message) -> bytes:
    """The JSON object that a webhook is sent."""
    told = message.transition
    return json.dumps({
        "id": message.id,
        "events": message.events,
        "host": message.host,
        "zone": message.zone,
        "fmri": told.fmri,
        "from": told.before,
        "to": told.after,
        "reason": told.reason,
        "time": iso(told.when),
        "severity": SEVERITY.get(told.after, "info"),
        "text": sentence(message),
    }).encode()  # fmt: skip
