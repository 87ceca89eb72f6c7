# SPDX-License-Identifier: MPL-2.0
"""Notification parameters: who is told of which event, and how that is kept in the repository.

Each event has a property group of type notify_params, named as the event: to-maintenance,
from-online, problem-diagnosed. In it each way of telling has properties PROTOCOL,NAME, of type
astring, and PROTOCOL,active, boolean:

    smtp,to  smtp,reply-to  smtp,msg_template  smtp,active     "mailto:ADDRESS,...?NAME=VALUE&..."
    webhook,url  webhook,active                                "https://..." or "http://..."

They are looked for in an instance, in its service, and then in GLOBAL; the first that has the
event's group is all that counts. Events of problems, as of fmd, are only in PROBLEMS. Values of the
running snapshots count.
"""

from collections.abc import Iterable

from smf.errors import BadValue
from smf.fmri import check_name
from smf.states import STATES
from smf.tree import Group, Groups, Property

TYPE = "notify_params"
GLOBAL = "svc:/system/svc/global:default"
PROBLEMS = "svc:/system/fm/notify-params:default"
SMTP, WEBHOOK = "smtp", "webhook"
ACTIVE = "active"
# What a problem's events are called, beside their class.
PROBLEM_EVENTS = {
    "problem-diagnosed": "list.suspect",
    "problem-updated": "list.updated",
    "problem-repaired": "list.repaired",
    "problem-resolved": "list.resolved",
}
_CLASSES = {name: event for event, name in PROBLEM_EVENTS.items()}
_SCHEMES = ("mailto:", "snmp:", "https:", "http:", "webhook:")
_SMTP_NAMES = ("reply-to", "msg_template", "from", "subject", "cc")


def events(text: str) -> list[str]:
    """The groups of a set of events, `to-maintenance,offline`; each once, in order. BadValue.

    STATE is both to-STATE and from-STATE; `all` is every state.
    """
    found: dict[str, None] = {}
    for word in text.split(","):
        found |= dict.fromkeys(_event(word.strip()))
    kinds = {is_problem(event) for event in found}
    if len(kinds) > 1:
        raise BadValue(f"{text}: changes of state and problems do not go together; ask twice")
    return list(found)


def _event(word: str) -> list[str]:
    if word in PROBLEM_EVENTS:
        return [word]
    if word in _CLASSES:
        return [_CLASSES[word]]
    if word.startswith(("list.", "ireport.")):
        name = word.removesuffix(".*")  # a class is of all that is below it
        for part in name.split("."):
            check_name(part, word)
        return [name]
    direction, dash, state = word.partition("-")
    if not dash:
        direction, state = "", word
    if direction not in ("", "to", "from") or state not in (*STATES, "all"):
        raise BadValue(
            f'there is no event "{word}"; there are to-STATE, from-STATE, STATE'
            f" ({', '.join(STATES)}, all) and {', '.join(PROBLEM_EVENTS)}"
        )
    states = STATES if state == "all" else (state,)
    return [f"{way}-{each}" for way in ("to", "from") if direction in ("", way) for each in states]


def is_problem(event: str) -> bool:
    """Whether an event is of a problem, not of a change of state."""
    return not event.startswith(("to-", "from-"))


class Way:
    """One way of telling: a protocol, whether it is in use, and its parameters."""

    __slots__ = ("active", "parameters", "protocol")

    def __init__(
        self, protocol: str, parameters: dict[str, tuple[str, ...]], *, active: bool = True
    ) -> None:
        self.protocol = protocol
        self.parameters = parameters
        self.active = active


def parse(words: Iterable[str]) -> list[Way]:
    """What setnotify is given: one or more of the forms above. A way without parameters, as in
    mailto:inactive, only says whether it is in use. BadValue."""
    ways: list[Way] = []
    for word in words:
        for uri in _split(word):
            way = _way(uri)
            before = next((each for each in ways if each.protocol == way.protocol), None)
            if before is None:
                ways.append(way)
            else:
                for name, values in way.parameters.items():
                    before.parameters[name] = before.parameters.get(name, ()) + values
    if not ways:
        raise BadValue("say how to tell: mailto:ADDRESS or https://...")
    return ways


