# SPDX-License-Identifier: MPL-2.0
"""What crosses the socket: JSON over HTTP/1.1 on a Unix socket, and the smallest client of it.

On every command's start path, so it imports as little as can be (docs/style.md, "Start-up").
"""

import json
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket
from collections.abc import Iterable, Iterator  # json has loaded it already
from sys import byteorder

from hull import errors

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
JsonObject = dict[str, Json]

# How a client hands hulld a file descriptor of its own (docs/protocol.md, "Streams").
DESCRIPTOR = "hull-descriptor"
SWITCHED = 101  # HTTP's status for it


class Response:
    """The head of an answer, and its body line by line."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._buffer = b""
        status = self._line().split(b" ", 2)
        if len(status) < 2 or not status[1].isdigit():
            raise errors.HostError("hulld closed the connection without an answer")
        self.status = int(status[1])
        self.headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"

    def _more(self) -> bool:
        try:
            data = self._sock.recv(65536)
        except ConnectionError:  # it was killed: as if it had closed the connection
            data = b""
        self._buffer += data
        return bool(data)

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if not self._more():
                break
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise errors.HostError("hulld closed the connection in the middle of an answer")
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _chunks(self) -> Iterator[bytes]:
        if self.status == SWITCHED:
            while self._buffer or self._more():
                data, self._buffer = self._buffer, b""
                yield data
            return
        if not self._chunked:
            yield self._exactly(int(self.headers.get("content-length") or 0))
            return
        while size := int(self._line() or b"0", 16):
            yield self._exactly(size)
            self._line()

    def read(self) -> bytes:
        return b"".join(self._chunks())

    def lines(self) -> Iterator[bytes]:
        """The body's lines, each as soon as it is there."""
        rest = b""
        for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest


def connect(path: str) -> socket:
    """Raises HostError if nobody listens."""
    sock = socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError as exc:
        sock.close()
        hint = "`hull up` starts it; until then commands take --here"
        if isinstance(exc, PermissionError):
            hint = "it serves root alone: use sudo"
        raise errors.HostError(f"cannot reach hulld at {path}: {exc.strerror}", hint=hint) from None
    return sock


def request(
    sock: socket, method: str, target: str, body: Json = None, *, upgrade: str = ""
) -> Response:
    """Send one request and read the head of the answer."""
    data = b"" if body is None else json.dumps(body).encode()
    wants = f"Upgrade\r\nUpgrade: {upgrade}" if upgrade else "close"
    head = f"{method} {target} HTTP/1.1\r\nHost: hull\r\nConnection: {wants}\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    try:
        sock.sendall(head.encode() + b"\r\n" + data)
    except ConnectionError:
        return Response(sock)  # what it had to say before it closed is there to be read
    return Response(sock)


def send_descriptor(sock: socket, fd: int) -> None:
    """Hand over a file descriptor, once the answer is that the protocol has been switched."""
    sock.sendmsg([b"\0"], [(SOL_SOCKET, SCM_RIGHTS, fd.to_bytes(4, byteorder))])


def error_to_json(error: errors.Error) -> JsonObject:
    """An error as it crosses the wire."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "problems": problems_to_json(error.problems),
    }


def problems_to_json(problems: Iterable[errors.Problem]) -> list[Json]:
    """What is wrong with a payload, or was ignored of it, as it crosses the wire."""
    return [{"path": each.path, "message": each.message, "hint": each.hint} for each in problems]


def problems_from_json(data: Json) -> list[errors.Problem]:
    """The same on the caller's side."""
    return [
        errors.Problem(str(each.get("path")), str(each.get("message")), str(each.get("hint") or ""))
        for each in (data if isinstance(data, list) else [])
        if isinstance(each, dict)
    ]


# Their constructors want more than a message; what matters has crossed as text.
NOT_REBUILT = (errors.CommandFailed, errors.KernelError, errors.InvalidPayload)


def error_from_json(data: JsonObject) -> errors.Error:
    """The same error on the caller's side; a code we do not know becomes a HostError."""
    problems = data.get("problems")
    if data.get("code") == "InvalidPayload" and isinstance(problems, list):
        return errors.InvalidPayload(problems_from_json(problems))
    known: object = getattr(errors, str(data.get("code")), None)
    kind: type[errors.Error] = errors.HostError
    if isinstance(known, type) and issubclass(known, errors.Error) and known not in NOT_REBUILT:
        kind = known
    return kind(str(data.get("message")), hint=str(data.get("hint") or ""))
