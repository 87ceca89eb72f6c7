# SPDX-License-Identifier: MPL-2.0
"""vmadm send and receive: where the stream goes to and comes from.

hulld writes and reads it itself: the command hands its file over, and no byte passes through here.
"""

import os
from collections.abc import Callable
from typing import BinaryIO

from hull.errors import Error, HostError, Usage

Write = Callable[[int], None]


def to_stdout(write: Write) -> None:
    """Let `write` write to standard output. Raises HostError if that is a terminal."""
    if os.isatty(1):
        raise HostError("Cannot send VM to a TTY.", hint="into a file, a pipe, or to a HOST")
    write(1)


def to_host(host: str, write: Write) -> None:
    """Let `write` write to `vmadm receive` on another host. Raises HostError, Usage."""
    if host.startswith("-"):
        raise Usage(f'"{host}" is not the name of a host')
    reader, writer = os.pipe()
    try:
        argv = ["ssh", host, "vmadm", "receive"]
        actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    except FileNotFoundError:
        os.close(writer)
        raise HostError("ssh is not installed") from None
    finally:
        os.close(reader)
    failure: Error | None = None
    try:
        write(writer)
    except Error as exc:
        failure = exc
    finally:
        os.close(writer)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise HostError(f"`ssh {host} vmadm receive` ended with status {status}") from failure
    if failure:
        raise failure


def source(name: str) -> BinaryIO:
    """The stream: a file, or standard input (`-`). Raises HostError, Usage for a terminal."""
    if name == "-":
        if os.isatty(0):
            raise Usage("Will not receive from stdin when stdin is a tty.")
        return open(0, "rb", buffering=0, closefd=False)
    try:
        return open(name, "rb", buffering=0)
    except FileNotFoundError:
        raise HostError(f"File: {name} does not exist.") from None
    except OSError as exc:
        raise HostError(f"cannot read {name}: {exc.strerror}") from None
