# SPDX-License-Identifier: MPL-2.0
"""Descriptors as many as a host with a thousand zones has."""

import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from hull.linux import ready

MANY = 2000  # more than an fd_set has


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pipe whose ends have numbers as on a host with a thousand zones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 100), hard))
    low = os.pipe()
    high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, MANY) for fd in low)
    for fd in low:
        os.close(fd)
    yield high[0], high[1]
    for fd in high:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_beyond_those_of_select(ends: tuple[int, int]) -> None:
    read, write = ends
    assert not ready.readable(read, 0)
    assert ready.writable(write, None)
    os.write(write, b"x")
    assert ready.readable(read, 0)
    assert ready.readable(read, -1)
