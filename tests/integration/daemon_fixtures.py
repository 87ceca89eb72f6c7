# SPDX-License-Identifier: MPL-2.0
"""A real server on a real socket for the tests of hulld's transport, in a thread of its own."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hull.daemon.http import Limits
from hull.daemon.job import Workers
from hull.daemon.route import Route
from hull.daemon.serve import Server
from hull.wire import Json


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in another thread while the test is at work."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-loop")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def serving(
    path: Path,
    routes: Sequence[Route],
    *,
    limits: Limits | None = None,
    workers: Workers | None = None,
    allowed_uids: frozenset[int] | None = None,
) -> Iterator[Path]:
    """A server on `path` for the length of a test."""
    with event_loop() as loop:
        uids = frozenset({os.getuid()}) if allowed_uids is None else allowed_uids
        server = Server(routes, allowed_uids=uids, limits=limits, workers=workers)
        asyncio.run_coroutine_threadsafe(server.start(path), loop).result(5)
        try:
            yield path
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(grace=5), loop).result(15)


def connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(str(path))
    return sock


def read_all(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    return data


def exchange(path: Path, data: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes, read to the end; status, head and body (as sent, chunks and all)."""
    with connect(path) as sock:
        sock.sendall(data)
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


def ask(path: Path, method: str, target: str, body: Json = None) -> tuple[int, Json]:
    """One request with a one-piece answer; status and JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: hull\r\nConnection: close\r\n"
    head += f"Content-Length: {len(data)}\r\n\r\n"
    status, _, answer = exchange(path, head.encode() + data)
    return status, json.loads(answer)


def ping_route(handler: Callable[[], Json] = lambda: {"ping": "pong"}) -> Route:
    return Route(method="GET", path="/ping", handler=lambda _: handler(), doc="Is it there?")
