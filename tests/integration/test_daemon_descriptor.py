# SPDX-License-Identifier: MPL-2.0
"""A file descriptor on its way to hulld: taken, closed, missed, and never mixed up with HTTP."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.client import call as client
from hull.daemon.http import Limits
from hull.daemon.route import Request, Route
from hull.errors import HostError, NotFound, Usage
from hull.wire import Json
from tests.integration.daemon_fixtures import ask, connect, ping_route, read_all, serving

UPGRADE = (
    b"POST /read HTTP/1.1\r\nHost: hull\r\nConnection: Upgrade\r\nUpgrade: hull-descriptor\r\n\r\n"
)


def read(request: Request) -> Json:
    request.progress({"fd": True})
    data = b""
    while more := os.read(request.fd, 65536):
        data += more
    return {"read": len(data)}


def write(request: Request) -> Json:
    os.write(request.fd, b"written")
    return {}


def refuse(request: Request) -> Json:
    raise NotFound("nothing here", hint="look elsewhere")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    socket_path = tmp_path / "sock"
    monkeypatch.setattr(client, "socket_path", lambda: str(socket_path))
    routes = [
        Route(method="POST", path=f"/{handler.__name__}", handler=handler, doc="Go.", body={},
              long=True, descriptor=True)
        for handler in (read, write, refuse)
    ]  # fmt: skip
    with serving(socket_path, [ping_route(), *routes], limits=Limits(head_time=0.5)) as served:
        yield served


def mine() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_hulld_reads_what_the_caller_handed_over(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    reports: list[Json] = []
    with (tmp_path / "file").open("rb") as file:
        done = client.call("POST", "/read", {}, progress=reports.append, fd=file.fileno())
    assert done == {"read": 300_000}
    assert reports == [{"fd": True}]


def test_the_end_of_a_stream_comes_before_the_answer(path: Path) -> None:
    """hulld's copy is closed when the caller is told, or a reader would wait for ever."""
    before = mine()
    for _ in range(20):
        reader, writer = os.pipe()
        assert client.call("POST", "/write", {}, fd=writer) == {}
        os.close(writer)
        assert os.read(reader, 100) == b"written"
        assert os.read(reader, 100) == b""
        os.close(reader)
    assert mine() <= before + 2  # the server is in this process


def test_errors_are_as_ever(path: Path) -> None:
    with pytest.raises(NotFound, match="nothing here") as error:
        client.call("POST", "/refuse", {}, fd=0)
    assert error.value.hint == "look elsewhere"
    with pytest.raises(Usage, match="takes a file descriptor"):
        client.call("POST", "/read", {})
    with pytest.raises(NotFound):
        client.call("POST", "/nowhere", {}, fd=0)


def test_who_offers_one_where_none_is_taken_is_answered_plainly(path: Path) -> None:
    assert client.call("GET", "/ping", fd=0) == {"ping": "pong"}


def test_who_sends_none_is_cut_off(path: Path) -> None:
    for bytes_sent in (b"", b"x"):
        with connect(path) as sock:
            sock.sendall(UPGRADE)
            assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
            sock.sendall(bytes_sent)
            assert read_all(sock) == b""
    assert ask(path, "GET", "/ping") == (200, {"ping": "pong"})


def test_who_sends_it_too_early_is_cut_off(path: Path) -> None:
    """With the request it is lost: the kernel closes what recv() does not take."""
    with connect(path) as sock:
        reader, writer = os.pipe()
        socket.send_fds(sock, [UPGRADE], [writer])
        os.close(writer)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert os.read(reader, 1) == b""
        assert read_all(sock) == b""
        os.close(reader)


def test_a_hulld_that_dies_in_the_middle(path: Path, tmp_path: Path) -> None:
    """The client sees a connection that ends without a last line."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dying"))
        listener.listen()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "socket_path", lambda: str(tmp_path / "dying"))

            def die() -> None:
                with listener.accept()[0] as sock:
                    sock.recv(4096)
                    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                    sock.recv(1)
                    sock.sendall(b'{"progress": {}}\n')

            thread = threading.Thread(target=die)
            thread.start()
            with pytest.raises(HostError, match="went away"):
                client.call("POST", "/read", {}, fd=0)
            thread.join()
