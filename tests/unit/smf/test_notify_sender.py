# SPDX-License-Identifier: MPL-2.0
"""When the daemon tries which server: a pause that grows, and an end to it."""

import os
import select
import time
from pathlib import Path

import pytest

from smf import notify
from smf.notify import Sender
from smf.notify_message import Message, Transition
from smf.notify_spool import Spool
from tests.unit.smf.local import Local

NOW = str(int(time.time()))


class Stage:
    """A sender whose children end at once, with the status that is wanted for their server."""

    def __init__(self, spool: Spool, local: Local) -> None:
        self.sender = Sender(spool)
        self.local = local
        self.statuses: dict[str, int] = {}
        self.started: list[tuple[str, int]] = []  # (server, how many messages)

    def deliver(self, server: str, names: list[str], settings: dict[str, str]) -> None:
        os._exit(self.statuses.get(server, 0))

    def turn(self) -> list[str]:
        """Start what is due, and wait for its end; the servers that were tried."""
        self.sender.start(self.local, notify.ME)
        tried = sorted(server for _, server in self.sender.children.values())
        while self.sender.children:
            for pidfd in select.select([*self.sender.children], [], [])[0]:
                self.sender.ended(pidfd)
        return tried


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path / "spool"), str(tmp_path / "states"), 100, pytest.fail)


@pytest.fixture
def stage(spool: Spool, local: Local, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(spool, local)
    monkeypatch.setattr(made.sender, "_deliver", made.deliver)
    monkeypatch.setattr(notify, "report", lines.append)
    return made


def message(host: str, when: str = NOW) -> Message:
    told = Transition("svc:/a:b", "online", "offline", "none", when)
    return Message("webhook", {"url": (f"http://{host}/x",)}, told)


def test_nothing_waits_for_nothing(stage: Stage) -> None:
    assert stage.turn() == []
    assert stage.sender.wait() is None


def test_each_server_has_a_child_of_its_own(stage: Stage, spool: Spool) -> None:
    spool.add([message("a"), message("b"), message("a")], {})
    assert stage.turn() == ["http://a", "http://b"]


def test_a_server_that_is_down_has_a_pause_that_grows(
    stage: Stage, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("smf.notify.time.monotonic", lambda: clock[0])
    spool.add([message("a"), message("b")], {})
    stage.statuses["http://a"] = 1
    pauses = []
    for _ in range(12):
        stage.turn()
        pause = stage.sender.wait()
        assert pause is not None
        pauses.append(pause)
        clock[0] += pause
    assert pauses[:3] == [5.0, 10.0, 20.0]
    assert pauses[-1] == notify.LONGEST_PAUSE


def test_it_is_left_alone_meanwhile_and_others_are_not(stage: Stage, spool: Spool) -> None:
    spool.add([message("a")], {})
    stage.statuses["http://a"] = 1
    assert stage.turn() == ["http://a"]
    spool.add([message("a"), message("b")], {})
    assert stage.turn() == ["http://b"]


def test_a_server_that_is_back_is_forgotten(stage: Stage, spool: Spool) -> None:
    spool.add([message("a")], {})
    stage.statuses["http://a"] = 1
    stage.turn()
    for name in spool.names():
        spool.remove(name)
    assert stage.turn() == []
    assert stage.sender.wait() is None


def test_what_nobody_has_taken_for_days_goes_with_a_word(
    stage: Stage, spool: Spool, lines: list[str]
) -> None:
    old = str(int(time.time()) - notify.GIVE_UP - 10)
    spool.add([message("a", old), message("b")], {})
    assert stage.turn() == ["http://b"]
    assert len(spool.names()) == 1
    assert "for days" in lines[0]


def test_only_so_many_servers_at_a_time(stage: Stage, spool: Spool) -> None:
    spool.add([message(f"h{number}") for number in range(notify.MOST_CHILDREN + 3)], {})
    assert len(stage.turn()) == notify.MOST_CHILDREN
