# SPDX-License-Identifier: MPL-2.0
"""The metadata sockets of all zones that are up: one server, each zone in its own bounds.

A zone is hostile: it may flood, stall, or send rubbish. It then waits; nobody else does, and what
hulld holds for it in memory stays bounded.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path

from hull.daemon import listen
from hull.daemon.logs import request_id
from hull.errors import Error, NotFound
from hull.metadata.answers import DONE, Change, answer
from hull.metadata.protocol import Answer, Code, Command, Parser, Verb, reply
from hull.wire import JsonObject

log = logging.getLogger("hull.metadatad")

GetView = Callable[[str], JsonObject]
ChangeMetadata = Callable[[str, Change], None]

MAX_HELD = 64 * 1024 * 1024  # bytes of unfinished lines of all zones together
UNAVAILABLE = Answer(Code.FAILURE, "The metadata service cannot answer now.")


@dataclass(frozen=True, kw_only=True)
class ZoneLimits:
    """How much of hulld one zone may use. Sizes in bytes, times in seconds."""

    connections: int = 8
    rate: float = 25  # commands and connections a second, in the long run
    burst: int = 300  # of them at once
    worth: float = 0.001  # of hulld's time; a command that takes more counts for as many
    held: int = 1024 * 1024  # unfinished lines of all its connections
    read: int = 16 * 1024  # at once
    idle_time: float = 60
    write_time: float = 10  # a client that takes nothing for so long has gone


@dataclass(eq=False)
class _Zone:
    """One zone's socket and what it has used up."""

    uuid: str
    listener: socket.socket
    limits: ZoneLimits
    held: int = 0
    allowance: float = 0.0
    counted: float = 0.0  # the loop's time when `allowance` was right
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    accepting: asyncio.Task[None] | None = None
    # One answer at a time: so a zone has at most one job in the pool and one answer in memory.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def delay(self, now: float) -> float:
        """Account for one command or connection; how long it has to wait, in seconds."""
        grown = self.allowance + (now - self.counted) * self.limits.rate
        self.allowance = min(grown, self.limits.burst) - 1
        self.counted = now
        return max(0.0, -self.allowance / self.limits.rate)

    def charge(self, seconds: float) -> None:
        """Account for what a command has taken beyond what each may take."""
        self.allowance -= max(0.0, seconds / self.limits.worth - 1)


