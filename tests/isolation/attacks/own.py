# SPDX-License-Identifier: MPL-2.0
"""No attacks: what is a zone's own, and must work in spite of all walls."""

import os
import socket
import subprocess

from tests.isolation.attacks.base import attack, mount


@attack(17)
def own_mounts() -> str:
    """Memory, a view of its processes, its files once more."""
    mount("tmpfs", "/root/t", "tmpfs")
    mount("proc", "/root/p", "proc")
    mount("/etc", "/root/e", "none", 4096)
    return "done"


@attack(15)
def own_name() -> str:
    socket.sethostname("another")
    return "done" if os.uname().nodename == "another" else "nothing"


@attack(4)
def own_set_user_id() -> str:
    """A program of its root's gives its root's powers to its users, as everywhere."""
    program = "/root/a/id"
    with open("/usr/bin/id", "rb") as source, open(program, "wb") as target:
        target.write(source.read())
    os.chmod(program, 0o4755)
    for above in ("/root", "/root/a"):
        os.chmod(above, 0o755)
    done = subprocess.run([program, "-u"], capture_output=True, check=True, user=1000, group=1000)
    return "done" if done.stdout == b"0\n" else "nothing"


@attack(19)
def own_sockets() -> str:
    """Unix, IPv4, IPv6, routing, frames."""
    for family, kind in ((1, 1), (2, 1), (10, 1), (16, 3), (17, 3)):
        socket.socket(family, kind).close()
    return "done"


@attack(14)
def own_messages() -> str:
    """Shared memory between its processes."""
    name = f"/dev/shm/{os.getpid()}"
    with open(name, "w") as file:
        file.write("x")
    os.unlink(name)
    return "done"


@attack(8)
def own_devices() -> str:
    """Those of every system, and no other."""
    wanted = "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom"
    found = set(os.listdir("/dev")) ^ {*wanted.split(), "zero"}
    for name in ("null", "zero", "full", "random", "urandom", "ptmx"):
        os.close(os.open(f"/dev/{name}", os.O_RDWR))
    return " ".join(sorted(found)) or "done"
