# SPDX-License-Identifier: MPL-2.0
"""What all tests share: skips that CI does not forgive, and units that touch nothing."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no defect: what takes long is bounded by the whole run.
settings.register_profile("hull", deadline=None)
settings.load_profile("hull")

UNIT = Path(__file__).parent / "unit"


def pytest_configure() -> None:
    """Who ends the run by SIGTERM gets the machine back as it was: fixtures end as with ^C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With HULL_REQUIRE set, as in CI, a test that skips has failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's result is untyped
    if report.skipped and os.environ.get("HULL_REQUIRE") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped, but HULL_REQUIRE is set: {report.longrepr}"


@pytest.fixture(autouse=True)
def _unit_tests_touch_nothing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit test starts no program and opens no connection."""
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a unit test reached for the outside world: {args}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "system", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that change the machine skip, with the reason, where they may not."""
    if os.geteuid() == 0:
        return
    marks = ("needs_root", "needs_btrfs", "needs_netns", "needs_zones")
    for item in items:
        if any(item.get_closest_marker(mark) for mark in marks):
            item.add_marker(pytest.mark.skip(reason="needs root"))
