# SPDX-License-Identifier: MPL-2.0
"""The repository when configd is killed in the middle of anything, and when the disk is full."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smf.client import Client
from smf.errors import NotFound, Unwritable
from smf.store import Operation, Store
from smf.tree import Groups

NATIVE = Path(__file__).parents[2] / "src/native"
KILLS = 50
ENTITIES = tuple(f"svc:/site/s{number}:default" for number in range(3))
# Configd as svc.init starts it: on a socket that outlives it.
CONFIGD = (
    "import sys, socket; sys.path.insert(0, sys.argv[1]);"
    "from smf.configd import Configd; from smf.store import Store;"
    "Configd(Store(*sys.argv[2:4]), socket.socket(fileno=int(sys.argv[4]))).serve()"
)


class Daemon:
    """configd, and the socket in whose queue clients wait while there is none."""

    def __init__(self, directory: Path) -> None:
        self.files = (str(directory / "lasting.db"), str(directory / "volatile.db"))
        self.door = str(directory / "door")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.door)
        self.listener.listen(64)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-IS", "-c", CONFIGD, str(NATIVE), *self.files, str(number)],
            pass_fds=[number],
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            assert self.process.wait(20) in (0, -number)
            self.process = None


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.kill()
    made.listener.close()


class Writer(threading.Thread):
    """Commits number after number to all entities, lasting and volatile; counts confirmations."""

    def __init__(self, door: str) -> None:
        super().__init__()
        self.client = Client(door)
        self.confirmed = 0
        self.ends = False
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ends:
                self.client.commit(operations(self.confirmed + 1))
                self.confirmed += 1
        except Exception as exc:  # noqa: BLE001  # the test says it
            self.failed = exc
        finally:
            self.client.close()


def operations(number: int) -> list[Operation]:
    found: list[Operation] = []
    for fmri in ENTITIES:
        for group, flags in (("config", ""), ("restarter", "P")):
            found += [
                ["add", fmri],
                ["group", fmri, group, "framework", flags],
                ["set", fmri, group, "number", "count", [str(number)]],
            ]
        found.append(["snapshot", fmri, "running", ""])
    # One that comes and goes, so that there is something to find that should not be there.
    return [*found, ["add" if number % 2 else "delete", "svc:/site/odd:default"]]


def numbers(store: Store, group: str) -> set[int]:
    found = store.tree.entities
    return {int(found.get(f, {})[group].value("number", "0")) for f in ENTITIES if f in found}


def judge(files: tuple[str, str], confirmed: int, writer: Writer) -> None:
    """What is on the disk after a kill: every confirmed commit, and nothing by half."""
    store = Store(*files)
    lasting, volatile = numbers(store, "config"), numbers(store, "restarter")
    taken = {
        int(store.tree.snapshots[f]["running"]["instance"]["config"].value("number"))
        for f in store.tree.snapshots
    }
    odd = "svc:/site/odd:default" in store.tree.entities
    store.close()
    assert len(lasting) == len(volatile) == 1
    assert lasting == taken
    (last,), (now,) = lasting, volatile
    assert odd is bool(last % 2)
    assert confirmed <= now <= last <= writer.confirmed + 1


def test_a_killed_configd_has_all_that_it_confirmed_and_nothing_by_half(daemon: Daemon) -> None:
    daemon.start()
    writer = Writer(daemon.door)
    writer.client.commit(operations(0))
    writer.start()
    chance = random.Random(20)
    progress = []
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.3))
            confirmed = writer.confirmed
            daemon.kill()
            judge(daemon.files, confirmed, writer)
            progress.append(confirmed)
            daemon.start()
    finally:
        writer.ends = True
        if daemon.process is None:
            daemon.start()
        writer.join(60)
    assert writer.failed is None
    assert progress[-1] > KILLS, "it has been killed while it wrote"
    daemon.kill(signal.SIGTERM)
    judge(daemon.files, writer.confirmed, writer)


def test_watchers_are_cut_off_and_nobody_waits_for_ever(daemon: Daemon) -> None:
    daemon.start()
    client = Client(daemon.door)
    client.commit(operations(1))
    watching = client.watch()
    daemon.kill()
    watching.settimeout(10)
    assert watching.recv(100) == b""
    watching.close()
    daemon.start()
    assert len(client.entities()) == 2 * len(ENTITIES) + 2
    client.close()


@pytest.mark.needs_root
@pytest.mark.parametrize("full", ["lasting", "volatile"])
def test_a_full_disk_changes_nothing(tmp_path: Path, full: str) -> None:
    """Either file may be on the disk that is full. Once there is room again, all is well."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        files = {name: str(tmp_path / f"{name}.db") for name in ("lasting", "volatile")}
        files[full] = str(disk / f"{full}.db")
        store = Store(files["lasting"], files["volatile"])
        store.commit(operations(1))
        (disk / "ballast").write_bytes(b"x" * (free(disk) - 8192))
        before = fill(store)
        assert (store.tree.entities[ENTITIES[0]], store.generation) == before
        last = numbers(store, "config")
        (disk / "ballast").unlink()
        again = Store(files["lasting"], files["volatile"])
        assert numbers(again, "config") == last == numbers(again, "restarter")
        again.close()
        store.commit(operations(5000))
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(store: Store) -> tuple[Groups, int]:
    """Commit until there is no room; what there was before the commit that failed."""
    for number in range(2, 1000):
        before = store.tree.entities[ENTITIES[0]].copy(), store.generation
        try:
            store.commit([*operations(number), big(number)])
        except Unwritable:
            return before
    raise AssertionError("the disk is not full")


def free(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_bsize


def big(number: int) -> Operation:
    return ["set", ENTITIES[0], "config" if number % 2 else "restarter", "big", "astring",
            [str(number) * 500] * 3]  # fmt: skip


def test_who_asks_for_what_is_not_there(daemon: Daemon) -> None:
    daemon.start()
    client = Client(daemon.door)
    with pytest.raises(NotFound, match="svc:/nope"):
        client.read("svc:/nope")
    client.close()