class Metadatad:
    """Answers `mdata-get` and its like, each zone from its own VM alone.

    `get_view(uuid)` returns the VM's view with customer_metadata and internal_metadata;
    `change_metadata(uuid, change)` makes a change last. Both run in worker threads.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        get_view: GetView,
        change_metadata: ChangeMetadata,
        *,
        limits: ZoneLimits | None = None,
    ) -> None:
        self._loop = loop
        self._get_view = get_view
        self._change_metadata = change_metadata
        self._limits = limits or ZoneLimits()
        self._zones: dict[str, _Zone] = {}  # the loop's
        self._paths: dict[str, Path] = {}  # any thread's
        self._held = 0
        self._threads = ThreadPoolExecutor(4, "metadata")

    # -- from any thread --------------------------------------------------------------------------
    def add_zone(self, uuid: str, socket_path: Path, uid: int) -> None:
        """Serve a zone, whose root is `uid` on the host, at `socket_path`.

        The socket is there on return, in place of an older one. Raises HostError.
        """
        listener = listen.bind(socket_path, owner=uid)
        zone = _Zone(uuid, listener, self._limits, allowance=self._limits.burst)
        self._paths[uuid] = socket_path
        self._loop.call_soon_threadsafe(self._add, zone)

    def remove_zone(self, uuid: str) -> None:
        """Serve it no more and remove its socket; no error if it is not served.

        The socket and its directory are gone on return: the next boot may make them anew at once.
        """
        if path := self._paths.pop(uuid, None):
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        self._loop.call_soon_threadsafe(self._remove, uuid)

    # -- the loop's thread ------------------------------------------------------------------------
    def _add(self, zone: _Zone) -> None:
        if old := self._zones.get(zone.uuid):
            self._close(old)
        self._zones[zone.uuid] = zone
        zone.counted = self._loop.time()

        async def serve(sock: socket.socket) -> None:
            await self._serve(zone, sock)

        zone.accepting = self._loop.create_task(
            listen.accept(zone.listener, zone.limits.connections, serve, zone.tasks)
        )

    def _remove(self, uuid: str) -> None:
        if zone := self._zones.pop(uuid, None):
            self._close(zone)

    def _close(self, zone: _Zone) -> None:
        for task in (zone.accepting, *zone.tasks):
            if task:
                task.cancel()
        self._loop.remove_reader(zone.listener)
        zone.listener.close()

    async def stop(self) -> None:
        """Serve nobody any more. The sockets stay, for the next hulld to replace."""
        tasks = [task for zone in self._zones.values() for task in (zone.accepting, *zone.tasks)]
        for zone in self._zones.values():
            self._close(zone)
        self._zones.clear()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, zone: _Zone, sock: socket.socket) -> None:
        """One client of a zone, until it leaves, idles or breaks the rules."""
        limit = zone.limits.read
        try:
            # Before anything is spent on it; the socket waits in one of the zone's few slots.
            await asyncio.sleep(zone.delay(self._loop.time()))
        except asyncio.CancelledError:
            sock.close()
            raise
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=limit)
        parser = Parser()
        held = 0
        try:
            while True:
                async with asyncio.timeout(zone.limits.idle_time):
                    data = await reader.read(limit)
                if not data:
                    return
                commands = parser.feed(data)
                self._hold(zone, parser.held - held)
                held = parser.held
                if zone.held > zone.limits.held or self._held > MAX_HELD:
                    log.warning("zone %s sends too much at once", zone.uuid)
                    return
                for command in commands:
                    await self._reply(zone, command, writer)
        except (TimeoutError, ConnectionError):
            log.debug("a metadata client of zone %s is gone", zone.uuid)
        finally:
            self._hold(zone, -held)
            writer.transport.abort()

    def _hold(self, zone: _Zone, size: int) -> None:
        zone.held += size
        self._held += size

    async def _reply(self, zone: _Zone, command: Command, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(zone.delay(self._loop.time()))
        async with zone.turn:
            if command.verb in (Verb.NEGOTIATE, Verb.INVALID):
                found = DONE
            else:
                found, seconds = await self._in_thread(zone.uuid, command)
                zone.charge(seconds)
            writer.write(reply(command, found))
            async with asyncio.timeout(zone.limits.write_time):
                await writer.drain()

    async def _in_thread(self, uuid: str, command: Command) -> tuple[Answer, float]:
        # What is logged below names the zone and, in version 2, the zone's own request.
        token = request_id.set(f"mdata-{uuid}-{command.request_id}")
        try:
            context = copy_context()
        finally:
            request_id.reset(token)
        work = self._loop.run_in_executor(self._threads, context.run, self._timed, uuid, command)
        return await asyncio.shield(work)

    def _timed(self, uuid: str, command: Command) -> tuple[Answer, float]:
        """In a worker thread: the answer, and the seconds of CPU that it took."""
        begun = time.thread_time()
        return self._answer(uuid, command), time.thread_time() - begun

    def _answer(self, uuid: str, command: Command) -> Answer:
        """In a worker thread; never raises."""
        try:
            found = answer(command, self._get_view(uuid))
            if isinstance(found, Change):
                self._change_metadata(uuid, found)
                log.info("zone %s: %s %s", uuid, command.verb, found.key)
                return DONE
        except NotFound:
            return UNAVAILABLE  # its VM is being deleted
        except Error as exc:
            log.warning("zone %s: %s %s: %s", uuid, command.verb, command.key, exc.message)
            return UNAVAILABLE
        except Exception:
            log.exception("zone %s: %s %s", uuid, command.verb, command.key)
            return UNAVAILABLE
        else:
            return found
