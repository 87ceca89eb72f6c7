# SPDX-License-Identifier: MPL-2.0
"""Zones to attack from: whole, or without some of their walls; and a host to be attacked.

The host is a network, name and message namespace of this process's own, so that even a zone without
walls does the machine no harm.
"""

import ctypes
import json
import os
import secrets
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast
from unittest.mock import patch

from hull.brand.brand import Bind
from hull.linux import cgroup
from hull.linux.syscall import check, libc
from hull.wire import Json, JsonObject
from hull.zone.runtime import Limits, ZoneSpec
from tests.integration.net_fixtures import private_namespace
from tests.integration.zone_fixtures import INIT, CrunWorld, crun_world
from tests.isolation.attacks import run
from tests.isolation.attacks.namespaces import TAKEN_OVER
from tests.isolation.walls import (
    NAMES,
    capabilities_of,
    devices_of,
    most_capabilities,
    there_are,
    without,
)

CLONE_NEWUTS, CLONE_NEWIPC = 0x4000000, 0x8000000
HERE = Path(__file__).parent
LAUNCHER = "/root/attack.py"
LAUNCH = """\
import json, sys
sys.path.insert(0, "/root/a")
from tests.isolation.attacks import run
given, *names = sys.argv[1:]
run.hold(names[1], json.loads(given)) if names[0] == "hold" else run.main(names, json.loads(given))
"""
PYTHON = ("/usr/bin/python3", "-ISB", LAUNCHER)
SECRET = "the-hosts-own"
IPC_CREAT, IPC_RMID = 0o1000, 0
FUSE = 10, 229


def why_not() -> str:
    """Why attacks cannot be tried here; nothing if they can. A zone sees the host's Python."""
    merged = Path("/bin").is_symlink() and Path("/usr/bin/python3").exists()
    return "" if merged else "needs a merged /usr with python3"


def make_root(root: Path) -> None:
    """The root of a zone that sees the host's /usr, with what a hostile image brings along."""
    for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "root"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "root/init").write_text(INIT)
    (root / "root/init").chmod(0o755)
    make_node(root / "root/image-disk")
    install_attacks(root)


def install_attacks(root: Path) -> None:
    """Put them below a zone's root; `attack.py` there runs them."""
    copy_attacks(root / "root/a")
    (root / LAUNCHER.lstrip("/")).write_text(LAUNCH)
    (root / run.MARK.lstrip("/")).touch()


def copy_attacks(tree: Path) -> None:
    """As a package that Python finds in `tree`."""
    for path in (HERE.parent / "__init__.py", HERE / "__init__.py", *(HERE / "attacks").iterdir()):
        if path.suffix == ".py":
            place = tree / "tests" / path.relative_to(HERE.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def with_usr(spec: ZoneSpec) -> ZoneSpec:
    """A zone that sees the host's /usr, as all zones see /native: whatever file system it is on."""
    usr: JsonObject = {
        "destination": "/usr",
        "type": "bind",
        "source": "/usr",
        "options": ["rbind", "rprivate", "ro", "nodev"],
    }
    mounts = cast(list[Json], spec.bundle["mounts"])
    return replace(spec, bundle=spec.bundle | {"mounts": [*mounts, usr]})


def make_node(path: Path) -> None:
    """A device that is no zone's, does no harm when it is opened, and asks for no privilege."""
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(*FUSE))
    path.chmod(0o666)


