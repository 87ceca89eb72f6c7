# SPDX-License-Identifier: MPL-2.0
"""The observer: what it takes for a change of state. Delivery is in tests/integration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smf.errors import NotFound
from smf.notify import MOST_READS, Observer, Watch, config, running
from smf.notify_params import GLOBAL, PROBLEMS
from smf.notify_spool import Spool
from tests.unit.smf.local import Local

A = "svc:/site/a:default"
Look = Callable[..., list[tuple[str, str, str]]]


def put(local: Local, fmri: str, state: str, when: str) -> None:
    local.commit([
        ["add", fmri],
        ["group", fmri, "restarter", "framework", "P"],
        ["set", fmri, "restarter", "state", "astring", [state]],
        ["set", fmri, "restarter", "state_timestamp", "time", [when]],
        ["snapshot", fmri, "running", ""],
    ])  # fmt: skip


def ask(local: Local, fmri: str, *events: str, refresh: bool = True) -> None:
    local.commit([["add", fmri]])
    for event in events:
        local.commit([
            ["group", fmri, event, "notify_params", ""],
            ["set", fmri, event, "webhook,url", "astring", ["http://h/"]],
        ])  # fmt: skip
    if refresh:
        local.commit([["snapshot", fmri, "running", ""]])


@pytest.fixture
def look(local: Local, tmp_path: Path) -> Look:
    """Look, and say (instance, before, after) of each message that came of it."""
    spool = Spool(str(tmp_path / "spool"), str(tmp_path / "states"), 1000, pytest.fail)
    observer = Observer(local, spool, "host1", "z1")

    def again(instances: "set[str] | None" = None) -> list[tuple[str, str, str]]:
        before = set(spool.names())
        count = observer.look(instances)
        made = [spool.read(name) for name in spool.names() if name not in before]
        assert len(made) == count
        assert all(each and (each.host, each.zone) == ("host1", "z1") for each in made)
        told = [each.transition for each in made if each]
        return [(each.fmri, each.before, each.after) for each in told]

    return again


def test_a_change_is_told_once(local: Local, look: Look) -> None:
    ask(local, GLOBAL, "to-offline")
    put(local, A, "online", "1")
    assert look() == []
    put(local, A, "offline", "2")
    assert look({A}) == [(A, "online", "offline")]
    assert look({A}) == []
    assert look() == []


def test_a_state_that_was_left_and_reached_again_unseen_is_a_change(
    local: Local, look: Look
) -> None:
    ask(local, GLOBAL, "to-online")
    put(local, A, "online", "1")
    look()
    put(local, A, "online", "3")
    assert look({A}) == [(A, "online", "online")]


def test_at_the_first_look_only_problems_are_told(local: Local, look: Look) -> None:
    ask(local, GLOBAL, "to-online", "to-maintenance", "to-degraded")
    for name, state in (("a", "online"), ("b", "maintenance"), ("c", "degraded")):
        put(local, f"svc:/site/{name}:default", state, "1")
    assert look() == [
        ("svc:/site/b:default", "uninitialized", "maintenance"),
        ("svc:/site/c:default", "uninitialized", "degraded"),
    ]


def test_an_instance_that_is_new_comes_from_uninitialized(local: Local, look: Look) -> None:
    ask(local, GLOBAL, "to-disabled", "to-uninitialized")
    look()
    put(local, A, "disabled", "1")
    assert look({A}) == [(A, "uninitialized", "disabled")]
    put(local, "svc:/site/b:default", "uninitialized", "1")
    assert look({"svc:/site/b:default"}) == []


def test_what_is_not_refreshed_does_not_count(local: Local, look: Look) -> None:
    put(local, A, "online", "1")
    look()
    ask(local, A, "to-offline", refresh=False)
    local.commit([
        ["set", A, "restarter", "state", "astring", ["offline"]],
        ["set", A, "restarter", "state_timestamp", "time", ["2"]],
    ])  # fmt: skip
    assert look({A}) == []
    ask(local, A, "to-online")
    put(local, A, "online", "3")
    assert look({A}) == [(A, "offline", "online")]


def test_problems_are_asked_for_elsewhere(local: Local, look: Look) -> None:
    ask(local, PROBLEMS, "problem-diagnosed")
    put(local, A, "online", "1")
    look()
    put(local, A, "maintenance", "2")
    assert look({A}) == [(A, "online", "maintenance")]


def test_many_are_read_at_once(local: Local, look: Look) -> None:
    ask(local, GLOBAL, "to-offline")
    many = {f"svc:/site/s{number}:default" for number in range(MOST_READS + 1)}
    look()
    for fmri in many:
        put(local, fmri, "offline", "1")
    assert {fmri for fmri, _, _ in look(many)} == many


def test_what_is_deleted_meanwhile_is_passed_over(local: Local, look: Look) -> None:
    put(local, A, "online", "1")
    look()
    local.commit([["delete", A]])
    assert look({A}) == []
    assert look() == []


def test_running_is_nothing_where_there_is_nothing(local: Local) -> None:
    assert running(local, A) == ({}, {})
    with pytest.raises(NotFound):
        local.read(A)
    assert config(local, A) == {}


def test_a_watch_hears_of_the_restarters_group_alone(local: Local) -> None:
    watch = Watch(local)
    put(local, A, "online", "1")
    local.commit([["group", A, "config", "application", ""]])
    assert watch.changed() == {A}
    for each in local._open:
        each.shutdown(2)
    with pytest.raises(EOFError):
        watch.changed()
