# SPDX-License-Identifier: MPL-2.0
"""svc.configd: the one process that reads and writes the repository, and tells who watches.

A connection sends a JSON object a line and gets one back: {"ok": ...} or {"error": {"code",
"message"}}. Requests, by "op":

    list                                   all entities, in the order in which they were made
    read FMRI [SNAPSHOT]                   {"instance": GROUPS, "service": GROUPS}, as attached
    dump [GROUPS] [KINDS] [SNAPSHOT] [OF]  {FMRI: GROUPS} of all; with names, only those groups and
                                           those of these types; the rest: see Client.dump
    snapshots FMRI                         names
    commit DO [EXPECT]                     see smf.store; root alone
    watch                                  from then on a line {"changed": [[FMRI, GROUP], ...]} for
                                           each commit: "" for the entity itself, @NAME a snapshot
"""

import _socket as socket  # socket loads enum, selectors and libm: see docs/design/0003-smf.md
import json
import os
import select
import signal
import struct
from collections.abc import Callable

from smf.errors import Denied, NotFound, SmfError
from smf.fmri import instance_of, service_of
from smf.store import Store
from smf.tree import Group, Groups, compose, to_wire

MOST_REQUEST = 64 << 20  # bytes of a line: the import of a large manifest is one
MOST_QUESTION = 1 << 16  # bytes of a line of somebody who may only read
MOST_UNREAD = 8 << 20  # bytes that a watcher may leave unread
MOST_STRANGERS = 64  # connections of one user who may only read
CHUNK = 1 << 16


