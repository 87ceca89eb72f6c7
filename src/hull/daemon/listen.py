# SPDX-License-Identifier: MPL-2.0
"""Listening on a Unix socket, in place of a stale one, or on a port; so many clients at once."""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from hull.errors import HostError

NOBODY = 65534  # the kernel's overflow id
BACKLOG = 1024  # clients that the kernel keeps waiting for us; the rest wait in connect()


class Peer(NamedTuple):
    pid: int
    uid: int


def peer_of(sock: socket.socket) -> Peer:
    """Who has opened the other end, as the kernel vouches for it."""
    if sock.family == socket.AF_INET:
        return Peer(0, tcp_uid(sock.getpeername(), sock.getsockname()))
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return Peer(pid, uid)


def tcp_uid(client: tuple[str, int], server: tuple[str, int]) -> int:
    """Whose socket a connection over the loopback interface comes from; NOBODY if it has gone."""
    wanted = [_proc_address(client), _proc_address(server)]
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1:3] == wanted:
                return int(fields[7])
    return NOBODY


def _proc_address(address: tuple[str, int]) -> str:
    """`0100007F:2382`, as the kernel prints 127.0.0.1:9090."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"


def bind_tcp(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises HostError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise HostError(f"cannot listen on 127.0.0.1:{port}: {exc.strerror}") from exc
    return sock


def bind(path: Path, *, owner: int = 0) -> socket.socket:
    """A listening socket of mode 0600 that belongs to `owner`, put in place atomically.

    A client sees the old socket or the new one, never none. The directory is made if it is missing.
    Raises HostError.
    """
    temporary = f".{path.name}.{os.getpid()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # sun_path ends after 108 bytes, a path on the host need not.
            short = f"/proc/self/fd/{directory}/{temporary}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            sock.bind(short)
            os.chown(temporary, owner, owner, dir_fd=directory)
            os.chmod(temporary, 0o600, dir_fd=directory)
            sock.listen(BACKLOG)
            os.rename(temporary, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as exc:
        sock.close()
        raise HostError(f"cannot listen on {path}: {exc.strerror}") from exc
    return sock


async def accept(
    listener: socket.socket,
    limit: int,
    serve: Callable[[socket.socket], Awaitable[None]],
    tasks: set[asyncio.Task[None]],
) -> None:
    """Run `serve` for each client, at most `limit` at once; further ones wait in the kernel.

    `serve` owns the socket. `tasks` holds what runs, for the caller to wait for or to cancel.
    """
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(limit)

    def ended(task: asyncio.Task[None]) -> None:
        slots.release()
        tasks.discard(task)

    async def begin(sock: socket.socket) -> None:
        await serve(sock)

    while True:
        await slots.acquire()
        try:
            sock, _ = await loop.sock_accept(listener)
        except OSError:
            # The client gave up again, or we are out of descriptors: somebody will close one.
            slots.release()
            await asyncio.sleep(0.1)
            continue
        task = asyncio.create_task(begin(sock))
        tasks.add(task)
        task.add_done_callback(ended)
