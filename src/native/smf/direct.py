# SPDX-License-Identifier: MPL-2.0
"""A repository that is a file, without svc.configd: for images that are being built, and rescue."""

import _socket as socket  # socket loads enum, selectors and libm: see docs/design/0003-smf.md
import json
import os

from smf.client import Client
from smf.configd import Configd, Connection
from smf.errors import BY_CODE, SmfError
from smf.places import Places
from smf.store import Store
from smf.tree import Wire


class Direct(Client):
    """A client that is its own configd. What does not last ends with it."""

    def __init__(self, path: str, places: Places) -> None:
        """SmfError if it is the repository that svc.configd has; Unwritable."""
        import tempfile

        super().__init__(places.door)
        if os.path.realpath(path) == os.path.realpath(places.repository) and self._is_served():
            raise SmfError(f"svc.configd has {path}: change it without `repository`")
        self.path = path
        self._volatile = tempfile.TemporaryDirectory(prefix="svccfg-")
        store = Store(os.path.abspath(path), self._volatile.name + "/volatile.db")
        self._ends = socket.socketpair()
        self._configd = Configd(store, self._ends[0])
        self._peer = Connection(self._ends[1])

    def _is_served(self) -> bool:
        try:
            self.entities()
        except SmfError:
            return False
        self.close()
        return True

    def close(self) -> None:
        super().close()
        if not hasattr(self, "_peer"):
            return
        self._configd.store.close()
        self._configd.epoll.close()
        for end in self._ends:
            end.close()
        self._volatile.cleanup()

    def call(self, op: str, **arguments: object) -> Wire:
        if not hasattr(self, "_peer"):
            return super().call(op, **arguments)
        line = json.dumps({"op": op, **arguments}).encode()
        # There and back as over the wire: what is answered is not the tree itself.
        answer = json.loads(self._configd.answer(self._peer, line))
        if "error" in answer:
            error = answer["error"]
            raise BY_CODE.get(str(error["code"]), SmfError)(error["message"])
        found: Wire = answer["ok"]
        return found
