# SPDX-License-Identifier: MPL-2.0
"""Notices the end of a process, through a pidfd on the event loop: nothing polls."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger("hull.watch")


class Watcher:
    """Calls back, in a worker thread, when a zone's init has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int = 4) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(threads, "watch")
        self._pidfds: set[int] = set()  # touched by the loop's thread only
        self._stopped = False  # as well

    def watch(self, pid: int, callback: Callable[[], None]) -> None:
        """Call `callback` once, after process `pid` has ended; it need not be our child.

        From any thread. If it has ended already, `callback` is called at once.
        """
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._threads.submit(_guarded, callback)
            return
        self._loop.call_soon_threadsafe(self._add, pidfd, callback)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, in so many seconds; from any thread."""
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._submit, callback)

    def _submit(self, callback: Callable[[], None]) -> None:
        if not self._stopped:
            self._threads.submit(_guarded, callback)

    def _add(self, pidfd: int, callback: Callable[[], None]) -> None:
        self._pidfds.add(pidfd)
        self._loop.add_reader(pidfd, self._ended, pidfd, callback)

    def _ended(self, pidfd: int, callback: Callable[[], None]) -> None:
        self._remove(pidfd)
        self._threads.submit(_guarded, callback)

    def _remove(self, pidfd: int) -> None:
        self._pidfds.discard(pidfd)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)

    def stop(self) -> None:
        """Call back no more, from the loop's thread. What is being called goes on to its end."""
        self._stopped = True
        for pidfd in list(self._pidfds):
            self._remove(pidfd)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _guarded(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("a callback after the end of a process failed")
