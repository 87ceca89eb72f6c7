# SPDX-License-Identifier: MPL-2.0
"""Messages on disk until they are delivered, and which changes of state they are about.

A message is a file, named BATCH-NUMBER. What is told of one look at the repository is a batch; a
small file beside the volatile repository has the states that were seen and the last batch that is
whole. So a change of state is told once: what a crash has left of an unfinished batch is removed,
and the states are looked at again.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress

from smf.notify_message import Message, load

Seen = dict[str, tuple[str, str]]  # instance -> (state, when it came into it)


class Spool:
    """The messages of one daemon. `report` is given a line for each that is lost."""

    def __init__(
        self, directory: str, states: str, most: int, report: Callable[[str], None]
    ) -> None:
        """`directory` lasts; `states` is a file that ends with the machine's run."""
        self.directory = directory
        self.states = states
        self.most = most
        self.report = report
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.seen: Seen | None = None  # None: this is the first look since the machine's start
        self.batch = 0
        self._open()

    def _open(self) -> None:
        names = self.names()
        self.batch = max((_batch(name) for name in names), default=0)
        try:
            with open(self.states, "rb") as file:
                batch, seen = json.load(file)
            self.seen = {fmri: (state, when) for fmri, (state, when) in seen.items()}
        except (OSError, ValueError):
            return
        for name in names:
            if _batch(name) > batch:
                self.remove(name)
        self.batch = batch

    def names(self) -> list[str]:
        """The messages, oldest first."""
        return sorted(name for name in os.listdir(self.directory) if not name.startswith("."))

    def add(self, messages: list[Message], seen: Seen) -> None:
        """Keep a batch, and with it what has been seen: both or neither. OSError."""
        self.batch += 1
        try:
            self._write_batch(messages, seen)
        except OSError:
            for name in self.names():
                if _batch(name) == self.batch:
                    self.remove(name)
            raise
        self.seen = dict(seen)
        names = self.names()
        for name in names[: max(0, len(names) - self.most)]:
            self.report(f"more than {self.most} messages wait: dropped {self._describe(name)}")
            self.remove(name)

    def _write_batch(self, messages: list[Message], seen: Seen) -> None:
        for number, message in enumerate(messages):
            name = f"{self.batch:012d}-{number:04d}"
            message.id = f"{name}-{os.urandom(4).hex()}"
            _write(os.path.join(self.directory, name), message.dump(), lasting=True)
        if messages:
            _sync(self.directory)
        _write(self.states, json.dumps([self.batch, seen]).encode(), lasting=False)

    def _describe(self, name: str) -> str:
        message = self.read(name)
        if message is None:
            return name
        told = message.transition
        return f"{name}: {told.fmri} {told.before} to {told.after}, for {message.server()}"

    def read(self, name: str) -> Message | None:
        """None if it has gone; one that cannot be read goes, with a word."""
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                return load(file.read())
        except FileNotFoundError:
            return None
        except ValueError as exc:
            self.report(f"dropped {name}: {exc}")
            self.remove(name)
            return None

    def remove(self, name: str) -> None:
        """It may have gone already."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.directory, name))


def _batch(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _write(path: str, data: bytes, *, lasting: bool) -> None:
    """A file is there whole, or as it was."""
    directory, _, name = path.rpartition("/")
    new = f"{directory}/.{name}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if lasting:
            os.fsync(descriptor)
    os.rename(new, path)


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
