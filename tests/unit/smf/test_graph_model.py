# SPDX-License-Identifier: MPL-2.0
"""The engine beside a second opinion: random graphs, and whatever may happen in them."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.smf.engine_driver import Driver, fmri
from tests.unit.smf.reference import Instance, Needs, Reference
from tests.unit.smf.test_reference import HAPPENINGS, WEIGHED, graphs

SEEDS = st.integers(0, 1 << 16)


def most(graph: list[tuple[Needs, ...]]) -> int:
    """Methods that one event may lead to: each instance goes with, and starts after, each other."""
    return 4 * (len(graph) + 1) ** 2


@given(graphs(exclude=False), HAPPENINGS, SEEDS)
def test_one_event_after_the_other_ends_where_the_rules_say(
    graph: list[tuple[Needs, ...]], happenings: list[tuple[str, int]], seed: int
) -> None:
    driver = Driver(graph, random.Random(seed).randrange)
    model = Reference([Instance(needs) for needs in graph], {"/there"})
    for event, which in happenings:
        number = which % len(graph)
        driver.happens(event, number)
        driver.rest(most(graph))
        driver.judge()
        model.happens(event, number)
        assert driver.states == [each.state for each in model.instances], event


# After each happening some methods end, before the next one comes.
IN_BETWEEN = st.lists(
    st.tuples(st.sampled_from([*WEIGHED, "die", "die"]), st.integers(0, 5), st.integers(0, 4)),
    max_size=30,
)
UP_AND = [("enable", 0, 1)]


@given(graphs(exclude=True), IN_BETWEEN, SEEDS)
@example([()], [*UP_AND, ("disable", 0, 0), ("degraded", 0, 1)], 0)
@example([()], [*UP_AND, ("degraded", 0, 0), ("restart", 0, 0), ("clear", 0, 4)], 0)
def test_whatever_happens_while_methods_run_it_comes_to_rest_as_it_should(
    graph: list[tuple[Needs, ...]], happenings: list[tuple[str, int, int]], seed: int
) -> None:
    driver = Driver(graph, random.Random(seed).randrange)
    for event, which, ends in happenings:
        if event == "die":
            driver.die()
        else:
            driver.happens(event, which % len(graph))
        for _ in range(min(ends, len(driver.methods))):
            driver.end_one()
    driver.rest(most(graph) * (len(happenings) + 1))
    driver.judge()


@given(graphs(exclude=True), HAPPENINGS, SEEDS)
@example([(), (Needs("require_all", "none", (0,)),)], [("enable", 0), ("enable", 1)], 0)
def test_a_shutdown_takes_everything_down_dependents_first(
    graph: list[tuple[Needs, ...]], happenings: list[tuple[str, int]], seed: int
) -> None:
    chance = random.Random(seed)
    driver = Driver(graph, chance.randrange)
    for event, which in happenings:
        driver.happens(event, which % len(graph))
    before = driver.starts
    driver.engine.shut_down()
    driver.perform()
    assert driver.starts == before
    driver.rest(most(graph) * (len(happenings) + 1))
    assert driver.engine.quiet()
    assert not {"online", "degraded"} & set(driver.states)


# -- methods one after the other -------------------------------------------------------------------
def end(driver: Driver, method: str) -> None:
    """Of instance 0."""
    assert driver.methods.pop(fmri(0)) == method
    driver.ended(fmri(0), method, 0)


def test_a_refresh_while_it_starts_is_done_when_it_has() -> None:
    driver = Driver([()], lambda _: 0)
    driver.happens("enable", 0)
    driver.happens("refresh", 0)
    end(driver, "start")
    end(driver, "refresh")
    assert (driver.states, driver.methods) == (["online"], {})


def test_a_refresh_while_it_stops_is_what_it_starts_with() -> None:
    driver = up()
    driver.happens("restart", 0)
    driver.happens("refresh", 0)
    end(driver, "stop")
    end(driver, "start")
    assert (driver.states, driver.methods) == (["online", "online"], {})


# -- another startd --------------------------------------------------------------------------------
def up(*needs: Needs) -> Driver:
    """Instance 0, and 1 which needs it; both run."""
    driver = Driver([(), needs], lambda _: 0)
    for number in (0, 1):
        driver.happens("enable", number)
        driver.rest(9)
    return driver


@pytest.mark.parametrize(
    ("event", "bounced"),
    [("core", ("error", "restart", "refresh")), ("exit", ("restart", "refresh")),
     ("restart", ("restart", "refresh"))],
)  # fmt: skip
@pytest.mark.parametrize("restart_on", ["none", "error", "restart", "refresh"])
def test_the_next_startd_knows_why_something_was_stopping(
    event: str, bounced: tuple[str, ...], restart_on: str
) -> None:
    driver = up(Needs("require_all", restart_on, (0,)))
    driver.happens(event, 0)
    assert driver.methods == {fmri(0): "stop"}
    driver.die()
    before = driver.starts
    driver.rest(9)
    assert driver.starts - before == 1 + (restart_on in bounced)


@pytest.mark.parametrize("event", ["core", "restart", "maintenance"])
def test_what_was_asked_while_a_method_ran_is_not_lost_with_startd(event: str) -> None:
    driver = up(Needs("require_all", "restart", (0,)))
    driver.happens("refresh", 1)
    driver.happens(event, 1)
    assert driver.methods == {fmri(1): "refresh"}
    driver.die()
    before = driver.starts
    driver.rest(9)
    assert driver.states == ["online", "maintenance" if event == "maintenance" else "online"]
    assert driver.starts - before == (event != "maintenance")


def test_a_bounce_that_waited_for_a_method_is_not_lost_with_startd() -> None:
    driver = up(Needs("require_all", "restart", (0,)))
    driver.happens("refresh", 1)
    driver.happens("restart", 0)
    assert driver.methods == {fmri(1): "refresh", fmri(0): "stop"}
    del driver.methods[fmri(0)]
    driver.ended(fmri(0), "stop", 0)
    assert driver.methods[fmri(1)] == "refresh"
    before = driver.starts
    driver.die()
    driver.rest(9)
    assert driver.states == ["online", "online"]
    assert driver.starts - before == 2


def test_a_stop_for_a_disable_that_was_taken_back_ends_in_a_restart() -> None:
    driver = up()
    driver.happens("disable", 0)
    driver.happens("enable", 0)
    assert driver.methods == {fmri(0): "stop"}
    driver.die()
    before = driver.starts
    driver.rest(9)
    assert (driver.states, driver.starts - before) == (["online", "online"], 1)


# -- failures --------------------------------------------------------------------------------------
@pytest.mark.parametrize("restart_on", ["none", "error", "restart", "refresh"])
def test_a_stop_that_fails_is_a_fault(restart_on: str) -> None:
    driver = Driver([(), (Needs("require_all", restart_on, (0,)),)], lambda _: 0)
    for number in (0, 1):
        driver.happens("enable", number)
        driver.rest(9)
    driver.happens("restart", 0)
    while driver.methods.get(fmri(0)) == "stop":  # tried again, like any other
        del driver.methods[fmri(0)]
        driver.ended(fmri(0), "stop", 1)
    driver.rest(9)
    assert driver.states == ["maintenance", "online" if restart_on == "none" else "offline"]


def test_three_failures_in_a_row_and_then_no_more() -> None:
    driver = Driver([()], lambda _: 0)
    driver.happens("enable", 0)
    for tries in (1, 2, 3):
        assert (driver.states, driver.runs) == (["offline"], tries)
        del driver.methods[fmri(0)]
        driver.ended(fmri(0), "start", 1)
    assert (driver.states, driver.methods, driver.runs) == (["maintenance"], {}, 3)
    assert driver.vertex(0).aux == "fault_threshold_reached"


# -- cycles ----------------------------------------------------------------------------------------
EDGES = st.lists(st.lists(st.integers(0, 5), unique=True, max_size=2), min_size=1, max_size=6)


def on_a_cycle(edges: list[set[int]], number: int) -> bool:
    reached, waiting = set[int](), [number]
    while waiting:
        new = edges[waiting.pop()] - reached
        reached |= new
        waiting += new
    return number in reached


@given(EDGES, st.sampled_from(["require_all", "require_any", "optional_all"]), SEEDS)
def test_each_cycle_is_broken_and_nobody_else_pays(
    drawn: list[list[int]], grouping: str, seed: int
) -> None:
    edges = [{on for on in each if on < len(drawn)} for each in drawn]
    graph: list[tuple[Needs, ...]] = [
        (Needs(grouping, "none", tuple(sorted(each))),) for each in edges
    ]
    driver = Driver(graph, random.Random(seed).randrange)
    for number in range(len(graph)):
        driver.happens("enable", number)
    driver.rest(most(graph) * len(graph))
    out = {number for number, state in enumerate(driver.states) if state == "maintenance"}
    assert all(driver.vertex(number).aux == "dependency_cycle" for number in out)
    assert all(on_a_cycle(edges, number) for number in out), "it is on no cycle, and out"
    left = [set() if number in out else each - out for number, each in enumerate(edges)]
    assert not any(on_a_cycle(left, number) for number in range(len(left)))
