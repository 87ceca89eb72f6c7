# SPDX-License-Identifier: MPL-2.0
"""The repository in this process: a real Configd over a real Store in memory, without a door.

    with Local() as client: ...          or the fixture `local` (conftest.py)

What goes in and out is the JSON of the wire, so that nothing works here that would not work there.
"""

import json
import select
import shutil
import socket
import tempfile
from pathlib import Path

from smf.client import Client
from smf.configd import Configd, Connection
from smf.errors import BY_CODE, SmfError
from smf.store import Store
from smf.tree import Wire

SHARED_MEMORY = Path("/dev/shm")  # a commit is an fsync: nothing to wait for there


class Local(Client):
    """A client whose configd is called, not connected to. `uid` is who it is for configd."""

    def __init__(self, directory: Path | None = None, *, uid: int = 0) -> None:
        """Files are in `directory`, which stays; without one, in one that goes with close()."""
        super().__init__("/nonexistent/repository_door")
        self._mine = directory is None
        where = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="smf-local-", dir=where))
        self.store = Store(str(self.directory / "lasting.db"), str(self.directory / "volatile.db"))
        # Configd's listener is never listened on: any socket will do.
        listener, near = socket.socketpair()
        self._open = [listener, near]
        self.configd = Configd(self.store, listener)
        self.connection = Connection(near)
        self.connection.uid = uid

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for each in self._open:
            each.close()
        self.configd.epoll.close()
        self.store.close()
        if self._mine:
            shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, op: str, **arguments: object) -> Wire:
        line = json.dumps({"op": op, **arguments}).encode()
        answer = json.loads(self.configd.answer(self.connection, line))
        if "error" in answer:
            raise BY_CODE.get(answer["error"]["code"], SmfError)(answer["error"]["message"])
        found: Wire = answer["ok"]
        return found

    def watch(self) -> socket.socket:
        """A socket that gets a line for each commit, as configd would send it."""
        theirs, mine = socket.socketpair()
        self._open += [theirs, mine]
        theirs.settimeout(0)
        watcher = Connection(theirs)
        watcher.watches = True
        self.configd.connections[theirs.fileno()] = watcher
        self.configd.epoll.register(theirs.fileno(), select.EPOLLIN)
        return mine
