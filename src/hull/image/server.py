# SPDX-License-Identifier: MPL-2.0
"""imgapid's HTTP: IMGAPI over a Catalog; dsapi, too, for reading.

One thread a connection, at most MAX_CONNECTIONS; who is silent or too slow is cut off. Only a
Repository can be written to, by who shows the token, or, without one, by this machine's own users.
"""

import hmac
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from hull.image.catalog import ApiError, Catalog, Entry
from hull.image.dsapi import dataset
from hull.image.manifest import UUID
from hull.image.repository import Repository, parse_body
from hull.wire import Json

log = logging.getLogger("hull.imgapid")

SILENCE = 30.0  # seconds: a client that neither sends nor takes anything for so long is gone
MAX_CONNECTIONS = 128
SLOWEST = 16 << 10  # bytes a second
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
IMAGE = re.compile(rf"/images/(?P<uuid>{UUID.pattern})(?P<file>/file)?")
DATASET = re.compile(rf"/datasets/(?P<uuid>{UUID.pattern})(/(?P<file>[^/]+))?")
MAX_BODY = 1 << 20
LOOPBACK = ("127.", "::1", "::ffff:127.")


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None for all of it (a list of ranges counts as none).

    Raises ValueError for a range that is not in the file.
    """
    found = RANGE.fullmatch(header.strip())
    if not found or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        if int(last) == 0:
            raise ValueError("no bytes at all")
        return max(size - int(last), 0), size
    start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        raise ValueError("beyond the end of the file")
    return start, end


class Server(ThreadingHTTPServer):
    """Serves a catalog until `shutdown`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], catalog: Catalog, token: str = "") -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.catalog = catalog
        self.token = token
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Handler)

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # as given
        finally:
            self._places.release()

    def verify_request(self, request: object, client_address: object) -> bool:
        """False closes the connection at once: better than an endless queue of threads."""
        del request, client_address
        return self._places.acquire(blocking=False)

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("connection of %s broke off", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "imgapid"
    sys_version = ""
    timeout = SILENCE  # type: ignore[mutable-override]  # http.server's way to set it

    @property
    def served(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    @property
    def catalog(self) -> Catalog:
        return self.served.catalog

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection if this takes longer: `timeout` is content with a byte a time."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(OSError):  # it is closed already
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle_one_request(self) -> None:
        """From here to `_answer` the client has SILENCE seconds, for all of its request's head."""
        with ExitStack() as self._waiting:
            self._waiting.enter_context(self._deadline(SILENCE))
            super().handle_one_request()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self._waiting.close()
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        path = parts.path.rstrip("/") or "/"
        try:
            if self.command in ("GET", "HEAD"):
                self._read(path, query)
            else:
                self.close_connection = True  # whatever of the body has not been read by then
                self._write(path, query)
        except ApiError as exc:
            self._error(HTTPStatus(exc.status), exc.code, str(exc))
        except ValueError as exc:
            self._error(HTTPStatus.UNPROCESSABLE_ENTITY, "InvalidParameter", str(exc))
        except TimeoutError:
            self.close_connection = True

    # -- reading ----------------------------------------------------------------------------------
    def _read(self, path: str, query: dict[str, str]) -> None:
        channel = query.get("channel", "")
        if path == "/ping":
            self._json({"ping": "pong", "version": "2.0.0", "imgapi": True, "pid": os.getpid()})
        elif path == "/images":
            self._json([entry.manifest.data for entry in self.catalog.select(query)])
        elif path == "/channels" and self.catalog.channels():
            self._json([*self.catalog.channels()])
        elif found := IMAGE.fullmatch(path):
            entry = self.catalog.entry(found["uuid"], channel)
            if found["file"]:
                self._file(entry)
            else:
                self._json(entry.manifest.data)
        elif path == "/datasets":
            self._json([dataset(entry) for entry in self.catalog.select({})])
        elif found := DATASET.fullmatch(path):
            self._dataset(self.catalog.entry(found["uuid"], channel), found["file"])
        else:
            raise ApiError(404, "ResourceNotFound", f"{path} does not exist")

    def _dataset(self, entry: Entry, name: str | None) -> None:
        """dsapi: a manifest, or the file by its name."""
        if name is None:
            self._json(dataset(entry))
        elif entry.file and name == entry.file.name:
            self._file(entry)
        else:
            raise ApiError(404, "ResourceNotFound", f"{name} does not exist")

    # -- writing ----------------------------------------------------------------------------------
    def _write(self, path: str, query: dict[str, str]) -> None:
        repository = self.catalog
        if not isinstance(repository, Repository):
            raise ApiError(501, "BadRequest", "this server only reads")
        self._check_allowed()
        found = IMAGE.fullmatch(path)
        channel = query.get("channel", "")
        action = query.get("action", "")
        if self.command == "POST" and path == "/images":
            if action != "import":
                raise ApiError(422, "InvalidParameter", "action must be import")
            self._json(repository.add(parse_body(self._body()), channel))
        elif self.command == "POST" and found and not found["file"]:
            body = parse_body(self._body())
            self._json(repository.post(action, found["uuid"], body, channel or "*"))
        elif self.command == "PUT" and found and found["file"]:
            self._put_file(repository, found["uuid"], query)
        elif self.command == "DELETE" and found and not found["file"]:
            repository.delete(found["uuid"], channel)
            self.send_response(HTTPStatus.NO_CONTENT)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            raise ApiError(405, "BadMethod", f"{self.command} {path} is not supported")

    def _check_allowed(self) -> None:
        """A web page that this machine's user looks at is not this machine's user."""
        token = self.served.token
        shown = self.headers.get("Authorization", "").encode()
        if token:
            if not hmac.compare_digest(shown, f"Bearer {token}".encode()):
                raise ApiError(401, "InvalidCredentials", "the token is missing or wrong")
        elif self.headers.get("Origin") or not self.client_address[0].startswith(LOOPBACK):
            raise ApiError(403, "NotAuthorized", "only this machine may write here")

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            raise ApiError(411, "BadRequest", "Content-Length is missing")
        return int(text)

    def _body(self) -> bytes:
        length = self._length()
        if length > MAX_BODY:
            raise ApiError(413, "RequestEntityTooLarge", f"a body has at most {MAX_BODY} bytes")
        with self._deadline(SILENCE):
            return self.rfile.read(length)

    def _put_file(self, repository: Repository, uuid: str, query: dict[str, str]) -> None:
        size = self._length()
        with self._deadline(SILENCE + size / SLOWEST):
            made = repository.add_file(uuid, self.rfile.read, size, query)
        self._json(made)

    # -- files ------------------------------------------------------------------------------------
    def _file(self, entry: Entry) -> None:
        if entry.file is None:
            message = f"image {entry.manifest.uuid} has no file"
            raise ApiError(404, "ResourceNotFound", message)
        with entry.file.open("rb") as file:
            status = os.fstat(file.fileno())
            etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
            if self._is_stale(etag):
                self._error(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", "it has changed")
                return
            try:
                part = parse_range(self.headers.get("Range", ""), status.st_size)
            except ValueError:
                self._unsatisfiable(status.st_size)
                return
            start, end = part or (0, status.st_size)
            self._file_head(entry.file, etag, start, end, status.st_size, partial=part is not None)
            if self.command == "GET":
                self._send(file.fileno(), start, end)

    def _is_stale(self, etag: str) -> bool:
        wanted = self.headers.get("If-Match")
        return wanted is not None and wanted.strip() not in ("*", etag)

    def _unsatisfiable(self, size: int) -> None:
        self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.send_header("Content-Range", f"bytes */{size}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file_head(
        self, path: Path, etag: str, start: int, end: int, size: int, *, partial: bool
    ) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", etag)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_header("Content-MD5", self.catalog.content_md5(path))
        self.end_headers()

    def _send(self, file: int, start: int, end: int) -> None:
        """The kernel copies; a client that takes nothing for SILENCE seconds is cut off."""
        with open(file, "rb", closefd=False) as source:
            count = end - start
            with self._deadline(SILENCE + count / SLOWEST):
                sent = self.connection.sendfile(source, start, count) if count else 0
        if sent != count:
            self.close_connection = True  # it was promised more than there is now

    def _json(self, value: Json, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = json.dumps(value, indent=2).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: HTTPStatus, code: str, message: str) -> None:
        self._json({"code": code, "message": message}, status)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, in IMGAPI's form."""
        status = HTTPStatus(code)
        self.close_connection = True
        # Where the request could not be read, it left these as HTTP/0.9 has them.
        self.command, self.request_version = self.command or "GET", self.protocol_version
        words = "ResourceNotFound" if code == 404 else "BadRequest"
        self._error(status, words, message or explain or status.phrase)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        log.info("%s %s", self.address_string(), format % args)
