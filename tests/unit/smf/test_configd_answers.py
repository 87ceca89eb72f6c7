# SPDX-License-Identifier: MPL-2.0
"""configd's answers: to good requests, to bad ones, to strangers, and to those who do not read."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from smf import configd
from smf.configd import Configd, Connection
from smf.errors import Denied, SmfError
from tests.unit.smf.local import Local

FMRI = "svc:/site/a:default"
MADE: list[list[object]] = [
    ["add", FMRI],
    ["group", FMRI, "general", "framework", ""],
    ["set", FMRI, "general", "enabled", "boolean", ["true"]],
    ["group", "svc:/site/a", "secret", "application", ""],
    ["set", "svc:/site/a", "secret", "password", "astring", ["x"]],
    ["set", "svc:/site/a", "secret", "read_authorization", "astring", ["y"]],
]


@pytest.fixture
def made(local: Local) -> Local:
    local.commit(MADE)
    return local


def say(local: Local, line: bytes) -> dict[str, object]:
    answer: dict[str, object] = json.loads(local.configd.answer(local.connection, line))
    return answer


@pytest.mark.parametrize("line", [
    b"", b"{", b"[]", b"5", b"null", b"{}", b'{"op":"dance"}', b'{"op":5}', b'{"op":["list"]}',
    b'{"op":"list","fmri":"x"}', b'{"op":"list","self":1}', b'{"op":"list","connection":1}',
    b'{"op":"read"}', b'{"op":"read","fmri":5}', b'{"op":"read","fmri":[]}',
    b'{"op":"read","fmri":"svc:/site/a:default","snapshot":[1]}',
    b'{"op":"dump","groups":5}', b'{"op":"dump","groups":[[]]}',
    b'{"op":"dump","snapshot":"x","of":5}', b'{"op":"dump","snapshot":"x","of":[[]]}',
    b'{"op":"snapshots","fmri":{}}',
    b'{"op":"commit"}', b'{"op":"commit","do":5}', b'{"op":"commit","do":[[]]}',
    b'{"op":"commit","do":[5]}', b'{"op":"commit","do":[["add"]]}',
    b'{"op":"commit","do":[["add",5]]}', b'{"op":"commit","do":[["add",{}]]}',
    b'{"op":"commit","do":[["group","svc:/site/a:default",5,5,5]]}',
    b'{"op":"commit","do":[["set","svc:/site/a:default","general","x","astring",[5]]]}',
    b'{"op":"commit","do":[["set","svc:/site/a:default","general","x","astring",5]]}',
    b'{"op":"commit","do":[["set","svc:/site/a:default","general","x",[],["5"]]]}',
    b'{"op":"commit","do":[["put","svc:/site/a:default","g",{}]]}',
    b'{"op":"commit","do":[["put","svc:/site/a:default","g",5]]}',
    b'{"op":"commit","do":[["put","svc:/site/a:default","g",{"props":{"a":[]},"gen":0,"type":"t"}]]}',
    b'{"op":"commit","do":[["put","svc:/site/a:default","g",{"props":[],"gen":"0","type":"t"}]]}',
    b'{"op":"commit","do":[],"expect":[5]}', b'{"op":"commit","do":[],"expect":[[1]]}',
    b'{"op":"commit","do":[["__init__","x"]]}', b'{"op":"commit","do":[["take_effect"]]}',
    b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b"1" * 9999,
])  # fmt: skip
def test_a_malformed_request_is_answered_and_changes_nothing(made: Local, line: bytes) -> None:
    before = made.call("dump")
    answer = say(made, line)
    assert set(answer) == {"error"}, answer
    json.dumps(answer)
    assert made.call("dump") == before


def test_a_dump_of_some_groups(made: Local) -> None:
    found = made.dump(["general"])
    assert {fmri: list(groups) for fmri, groups in found.items()} == {
        "svc:/site/a": [], FMRI: ["general"],
    }  # fmt: skip


def test_a_stranger_reads_but_neither_writes_nor_sees_secrets(made: Local) -> None:
    made.connection.uid = 4242
    assert list(made.composed(FMRI)["secret"].properties) == []
    assert list(made.dump()["svc:/site/a"]["secret"].properties) == []
    assert made.composed(FMRI)["general"].value("enabled") == "true"
    with pytest.raises(Denied):
        made.commit([["delete", FMRI]])
    made.connection.uid = 0
    assert made.composed(FMRI)["secret"].value("password") == "x"


def test_a_watcher_who_hangs_up_is_forgotten(made: Local) -> None:
    watching = made.watch()
    watching.close()
    made.commit([["delete", FMRI]])
    assert not made.configd.connections


# -- with sockets, but no process ------------------------------------------------------------------
class Peer:
    """A client's end, and configd's own; `turn` is one round of configd's loop."""

    def __init__(self, server: Configd, uid: int = 0) -> None:
        self.server = server
        self.mine, theirs = socket.socketpair()
        theirs.settimeout(0)
        self.mine.settimeout(0)
        self.connection = Connection(theirs)
        self.connection.uid = uid
        server.connections[theirs.fileno()] = self.connection
        server.epoll.register(theirs.fileno(), select.EPOLLIN)

    def turn(self) -> None:
        for descriptor, events in self.server.epoll.poll(0):
            if descriptor == self.connection.socket.fileno():
                self.server._serve_one(self.connection, events)

    def read(self) -> bytes:
        parts = []
        for _ in range(10_000):
            self.turn()
            try:
                parts.append(self.mine.recv(1 << 20))
            except BlockingIOError:
                break
        return b"".join(parts)


