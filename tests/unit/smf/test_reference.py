# SPDX-License-Identifier: MPL-2.0
"""The judge judged: the reference model says what the facts' tables say, and one thing only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.smf.reference import EVENTS, Instance, Needs, Reference

RESTART_ON = ("none", "error", "restart", "refresh")


def pair(grouping: str, restart_on: str, on: tuple[int | str | None, ...] = (0,)) -> Reference:
    """B is 0, A is 1 and needs it."""
    return Reference([Instance(()), Instance((Needs(grouping, restart_on, on),))])


@pytest.mark.parametrize(
    ("event", "bounced"),
    [
        ("core", ("error", "restart", "refresh")),
        ("exit", ("restart", "refresh")),
        ("restart", ("restart", "refresh")),
        ("refresh", ("refresh",)),
        ("degraded", ()),
    ],
)
@pytest.mark.parametrize("restart_on", RESTART_ON)
def test_the_truth_table(event: str, bounced: tuple[str, ...], restart_on: str) -> None:
    model = pair("require_all", restart_on)
    for number in (0, 1):
        model.happens("enable", number)
    before = model.starts
    model.happens(event, 0)
    own = event in ("core", "exit", "restart")
    assert model.starts - before == own + (restart_on in bounced)
    assert model.instances[1].state == "online"


@pytest.mark.parametrize(
    ("grouping", "state", "runs"),
    [
        ("require_all", "online", True), ("require_all", "degraded", True),
        ("require_all", "maintenance", False), ("require_all", "disabled", False),
        ("require_any", "online", True), ("require_any", "disabled", False),
        ("optional_all", "disabled", True), ("optional_all", "maintenance", True),
        ("optional_all", "online", True), ("optional_all", "uninitialized", False),
        ("exclude_all", "disabled", True), ("exclude_all", "maintenance", True),
        ("exclude_all", "online", False), ("exclude_all", "degraded", False),
        ("exclude_all", "uninitialized", False),
    ],
)  # fmt: skip
def test_who_may_run(grouping: str, state: str, runs: bool) -> None:
    model = pair(grouping, "none")
    model.instances[0].state = state
    model.instances[0].enabled = state in ("online", "degraded")
    model.happens("enable", 1)
    assert model.instances[1].runs is runs


@pytest.mark.parametrize(
    ("grouping", "there", "runs"),
    [
        ("require_all", True, True), ("require_all", False, False), ("optional_all", False, False),
        ("optional_all", True, True), ("exclude_all", False, True), ("exclude_all", True, False),
    ],
)  # fmt: skip
def test_paths(grouping: str, there: bool, runs: bool) -> None:
    model = pair(grouping, "none", ("/x",))
    if there:
        model.files.add("/x")
    model.happens("enable", 1)
    assert model.instances[1].runs is runs


# -- graphs of all kinds, and whatever happens in them: used for the engine as well ----------------
@st.composite
def graphs(draw: st.DrawFn, *, exclude: bool) -> list[tuple[Needs, ...]]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        before = [*range(number), None, "/there", "/missing"]
        groupings = ["require_all", "require_all", "require_any", "optional_all"]
        on = st.lists(st.sampled_from(before), unique=True, max_size=3).map(tuple)
        kinds = [st.builds(Needs, st.sampled_from(groupings), st.sampled_from(RESTART_ON), on)]
        if exclude:
            others = st.lists(st.sampled_from([*range(6), None]), unique=True, max_size=2)
            kinds.append(
                others.map(
                    lambda found, me=number: Needs(  # type: ignore[misc]  # mypy and defaults
                        "exclude_all", "none", tuple(each for each in found if each != me)
                    )
                )
            )
        made.append(tuple(draw(st.lists(st.one_of(kinds), max_size=2))))
    most = len(made)
    return [tuple(within(needs, most) for needs in each) for each in made]


def within(needs: Needs, most: int) -> Needs:
    on = tuple(each for each in needs.on if not isinstance(each, int) or each < most)
    return Needs(needs.grouping, needs.restart_on, on)


# Most of what happens happens to those that run: so they are enabled more often than not.
WEIGHED = [*EVENTS, *["enable"] * len(EVENTS)]
HAPPENINGS = st.lists(st.tuples(st.sampled_from(WEIGHED), st.integers(0, 5)), max_size=30)


def reference(graph: list[tuple[Needs, ...]]) -> Reference:
    return Reference([Instance(needs) for needs in graph], {"/there"})


@given(graphs(exclude=False), HAPPENINGS)
def test_it_does_not_matter_who_starts_first(
    graph: list[tuple[Needs, ...]], happenings: list[tuple[str, int]]
) -> None:
    first, last = reference(graph), reference(graph)
    last.order = max
    for event, number in happenings:
        for model in (first, last):
            model.happens(event, number % len(graph))
        assert [i.state for i in first.instances] == [i.state for i in last.instances]
