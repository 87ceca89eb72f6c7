# SPDX-License-Identifier: MPL-2.0
"""svccfg: who is told of what. See smf.notify_params."""

from smf import notify_params
from smf.actions import Operations
from smf.cli.options import Usage
from smf.cli.svccfg_session import Line, Session
from smf.errors import NotFound
from smf.fmri import instance_of, service_of
from smf.notify_params import GLOBAL, PROBLEMS, is_problem
from smf.tree import Group, Groups, of_type, to_wire

INDENT = "    "


def setnotify(line: Line) -> None:
    """EVENTS, then the ways of telling."""
    if len(line.words) < 2:
        raise Usage("setnotify [-g] EVENTS mailto:ADDRESS|https://...")
    events = notify_params.events(line.words[0])
    ways = notify_params.parse(line.words[1:])
    session = line.session
    fmri = _place(session, line, events)
    made: Operations = []
    groups: Groups = {}
    if fmri in session.client.entities():
        groups = session.client.attached(fmri)
    else:
        made = [["add", fmri]]
    for event in events:
        group = notify_params.change(_group(groups, event, fmri), ways)
        made.append(["put", fmri, event, to_wire(group)])
    session.commit([*made, *session.refresh(fmri)])


def _group(groups: Groups, event: str, fmri: str) -> Group | None:
    found = groups.get(event)
    if found is not None and found.kind != notify_params.TYPE:
        raise Usage(f"{fmri} has a property group {event} of another type, {found.kind}")
    return found


def _place(session: Session, line: Line, events: list[str]) -> str:
    """Where parameters of these events are kept: problems only in one place for all."""
    if is_problem(events[0]):
        return PROBLEMS
    if line.has("-g"):
        return GLOBAL
    if not session.fmri:
        raise Usage("select a service or an instance first; -g is for all services")
    return session.writable()


def delnotify(line: Line) -> None:
    (words,) = line.take(1, 1)
    events = notify_params.events(words)
    session = line.session
    fmri = _place(session, line, events)
    groups = session.client.attached(fmri) if fmri in session.client.entities() else {}
    there = [event for event in events if _group(groups, event, fmri)]
    if not there:
        raise NotFound(f"{fmri} has no notification parameters for {words}")
    gone: Operations = [["ungroup", fmri, event] for event in there]
    session.commit([*gone, *session.refresh(fmri)])


def listnotify(line: Line) -> None:
    """Parameters with where they come from, if that is above."""
    words = line.take(0, 1)
    session = line.session
    events = notify_params.events(words[0]) if words else []
    for event, source, group in found(session, line, events):
        inherited = source not in (session.fmri, "")
        for text in lines(event, group, source if inherited else ""):
            session.out(text)


def found(session: Session, line: Line, events: list[str]) -> list[tuple[str, str, Group]]:
    """(event, where it is, its group) of these events, or of all."""
    selected = "" if line.has("-g") else session.fmri
    levels = _levels(session, selected)
    names = events or [
        name
        for name in dict.fromkeys(name for _, groups in levels for name in groups)
        if any(kind is groups.get(name) for _, groups in levels for kind in _params(groups))
    ]
    rows = []
    for event in names:
        hit = notify_params.lookup(levels, event)
        if hit is not None:
            rows.append((event, hit[0] if selected else "", hit[1]))
    return rows


def _params(groups: Groups) -> list[Group]:
    return [group for _, group in of_type(groups, notify_params.TYPE)]


def _levels(session: Session, fmri: str) -> list[tuple[str, Groups]]:
    places = [PROBLEMS, GLOBAL]
    if fmri:
        places = [fmri, *([service_of(fmri)] if instance_of(fmri) else []), GLOBAL]
    entities = session.client.entities()
    return [(each, session.client.attached(each)) for each in places if each in entities]


def lines(event: str, group: Group, source: str) -> list[str]:
    """An event's parameters as listnotify and svcs -n show them."""
    origin = f" (source: {source})" if source else ""
    text = [f"{INDENT}Event: {event}{origin}"]
    for way in notify_params.ways(group):
        text.append(f"{INDENT * 2}Notification Type: {way.protocol}")
        text.append(f"{INDENT * 3}Active: {'true' if way.active else 'false'}")
        for name, values in way.parameters.items():
            text.append(f"{INDENT * 3}{name}: {', '.join(values)}")
    return text
