# SPDX-License-Identifier: MPL-2.0
"""One client's HTTP/1.1 connection: h11 does the grammar, this the bytes, the limits, the clock."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import h11

from hull.errors import Usage
from hull.linux import ready
from hull.wire import DESCRIPTOR, SWITCHED

JSON = "application/json"
NDJSON = "application/x-ndjson"
CHUNK = 64 * 1024  # bytes read at once


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of hulld one client may use. Sizes in bytes, times in seconds."""

    connections: int = 256
    head: int = 64 * 1024
    body: int = 8 * 1024 * 1024
    idle_time: float = 75  # between two requests
    head_time: float = 10  # from a request's first byte to the end of its head
    body_time: float = 60
    write_time: float = 30  # a client that takes nothing for so long has gone
    linger_time: float = 5


class TooLarge(Usage):
    """The request is larger than the limits allow; `status` is HTTP's word for it."""

    code = "Usage"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    method: str
    target: str
    request_id: str  # as the client sent it, or ""
    body: bytes
    upgrade: str = ""  # the protocol that the client would go on with


class Connection:
    """Requests in, answers out, strictly in turn. Any method may raise ConnectionError."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        self._bodiless = False  # HEAD is answered by a head

    @classmethod
    async def of(cls, sock: socket.socket, limits: Limits) -> "Connection":
        """The connection of an accepted socket, which it then owns."""
        reader, writer = await asyncio.open_connection(sock=sock, limit=CHUNK)
        return cls(reader, writer, limits)

    # -- reading ----------------------------------------------------------------------------------
    async def next_request(self) -> HttpRequest | None:
        """The next request; None if the client has left or stays idle.

        Raises h11.RemoteProtocolError, TooLarge, TimeoutError: answer and close.
        """
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        if self._h11.our_state is not h11.IDLE:
            return None
        try:
            async with asyncio.timeout(self._limits.idle_time):
                if not self._h11.trailing_data[0] and not await self._more():
                    return None
        except TimeoutError:
            return None
        async with asyncio.timeout(self._limits.head_time):
            head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        self._bodiless = head.method == b"HEAD"
        headers = dict(head.headers)
        async with asyncio.timeout(self._limits.body_time):
            body = await self._body(headers)
        return HttpRequest(
            method=head.method.decode("ascii"),
            target=head.target.decode("latin-1"),
            request_id=headers.get(b"x-request-id", b"").decode("latin-1"),
            body=body,
            upgrade=headers.get(b"upgrade", b"").decode("latin-1"),
        )

    async def _body(self, headers: dict[bytes, bytes]) -> bytes:
        # h11 has checked that it is a number.
        if int(headers.get(b"content-length", b"0")) > self._limits.body:
            raise TooLarge(f"the body is larger than {self._limits.body} bytes", 413)
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > self._limits.body:
                raise TooLarge(f"the body is larger than {self._limits.body} bytes", 413)
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError("the client left in the middle of a request")
        return bytes(body)

    async def _event(self) -> h11.Event | None:
        """The next event; None where the client has something to say that comes too early."""
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._more()
        return event if isinstance(event, h11.Event) else None

    async def _more(self) -> bool:
        data = await self._reader.read(CHUNK)
        self._h11.receive_data(data)
        return bool(data)

    async def left(self) -> None:
        """Wait until the client closes its end; whatever it sends is thrown away."""
        while await self._reader.read(CHUNK):
            pass

    # -- another protocol -------------------------------------------------------------------------
    async def take_descriptor(self) -> int:
        """Leave HTTP and take the file descriptor that the client sends; the caller closes it.

        Afterwards only `raw` is of use.
        """
        transport = cast(asyncio.Transport, self._writer.transport)
        transport.pause_reading()  # the stream reader's recv() would drop the descriptor
        headers = [("Connection", "Upgrade"), ("Upgrade", DESCRIPTOR)]
        switch = h11.InformationalResponse(
            status_code=SWITCHED, headers=headers, reason=b"Switching Protocols"
        )
        await self._send(switch)
        sock = transport.get_extra_info("socket")
        return await asyncio.to_thread(receive_descriptor, sock.fileno(), self._limits.head_time)

    async def raw(self, data: bytes) -> None:
        """Some bytes after HTTP was left."""
        await self._write(data)

    # -- writing ----------------------------------------------------------------------------------
    async def answer(self, status: int, body: bytes, *, request_id: str = "") -> None:
        """A whole answer in one piece."""
        headers = [*_headers(JSON, request_id), ("Content-Length", str(len(body)))]
        head = h11.Response(
            status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()
        )
        data = self._h11.send(head) or b""
        if not self._bodiless:
            data += self._h11.send(h11.Data(data=body)) or b""
        data += self._h11.send(h11.EndOfMessage()) or b""
        await self._write(data)

    async def begin(self, *, request_id: str) -> None:
        """Begin an answer of JSON lines."""
        head = h11.Response(status_code=200, headers=_headers(NDJSON, request_id), reason=b"OK")
        await self._send(head)

    async def lines(self, data: bytes) -> None:
        """Some whole lines of it."""
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """Its end."""
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        await self._write(self._h11.send(event) or b"")

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            async with asyncio.timeout(self._limits.write_time):
                await self._writer.drain()
        except TimeoutError:
            raise ConnectionAbortedError("the client does not read its answer") from None

    async def refuse(self, status: int, body: bytes) -> None:
        """Answer a request that was not read to its end. The connection is of no further use."""
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        await self.answer(status, body)
        # A Unix socket closed with unread data takes the answer away from the client again.
        self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger_time):
                await self.left()

    def close(self) -> None:
        """Close at once; what the kernel has taken is still delivered."""
        self._writer.close()

    def abort(self) -> None:
        """Close and forget what has not been sent."""
        self._writer.transport.abort()


def receive_descriptor(fd: int, timeout: float) -> int:
    """The file descriptor that comes on socket `fd`. Raises ConnectionError."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        if not ready.readable(sock.fileno(), timeout):
            raise ConnectionAbortedError("the client sends no file descriptor")
        _, fds, _, _ = socket.recv_fds(sock, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        raise ConnectionAbortedError("the client has sent no file descriptor")
    return fds[0]


def _headers(content_type: str, request_id: str) -> list[tuple[str, str]]:
    headers = [("Content-Type", content_type)]
    if request_id:
        headers.append(("X-Request-Id", request_id))
    return headers
