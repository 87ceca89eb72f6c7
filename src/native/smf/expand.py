# SPDX-License-Identifier: MPL-2.0
"""The tokens of a method's command: %m, %i, %{pg/prop} and the rest. Pure."""

from collections.abc import Callable

from smf.errors import SmfError
from smf.fmri import instance_of, name_of, parse
from smf.tree import Groups, Property

ESCAPED = frozenset(";&()|^<>\n \t\\\"'`")
RESTARTER = "svc.startd"


class BadToken(SmfError):
    """A token that there is not, or a property that there is not."""

    code = "bad_token"


def expand(
    command: str,
    fmri: str,
    method: str,
    groups: Groups,
    elsewhere: Callable[[str], Groups],
) -> str:
    """The command as the shell gets it. BadToken.

    `groups`: what is composed of the running snapshot. `elsewhere` gives an entity's, with what is
    there now below it: also where this one's snapshot has no such property.
    """
    simple = {
        "%": "%", "r": RESTARTER, "m": method, "s": name_of(fmri), "i": instance_of(fmri), "f": fmri
    }  # fmt: skip
    parts: list[str] = []
    rest = command
    while True:
        text, percent, rest = rest.partition("%")
        parts.append(text)
        if not percent or not rest:
            return "".join(parts)
        if rest[0] == "{":
            name, brace, rest = rest[1:].partition("}")
            if not brace:
                raise BadToken(f'"%{{{name}" has no end')
            parts.append(_property(name, fmri, groups, elsewhere))
        elif rest[0] in simple:
            value = simple[rest[0]]
            parts.append(value if rest[0] == "%" else escape(value))
            rest = rest[1:]
        else:
            raise BadToken(f'there is no token "%{rest[0]}"')


def _property(name: str, fmri: str, groups: Groups, elsewhere: Callable[[str], Groups]) -> str:
    separator = " "
    if name.endswith((",", ":")):
        name, separator = name[:-1], name[-1]
    if ":properties/" in name:
        found = parse(name)
        group, prop = found.group, found.prop
        known = _find(elsewhere(found.entity), group, prop)
    else:
        group, slash, prop = name.partition("/")
        if not slash:
            group, prop = "application", name
        known = _find(groups, group, prop) or _find(elsewhere(fmri), group, prop)
    if known is None:
        raise BadToken(f"there is no property {group}/{prop}")
    return separator.join(escape(value) for value in known.values)


def _find(groups: Groups, group: str, prop: str) -> Property | None:
    owner = groups.get(group)
    return owner.properties.get(prop) if owner else None


def escape(value: str) -> str:
    """A value as one word of the shell's."""
    return "".join(f"\\{each}" if each in ESCAPED else each for each in value)
