# SPDX-License-Identifier: MPL-2.0
"""Streams of datasets: looked at where they begin, then fed to the program that unpacks them."""

import os
from contextlib import suppress

from hull.errors import CommandFailed, Corrupt
from hull.linux import pipe
from hull.linux.run import spawn, wait

_CHUNK = 1 << 20


def read_exactly(fd: int, count: int) -> bytes:
    """So many bytes. Corrupt if the stream ends before."""
    parts = []
    while count:
        part = os.read(fd, count)
        if not part:
            raise Corrupt("the stream ends too early")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def feed(argv: tuple[str, ...], first: bytes, fd: int) -> None:
    """Let a program read `first`, and then all of `fd`. Raises CommandFailed.

    It dies of a broken pipe if we do, so that nobody works on after kill -9.
    """
    reader, writer = pipe.opened()
    with os.fdopen(os.memfd_create(argv[0]), "r+", errors="replace") as words:
        try:
            child = spawn(*argv, stdin=reader, stderr=words.fileno())
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        try:
            with suppress(BrokenPipeError):  # its exit status tells why it went away
                _pump(first, fd, writer)
        except BaseException:
            child.kill()
            raise
        finally:
            os.close(writer)
            status = wait(child, argv[0], None)
        words.seek(0)
        if status:
            raise CommandFailed(argv, status, words.read())


def _pump(first: bytes, fd: int, writer: int) -> None:
    chunk = first
    while chunk:
        pipe.write_all(writer, chunk)
        chunk = os.read(fd, _CHUNK)
