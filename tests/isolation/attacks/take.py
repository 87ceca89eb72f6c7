# SPDX-License-Identifier: MPL-2.0
"""Taking more of something than a zone should get. Each attack holds what it takes.

`done`: it has got all that it wanted, which the test may say (`most`); else `bounded`.
"""

import base64
import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from itertools import count

from tests.isolation.attacks.base import (
    GIVEN,
    MS_BIND,
    attack,
    begin,
    last_error,
    libc,
    mount,
    syscall,
    volunteer,
)

HELD: list[object] = []
CHUNK = 1 << 20
MEMORY = 240  # MiB: more than the zone is given
SOL_PACKET, PACKET_RX_RING = 263, 5
SO_MEMINFO = 55
DATAGRAM = 60_000


def _most(otherwise: int) -> int:
    return int(GIVEN.get("most", otherwise))


def _take(one: Callable[[int], object], most: int) -> str:
    """Call it until it fails, or often enough."""
    for number in range(_most(most)):
        try:
            HELD.append(one(number))
        except OSError as exc:
            HELD.append(exc)
            return "bounded"
    return "done"


def _files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@attack(28)
def take_inotify_instances() -> str:
    return _take(lambda _: last_error(libc.inotify_init()), 1000)


@attack(28)
def take_signals() -> str:
    """Queued, and not received."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    return _take(lambda _: last_error(libc.sigqueue(os.getpid(), signal.SIGRTMIN, 0)), 1 << 20)


@attack(28)
def take_message_queues() -> str:
    """What is in POSIX message queues is counted by user."""

    def one(number: int) -> int:
        attributes = struct.pack("8l", 0, 10, 8192, 0, 0, 0, 0, 0)
        name = f"q{os.getpid()}-{number}".encode()
        queue = syscall(240, name, os.O_CREAT | os.O_RDWR, 0o600, attributes)
        syscall(241, name)
        return queue

    return _take(one, 1000)


@attack(28)
def take_ptys() -> str:
    _files()
    return _take(lambda _: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), 400)


@attack(28)
def take_asynchronous_io() -> str:
    """Room for events, of which the machine has so many."""

    def one(_: int) -> None:
        syscall(206, 4096, ctypes.create_string_buffer(8))

    return _take(one, 64)


@attack(28)
def take_processes() -> str:
    def one(_: int) -> int:
        child = os.fork()
        if child == 0:
            signal.pause()
        return child

    return _take(one, 100)


@attack(28)
def take_memory() -> str:
    """Pages of one's own, a MiB at a time; who is killed for it has got less."""

    def one(_: int) -> mmap.mmap:
        part = mmap.mmap(-1, CHUNK)
        part.write(b"x" * CHUNK)
        return part

    return _in_a_child(one, MEMORY)


def _in_a_child(one: Callable[[int], object], most: int) -> str:
    """As `_take`, by a child that the kernel may kill."""
    child = os.fork()
    if child == 0:
        volunteer(1000)
        os._exit(0 if _take(one, most) == "done" else 1)
    _, status = os.waitpid(child, 0)
    return "done" if status == 0 else "bounded"


def _fill(path: str) -> Callable[[int], object]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    data = os.urandom(CHUNK)
    return lambda _: os.write(file, data)


@attack(28)
def take_tmpfs() -> str:
    """A file in memory, in a file system as large as one likes."""
    mount("tmpfs", "/root/full", "tmpfs", 0, "size=1000g")
    return _in_a_child(_fill("/root/full/file"), MEMORY)


@attack(28)
def take_ramfs() -> str:
    """The same, in one that has no size at all."""
    mount("ramfs", "/root/full", "ramfs")
    return _in_a_child(_fill("/root/full/file"), MEMORY)


@attack(28)
def take_udp() -> str:
    """So many MiB wait in sockets."""
    _files()
    total, most = 0, _most(100) * CHUNK
    for _ in range(2000):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        receiver.bind(("127.0.0.1", 0))
        HELD.append(receiver)
        total += _fill_socket(receiver)
        if total > most:
            return "done"
    return "bounded"


