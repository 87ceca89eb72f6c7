# SPDX-License-Identifier: MPL-2.0
"""Waiting until a descriptor is ready, whatever its number: select(2) ends at 1,023."""

import select


def readable(fd: int, seconds: float | None) -> bool:
    """Whether something can be read, or the other end is closed, within that time; None: wait."""
    return _wait(fd, select.POLLIN, seconds)


def writable(fd: int, seconds: float | None) -> bool:
    return _wait(fd, select.POLLOUT, seconds)


def _wait(fd: int, event: int, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(None if seconds is None else max(0, seconds) * 1000))