class Target:
    """What of the host's can be attacked, and a look at whether it has been."""

    def __init__(self, stack: ExitStack) -> None:
        token = secrets.token_hex(4)
        self.name = f"hull-{token}"
        self.key = int(token, 16) & 0x7FFFFFFF
        self.nodename = os.uname().nodename
        self.victim = stack.enter_context(
            subprocess.Popen(["sleep", "1000"], env={"SECRET": SECRET})
        )
        stack.callback(self.victim.kill)
        segment = check(libc.shmget(self.key, 4096, IPC_CREAT | 0o666), "shmget")
        stack.callback(libc.shmctl, segment, IPC_RMID, None)
        queue = libc.syscall(240, self.name.encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
        os.close(check(queue, "mq_open"))
        stack.callback(libc.syscall, 241, self.name.encode())
        self._abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        self._abstract.bind(f"\0{self.name}")
        self._abstract.listen()
        self._loopback = stack.enter_context(socket.socket())
        self._loopback.bind(("127.0.0.1", 0))
        self._loopback.listen()

    def given(self) -> dict[str, str]:
        """What attackers are told."""
        most = sum(1 << NAMES.index(name) for name in most_capabilities())
        return {
            "victim": str(self.victim.pid),
            "secret": SECRET,
            "key": str(self.key),
            "name": self.name,
            "port": str(self._loopback.getsockname()[1]),
            "link": "hullhost0",
            "capabilities": str(most),
        }


class Stage:
    """Zones by brand and missing walls, booted when they are first asked for."""

    def __init__(self, world: CrunWorld, target: Target) -> None:
        self.world = world
        self.target = target
        self._number = 0
        self._zones: dict[tuple[str, frozenset[str]], str] = {}
        self.walls = there_are(world.layout)
        self.shared = world.directory / "shared"
        self.shared.mkdir()
        make_node(self.shared / "disk")

    def zone(self, brand: str, removed: frozenset[str]) -> str:
        """The uuid of a zone without these walls."""
        key = brand, removed
        if key not in self._zones:
            self._zones[key] = self._boot(brand, removed)
        return self._zones[key]

    def _boot(self, brand: str, removed: frozenset[str]) -> str:
        self._number += 1
        number = self._number
        root = self.world.directory / f"zone{number}"
        make_root(root)
        spec = self.world.spec(
            number,
            brand=brand,
            init="/root/init",
            filesystems=(Bind(source=self.shared, target="/shared"),),
            root=root,
            limits=Limits(memory=160 << 20, processes=60),
        )
        runtime = self.world.manager()
        with patch.object(cgroup, "DEVICES", devices_of(removed)):
            runtime.create(without(with_usr(spec), removed))
        runtime.start(spec.uuid)
        self.world.wait_booted(spec.uuid)
        return spec.uuid

    def login_argv(self, brand: str, removed: frozenset[str], names: list[str]) -> list[str]:
        """The program that tries attacks in a zone without these walls, as zlogin starts it."""
        uuid, given = self.zone(brand, removed), json.dumps(self.target.given())
        process = self.world.process(*PYTHON, given, *names, capabilities=capabilities_of(removed))
        return self.world.manager().login_argv(uuid, process)

    def attack(self, brand: str, removed: frozenset[str], names: list[str]) -> dict[str, str]:
        """What comes of attacks from a zone without these walls."""
        argv = self.login_argv(brand, removed, names)
        done = subprocess.run(
            argv, input="", capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = json.loads(done.stdout)
        if "host_name" in found:
            found["host_name"] = "done" if os.uname().nodename == TAKEN_OVER else "nothing"
            socket.sethostname(self.target.nodename)
        return found


@contextmanager
def host_of_its_own() -> Iterator[None]:
    """The calling thread in namespaces of its own: network, host name, System V and POSIX IPC."""
    before = [
        os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        for kind in ("uts", "ipc")
    ]
    try:
        check(libc.unshare(CLONE_NEWUTS | CLONE_NEWIPC), "unshare")
        with private_namespace():
            subprocess.run(["ip", "link", "add", "hullhost0", "type", "bridge"], check=True)
            yield
    finally:
        for fd in before:
            check(libc.setns(fd, 0), "go back")
            os.close(fd)


@contextmanager
def new_stage(directory: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        stack.enter_context(host_of_its_own())
        world = stack.enter_context(crun_world(directory))
        yield Stage(world, stack.enter_context(_target()))


@contextmanager
def _target() -> Iterator[Target]:
    with ExitStack() as stack:
        yield Target(stack)


assert ctypes.sizeof(ctypes.c_long) == 8, "attacks speak x86-64"
