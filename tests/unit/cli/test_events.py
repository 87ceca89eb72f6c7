# SPDX-License-Identifier: MPL-2.0
"""vmadm events, line by line as SmartOS prints it."""

import json
from collections.abc import Iterator

import pytest

from hull.cli import events
from hull.wire import JsonObject

UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
OTHER = "7f1e0c8a-1111-4222-8333-444444444444"
DATE = "2026-11-21T12:00:00.000Z"
READY: JsonObject = {"type": "ready", "date": DATE, "uuid": "stream-1", "vms": "[]"}


def event(kind: str, uuid: str = UUID, alias: str | None = "web0") -> JsonObject:
    vm: JsonObject = {"uuid": uuid}
    if alias:
        vm["alias"] = alias
    return {"type": kind, "date": DATE, "zonename": uuid, "uuid": uuid, "vm": vm, "changes": []}


CHANGED = event("modify") | {
    "changes": [
        {"prettyPath": "quota", "action": "changed", "oldValue": 10, "newValue": 20},
        {"prettyPath": "nics.*.ip", "action": "added", "oldValue": None, "newValue": "dhcp"},
        {"prettyPath": "tags", "action": "changed", "oldValue": {}, "newValue": {"ä": [1, 2]}},
    ]
}


def test_a_change_is_a_line() -> None:
    assert events.lines(CHANGED, full=False) == [
        "[12:00:00.000Z] 59aaecb6 web0 modify: quota changed :: 10 -> 20",
        '[12:00:00.000Z] 59aaecb6 web0 modify: nics.*.ip added :: null -> "dhcp"',
        '[12:00:00.000Z] 59aaecb6 web0 modify: tags changed :: {} -> {"ä":[1,2]}',
    ]


def test_create_and_delete_are_one_line() -> None:
    assert events.lines(event("create"), full=False) == ["[12:00:00.000Z] 59aaecb6 web0 create"]
    assert events.lines(event("delete"), full=True) == [f"[{DATE}] {UUID} web0 delete"]


@pytest.mark.parametrize(
    ("alias", "shown"), [(None, "-"), ("a" * 30, "a" * 30), ("a" * 31, "a" * 27 + "...")]
)
def test_long_aliases_are_cut(alias: str | None, shown: str) -> None:
    (line,) = events.lines(event("create", alias=alias), full=False)
    assert line.split()[2] == shown


def follow(
    uuid: str, *options: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    def stream(target: str) -> Iterator[JsonObject]:
        assert target == "/events"
        yield from (READY, event("create"), event("create", OTHER), CHANGED)

    monkeypatch.setattr(events, "stream", stream)
    events.follow(uuid, dict.fromkeys(options, "yes"))
    return capsys.readouterr().out.splitlines()


def test_follow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = follow("", monkeypatch=monkeypatch, capsys=capsys)
    assert [line.split()[1][0] for line in found] == ["5", "7", "5", "5", "5"]


def test_follow_one_vm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = follow(OTHER, monkeypatch=monkeypatch, capsys=capsys)
    assert found == ["[12:00:00.000Z] 7f1e0c8a web0 create"]


def test_the_ready_event(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = follow(OTHER, "-r", monkeypatch=monkeypatch, capsys=capsys)
    assert short[0] == "[12:00:00.000Z] ready"
    long = follow(OTHER, "-r", "-f", monkeypatch=monkeypatch, capsys=capsys)
    assert long[0] == f"[{DATE}] ready (uuid stream-1)"


def test_raw_events(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = follow(UUID, "-j", "-r", monkeypatch=monkeypatch, capsys=capsys)
    assert [json.loads(line) for line in found] == [READY, event("create"), CHANGED]
    assert found[0].startswith('{"type":"ready","date":')