class Connection:
    """A client: what it has sent that is no line yet, and what it has not read yet."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        self.received = bytearray()
        self.lines = 0  # of what was received: requests
        self.unsent = bytearray()
        self.watches = False
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, self.uid, _ = struct.unpack("3i", credentials)

    @property
    def writes(self) -> bool:
        return self.uid in (0, os.geteuid())

    @property
    def has_line(self) -> bool:
        """Whether there is a request to answer: none is, while the last answer is unread."""
        return len(self.unsent) < CHUNK and self.lines > 0


class Configd:
    """Serves a store on a listening socket."""

    def __init__(self, store: Store, listener: socket.socket) -> None:
        self.store = store
        self.listener = listener
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.running = True

    def serve(self) -> None:
        """Until SIGTERM. Sleeps when nobody asks."""
        awake, asleep = socket.socketpair()
        asleep.settimeout(0)
        signal.set_wakeup_fd(asleep.fileno())
        signal.signal(signal.SIGTERM, self._stop)
        self.listener.settimeout(0)
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.epoll.register(awake.fileno(), select.EPOLLIN)
        while self.running:
            for descriptor, events in self.epoll.poll():
                if descriptor == self.listener.fileno():
                    self._accept()
                elif found := self.connections.get(descriptor):
                    self._serve_one(found, events)
        self.store.close()

    def _stop(self, *_: object) -> None:
        self.running = False

    def _accept(self) -> None:
        try:
            number, _ = self.listener._accept()  # type: ignore[attr-defined]  # what socket.accept calls
        except OSError:  # the client has gone already, or there are too many
            return
        peer = socket.socket(fileno=number)
        peer.settimeout(0)
        connection = Connection(peer)
        others = sum(1 for other in self.connections.values() if other.uid == connection.uid)
        if others >= MOST_STRANGERS and not connection.writes:
            peer.close()  # or a user could take all descriptors, and nobody else were heard
            return
        self.connections[peer.fileno()] = connection
        self.epoll.register(peer.fileno(), select.EPOLLIN)

    def _serve_one(self, connection: Connection, events: int) -> None:
        try:
            if events & ~select.EPOLLOUT:
                self._receive(connection)
            self._send(connection)
            while connection.has_line:
                self._answer_next(connection)
                self._send(connection)
        except OSError:  # it has gone
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if self.connections.pop(connection.socket.fileno(), None):
            self.epoll.unregister(connection.socket.fileno())
            connection.socket.close()

    def _receive(self, connection: Connection) -> None:
        try:
            chunk = connection.socket.recv(CHUNK)
        except BlockingIOError:  # what was to be read was another's, who had its number before
            return
        if not chunk:
            raise ConnectionResetError
        connection.received += chunk
        connection.lines += chunk.count(b"\n")
        most = MOST_REQUEST if connection.writes else MOST_QUESTION
        if len(connection.received) > most and not connection.lines:
            raise ConnectionResetError

    def _answer_next(self, connection: Connection) -> None:
        line, _, connection.received = connection.received.partition(b"\n")
        connection.lines -= 1
        connection.unsent += self.answer(connection, bytes(line)) + b"\n"

    def _send(self, connection: Connection) -> None:
        while connection.unsent:
            try:
                sent = connection.socket.send(memoryview(connection.unsent)[:CHUNK])
            except BlockingIOError:
                break
            del connection.unsent[:sent]
        if len(connection.unsent) > MOST_UNREAD and connection.watches:
            raise ConnectionResetError  # it asks anew, when it comes to it
        # Who does not read what he is told is not asked for more: it would be kept for him here.
        wanted = select.EPOLLOUT if connection.unsent else select.EPOLLIN
        self.epoll.modify(connection.socket.fileno(), wanted)

    def answer(self, connection: Connection, line: bytes) -> bytes:
        """The line that answers one, without their ends."""
        answer = self._answer(connection, line)
        # A group is put into words when it is its turn: all of them at once take much memory.
        return json.dumps(answer, separators=(",", ":"), default=to_wire).encode()

    def _answer(self, connection: Connection, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise SmfError("a request is an object")
            handler = _HANDLERS.get(str(request.pop("op", "")))
            if handler is None:
                raise SmfError("there is no such request")
            return {"ok": handler(self, connection, **request)}
        except SmfError as exc:
            return {"error": {"code": exc.code, "message": str(exc)}}
        except _MALFORMED as exc:
            return {"error": {"code": SmfError.code, "message": f"malformed request: {exc}"}}

    # -- requests ----------------------------------------------------------------------------------
    def entities(self, connection: Connection) -> list[str]:
        del connection
        return list(self.store.tree.entities)

    def read(self, connection: Connection, fmri: str, snapshot: str = "") -> dict[str, Groups]:
        tree = self.store.tree
        if fmri not in tree.entities:
            raise NotFound(f"there is no {fmri}")
        if snapshot:
            levels = tree.snapshots.get(fmri, {}).get(snapshot)
            if levels is None:
                raise NotFound(f"{fmri} has no snapshot {snapshot}")
        else:
            levels = {
                "instance": tree.entities[fmri] if instance_of(fmri) else {},
                "service": tree.entities.get(service_of(fmri), {}),
            }
        return {level: _shown(groups, connection) for level, groups in levels.items()}

    def dump(
        self,
        connection: Connection,
        groups: list[str] | None = None,
        kinds: list[str] | None = None,
        snapshot: str = "",
        of: list[str] | None = None,
    ) -> dict[str, Groups]:
        def wanted(found: Groups) -> Groups:
            if groups is None:
                return found
            if not kinds:
                return {name: found[name] for name in groups if name in found}
            return {
                name: group
                for name, group in found.items()
                if name in groups or group.kind in kinds
            }

        tree = self.store.tree
        if not snapshot:
            return {
                fmri: _shown(wanted(found), connection) for fmri, found in tree.entities.items()
            }
        answer: dict[str, Groups] = {}
        chosen = tree.instances() if of is None else (each for each in of if each in tree.entities)
        for fmri in chosen:
            levels = tree.snapshots.get(fmri, {}).get(snapshot) or {
                "instance": tree.entities[fmri],
                "service": tree.entities.get(service_of(fmri), {}),
            }
            view = compose(wanted(levels["instance"]), wanted(levels["service"]))
            answer[fmri] = _shown(view, connection)
        return answer

    def snapshots(self, connection: Connection, fmri: str) -> list[str]:
        del connection
        if fmri not in self.store.tree.entities:
            raise NotFound(f"there is no {fmri}")
        return sorted(self.store.tree.snapshots.get(fmri, {}))

    def commit(
        self,
        connection: Connection,
        do: list[list[object]],
        expect: list[tuple[str, str, int]] | None = None,
    ) -> int:
        if not connection.writes:
            raise Denied("only root may change the repository")
        changed = self.store.commit(do, expect)
        if changed:
            self._tell(changed)
        return self.store.generation

    def watch(self, connection: Connection) -> None:
        connection.watches = True

    def _tell(self, changed: list[tuple[str, str]]) -> None:
        line = json.dumps({"changed": changed}, separators=(",", ":")).encode() + b"\n"
        for connection in list(self.connections.values()):
            if connection.watches:
                connection.unsent += line
                try:
                    self._send(connection)
                except OSError:
                    self._drop(connection)


# What the handlers raise at JSON of another shape: a request never ends configd.
_MALFORMED = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_HANDLERS: dict[str, Callable[..., object]] = {
    "list": Configd.entities,
    "read": Configd.read,
    "dump": Configd.dump,
    "snapshots": Configd.snapshots,
    "commit": Configd.commit,
    "watch": Configd.watch,
}


def _shown(groups: Groups, connection: Connection) -> Groups:
    """Groups as a client may see them: values that need an authorization are root's."""
    if connection.writes:
        return groups
    return {name: _without_secrets(group) for name, group in groups.items()}


def _without_secrets(group: Group) -> Group:
    if "read_authorization" not in group.properties:
        return group
    return Group(group.kind, persistent=group.persistent, generation=group.generation)
