# SPDX-License-Identifier: MPL-2.0
"""svccfg describe: what properties mean, as the service's templates say it."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from smf.check import matching, prop_patterns
from smf.cli.svccfg_lang import quote
from smf.cli.svccfg_session import Line, Session
from smf.templates import PG_PATTERN
from smf.tree import Group, Groups, of_type

INDENT = "    "


def describe(line: Line) -> None:
    """Groups and properties with their values and what templates say; -t: templates alone."""
    pattern = (line.take(0, 1) or ["*"])[0]
    session = line.session
    groups = session.groups()
    view = session.client.composed(session.entity(), session.snapshot)
    if pattern == "*":
        _texts(session, view, "")
    if line.has("-t"):
        for name, group in of_type(view, PG_PATTERN):
            _template(session, name, group, view, pattern)
        return
    for name, group in groups.items():
        if name.startswith("tm_"):
            continue
        _group(session, name, group, view, pattern, verbose=line.has("-v"))


def _texts(session: Session, groups: Groups, indent: str) -> None:
    for name in ("tm_common_name", "tm_description"):
        if name in groups:
            session.out(indent + groups[name].value("C"))


def _group(
    session: Session, name: str, group: Group, view: Groups, pattern: str, *, verbose: bool
) -> None:
    said = [
        (each, found) for each, found in of_type(view, PG_PATTERN) if name in matching(found, view)
    ]
    if fnmatchcase(name, pattern):
        session.out(f"{name}  {group.kind}")
        for _, found in said:
            _say(session, found, verbose=verbose)
    for prop, value in group.properties.items():
        if not fnmatchcase(f"{name}/{prop}", pattern):
            continue
        session.out(f"{name}/{prop}  {value.kind}  {' '.join(map(quote, value.values))}".rstrip())
        for each, _ in said:
            for found in prop_patterns(each, view):
                if found.value("name") == prop:
                    _say(session, found, verbose=verbose)


def _template(session: Session, name: str, group: Group, view: Groups, pattern: str) -> None:
    """A pattern itself, whether or not there is something like it."""
    target = group.value("name") or "*"
    if fnmatchcase(target, pattern):
        session.out(f"{target}  {group.value('type') or '*'}")
        _say(session, group, verbose=True)
    for found in prop_patterns(name, view):
        prop = f"{target}/{found.value('name')}"
        if fnmatchcase(prop, pattern):
            session.out(f"{prop}  {found.value('type') or '*'}")
            _say(session, found, verbose=True)


def _say(session: Session, said: Group, *, verbose: bool) -> None:
    for name in ("common_name_C", "description_C"):
        if name in said.properties:
            session.out(INDENT + said.value(name))
    if verbose:
        for label, text in _limits(said):
            session.out(f"{INDENT}{label}: {text}")


def _limits(said: Group) -> Iterator[tuple[str, str]]:
    for name in ("required", "visibility", "units_C", "target"):
        if value := said.value(name):
            yield name.removesuffix("_C"), value
    if least := said.value("cardinality_min"):
        yield "values", f"{least} to {said.value('cardinality_max')}"
    for prefix in ("values", "constraint", "choice"):
        listed = [*said.values(f"{prefix}_name"), *said.values(f"{prefix}_range")]
        if listed:
            label = {"values": "known", "constraint": "allowed", "choice": "choices"}[prefix]
            yield label, " ".join(each.replace(",", " to ") for each in listed)
