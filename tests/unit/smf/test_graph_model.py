# SPDX-License-Identifier: MPL-2.0
"""The engine beside a second opinion: random graphs, and whatever may happen in them."""

import random

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.smf.engine_driver import Driver
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
    st.tuples(st.sampled_from(WEIGHED), st.integers(0, 5), st.integers(0, 4)), max_size=30
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
