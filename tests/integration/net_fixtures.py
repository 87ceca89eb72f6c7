# SPDX-License-Identifier: MPL-2.0
"""A private network namespace for each test, and more of them to put zones into."""

import os
import secrets
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import pytest

from hull.linux import netlink
from hull.linux.namespace import in_thread
from hull.linux.netlink import LinkInfo, Netlink
from hull.linux.netns import CLONE_NEWNET, in_netns
from hull.linux.syscall import check, libc
from hull.net.datalink import NicTag
from hull.net.kernel import KernelDatalinks
from hull.net.nictag import admin

T = TypeVar("T")

needs_netns = [pytest.mark.needs_root, pytest.mark.needs_netns]


def _unshare() -> int:
    check(libc.unshare(CLONE_NEWNET), "unshare the network namespace")
    with Netlink() as here:
        here.batch(netlink.set_link("lo", up=True))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Namespace:
    """A network namespace that lives as long as its descriptor."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd if fd >= 0 else in_thread(_unshare)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, *argv: str, timeout: float = 20) -> "subprocess.CompletedProcess[str]":
        """Run a program in it."""
        command = ["nsenter", f"--net={self.path}", *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def call(self, function: Callable[[], T]) -> T:
        return in_netns(self.fd, function)

    def link(self, name: str) -> LinkInfo | None:
        def work() -> LinkInfo | None:
            with Netlink() as here:
                return here.link(name)

        return self.call(work)

    def ping(self, address: str, *, wait: float = 0.5) -> float | None:
        """Send one packet; the seconds until its answer, None if `wait` was not enough."""
        is4 = ip_address(address).version == 4
        family = socket.AF_INET if is4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if is4 else socket.getprotobyname("ipv6-icmp")
        request, answer = (8, 0) if is4 else (128, 129)
        with self.call(partial(socket.socket, family, socket.SOCK_RAW, protocol)) as sock:
            token = secrets.token_bytes(8)
            body = struct.pack("!BBHHH", request, 0, 0, 1, 1) + token
            body = body[:2] + struct.pack("!H", checksum(body) if is4 else 0) + body[4:]
            start = time.monotonic()
            try:
                sock.sendto(body, (address, 0))
                while (left := start + wait - time.monotonic()) > 0:
                    sock.settimeout(left)
                    got = sock.recv(2048)
                    got = got[20:] if is4 else got
                    if got[0] == answer and got.endswith(token):
                        return time.monotonic() - start
            except (TimeoutError, OSError):
                pass
        return None

    def close(self) -> None:
        os.close(self.fd)


class Lan:
    """A host in a namespace of its own (the calling thread's) and namespaces for zones."""

    def __init__(self, run: Path, stack: ExitStack) -> None:
        self.run = run
        self._stack = stack
        self.host_id = secrets.token_hex(2)

    def namespace(self) -> Namespace:
        made = Namespace()
        self._stack.callback(made.close)
        return made

    def here(self) -> Namespace:
        """The host's own namespace."""
        made = Namespace(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        self._stack.callback(made.close)
        return made

    def datalinks(self, host_id: str = "", networks: tuple[NicTag, ...] = ()) -> KernelDatalinks:
        """A host's driver; whatever it makes is taken down at the end."""
        host_id = host_id or self.host_id
        run = self.run / host_id
        run.mkdir(exist_ok=True)
        networks = networks or (admin(host_id),)
        made = KernelDatalinks(run, host_id=host_id, networks=networks)
        self._stack.callback(made.down)
        return made

    def host_socket(self, link: str, protocol: int) -> socket.socket:
        """Frames that reach the host itself by a link."""
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        made.bind((link, protocol))
        return made


@contextmanager
def private_namespace() -> Iterator[None]:
    """The calling thread in a network namespace of its own."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(_unshare())
        yield
    finally:
        check(libc.setns(before, CLONE_NEWNET), "go back")
        os.close(before)


@contextmanager
def new_lan(directory: Path) -> Iterator[Lan]:
    """The calling thread becomes a host in a namespace of its own for a while."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    assert threading.current_thread() is threading.main_thread()
    with private_namespace(), ExitStack() as stack:
        yield Lan(directory, stack)


def packet_socket(namespace: Namespace, interface: str, protocol: int = 3) -> socket.socket:
    """A raw socket on a link; protocol 3 is every one, seen before anything else sees it."""

    def work() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        made.bind((interface, protocol))
        return made

    return namespace.call(partial(work))
