# SPDX-License-Identifier: MPL-2.0
"""A hulld that answers from a list, for the commands' tests."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hull.cli import command
from hull.cli.command import Command
from hull.errors import Error
from hull.wire import Json, JsonObject


@dataclass
class FakeHulld:
    """What was asked, and what is answered, in turn."""

    answers: list[Json | Error] = field(default_factory=list)
    asked: list[tuple[str, str, Json]] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)  # handed over with each; -1: none

    def call(
        self,
        method: str,
        target: str,
        body: Json = None,
        progress: Callable[[JsonObject], None] | None = None,
        fd: int = -1,
    ) -> Json:
        self.asked.append((method, target, body))
        self.descriptors.append(fd)
        if progress:
            progress({"step": "installed"})
        answer = self.answers.pop(0)
        if isinstance(answer, Error):
            raise answer
        return answer


@dataclass
class Result:
    status: int
    out: str
    err: str


class Shell:
    """Runs a command against the fake."""

    def __init__(self, main: Command, hulld: FakeHulld, capsys: pytest.CaptureFixture[str]) -> None:
        self.command = main
        self.hulld = hulld
        self._capsys = capsys

    def __call__(self, *argv: str, answer: Json | Error = None) -> Result:
        self.hulld.answers.append(answer)
        status = self.command.main(list(argv))
        captured = self._capsys.readouterr()
        return Result(status, captured.out, captured.err)


def make_shell(
    main: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    hulld = FakeHulld()
    monkeypatch.setattr(command, "call_hulld", hulld.call)
    return Shell(main, hulld, capsys)