def _split(word: str) -> list[str]:
    """`mailto:a@x,b@x,https://y` is two: a comma separates before a scheme."""
    found: list[str] = []
    for part in word.split(","):
        if found and not part.startswith(_SCHEMES):
            found[-1] += "," + part
        else:
            found.append(part)
    return found


def _way(uri: str) -> Way:
    scheme, colon, rest = uri.partition(":")
    if not colon or f"{scheme}:" not in _SCHEMES or not rest:
        raise BadValue(f'"{uri}" is no way of telling: mailto:ADDRESS or https://...')
    if scheme == "snmp":
        raise BadValue("there is no SNMP here: use mailto:ADDRESS or https://...")
    protocol = SMTP if scheme == "mailto" else WEBHOOK
    if rest in ("active", "inactive"):
        return Way(protocol, {}, active=rest == "active")
    if protocol == SMTP:
        return Way(SMTP, _mail(uri, rest))
    if not rest.startswith("//") or not rest.strip("/") or any(c <= " " for c in rest):
        raise BadValue(f'"{uri}" is no address of a webhook: https://HOST/PATH')
    return Way(WEBHOOK, {"url": (uri,)})


def _mail(uri: str, rest: str) -> dict[str, tuple[str, ...]]:
    from urllib.parse import unquote  # dear, and only for this

    addresses, _, query = rest.partition("?")
    to = tuple(unquote(each).strip() for each in addresses.split(","))
    for each in to:
        if ("@" not in each.strip("@") and each != "root") or any(c <= " " for c in each):
            raise BadValue(f'"{each}" in {uri} is no address of e-mail: NAME@HOST')
    parameters = {"to": to}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if name not in _SMTP_NAMES or not equals:
            raise BadValue(f'"{pair}" in {uri}: there are {"=, ".join(_SMTP_NAMES)}=')
        value = unquote(value)
        if any(c < " " for c in value):
            raise BadValue(f"{name} in {uri} has a control character")
        parameters[name] = (value,)
    return parameters


def change(before: Group | None, ways: Iterable[Way]) -> Group:
    """An event's group with these ways in it: each replaces its own parameters, or only `active`.

    BadValue if one has no parameters and there were none.
    """
    properties = dict(before.properties) if before else {}
    for way in ways:
        prefix = f"{way.protocol},"
        has = any(name.startswith(prefix) for name in properties)
        if not way.parameters and not has:
            raise BadValue(f"{way.protocol} has no parameters yet that could be switched")
        if way.parameters:
            properties = {
                name: prop for name, prop in properties.items() if not name.startswith(prefix)
            }
            for name, values in way.parameters.items():
                properties[prefix + name] = Property("astring", values)
        properties[prefix + ACTIVE] = Property("boolean", ["true" if way.active else "false"])
    return Group(TYPE, properties)


def ways(group: Group) -> list[Way]:
    """What an event's group says, in the order of its protocols."""
    found: dict[str, Way] = {}
    for name in sorted(group.properties):
        protocol, comma, parameter = name.partition(",")
        if not comma:
            continue
        way = found.setdefault(protocol, Way(protocol, {}))
        if parameter == ACTIVE:
            way.active = group.value(name) != "false"
        else:
            way.parameters[parameter] = group.values(name)
    return list(found.values())


def lookup(levels: Iterable[tuple[str, Groups]], event: str) -> tuple[str, Group] | None:
    """(where it was found, the event's group), of the first level that has it.

    `levels`: (its FMRI, its groups) of the instance, its service and GLOBAL, in that order.
    """
    for source, groups in levels:
        group = groups.get(event)
        if group is not None and group.kind == TYPE:
            return source, group
    return None
