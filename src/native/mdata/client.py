# SPDX-License-Identifier: MPL-2.0
"""One request to the metadata service, from inside a zone. Imports little: it runs at each boot."""

import os
import time
from _socket import AF_UNIX, SOCK_STREAM, socket
from binascii import a2b_base64, b2a_base64, crc32

SOCKETS = ("/.zonecontrol/metadata.sock", "/native/.zonecontrol/metadata.sock")

PATIENCE = 10.0  # seconds for a socket that is missing or dead: hulld may be starting
ANSWER_TIME = 60.0  # seconds for an answer
MAX_ANSWER = 64 * 1024 * 1024


class Failed(Exception):
    """The service could not be asked, or said FAILURE."""


def ask(verb: str, argument: bytes = b"") -> "bytes | None":
    """The payload of the answer; None for NOTFOUND. Raises Failed.

    All verbs can be repeated without harm, so a service that restarts meanwhile is asked again.
    """
    deadline = time.monotonic() + PATIENCE
    pause = 0.02
    while True:
        try:
            return _ask_once(verb, argument)
        except TimeoutError:
            raise Failed("the metadata service does not answer") from None
        except PermissionError as exc:
            raise Failed(f"{exc.strerror}: only root may ask the metadata service") from None
        except OSError as exc:
            # Missing, refused, or closed in the middle.
            if time.monotonic() > deadline:
                raise Failed(f"no metadata service: {exc.strerror or exc}") from None
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def _ask_once(verb: str, argument: bytes) -> "bytes | None":
    sock = socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.settimeout(ANSWER_TIME)
        sock.connect(_path())
        sock.sendall(b"NEGOTIATE V2\n")
        if _line(sock) != b"V2_OK":
            raise Failed("the metadata service does not speak version 2")
        request_id = os.urandom(4).hex().encode()
        sock.sendall(frame(request_id, verb, argument))
        return parse(_line(sock), request_id)
    finally:
        sock.close()


def _path() -> str:
    if chosen := os.environ.get("MDATA_SOCKET"):
        return chosen
    # In an lx zone only /native is ours.
    return SOCKETS[0] if os.path.exists(SOCKETS[0]) else SOCKETS[1]


def _line(sock: socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while not (parts and parts[-1].endswith(b"\n")):
        data = sock.recv(65536)
        if not data:
            raise ConnectionResetError("the metadata service closed the connection")
        parts.append(data)
        size += len(data)
        if size > MAX_ANSWER:
            raise Failed("the metadata service's answer is too long")
    return b"".join(parts)[:-1]


def frame(request_id: bytes, verb: str, argument: bytes) -> bytes:
    """A request of version 2; `argument` is what the payload decodes to."""
    body = request_id + b" " + verb.encode()
    if argument:
        body += b" " + b2a_base64(argument, newline=False)
    return b"V2 %d %08x %s\n" % (len(body), crc32(body), body)


def pair(key: bytes, value: bytes) -> bytes:
    """The argument of PUT."""
    return b2a_base64(key, newline=False) + b" " + b2a_base64(value, newline=False)


def parse(line: bytes, request_id: bytes) -> "bytes | None":
    """The payload of an answer to our request, None for NOTFOUND. Raises Failed."""
    marker, _, rest = line.partition(b" ")
    length, _, rest = rest.partition(b" ")
    checksum, _, body = rest.partition(b" ")
    expected = (b"V2", b"%d" % len(body), b"%08x" % crc32(body))
    if (marker, length, checksum) != expected:
        raise Failed(f"the metadata service answered {line[:60]!r}")
    ours, _, rest = body.partition(b" ")
    code, _, payload = rest.partition(b" ")
    if ours != request_id:
        raise Failed("the metadata service answered another request")
    if code == b"NOTFOUND":
        return None
    text = a2b_base64(payload)
    if code != b"SUCCESS":
        raise Failed(text.decode(errors="replace") or "the metadata service refused")
    return text
