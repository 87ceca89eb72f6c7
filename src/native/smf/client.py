# SPDX-License-Identifier: MPL-2.0
"""The way to svc.configd, for commands and for startd.

The listening socket is kept open by whoever starts configd: while configd is being started anew, a
client waits a moment in its queue instead of failing. A request that the crash has cut off is sent
again, as all requests can be: they say what is to be, not what is to change.
"""

import json
import time
from _socket import AF_UNIX, SOCK_STREAM, socket  # a command's start path: socket is dear
from collections.abc import Callable, Sequence

from smf.errors import BY_CODE, Broken, SmfError, Stale
from smf.tree import Groups, Wire, compose, from_wire

TRIES = 5
PATIENCE = 30.0  # seconds for an answer


class Client:
    """The repository, from another process."""

    def __init__(self, path: str) -> None:
        """`path`: configd's socket. Connects when first asked."""
        self.path = path
        self._socket: socket | None = None
        self._received = b""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def call(self, op: str, **arguments: object) -> Wire:
        """Ask; raises what configd says, or Broken."""
        line = json.dumps({"op": op, **arguments}, separators=(",", ":")).encode() + b"\n"
        for attempt in range(TRIES):
            try:
                answer = self._exchange(line)
                break
            except (OSError, EOFError) as exc:
                self.close()
                if attempt == TRIES - 1 or isinstance(exc, (FileNotFoundError, PermissionError)):
                    raise Broken(f"cannot reach svc.configd at {self.path}: {_why(exc)}") from None
                time.sleep(0.05 * 2**attempt)
        else:
            raise AssertionError("unreachable")
        if "error" in answer:
            error = answer["error"]
            assert isinstance(error, dict)
            raise BY_CODE.get(str(error["code"]), SmfError)(error["message"])
        return answer["ok"]

    def _exchange(self, line: bytes) -> dict[str, Wire]:
        if self._socket is None:
            connection = socket(AF_UNIX, SOCK_STREAM)
            connection.settimeout(PATIENCE)
            self._socket = connection  # first, so that it is closed if nobody is there
            connection.connect(self.path)
        self._socket.sendall(line)
        answer: dict[str, Wire] = json.loads(self._line())
        return answer

    def _line(self) -> bytes:
        assert self._socket is not None
        parts = [self._received]
        while b"\n" not in parts[-1]:
            chunk = self._socket.recv(1 << 18)
            if not chunk:
                raise EOFError("it hung up")
            parts.append(chunk)
        line, _, self._received = b"".join(parts).partition(b"\n")
        return line

    # -- what is asked -----------------------------------------------------------------------------
    def entities(self) -> list[str]:
        """All services and instances, in the order in which they were made."""
        found = self.call("list")
        assert isinstance(found, list)
        return [str(each) for each in found]

    def read(self, fmri: str, snapshot: str = "") -> tuple[Groups, Groups]:
        """(the instance's groups, its service's): as attached, not composed. NotFound."""
        found = self.call("read", fmri=fmri, snapshot=snapshot)
        assert isinstance(found, dict)
        return _groups(found["instance"]), _groups(found["service"])

    def attached(self, fmri: str) -> Groups:
        """What is attached to a service or an instance itself. NotFound."""
        instance, service = self.read(fmri)
        return instance if ":" in fmri[5:] else service

    def composed(self, fmri: str, snapshot: str = "") -> Groups:
        """An instance as it sees itself, now or in a snapshot; or a service. NotFound."""
        return compose(*self.read(fmri, snapshot))

    def dump(
        self,
        groups: list[str] | None = None,
        *,
        kinds: Sequence[str] = (),
        snapshot: str = "",
        of: Sequence[str] | None = None,
    ) -> dict[str, Groups]:
        """What is attached to every entity; with names, only these groups, and those of `kinds`.

        With a snapshot: of every instance, or those in `of` that there are, composed, as it is in
        it; or as it is now without it.
        """
        more = {} if of is None else {"of": list(of)}
        found = self.call("dump", groups=groups, kinds=list(kinds), snapshot=snapshot, **more)
        assert isinstance(found, dict)
        return {fmri: _groups(each) for fmri, each in found.items()}

    def snapshots(self, fmri: str) -> list[str]:
        found = self.call("snapshots", fmri=fmri)
        assert isinstance(found, list)
        return [str(each) for each in found]

    def commit(
        self, operations: list[list[object]], expected: list[tuple[str, str, int]] | None = None
    ) -> None:
        """Do all of these (see smf.store.Transaction) or, raising, nothing."""
        if operations:
            self.call("commit", do=operations, expect=expected or [])

    def watch(self) -> socket:
        """A connection of its own that gets a line for each commit from now on; see smf.configd."""
        other = Client(self.path)
        other.call("watch")
        assert other._socket is not None
        other._socket.settimeout(None)
        return other._socket


def retry_stale(attempt: Callable[[], None]) -> None:
    """Run a function that reads and commits until nobody came in between."""
    for _ in range(100):
        try:
            attempt()
        except Stale:
            continue
        return
    raise Stale("others change the same property group all the time")


def _groups(wire: Wire) -> Groups:
    assert isinstance(wire, dict)
    return {name: from_wire(each) for name, each in wire.items()}  # type: ignore[arg-type]  # as configd made it


def _why(exc: Exception) -> str:
    if isinstance(exc, FileNotFoundError):
        return "it is not running; the init of a zone starts it, and `hull up` on a host"
    return str(exc)
