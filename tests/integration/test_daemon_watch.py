# SPDX-License-Identifier: MPL-2.0
"""The end of processes, noticed through pidfds."""

import os
import subprocess
import threading
import time

import pytest

from hull.daemon.watch import Watcher
from tests.integration.daemon_fixtures import event_loop


def test_an_end_is_noticed_at_once_and_told_once() -> None:
    with event_loop() as loop:
        watcher = Watcher(loop)
        told: list[float] = []
        noticed = threading.Event()

        def callback() -> None:
            told.append(time.monotonic())
            noticed.set()

        with subprocess.Popen(["sleep", "60"]) as child:
            watcher.watch(child.pid, callback)
            assert not noticed.wait(0.1)
            child.kill()
            ended = time.monotonic()
            assert noticed.wait(5)
        assert told[0] - ended < 1
        # It is gone by now, reaped: that is told too.
        noticed.clear()
        watcher.watch(child.pid, callback)
        assert noticed.wait(5)
        assert len(told) == 2
        loop.call_soon_threadsafe(watcher.stop)


def test_a_callback_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with event_loop() as loop:
        watcher = Watcher(loop, threads=1)
        noticed = threading.Event()

        def fail() -> None:
            raise ValueError("a bug")

        for callback in (fail, noticed.set):
            with subprocess.Popen(["true"]) as child:
                watcher.watch(child.pid, callback)
        assert noticed.wait(5)
        loop.call_soon_threadsafe(watcher.stop)
    assert "a bug" in caplog.text


def test_a_stop_leaves_no_pidfd() -> None:
    with event_loop() as loop:
        watcher = Watcher(loop)
        before = len(os.listdir("/proc/self/fd"))
        with subprocess.Popen(["sleep", "60"]) as child:
            watcher.watch(child.pid, lambda: None)
            assert len(os.listdir("/proc/self/fd")) == before + 1
            stopped = threading.Event()
            loop.call_soon_threadsafe(watcher.stop)
            loop.call_soon_threadsafe(stopped.set)
            assert stopped.wait(5)
            assert len(os.listdir("/proc/self/fd")) == before
            child.kill()
