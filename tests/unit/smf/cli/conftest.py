# SPDX-License-Identifier: MPL-2.0
"""Commands over a repository in this process, in a fixed time zone and at a fixed time."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smf.cli import options
from smf.cli.options import Command
from tests.unit.smf.cli.admin import Admin
from tests.unit.smf.local import Local
from tests.unit.smf.made import NOON

# What a command line prints: (status, standard output, standard error).
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "SMF_ZONE", "SMF_ZONE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    monkeypatch.setattr("smf.cli.columns.time.time", lambda: NOON + 60)
    yield
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.fixture
def run(
    local: Local,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    monkeypatch.setattr(options.Args, "client", lambda _: local)
    monkeypatch.setenv("HULL_ROOT", str(tmp_path))

    def run(command: Command, *words: str) -> tuple[int, str, str]:
        status = command.main(list(words))
        done = capsys.readouterr()
        return status, done.out, done.err

    return run


@pytest.fixture
def admin(
    local: Local, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Admin:
    """svcadm and svccfg, over an empty repository."""
    return Admin(local, capsys, monkeypatch)
