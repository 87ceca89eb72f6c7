# SPDX-License-Identifier: MPL-2.0
"""What an instance has, beside what its templates say that it should have."""

from smf.fmri import is_file
from smf.states import GROUPINGS, RESTART_ON
from smf.templates import PG_PATTERN, PROP_PATTERN
from smf.tree import Group, Groups, Property, of_type
from smf.values import is_kind_of


def problems(groups: Groups) -> list[str]:
    """Of an instance's composed groups: what cannot work, and what its templates do not allow."""
    found: list[str] = []
    for name, group in of_type(groups, "dependency"):
        found += _dependency(name, group)
    for name, group in of_type(groups, "method"):
        if not group.value("exec"):
            found.append(f"method {name} has no exec")
    for pattern, group in of_type(groups, PG_PATTERN):
        found += _pg_pattern(pattern, group, groups)
    return found


def _dependency(name: str, group: Group) -> list[str]:
    found = []
    for prop, words in (("grouping", GROUPINGS), ("restart_on", RESTART_ON)):
        if group.value(prop) not in words:
            found.append(
                f'dependency {name}: {prop} is "{group.value(prop)}", not one of {", ".join(words)}'
            )
    for entity in group.values("entities"):
        if is_file(entity) != (group.value("type") == "path"):
            found.append(f"dependency {name}: {entity} is not of type {group.value('type')}")
    return found


def matching(pattern: Group, groups: Groups) -> list[str]:
    """The groups that a pattern of a template is about."""
    name, kind = pattern.value("name"), pattern.value("type")
    return [
        each
        for each, group in groups.items()
        if each == name or (not name and group.kind == kind) or not (name or kind)
    ]


def prop_patterns(pattern: str, groups: Groups) -> list[Group]:
    """What a pattern says of its groups' properties."""
    return [
        group for _, group in of_type(groups, PROP_PATTERN) if group.value("pg_pattern") == pattern
    ]


def _pg_pattern(pattern: str, said: Group, groups: Groups) -> list[str]:
    if said.value("target") not in ("", "this", "instance"):
        return []  # about other services
    matched = matching(said, groups)
    if not matched and said.value("required") == "true":
        return [f"property group {said.value('name') or said.value('type')} is required"]
    found = []
    for name in matched:
        kind = said.value("type")
        if kind and groups[name].kind != kind:
            found.append(f"property group {name} is of type {groups[name].kind}, not {kind}")
        for each in prop_patterns(pattern, groups):
            prop = each.value("name")
            what = f"{name}/{prop}"
            found += _prop(what, each, groups[name].properties.get(prop))
    return found


def _prop(what: str, said: Group, found: Property | None) -> list[str]:
    if found is None:
        return [f"{what} is required"] if said.value("required") == "true" else []
    kind = said.value("type")
    if kind and not is_kind_of(found.kind, kind):
        return [f"{what} is of type {found.kind}, not {kind}"]
    problems = []
    least, most = (said.value(f"cardinality_{end}") for end in ("min", "max"))
    if least and not int(least) <= len(found.values) <= int(most):
        problems.append(f"{what} has {len(found.values)} values, not {least} to {most}")
    for value in found.values:
        if not _allowed(value, said):
            problems.append(f'{what} may not be "{value}"')
    return problems


def _allowed(value: str, said: Group) -> bool:
    """Whether a value is in what `constraints` has, if there is any."""
    names, ranges = said.values("constraint_name"), said.values("constraint_range")
    if not names and not ranges:
        return True
    if value in names:
        return True
    try:
        return any(int(low) <= int(value) <= int(high) for low, high in map(_ends, ranges))
    except ValueError:
        return False


def _ends(text: str) -> tuple[str, str]:
    low, _, high = text.partition(",")
    return low, high