def _fill_socket(receiver: socket.socket) -> int:
    """Send to it as much as it has room for; the bytes of memory that it then holds."""
    room = receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(receiver.getsockname())
        for _ in range(room // DATAGRAM + 1):
            sender.send(b"x" * DATAGRAM)
    return _memory_of(receiver)


def _memory_of(sock: socket.socket) -> int:
    (held,) = struct.unpack("I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4))
    return int(held)


@attack(28)
def take_packet_rings() -> str:
    """Rings for frames, of 64 MiB each; the kernel charges them to nobody."""

    def one(_: int) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("4I", 1 << 20, 64, 4096, 64 * 256))
        return sock

    return _take(one, 4)


@attack(28)
def take_neighbours() -> str:
    """Permanent entries in the table of neighbours; the kernel charges them to nobody."""
    lines = (
        f"neigh add 10.0.{n >> 8}.{n & 255} lladdr 02:00:00:00:00:01 dev net0 nud permanent\n"
        for n in range(256, 256 + _most(20_000))
    )
    batch = ["ip", "-batch", "-"]
    done = subprocess.run(batch, input="".join(lines), text=True, capture_output=True, check=False)
    return "bounded" if done.returncode else "done"


@attack(28)
def take_connections() -> str:
    """Entries in the host's connection tracking: each packet is the first of a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(_most(50_000)):
            with contextlib.suppress(OSError):
                port = 1024 + (number & 16383)
                sock.sendto(b"x", (f"{GIVEN['network']}.{number >> 14 & 255}", port))
    return "done"


@attack(28)
def take_addresses_that_nobody_has() -> str:
    """Entries for neighbours that are looked for; a socket waits for few, so there are many.

    For some seconds, and at its worst once it says that it has begun.
    """
    subprocess.run(["ip", "route", "replace", "10.0.0.0/9", "dev", "net0"], check=True)
    sockets: list[socket.socket] = []
    begun = time.monotonic()
    for number in count():
        if number % 8 == 0:
            sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[-1].setblocking(False)
            if time.monotonic() > begun + _most(6):
                break
        if len(sockets) > 900:
            sockets.pop(0).close()
        if number == 20_000:
            begin()
        scattered = number * 7919
        with contextlib.suppress(OSError):
            address = f"10.{scattered >> 16 & 63}.{scattered >> 8 & 255}.{scattered & 255}"
            sockets[-1].sendto(b"x", (address, 9))
    return "done"


@attack(28)
def take_disk() -> str:
    """Its whole quota, in MiB."""

    def one(number: int) -> None:
        with open(f"/root/disk-{number >> 6}", "ab") as file:
            file.write(os.urandom(CHUNK))

    return _take(one, MEMORY)


@attack(28)
def take_small_files() -> str:
    """As many as there can be."""

    def one(number: int) -> None:
        directory = f"/root/small/{number >> 10}"
        if not number & 1023:
            os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{number}", "w") as file:
            file.write("x")

    return _take(one, 100_000)


@attack(28)
def take_subvolumes() -> str:
    """btrfs's: whatever lists the pool takes longer for each."""
    os.makedirs("/root/subvolumes", exist_ok=True)
    directory = os.open("/root/subvolumes", os.O_RDONLY)

    def one(number: int) -> None:
        argument = bytearray(struct.pack("q4088s", 0, f"s{number}".encode()))
        fcntl.ioctl(directory, 0x5000940E, argument)

    return _take(one, 10)


@attack(28)
def take_mounts() -> str:
    os.makedirs("/root/mounts", exist_ok=True)
    return _take(lambda _: mount("/usr", "/root/mounts", "none", MS_BIND), 20_000)


@attack(28)
def flood_the_console() -> str:
    """So many MiB of lines, on what the host keeps a log of."""
    line = b"flood " * 200 + b"\n"
    size = _most(20) * CHUNK
    with open("/dev/console", "wb", buffering=0) as console:
        for _ in range(size // len(line)):
            console.write(line)
    return "done"


@attack(28)
def fork_bomb() -> str:
    """Processes that make more of themselves, for as long as there is room."""
    first = os.getpid()
    failed, tell = os.pipe()
    for _ in range(7):
        try:
            os.fork()
        except OSError:
            os.write(tell, b".")
    while os.getpid() != first:
        signal.pause()
    return "bounded" if select.select([failed], [], [], 2)[0] else "done"


def _put_for_ever(number: int) -> None:
    """Keys of 100 kB, one after the other, by a connection of its own."""
    key = base64.b64encode(f"key-{number}".encode())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect("/.zonecontrol/metadata.sock")
        sock.sendall(b"NEGOTIATE V2\n")
        answers = sock.makefile("rb")
        while answers.readline():
            value = base64.b64encode(os.urandom(75_000))
            body = b"1 PUT " + base64.b64encode(key + b" " + base64.b64encode(value))
            sock.sendall(b"V2 %d %08x %s\n" % (len(body), zlib.crc32(body), body))


@attack(28)
def flood_the_metadata_socket() -> str:
    """From more connections than a zone has, for some seconds."""
    threads = [threading.Thread(target=_put_for_ever, args=(n,), daemon=True) for n in range(20)]
    for thread in threads:
        thread.start()
    threads[0].join(_most(5))
    return "done"
