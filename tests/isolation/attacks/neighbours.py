# SPDX-License-Identifier: MPL-2.0
"""What other zones and the host's daemon have: sockets, locks, files, events, names."""

import ctypes
import fcntl
import os
import resource
import select
import socket
import struct
import time

from tests.isolation.attacks.base import GIVEN, attack, begin, last_error, libc, umount

TREE_SEARCH = 0xD0009411
ROOT_TREE = 1
NETLINK_KOBJECT_UEVENT = 15
IN_MODIFY, IN_NONBLOCK = 2, 0o4000
HELD: list[object] = []
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@attack(18, 28)
def connect_to_a_socket() -> str:
    """hulld's, or another zone's for its metadata."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(GIVEN["path"])
        return "done"


@attack(14, 19)
def listen_by_a_name() -> str:
    """A socket without a file."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind("\0" + GIVEN["name"])
    sock.listen()
    HELD.append(sock)
    return "done"


@attack(25)
def lock_a_file() -> str:
    file = os.open(GIVEN["path"], os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return "done"


@attack(25)
def watch_a_file() -> str:
    """Whether somebody else writes to it, within some seconds."""
    watcher = last_error(libc.inotify_init1(IN_NONBLOCK))
    last_error(libc.inotify_add_watch(watcher, GIVEN["path"].encode(), IN_MODIFY))
    begin()
    heard, _, _ = select.select([watcher], [], [], float(GIVEN["seconds"]))
    return "something" if heard else "nothing"


@attack(27)
def hear_of_devices() -> str:
    """What the kernel tells udev."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as sock:
        sock.bind((0, 1))
        deadline = time.monotonic() + float(GIVEN["seconds"])
        begin()
        while (left := deadline - time.monotonic()) > 0:
            if select.select([sock], [], [], left)[0] and b"/null" in sock.recv(65536):
                return "something"
    return "nothing"


@attack(18, 28)
def search_the_pool() -> str:
    """All datasets of the host, from the file system's own trees."""
    argument = bytearray(4096)
    most = 2**64 - 1
    struct.pack_into(
        "=7Q4I", argument, 0, ROOT_TREE, 0, most, 0, most, 0, most, 0, 0xFFFFFFFF, 10, 0
    )
    top = os.open(GIVEN.get("path", "/"), os.O_RDONLY)
    fcntl.ioctl(top, TREE_SEARCH, argument)
    return "done"


@attack(29)
def boot_id() -> str:
    with open(BOOT_ID) as file:
        return file.read().strip()


@attack(29)
def boot_id_below() -> str:
    """The machine's, past what the zone's root may take off."""
    umount(BOOT_ID)
    return boot_id()


@attack(21)
def crash() -> str:
    """Where the core of a process is then, and whose it is."""
    os.chdir("/root")
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
        ctypes.string_at(0)
    os.waitpid(child, 0)
    found = [name for name in os.listdir("/root") if name.startswith("core")]
    owners = {os.stat(f"/root/{name}").st_uid for name in found}
    return "in the zone" if owners == {0} else "nowhere"


RENAME_EXCHANGE = 2


@attack(18)
def turn_directories() -> str:
    """Exchange directories and links to the host's, until standard input ends."""
    root, outside = GIVEN["root"], GIVEN["outside"]
    pairs = []
    for name in ("etc", "var/svc", "var/lib/cloud"):
        path = f"{root}/{name}"
        os.makedirs(f"{path}/seed/nocloud", exist_ok=True)
        for file in ("passwd", "group", "victim"):
            with open(f"{path}/{file}", "w") as made:
                made.write("root:x:0:0::/root:/bin/sh\n")
        os.symlink(outside, f"{path}.link")
        pairs.append((path.encode(), f"{path}.link".encode()))
    begin()
    while not select.select([0], [], [], 0)[0]:
        for one, other in pairs:
            last_error(libc.renameat2(-100, one, -100, other, RENAME_EXCHANGE))
    return "done"
