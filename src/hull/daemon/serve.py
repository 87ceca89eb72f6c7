# SPDX-License-Identifier: MPL-2.0
"""hulld's front doors: a Unix socket, and vminfod's port; HTTP, answered from tables of routes."""

import asyncio
import json
import logging
import re
import socket
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h11

from hull.daemon import listen
from hull.daemon.events import Subscription
from hull.daemon.http import Connection, HttpRequest, Limits, TooLarge
from hull.daemon.job import Job, Outcome, Workers, outcome_of
from hull.daemon.listen import Peer
from hull.daemon.logs import request_id
from hull.daemon.route import Request, Route, Table
from hull.errors import Error, InUse, Refused, Usage
from hull.wire import DESCRIPTOR, JsonObject

log = logging.getLogger("hull.serve")

GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
FORBIDDEN = outcome_of(
    Refused("this user may not talk to hulld", hint="become root"),
    403,
)


class Server:
    """Serves one table of routes on one socket to the users it trusts."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        allowed_uids: frozenset[int] = frozenset({0}),
        limits: Limits | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._table = Table(routes)
        self._allowed = allowed_uids
        self._limits = limits or Limits()
        self._workers = workers or Workers()
        self._tasks: set[asyncio.Task[None]] = set()
        # Those that are in the middle of a request; a stop waits for them.
        self._busy: set[asyncio.Task[None]] = set()
        self._path: Path | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self, path: Path) -> None:
        """Listen on `path`. Raises InUse if another hulld answers there, HostError."""
        if _answers(path):
            raise InUse(f"a hulld listens on {path} already", hint="`hull down` stops it")
        self._path = path
        self._accept(listen.bind(path))

    async def start_tcp(self, port: int) -> None:
        """Listen on a port of the loopback interface. Raises HostError if somebody else does."""
        self._accept(listen.bind_tcp(port))

    def _accept(self, listener: socket.socket) -> None:
        self._listener = listener
        self._accepting = asyncio.create_task(
            listen.accept(self._listener, self._limits.connections, self._serve, self._tasks)
        )

    async def stop(self, grace: float = 30) -> None:
        """Take no new requests, wait up to `grace` seconds for the running ones, close all."""
        if self._accepting and self._listener:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
            if self._path:
                self._path.unlink(missing_ok=True)
        for task in self._tasks - self._busy:
            task.cancel()
        await self._workers.stop(grace)
        if self._busy:
            await asyncio.wait(self._busy, timeout=1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, sock: socket.socket) -> None:
        """One client, from its first byte to its last."""
        peer = listen.peer_of(sock)
        connection = await Connection.of(sock, self._limits)
        try:
            if peer.uid not in self._allowed:
                log.warning("refused uid %d (pid %d)", peer.uid, peer.pid)
                await connection.refuse(FORBIDDEN.status, FORBIDDEN.body)
            else:
                await self._requests(connection, peer)
        except (ConnectionError, h11.LocalProtocolError) as exc:
            log.debug("client %d is gone: %s", peer.pid, exc)
            connection.abort()
        finally:
            connection.close()

    async def _requests(self, connection: Connection, peer: Peer) -> None:
        while True:
            try:
                request = await connection.next_request()
            except h11.RemoteProtocolError as exc:
                await _refuse(connection, Usage(f"not HTTP: {exc}"), exc.error_status_hint)
                return
            except TooLarge as exc:
                await _refuse(connection, exc, exc.status)
                return
            except TimeoutError:
                await _refuse(connection, Usage("the request did not come to its end"), 408)
                return
            if request is None:
                return
            await self._in_turn(connection, request, peer)

    async def _in_turn(self, connection: Connection, request: HttpRequest, peer: Peer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            await self._handle(connection, request, peer)
        finally:
            self._busy.discard(task)

    async def _handle(self, connection: Connection, request: HttpRequest, peer: Peer) -> None:
        ident = request.request_id
        if not GOOD_ID.fullmatch(ident):
            ident = str(uuid.uuid4())
        token = request_id.set(ident)
        try:
            try:
                match = self._table.find(request.method, request.target)
                asked = Request(
                    params=match.params,
                    query=match.query,
                    body=parse_body(request.body, match.route),
                    request_id=ident,
                )
                check_upgrade(request, match.route)
            except Error as exc:
                outcome = outcome_of(exc)
                await connection.answer(outcome.status, outcome.body, request_id=ident)
                return
            if match.route.descriptor:
                asked = replace(asked, fd=await connection.take_descriptor())
                await self._tell(connection, self._workers.start(match.route, asked, peer))
                return
            await self._respond(connection, self._workers.start(match.route, asked, peer), ident)
        finally:
            request_id.reset(token)

    async def _tell(self, connection: Connection, job: Job) -> None:
        """JSON lines, after HTTP was left."""
        async for report in job.reports():
            await connection.raw(progress_line(report))
        assert job.outcome is not None
        await connection.raw(last_line(job.outcome))

    async def _respond(self, connection: Connection, job: Job, ident: str) -> None:
        """One JSON body if the job ends without a report, else lines as they come."""
        begun = False
        async for report in job.reports():
            if not begun:
                await connection.begin(request_id=ident)
                begun = True
            await connection.lines(progress_line(report))
        outcome = job.outcome
        assert outcome is not None
        if outcome.subscription:
            await self._stream(connection, outcome.subscription, ident)
        elif begun:
            await connection.lines(last_line(outcome))
            await connection.end()
        else:
            await connection.answer(outcome.status, outcome.body, request_id=ident)

    async def _stream(self, connection: Connection, subscription: Subscription, ident: str) -> None:
        """Events until the client leaves, or lags too far behind."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.discard(task)  # it never ends by itself
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()
        subscription.on_event(lambda: _wake_up(loop, wake))
        left = asyncio.create_task(connection.left())
        left.add_done_callback(lambda _: wake.set())
        try:
            await connection.begin(request_id=ident)
            while not left.done() and (lines := subscription.take()) is not None:
                if lines:
                    await connection.lines(lines)
                await wake.wait()
                wake.clear()
        finally:
            subscription.close()
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            connection.abort()


def _wake_up(loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(wake.set)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


async def _refuse(connection: Connection, error: Error, status: int) -> None:
    await connection.refuse(status, outcome_of(error).body)


def check_upgrade(request: HttpRequest, route: Route) -> None:
    """Raises Usage if the client will not hand over the file descriptor that the route takes."""
    if route.descriptor and request.upgrade != DESCRIPTOR:
        raise Usage(
            f"{route.method} {route.target} takes a file descriptor",
            hint=f"ask to upgrade to {DESCRIPTOR}, as docs/protocol.md says",
        )


def progress_line(report: bytes) -> bytes:
    return b'{"progress": ' + report + b"}\n"


def last_line(outcome: Outcome) -> bytes:
    """How a job that reported progress ends."""
    key = b"error" if outcome.is_error else b"result"
    return b'{"' + key + b'": ' + outcome.body + b"}\n"


def parse_body(data: bytes, route: Route) -> JsonObject:
    """The JSON object of a request. Raises Usage."""
    if not data:
        return {}
    if route.body is None:
        raise Usage(f"{route.method} {route.target} takes no body")
    try:
        body = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise Usage(f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise Usage("the body is not a JSON object")
    return body


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
