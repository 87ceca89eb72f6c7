# SPDX-License-Identifier: MPL-2.0
"""hulld's front door through a real socket: grammar, limits, jobs, streams, who may come in."""

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull import errors
from hull.client import call as client
from hull.daemon import events
from hull.daemon.events import Bus, Subscription
from hull.daemon.http import Limits
from hull.daemon.job import Workers
from hull.daemon.route import Request, Route
from hull.wire import Json
from tests.integration.daemon_fixtures import (
    ask,
    connect,
    exchange,
    ping_route,
    read_all,
    read_until,
    serving,
)

GET_PING = b"GET /ping HTTP/1.1\r\nHost: hull\r\n\r\n"
CLOSING_PING = b"GET /ping HTTP/1.1\r\nHost: hull\r\nConnection: close\r\n\r\n"


class Board:
    """What the handlers of the tests share with them."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.listeners: list[Subscription] = []
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.ended = threading.Event()

    def listen(self, request: Request) -> Subscription:
        del request
        self.listeners.append(self.bus.subscribe(lambda: events.ready_event([])))
        return self.listeners[-1]

    def count(self, request: Request) -> Json:
        for number in range(3):
            request.progress({"n": number})
        return {"counted": 3}

    def wait(self, request: Request) -> Json:
        request.progress({"waiting": True})
        self.begun.set()
        assert self.go_on.wait(10)
        self.ended.set()
        return {"waited": True}

    def chatter(self, request: Request) -> Json:
        """More reports than any socket holds, without waiting for a reader."""
        for number in range(20_000):
            request.progress({"n": number, "text": "x" * 100})
        self.ended.set()
        return {"done": True}

    def fail_late(self, request: Request) -> Json:
        request.progress({"n": 1})
        raise errors.NotFound("gone in the meantime", hint="look again")

    def raise_(self, request: Request) -> Json:
        if request.params["code"] == "bug":
            raise KeyError("a bug")
        if request.params["code"] == "InvalidPayload":
            raise errors.InvalidPayload([errors.Problem("ram", "too small")])
        kind = getattr(errors, request.params["code"])
        raise kind("no", hint="do otherwise")

    def routes(self) -> list[Route]:
        def post(path: str, handler: str) -> Route:
            return Route(
                method="POST",
                path=path,
                handler=getattr(self, handler),
                doc=handler,
                body={},
                long=True,
                mutates=True,
            )

        return [
            ping_route(),
            Route(
                method="POST",
                path="/echo",
                handler=lambda request: {"body": request.body, "id": request.request_id},
                doc="Say it again.",
                body={},
            ),
            post("/count", "count"),
            post("/wait", "wait"),
            post("/chatter", "chatter"),
            post("/fail", "fail_late"),
            Route(method="GET", path="/raise/{code}", handler=self.raise_, doc="Fail."),
            Route(
                method="GET",
                path="/events",
                handler=self.listen,
                doc="Events.",
                stream=True,
            ),
        ]


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board()
    yield board
    board.go_on.set()


@pytest.fixture
def path(board: Board, tmp_path: Path) -> Iterator[Path]:
    with serving(tmp_path / "s", board.routes()) as path:
        yield path


def test_socket_is_for_its_owner_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_keep_alive_pipelining_and_close(path: Path) -> None:
    with connect(path) as sock:
        sock.sendall(GET_PING)
        assert read_until(sock, b"pong").startswith(b"HTTP/1.1 200 OK\r\n")
        sock.sendall(GET_PING + CLOSING_PING)
        assert read_all(sock).count(b'{"ping": "pong"}') == 2


def test_a_request_in_single_bytes(path: Path) -> None:
    with connect(path) as sock:
        for byte in CLOSING_PING:
            sock.sendall(bytes([byte]))
        assert read_all(sock).endswith(b'{"ping": "pong"}')


def test_request_id_is_kept_or_made(path: Path) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Request-Id: "
    assert b"X-Request-Id: mine-1\r\n" in exchange(path, head + b"mine-1\r\n\r\n")[1] + b"\r\n"
    _, answer, _ = exchange(path, head + b'"}{evil\r\n\r\n')
    assert b"evil" not in answer
    assert b"X-Request-Id: " in answer


def test_body_chunked_and_with_expect(path: Path) -> None:
    with connect(path) as sock:
        sock.sendall(
            b"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n')
        assert b'"body": {"a": 1}' in read_all(sock)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"a": NaN}', b"[" * 100_000, b"\xff{}"])
def test_a_bad_body_is_usage(path: Path, body: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    status, _, answer = exchange(path, head % len(body) + body)
    assert status == 400
    assert json.loads(answer)["code"] == "Usage"


def test_too_large_a_body_is_answered_to_a_client_that_sends_it_all(path: Path) -> None:
    size = 8 * 1024 * 1024 + 1
    head = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    status, _, answer = exchange(path, head + bytes(size))
    assert status == 413
    assert b"larger than" in answer


def test_too_large_a_head(path: Path) -> None:
    status, _, _ = exchange(path, b"GET /ping HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 100_000)
    assert status == 431


def test_rubbish_is_answered_and_harms_nobody(path: Path) -> None:
    status, _, _ = exchange(path, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    assert status == 400
    assert ask(path, "GET", "/ping") == (200, {"ping": "pong"})


def test_a_client_that_sends_half_a_request_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(head_time=0.2, idle_time=0.2)
    with serving(tmp_path / "s", [ping_route()], limits=limits) as path:
        status, _, _ = exchange(path, b"GET /ping HT")
        assert status == 408
        with connect(path) as idle:
            assert read_all(idle) == b""


def test_more_clients_than_agreed_wait_for_their_turn(tmp_path: Path) -> None:
    with serving(tmp_path / "s", [ping_route()], limits=Limits(connections=2)) as path:
        first, second, third = connect(path), connect(path), connect(path)
        with first, second, third:
            third.sendall(CLOSING_PING)
            third.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.recv(1)
            first.close()
            third.settimeout(5)
            assert read_all(third).endswith(b'"pong"}')


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InvalidPayload", 400),
        ("Usage", 400),
        ("NotFound", 404),
        ("Exists", 409),
        ("InvalidState", 409),
        ("InUse", 409),
        ("Unsupported", 501),
        ("HostError", 500),
        ("Timeout", 500),
    ],
)
def test_errors_have_status_and_code(path: Path, code: str, status: int) -> None:
    answered, body = ask(path, "GET", f"/raise/{code}")
    assert isinstance(body, dict)
    assert (answered, body["code"]) == (status, code)


def test_a_bug_is_logged_and_named_by_its_request(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = ask(path, "GET", "/raise/bug")
    assert isinstance(body, dict)
    assert (status, body["code"]) == (500, "InternalError")
    assert "a bug" not in str(body)
    assert any(record.exc_info for record in caplog.records)


def test_progress_then_result_as_the_client_expects(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "socket_path", lambda: str(path))
    reports: list[Json] = []
    assert client.call("POST", "/count", {}, reports.append) == {"counted": 3}
    assert reports == [{"n": 0}, {"n": 1}, {"n": 2}]
    with pytest.raises(errors.NotFound, match="gone in the meantime") as caught:
        client.call("POST", "/fail", {})
    assert caught.value.hint == "look again"


def test_http_1_0_gets_its_lines_too(path: Path) -> None:
    status, head, body = exchange(path, b"POST /count HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    assert status == 200
    assert b"chunked" not in head
    assert body.splitlines()[-1] == b'{"result": {"counted": 3}}'


def test_a_job_outlives_its_client(
    path: Path, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hull")
    with connect(path) as sock:
        sock.sendall(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        assert board.begun.wait(5)
    board.go_on.set()
    assert board.ended.wait(5)
    deadline = time.monotonic() + 5
    while not any("POST /wait: ok" in record.getMessage() for record in caplog.records):
        assert time.monotonic() < deadline, "the job's end is not in the log"
        time.sleep(0.01)


def test_a_client_that_does_not_read_holds_no_job_up(board: Board, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "s", board.routes(), limits=Limits(write_time=0.3)) as path,
        connect(path) as sock,
    ):
        sock.sendall(b"POST /chatter HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        assert board.ended.wait(10)


def test_lists_do_not_wait_for_jobs(board: Board, tmp_path: Path) -> None:
    workers = Workers(jobs=1)
    with serving(tmp_path / "s", board.routes(), workers=workers) as path, connect(path) as sock:
        sock.sendall(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        assert board.begun.wait(5)
        sockets = [connect(path) for _ in range(200)]
        for one in sockets:
            one.sendall(CLOSING_PING)
        answers = [read_all(one) for one in sockets]
        for one in sockets:
            one.close()
        assert all(answer.endswith(b'{"ping": "pong"}') for answer in answers)
        assert not board.ended.is_set()
        board.go_on.set()
        assert b'{"result": {"waited": true}}' in read_until(sock, b"result")


def test_too_many_waiting_jobs_are_refused(board: Board, tmp_path: Path) -> None:
    workers = Workers(jobs=1, waiting=1)
    with serving(tmp_path / "s", board.routes(), workers=workers) as path, connect(path) as sock:
        sock.sendall(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        assert board.begun.wait(5)
        assert ask(path, "POST", "/count", {})[0] == 503


def test_events_come_in_order_after_ready(path: Path, board: Board) -> None:
    with connect(path) as sock:
        sock.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        first = read_until(sock, b"}\n").partition(b"\r\n\r\n")[2]
        assert json.loads(first)["type"] == "ready"
        for number in range(100):
            board.bus.publish({"type": "modify", "n": number})
        data = b""
        while data.count(b"\n") < 100:
            data += sock.recv(65536)
    assert [json.loads(line)["n"] for line in data.splitlines()] == list(range(100))


def test_a_listener_that_left_is_forgotten(path: Path, board: Board) -> None:
    with connect(path) as sock:
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        read_until(sock, b"ready")
    deadline = time.monotonic() + 5
    while board.listeners[0].is_open:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_listener_that_does_not_read_is_dropped(board: Board, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "s", board.routes(), limits=Limits(write_time=0.3)) as path,
        connect(path) as sock,
    ):
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        read_until(sock, b"ready")
        for _ in range(40):
            board.bus.publish({"type": "modify", "text": "x" * 100_000})
        deadline = time.monotonic() + 5
        while board.listeners[0].is_open:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_stop_waits_for_the_running_job(board: Board, tmp_path: Path) -> None:
    with connect_later() as holder:
        with serving(tmp_path / "s", board.routes()) as path:
            holder.connect(str(path))
            holder.sendall(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
            assert board.begun.wait(5)
            threading.Timer(0.2, board.go_on.set).start()
        assert read_all(holder).endswith(b'{"result": {"waited": true}}\n\r\n0\r\n\r\n')
        assert not (tmp_path / "s").exists()


def connect_later() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    return sock


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with serving(tmp_path / "s", [ping_route()]) as path:
        assert ask(path, "GET", "/ping")[0] == 200
        with pytest.raises(errors.InUse), serving(path, [ping_route()]):
            pass
        assert ask(path, "GET", "/ping")[0] == 200


def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100) / "s"
    with serving(long, [ping_route()]):
        directory = os.open(long.parent, os.O_PATH)
        try:
            assert ask(Path(f"/proc/self/fd/{directory}/s"), "GET", "/ping")[0] == 200
        finally:
            os.close(directory)


NOBODY = """
import os, socket, sys
os.setuid(65534)
sock = socket.socket(fileno=0)
sock.connect(sys.argv[1])
sock.sendall(b"GET /ping HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
data = b""
while more := sock.recv(65536):
    data += more
sys.stdout.buffer.write(data)
"""


@pytest.mark.needs_root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_user_is_refused_even_if_the_file_lets_him(path: Path) -> None:
    path.chmod(0o666)
    for parent in path.parents[:3]:
        parent.chmod(0o711)
    unconnected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with unconnected:
        done = subprocess.run(
            [sys.executable, "-c", NOBODY, str(path)],
            stdin=unconnected.fileno(),
            capture_output=True,
            check=True,
        )
    assert done.stdout.startswith(b"HTTP/1.1 403 ")
    assert b"pong" not in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(path: Path) -> None:
    curl = ["curl", "-sS", "--unix-socket", str(path)]
    done = subprocess.run([*curl, "http://hull/ping"], capture_output=True, check=True)
    assert done.stdout == b'{"ping": "pong"}'
    done = subprocess.run(
        [*curl, "-d", '{"a": 1}', "http://hull/count"], capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1] == b'{"result": {"counted": 3}}'
