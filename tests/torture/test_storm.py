# SPDX-License-Identifier: MPL-2.0
"""VMs are made, changed and deleted while everything around them is killed, at random.

hulld itself, conmon, crun and the zones' inits: whoever asks for something is told the truth about
it, and when the storm is over, everything is in order.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration import hosts
from tests.integration.hosts import Done, TestHost, wait_for
from tests.torture.invariants import strays
from tests.torture.world import World, install

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

SECONDS = 30 if not os.environ.get("HULL_TORTURE") else 600
WORKERS = 4
TRIES = 10  # to find a process of the kind to be killed
STATES = {"running", "stopped", "failed"}
NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


class Killer:
    """Ends processes of one host, and brings hulld back."""

    def __init__(self, host: TestHost, seed: int) -> None:
        self.host, self.chance = host, random.Random(seed)
        self.counts = {"hulld": 0, "conmon": 0, "crun": 0, "init": 0}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self.chance.uniform(0.02, 0.2)):
            if self.chance.random() < 0.1:
                self.hulld()
            else:
                self.some(self.chance.choice(("conmon", "crun", "init")))

    def hulld(self) -> None:
        self.host.kill_hulld()
        self.counts["hulld"] += 1
        self.host.up()

    def some(self, name: str) -> None:
        """One of those; crun lives for milliseconds, so it is waited for."""
        for _ in range(TRIES):
            found = self.inits() if name == "init" else self.named(name)
            if found and self.end(self.chance.choice(found)):
                self.counts[name] += 1
                return

    def inits(self) -> list[int]:
        found = []
        for path in (self.host.root / "run/hull/boots").glob("[!.]*.json"):
            with suppress(OSError, ValueError):
                found.append(int(json.loads(path.read_text())["pid"]))
        return [pid for pid in found if pid]

    def named(self, name: str) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                if Path(os.fsdecode(words[0])).name == name and any(
                    os.fsencode(self.host.root) in word for word in words
                ):
                    found.append(int(path.name))
        return found

    @staticmethod
    def end(pid: int) -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False


def told(done: Done) -> bool:
    """Whether it went well; if not, it was said why, and that it was no bug."""
    assert "Traceback" not in done.stderr, done.stderr
    assert "should not have" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    assert done.returncode == 0 or done.stderr.strip()
    return done.returncode == 0


def lives(host: TestHost, image: str, number: int, until: float) -> int:
    """VMs from create to delete, one after the other; how many were deleted."""
    count = 0
    while time.monotonic() < until:
        payload = {"alias": f"w{number}", "image_uuid": image, "nics": NICS, "quota": 1}
        payload["max_physical_memory"] = 64
        told(host("vmadm", "create", stdin=json.dumps(payload), check=False))
        for uuid in host("vmadm", "lookup", f"alias=w{number}", check=False).stdout.split():
            told(host("vmadm", "update", uuid, "quota=2", check=False))
            told(host("vmadm", "create-snapshot", uuid, "s", check=False))
            told(host("vmadm", "stop", uuid, "-F", check=False))
            told(host("vmadm", "start", uuid, check=False))
            told(host("vmadm", "rollback-snapshot", uuid, "s", check=False))
            count += told(host("vmadm", "delete", uuid, check=False))
    return count


@contextmanager
def killing(host: TestHost) -> Iterator[Killer]:
    killer = Killer(host, seed=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(killer.run)
        try:
            yield killer
        finally:
            killer.over.set()
        running.result()


def test_everything_dies(tmp_path: Path) -> None:
    with hosts.new_host() as host:
        image = install(host, tmp_path, "small")
        until = time.monotonic() + SECONDS
        with killing(host) as killer, ThreadPoolExecutor(WORKERS) as pool:
            done = sum(pool.map(lambda n: lives(host, image, n, until), range(WORKERS)))
        host.up()
        assert min(killer.counts.values()) > 3, killer.counts
        assert done > 3
        settled(host)
        for uuid in host("vmadm", "lookup").stdout.split():
            host("vmadm", "delete", uuid)
        host.end_hulld()
        world = World(host, image, image, "", tmp_path)
        assert world.do(strays) == []


def settled(host: TestHost) -> None:
    """Each VM is at rest, and as it says."""

    def states() -> set[str]:
        return set(host("vmadm", "list", "-p", "-o", "state").stdout.split())

    wait_for(lambda: states() <= STATES, what="VMs at rest")
    for uuid in host("vmadm", "lookup", "state=running").stdout.split():
        told(host("zlogin", uuid, "true", check=False))


def test_a_zone_whose_conmon_is_killed(tmp_path: Path) -> None:
    """Its console is gone and so is its init, as with any terminal; it boots again."""
    with hosts.new_host() as host:
        uuid = host.create(image_uuid=install(host, tmp_path, "small"), nics=NICS)
        killer = Killer(host, seed=1)
        (conmon,) = killer.named("conmon")
        killer.end(conmon)
        pid = host.json("vmadm", "get", uuid)["pid"]
        host("vmadm", "stop", uuid)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), what="init's end")
        host("vmadm", "start", uuid)
        assert host("zlogin", uuid, "echo up").stdout == "up\n"
        host("vmadm", "delete", uuid)
        host.end_hulld()
        world = World(host, "", "", "", tmp_path)
        assert world.do(strays) == []
