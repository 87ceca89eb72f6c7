# SPDX-License-Identifier: MPL-2.0
"""imgapid over real sockets: IMGAPI's answers, ranges, and clients who waste its time."""

import base64
import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hull.image import server as module
from hull.image.catalog import Catalog
from hull.image.server import Handler, Server
from tests.integration.image_fixtures import imgapid, put_image

DATA = bytes(range(256)) * 1000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def port(directory: Path) -> Iterator[int]:
    with imgapid(directory) as url:
        yield int(url.rpartition(":")[2])


def ask(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        method, path, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_ping_and_manifests(directory: Path, port: int) -> None:
    answer, body = ask(port, "/ping")
    assert json.loads(body)["imgapi"] is True
    assert json.loads(ask(port, "/images")[1]) == []
    uuid = put_image(directory, DATA)
    (listed,) = json.loads(ask(port, "/images?name=test&limit=10")[1])
    answer, body = ask(port, f"/images/{uuid}")
    assert (answer.status, json.loads(body)) == (200, listed)
    assert listed["uuid"] == uuid


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nope", 404, "ResourceNotFound"),
        ("/images/01b2c898-945f-11e1-a523-af1afbe22822", 404, "ResourceNotFound"),
        ("/images/01b2c898-945f-11e1-a523-af1afbe22822/file", 404, "ResourceNotFound"),
        ("/images/../../etc/passwd", 404, "ResourceNotFound"),
        ("/images?limit=0", 422, "InvalidParameter"),
    ],
)
def test_errors_are_json(port: int, path: str, status: int, code: str) -> None:
    answer, body = ask(port, path)
    assert (answer.status, json.loads(body)["code"]) == (status, code)
    assert json.loads(body)["message"]


def test_it_only_reads(port: int) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer, body = ask(port, "/images", method)
        assert answer.status == 501
        assert json.loads(body)["code"] == "BadRequest"


def test_files_and_ranges(directory: Path, port: int) -> None:
    path = f"/images/{put_image(directory, DATA)}/file"
    answer, body = ask(port, path)
    assert body == DATA
    etag = answer.headers["ETag"]
    digest = hashlib.md5(DATA, usedforsecurity=False).digest()
    assert answer.headers["Content-MD5"] == base64.b64encode(digest).decode()
    answer, body = ask(port, path, "HEAD")
    assert (answer.headers["Content-Length"], body) == (str(len(DATA)), b"")
    answer, body = ask(port, path, Range="bytes=1000-1009", If_Match=etag)
    assert (answer.status, body) == (206, DATA[1000:1010])
    assert answer.headers["Content-Range"] == f"bytes 1000-1009/{len(DATA)}"
    assert ask(port, path, Range="bytes=-5")[1] == DATA[-5:]
    answer, _ = ask(port, path, Range=f"bytes={len(DATA)}-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")
    assert ask(port, path, Range="bytes=5-", If_Match='"other"')[0].status == 412


def test_an_empty_file(directory: Path, port: int) -> None:
    answer, body = ask(port, f"/images/{put_image(directory, b'')}/file")
    assert (answer.status, body) == (200, b"")


def test_one_connection_many_requests(directory: Path, port: int) -> None:
    uuid = put_image(directory, DATA)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for path in ("/ping", f"/images/{uuid}/file", "/nope", f"/images/{uuid}"):
        connection.request("GET", path)
        assert connection.getresponse().read()
    connection.close()


@pytest.fixture
def hasty(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server in this process whose patience is short."""
    monkeypatch.setattr(module, "SILENCE", 0.4)
    monkeypatch.setattr(module, "SLOWEST", 1 << 40)
    monkeypatch.setattr(Handler, "timeout", 0.4)
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 4)
    with Server(("127.0.0.1", 0), Catalog(directory)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def seconds_until_cut(peer: socket.socket, dribble: bytes = b"") -> float:
    """How long a connection lives whose client sends `dribble` a byte at a time."""
    started = time.monotonic()
    peer.settimeout(0.1)
    while time.monotonic() - started < 8:
        try:
            if dribble:
                peer.send(dribble[:1])
                dribble = dribble[1:]
            if not peer.recv(1 << 16):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started


@pytest.mark.parametrize(
    "dribble", [b"", b"GET /" + b"a" * 500, b"GET /ping HTTP/1.1\r\nA: bbbbbbb"]
)
def test_who_never_asks_is_cut_off(hasty: int, dribble: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty)) as peer:
        assert seconds_until_cut(peer, dribble) < 3


def test_who_takes_a_file_too_slowly_is_cut_off(directory: Path, hasty: int) -> None:
    uuid = put_image(directory, bytes(32 << 20))
    with socket.create_connection(("127.0.0.1", hasty)) as peer:
        peer.sendall(f"GET /images/{uuid}/file HTTP/1.1\r\n\r\n".encode())
        taken = 0
        started = time.monotonic()
        while (chunk := peer.recv(1 << 16)) and time.monotonic() - started < 8:
            taken += len(chunk)
            time.sleep(0.02)
    assert 0 < taken < 32 << 20
    assert time.monotonic() - started < 8


def test_others_are_served_when_idlers_are_gone(hasty: int) -> None:
    idlers: list[Any] = [socket.create_connection(("127.0.0.1", hasty)) for _ in range(8)]
    try:
        time.sleep(1.2)
        assert ask(hasty, "/ping")[0].status == 200
    finally:
        for idler in idlers:
            idler.close()


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000 + b"\r\n"]
)
def test_garbage_is_answered(port: int, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(request_)
        answer = b""
        while chunk := peer.recv(4096):
            answer += chunk
    assert answer.split(b" ")[1][:1] in (b"4", b"5")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "BadRequest"
    assert ask(port, "/ping")[0].status == 200
