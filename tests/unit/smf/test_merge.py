# SPDX-License-Identifier: MPL-2.0
"""The three-way merge, side by side and property by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf.merge import decide, merge
from smf.tree import Group, Property

SIDES = st.none() | st.sampled_from("ab")
PROPERTIES = st.dictionaries(
    st.sampled_from("pqr"), st.sampled_from("12").map(lambda text: Property("astring", [text]))
)
GROUPS = st.none() | PROPERTIES.map(lambda found: Group("application", found))


def group(kind: str = "application", **values: str) -> Group:
    return Group(kind, {name: Property("astring", [text]) for name, text in values.items()})


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "taken"),
    [
        ("1", "1", "2", True),  # unchanged here: what the manifest says
        ("1", "1", None, True),
        (None, None, "1", True),
        ("1", "2", "1", False),  # changed here alone
        ("1", None, "1", False),
        (None, "2", None, False),
        ("1", "2", "2", False),  # changed alike
        ("1", "2", "3", None),  # changed on both sides
        ("1", "2", None, None),
        ("1", None, "3", None),
        (None, "2", "3", None),
    ],
)
def test_the_table(base: str | None, mine: str | None, theirs: str | None, taken: bool) -> None:
    assert decide(base, mine, theirs) is taken


def test_override_takes_what_they_have() -> None:
    assert decide("1", "2", "3", override=True) is True
    assert decide("1", "2", "1", override=True) is True
    assert decide("1", "2", None, override=True) is None


def test_groups_are_merged_property_by_property() -> None:
    merged, kept = merge(
        group(same="1", mine="1", theirs="1", both="1", gone="1"),
        group(same="1", mine="2", theirs="1", both="2", gone="1", own="5"),
        group(same="1", mine="1", theirs="3", both="3", new="4"),
        set(),
    )
    assert merged is not None
    assert merged.same(group(same="1", mine="2", theirs="3", both="2", new="4", own="5"))
    assert kept == ["both"]


def test_a_group_comes_and_goes() -> None:
    some, empty = group(a="1"), group()
    made, _ = merge(None, None, empty, set())
    assert made is not None
    assert merge(some, some, None, set()) == (None, [])
    assert merge(empty, empty, None, set()) == (None, [])
    assert merge(some, None, some, set()) == (None, [])
    kept, _ = merge(None, empty, None, set())
    assert kept is not None


def test_what_was_added_here_keeps_the_group() -> None:
    merged, kept = merge(group(a="1"), group(a="1", own="2"), None, set())
    assert merged is not None
    assert merged.same(group(own="2"))
    assert kept == []


def test_a_type_changes_only_if_nobody_changed_the_group() -> None:
    before, after = group(a="1"), group("framework", a="2")
    assert merge(before, group(a="1"), after, set()) == (after, [])
    mine = group(a="9")
    assert merge(before, mine, after, set()) == (mine, [""])


@given(SIDES, SIDES, SIDES)
def test_the_manifest_is_taken_where_nothing_was_changed(
    base: str | None, mine: str | None, theirs: str | None
) -> None:
    verdict = decide(base, mine, theirs)
    if base == mine:
        assert verdict is (mine != theirs)
    elif base == theirs or mine == theirs:
        assert verdict is False
    else:
        assert verdict is None


@given(GROUPS, GROUPS)
def test_the_same_manifest_again_changes_nothing(mine: Group | None, base: Group | None) -> None:
    merged, kept = merge(base, mine, base, set())
    assert kept == []
    assert (merged is None) is (mine is None)
    if mine is not None and merged is not None:
        assert merged.same(mine)


@given(GROUPS, GROUPS, GROUPS)
def test_a_merge_is_stable(base: Group | None, mine: Group | None, theirs: Group | None) -> None:
    """What has been merged stays as it is when the same manifest comes again."""
    merged, _ = merge(base, mine, theirs, set())
    again, kept = merge(theirs, merged, theirs, set())
    assert kept == []
    assert (again is None) is (merged is None)
    if again is not None and merged is not None:
        assert again.same(merged)
