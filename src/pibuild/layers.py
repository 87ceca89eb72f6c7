# SPDX-License-Identifier: MPL-2.0
"""The cache of a builder: each layer is a directory named by what it was made of.

A layer is there whole or not at all. What it is made of: the inputs that are given, and `VERSION`,
to be raised when what makes a layer makes another of the same inputs.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hull.linux.lock import lock
from hull.wire import Json

VERSION = 1
KEPT = 3  # layers of a kind; the ones that were used last
Report = Callable[[str], None]


class Layers:
    """Layers below a directory, which may be removed at any time."""

    def __init__(self, directory: Path, report: Report) -> None:
        self.directory = directory
        self.report = report
        directory.mkdir(parents=True, exist_ok=True)

    def layer(self, kind: str, inputs: Json, make: Callable[[Path], None]) -> Path:
        """The directory of a layer; `make` fills a new one if there is none yet."""
        with lock(self.directory / "lock", what="the builder's cache", timeout=3600):
            found = self.directory / f"{kind}-{self._key(inputs)}"
            if not found.exists():
                self._make(found, kind, make)
            found.touch()
            self._prune(kind)
        return found

    @staticmethod
    def _key(inputs: Json) -> str:
        text = json.dumps([VERSION, inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _make(self, target: Path, kind: str, make: Callable[[Path], None]) -> None:
        self.report(f"{kind}: being made")
        with ExitStack() as undo:
            work = Path(tempfile.mkdtemp(prefix="making-", dir=self.directory))
            undo.callback(shutil.rmtree, work, ignore_errors=True)
            made = work / "layer"
            made.mkdir()
            make(made)
            made.rename(target)

    def _prune(self, kind: str) -> None:
        """Remove the oldest, and what a killed builder has left."""
        layers = sorted(self.directory.glob(f"{kind}-*"), key=lambda each: -each.stat().st_mtime)
        for old in [*layers[KEPT:], *self.directory.glob("making-*")]:
            shutil.rmtree(old, ignore_errors=True)
