# SPDX-License-Identifier: MPL-2.0
"""The three-way merge: what the last manifest said, what is there now, what the new one says."""

from smf.tree import Group, Property


def decide(base: object, mine: object, theirs: object, *, override: bool = False) -> bool | None:
    """Whether to take theirs; None if both sides have changed it, and differently.

    None as an argument: it is not there on that side. `override`: what they have, they have.
    """
    if mine == theirs or (base == theirs and not (override and theirs is not None)):
        return False
    if base == mine or (override and theirs is not None):
        return True
    return None


def merge(
    base: Group | None, mine: Group | None, theirs: Group | None, overrides: set[str]
) -> tuple[Group | None, list[str]]:
    """(what a group is to be, the properties that were kept though they have changed it as well).

    "" among the properties is the group's type.
    """
    if mine is not None and theirs is not None and mine.kind != theirs.kind:
        unchanged = base is not None and base.same(mine)
        return (theirs, []) if unchanged else (mine, [""])
    sides = [group.properties if group else {} for group in (base, mine, theirs)]
    found: dict[str, Property] = {}
    kept = []
    for name in dict.fromkeys((*sides[1], *sides[2])):
        base_one, mine_one, theirs_one = (side.get(name) for side in sides)
        verdict = decide(base_one, mine_one, theirs_one, override=name in overrides)
        if verdict is None:
            kept.append(name)
        chosen = theirs_one if verdict else mine_one
        if chosen is not None:
            found[name] = chosen
    if not found and _is_gone(base, mine, theirs):
        return None, kept
    kind = (mine or theirs or Group("")).kind
    return Group(kind, found), kept


def _is_gone(base: Group | None, mine: Group | None, theirs: Group | None) -> bool:
    """Whether a group of which no property is left goes, too."""
    if mine is None:
        return base is not None or theirs is None
    return base is not None and theirs is None
