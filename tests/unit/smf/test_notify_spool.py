# SPDX-License-Identifier: MPL-2.0
"""The spool: a batch is there whole, with what it is about, or not at all."""

from pathlib import Path

import pytest

from smf import notify_spool
from smf.notify_message import Message, Transition
from smf.notify_spool import Seen, Spool

SEEN: Seen = {"svc:/a:b": ("online", "1.0")}
LATER: Seen = {"svc:/a:b": ("offline", "2.0")}


def message(url: str = "http://h/") -> Message:
    return Message("webhook", {"url": (url,)}, Transition("svc:/a:b", "x", "y", "none", "1.0"))


class Place:
    """Where a spool is, opened as often as one likes."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.lines: list[str] = []

    def open(self, most: int = 10) -> Spool:
        return Spool(str(self.top / "spool"), str(self.top / "states"), most, self.lines.append)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_new_one_has_seen_nothing(place: Place) -> None:
    spool = place.open()
    assert (spool.seen, spool.names()) == (None, [])


def test_what_was_added_is_there_for_the_next_one(place: Place) -> None:
    place.open().add([message("http://h/1"), message("http://h/2")], SEEN)
    spool = place.open()
    assert spool.seen == SEEN
    found = [spool.read(name) for name in spool.names()]
    assert [each.value("url") for each in found if each] == ["http://h/1", "http://h/2"]
    assert len({each.id for each in found if each}) == 2


@pytest.mark.parametrize("step", range(3))
def test_a_batch_that_was_not_finished_is_forgotten(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Dying before each of its writes: two messages, then what was seen."""
    spool = place.open()
    spool.add([message()], SEEN)
    real, done = notify_spool._write, iter(range(9))

    def write(path: str, data: bytes, *, lasting: bool) -> None:
        if next(done) == step:
            raise KeyboardInterrupt
        real(path, data, lasting=lasting)

    monkeypatch.setattr(notify_spool, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        spool.add([message(), message()], LATER)
    again = place.open()
    assert again.seen == SEEN
    assert len(again.names()) == 1


def test_a_batch_that_cannot_be_written_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = place.open()
    spool.add([], SEEN)
    real, done = notify_spool._write, iter(range(9))

    def write(path: str, data: bytes, *, lasting: bool) -> None:
        if next(done) == 1:
            raise OSError(28, "No space left on device")
        real(path, data, lasting=lasting)

    monkeypatch.setattr(notify_spool, "_write", write)
    with pytest.raises(OSError, match="space"):
        spool.add([message(), message()], LATER)
    assert (spool.names(), spool.seen) == ([], SEEN)


def test_after_the_machines_end_messages_are_there_and_states_are_not(place: Place) -> None:
    place.open().add([message()], SEEN)
    (place.top / "states").unlink()
    spool = place.open()
    assert spool.seen is None
    assert len(spool.names()) == 1
    spool.add([message()], LATER)
    assert len(set(spool.names())) == 2


def test_when_it_is_full_the_oldest_goes(place: Place) -> None:
    spool = place.open(most=2)
    spool.add([message(f"http://h{number}/") for number in range(4)], SEEN)
    found = [spool.read(name) for name in spool.names()]
    assert [each.server() for each in found if each] == ["http://h2", "http://h3"]
    assert len(place.lines) == 2
    assert "http://h0" in place.lines[0]


def test_what_cannot_be_read_goes_with_a_word(place: Place) -> None:
    spool = place.open()
    (place.top / "spool/000000000001-0000").write_bytes(b"[")
    assert spool.read("000000000001-0000") is None
    assert spool.names() == []
    assert "dropped" in place.lines[0]
    assert spool.read("gone") is None
    spool.remove("gone")
