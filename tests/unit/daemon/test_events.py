# SPDX-License-Identifier: MPL-2.0
"""Events: the difference of two views, and telling it without waiting for anybody."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.daemon import events
from hull.daemon.events import Announcer, Bus, changes, ready_event, vm_event
from hull.errors import InUse
from hull.wire import Json, JsonObject

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b"])
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mac", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def change(path: list[str | None], action: str, old: Json, new: Json) -> JsonObject:
    pretty = ".".join("*" if part is None else part for part in path)
    return {
        "prettyPath": pretty,
        "path": list(path),
        "action": action,
        "oldValue": old,
        "newValue": new,
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [change(["a"], "changed", 1, 2)]),
        ({"a": 1}, {"a": True}, [change(["a"], "changed", 1, True)]),
        ({}, {"a": {"b": 1}}, [change(["a"], "added", None, {"b": 1})]),
        ({"a": None}, {}, [change(["a"], "removed", None, None)]),
        ({"tags": {"x": "1"}}, {"tags": {"x": "2"}}, [change(["tags", "x"], "changed", "1", "2")]),
        (
            {"nics": [{"mac": "1", "ip": "a"}, {"mac": "2"}]},
            {"nics": [{"mac": "3"}, {"mac": "1", "ip": "b"}]},
            [
                change(["nics", None, "ip"], "changed", "a", "b"),
                change(["nics", None], "removed", {"mac": "2"}, None),
                change(["nics", None], "added", None, {"mac": "3"}),
            ],
        ),
        ({"r": ["a"]}, {"r": ["a", "b"]}, [change(["r", None], "added", None, "b")]),
        ({"r": ["a", "b"]}, {"r": ["b", "a"]}, [change(["r"], "changed", ["a", "b"], ["b", "a"])]),
        ({"r": ["a"]}, {"r": ["a", "a"]}, [change(["r"], "changed", ["a"], ["a", "a"])]),
        ({"a": []}, {"a": {}}, [change(["a"], "changed", [], {})]),
    ],
)
def test_changes(old: Json, new: Json, expected: list[JsonObject]) -> None:
    assert changes(old, new) == expected


@given(VALUES, VALUES)
def test_changes_are_empty_only_for_the_same(old: Json, new: Json) -> None:
    assert changes(old, old) == []
    assert bool(changes(old, new)) == (
        json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)
    )


def test_vm_events() -> None:
    vm: JsonObject = {"uuid": "u", "zonename": "u", "ram": 1}
    assert vm_event(None, None) is None
    assert vm_event(vm, dict(vm)) is None
    kinds = []
    for old, new in [(None, vm), (vm, {**vm, "ram": 2}), (vm, None)]:
        event = vm_event(old, new)
        assert event is not None
        assert event["uuid"] == event["zonename"] == "u"
        assert event["vm"] == (new or vm)
        kinds.append((event["type"], event["changes"]))
    assert kinds == [
        ("create", []),
        ("modify", [change(["ram"], "changed", 1, 2)]),
        ("delete", []),
    ]


def test_ready_serialises_the_vms_twice() -> None:
    event = ready_event([{"uuid": "u"}])
    assert event["type"] == "ready"
    assert json.loads(str(event["vms"])) == [{"uuid": "u"}]
    assert str(event["date"]).endswith("Z")


def test_first_comes_first_and_nothing_is_lost_between() -> None:
    bus = Bus()

    def first() -> JsonObject:
        bus.publish({"n": 1})
        return {"type": "ready"}

    subscription = bus.subscribe(first)
    bus.publish({"n": 2})
    assert subscription.take() == b'{"type": "ready"}\n{"n": 1}\n{"n": 2}\n'
    assert subscription.take() == b""


def test_who_lags_behind_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_WAITING", 100)
    bus = Bus()
    woken: list[int] = []
    slow, quick = bus.subscribe(dict), bus.subscribe(dict)
    slow.on_event(lambda: woken.append(1))
    for _ in range(20):
        bus.publish({"n": "0123456789"})
        assert quick.take()
    assert slow.take() is None
    assert not slow.is_open
    assert woken, "the loser has to be woken, to learn of its loss"


def test_too_many_listeners_are_refused_and_a_failed_one_counts_not() -> None:
    bus = Bus()
    with pytest.raises(ZeroDivisionError):
        bus.subscribe(lambda: {"n": 1 // 0})
    kept = [bus.subscribe(dict) for _ in range(events.MAX_SUBSCRIBERS)]
    with pytest.raises(InUse):
        bus.subscribe(dict)
    kept[0].close()
    bus.subscribe(dict)


def test_all_listeners_see_one_order() -> None:
    bus = Bus()
    listeners = [bus.subscribe(dict) for _ in range(3)]

    def publish(n: int) -> None:
        for m in range(200):
            bus.publish({"n": n, "m": m})

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {listener.take() or b"" for listener in listeners}
    assert [lines.count(b"\n") for lines in seen] == [1 + 4 * 200]


def test_the_announcer_tells_the_difference_since_last_time() -> None:
    vms: dict[str, JsonObject] = {"old": {"uuid": "old", "ram": 0}}
    looks: list[str] = []

    def look(uuid: str) -> JsonObject | None:
        looks.append(uuid)
        return vms.get(uuid)

    announcer = Announcer(look, lambda: list(vms.values()))
    announcer.announce("old")
    assert looks == [], "nobody listens"
    vms["old"] = {"uuid": "old", "ram": 1}
    listener = announcer.subscribe()

    def now(uuid: str, vm: JsonObject | None) -> None:
        if vm is None:
            vms.pop(uuid, None)
        else:
            vms[uuid] = vm
        announcer.announce(uuid)

    now("old", {"uuid": "old", "ram": 1})
    now("old", {"uuid": "old", "ram": 2})
    now("new", {"uuid": "new"})
    now("new", None)
    now("new", None)
    first, *lines = (listener.take() or b"").splitlines()
    assert json.loads(json.loads(first)["vms"]) == [{"uuid": "old", "ram": 1}]
    told = [(event["type"], event["uuid"]) for event in map(json.loads, lines)]
    assert told == [("modify", "old"), ("create", "new"), ("delete", "new")]
    listener.close()
    looks.clear()
    now("old", {"uuid": "old", "ram": 3})
    assert looks == []