@pytest.fixture
def peer(made: Local) -> Iterator[Peer]:
    found = Peer(made.configd)
    yield found
    found.mine.close()
    made.configd._drop(found.connection)


def test_requests_in_pieces_and_many_at_once(peer: Peer) -> None:
    for piece in (b'{"op":', b'"list"}', b'\n{"op":"list"}\n{"op":"li'):
        peer.mine.send(piece)
        peer.turn()
    assert peer.read().count(b'{"ok":') == 2
    peer.mine.send(b'st"}\n')
    assert peer.read().count(b'{"ok":') == 1


def test_who_asks_and_does_not_read_waits(made: Local, peer: Peer) -> None:
    """What he has asked for is not made up for him until he has taken what he has."""
    big = ["x" * 4000] * 5
    made.commit([["set", "svc:/site/a", "secret", "big", "astring", big]])
    for _ in range(20):
        peer.mine.send(b'{"op":"dump"}\n' * 50)
        peer.turn()
    assert len(peer.connection.unsent) < configd.CHUNK + 2 * len(json.dumps(made.call("dump")))
    assert peer.read().count(b"\n") == 1000


@pytest.mark.parametrize(("uid", "survives"), [(0, True), (4242, False)])
def test_a_stranger_may_not_fill_the_memory_by_one_long_line(
    made: Local, uid: int, survives: bool
) -> None:
    found = Peer(made.configd, uid)
    for _ in range(8):
        with suppress(BlockingIOError, BrokenPipeError):
            found.mine.send(b" " * configd.CHUNK)
        found.turn()
    assert (found.connection in made.configd.connections.values()) is survives
    found.mine.close()
    made.configd._drop(found.connection)


def test_a_watcher_who_never_reads_is_dropped_and_nobody_else_is(
    made: Local, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configd, "MOST_UNREAD", 1 << 12)
    peer.connection.watches = True
    other = made.watch()
    for turn in range(8000):
        made.commit([["set", FMRI, "general", "comment", "astring", [str(turn)]]])
        other.recv(1 << 16)
        if peer.connection not in made.configd.connections.values():
            break
    assert len(made.configd.connections) == 1


def test_errors_of_configd_have_their_class(made: Local) -> None:
    with pytest.raises(SmfError, match="no such request"):
        made.call("dance")
