# SPDX-License-Identifier: MPL-2.0
"""svccfg: property groups, properties and their values."""

from fnmatch import fnmatchcase

from smf.actions import Operations
from smf.cli.options import Usage
from smf.cli.svccfg_lang import Token, glue, quote
from smf.cli.svccfg_session import Line, Session, must_be_new, names_of
from smf.errors import BadValue, NotFound
from smf.fmri import check_name, instance_of
from smf.tree import Group, Groups, Property
from smf.values import TYPES

NONPERSISTENT = "NONPERSISTENT"


# -- property groups -------------------------------------------------------------------------------
def listpg(line: Line) -> None:
    pattern = (line.take(0, 1) or ["*"])[0]
    rows = [
        _pg_row(name, group)
        for name, group in line.session.groups().items()
        if fnmatchcase(name, pattern)
    ]
    show(line.session, rows)


def _pg_row(name: str, group: Group) -> list[str]:
    return [name, group.kind, "" if group.persistent else NONPERSISTENT]


def show(session: Session, rows: list[list[str]]) -> None:
    """Rows as columns that are as wide as their longest field, but the last."""
    if rows:
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        for first, second, rest in rows:
            session.out(f"{first:{widths[0]}}  {second:{widths[1]}}  {rest}".rstrip(" "))


def addpg(line: Line) -> None:
    name, kind, *flags = line.take(2, 3)
    session = line.session
    fmri = session.writable()
    check_name(name)
    check_name(kind)
    if flags and flags[0].upper() != "P":
        raise Usage(f'"{flags[0]}" is no flag: P, for a group that ends with the machine\'s run')
    must_be_new(session.groups(), name, fmri)
    session.commit([["group", fmri, name, kind, "P" if flags else ""]])


def delpg(line: Line) -> None:
    (name,) = line.take(1, 1)
    session = line.session
    fmri = session.writable()
    if name not in session.groups():
        hint = f"; `delprop {name}` is for a property" if "/" in name else ""
        raise NotFound(f"{fmri} has no property group {name}{hint}")
    session.commit([["ungroup", fmri, name]])


def group_of(groups: Groups, name: str, where: str) -> Group:
    """A property group. NotFound says how to make it."""
    if name not in groups:
        other = "; select its service if that has it" if instance_of(where) else ""
        raise NotFound(f"{where} has no property group {name}; `addpg {name} TYPE` makes it{other}")
    return groups[name]


# -- properties ------------------------------------------------------------------------------------
def listprop(line: Line) -> None:
    """Groups and properties whose names match; nothing is composed."""
    pattern = (line.take(0, 1) or ["*"])[0]
    rows = []
    for name, group in line.session.groups().items():
        if fnmatchcase(name, pattern):
            rows.append(_pg_row(name, group))
        for prop, found in group.properties.items():
            if fnmatchcase(f"{name}/{prop}", pattern):
                rows.append([f"{name}/{prop}", found.kind, " ".join(map(quote, found.values))])
    show(line.session, rows)


def setprop(line: Line) -> None:
    """GROUP/PROPERTY = [TYPE:] VALUE, or = [TYPE:] (VALUE ...)."""
    at = next((i for i, token in enumerate(line.raw) if token.is_mark("=")), None)
    if at is None:
        raise Usage("setprop GROUP/PROPERTY = [TYPE:] VALUE; the = is missing")
    if at != 1:
        raise line.bad(line.raw[at], "one property comes before =")
    group, prop = names_of(line.raw[0].text)
    kind, values = _typed(line, line.raw[at + 1 :], line.raw[at])
    session = line.session
    fmri = session.writable()

    def make(groups: Groups) -> Operations:
        found = group_of(groups, group, fmri).properties.get(prop)
        return [["set", fmri, group, prop, _type_of(f"{group}/{prop}", found, kind), values]]

    session.change(fmri, group, make)


def _typed(line: Line, tokens: list[Token], before: Token) -> tuple[str, list[str]]:
    """(TYPE or "", the values) of what comes after =."""
    kind = ""
    if len(tokens) > 1 and tokens[0].text.endswith(":") and not tokens[0].quoted:
        kind = tokens[0].text[:-1]
        if kind not in TYPES:
            raise line.bad(tokens[0], f'there is no type "{kind}"; there are {", ".join(TYPES)}')
        before, tokens = tokens[0], tokens[1:]
    if not tokens:
        raise line.bad(before, "a value is missing after this")
    if not tokens[0].is_mark("("):
        value, *more = glue(tokens)
        if more:
            raise line.bad(more[0], _SEVERAL)
        return kind, [value.text]
    end = next(i for i, token in enumerate(tokens) if token.is_mark(")"))
    if nested := next((token for token in tokens[1:end] if token.is_mark("(")), None):
        raise line.bad(nested, "there are no lists in a list")
    if tokens[end + 1 :]:
        raise line.bad(tokens[end + 1], "nothing comes after the list")
    return kind, [token.text for token in glue(tokens[1:end])]


_SEVERAL = 'one value; several go into ( ), and what has blanks into "..." that the shell leaves'


def _type_of(name: str, found: Property | None, kind: str) -> str:
    """The type for a property: what was said must be what it has. BadValue."""
    if found is None:
        if not kind:
            raise BadValue(f"{name} is new: say its type, as in {name} = astring: VALUE")
        return kind
    if kind not in ("", found.kind):
        raise BadValue(f"{name} is of type {found.kind}; `delprop {name}` before another type")
    return found.kind


def delprop(line: Line) -> None:
    """A property, or a whole group."""
    (word,) = line.take(1, 1)
    if "/" not in word:
        delpg(line)
        return
    session = line.session
    fmri = session.writable()
    group, prop = names_of(word)
    property_of(session.groups(), group, prop, fmri)
    session.commit([["unset", fmri, group, prop]])


def property_of(groups: Groups, group: str, prop: str, where: str) -> Property:
    """A property. NotFound."""
    found = group_of(groups, group, where).properties.get(prop)
    if found is None:
        raise NotFound(f"{where} has no property {group}/{prop}")
    return found


# -- values ----------------------------------------------------------------------------------------
def addpropvalue(line: Line) -> None:
    """GROUP/PROPERTY [TYPE:] VALUE."""
    tokens = line.tokens
    if len(tokens) not in (2, 3):
        raise Usage("addpropvalue GROUP/PROPERTY [TYPE:] VALUE")
    group, prop = names_of(tokens[0].text)
    kind, values = _typed(line, tokens[1:], tokens[0])
    # A whole list, or what `(` and `)` are in words: nobody means that as one value.
    if len(values) != 1 or (values[0] == "()" and not tokens[-1].quoted):
        raise line.bad(tokens[-1], "addpropvalue takes one value; setprop takes a list")
    value = values[0]
    session = line.session
    fmri = session.writable()

    def make(groups: Groups) -> Operations:
        found = group_of(groups, group, fmri).properties.get(prop)
        values = [*(found.values if found else ()), value]
        return [["set", fmri, group, prop, _type_of(f"{group}/{prop}", found, kind), values]]

    session.change(fmri, group, make)


def delpropvalue(line: Line) -> None:
    """The values of a property that match a pattern."""
    word, pattern = line.take(2, 2)
    session = line.session
    fmri = session.writable()
    group, prop = names_of(word)

    def make(groups: Groups) -> Operations:
        found = property_of(groups, group, prop, fmri)
        left = [each for each in found.values if not fnmatchcase(each, pattern)]
        if len(left) == len(found.values):
            raise NotFound(f'{word} has no value that matches "{pattern}"')
        return [["set", fmri, group, prop, found.kind, left]]

    session.change(fmri, group, make)
