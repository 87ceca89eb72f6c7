# SPDX-License-Identifier: MPL-2.0
"""The metadata service through real sockets: the commands, and zones that mean harm."""

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hull.daemon.metadatad import Metadatad, ZoneLimits
from hull.errors import HostError, NotFound
from hull.metadata.answers import Change
from hull.metadata.protocol import MAX_LINE
from hull.wire import Json, JsonObject
from mdata.client import frame
from tests.integration.daemon_fixtures import connect, event_loop, read_all, read_until

NATIVE = Path(__file__).parents[2] / "src/native"
BIN = NATIVE / "mdata/bin"
PYTHON = "/usr/bin/python3"


class Zones:
    """Two zones' VMs as hulld knows them, and the server."""

    def __init__(self, tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.tmp_path = tmp_path
        self.loop = loop
        self.vms: dict[str, JsonObject] = {
            name: {
                "uuid": name,
                "alias": name,
                "customer_metadata": {"who": name, "script": "a\n.b\n"},
                "internal_metadata": {"root_pw": f"secret of {name}"},
            }
            for name in ("one", "two")
        }
        self.gate = threading.Event()
        self.gate.set()
        self.server = self.serve()

    def serve(self, limits: ZoneLimits | None = None) -> Metadatad:
        server = Metadatad(self.loop, self.view, self.change, limits=limits)
        for name in self.vms:
            server.add_zone(name, self.path(name), os.getuid())
        return server

    def path(self, name: str) -> Path:
        return self.tmp_path / name / "metadata.sock"

    def view(self, uuid: str) -> JsonObject:
        if uuid == "one":
            assert self.gate.wait(10)
        if uuid not in self.vms:
            raise NotFound(uuid)
        return self.vms[uuid]

    def change(self, uuid: str, change: Change) -> None:
        if change.key == "forbidden":
            raise HostError("the pool is full")
        members = self.vms[uuid][change.where]
        assert isinstance(members, dict)
        if change.value is None:
            del members[change.key]
        else:
            members[change.key] = change.value

    def restart(self, limits: ZoneLimits | None = None) -> None:
        self.stop()
        self.server = self.serve(limits)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(10)


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Zones]:
    with event_loop() as loop:
        zones = Zones(tmp_path, loop)
        try:
            yield zones
        finally:
            zones.gate.set()
            zones.stop()


Mdata = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def mdata(zones: Zones) -> Mdata:
    def run(
        name: str, *words: str, stdin: bytes = b"", zone: str = "one"
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [PYTHON, "-IS", str(BIN / f"mdata-{name}"), *words],
            input=stdin,
            capture_output=True,
            env={"MDATA_SOCKET": str(zones.path(zone))},
            timeout=30,
        )

    return run


def test_get_put_list_delete(mdata: Mdata) -> None:
    assert mdata("get", "who").stdout == b"one\n"
    assert mdata("get", "script").stdout == b"a\n.b\n\n"
    assert mdata("list").stdout == b"who\nscript\nroot_pw\n"
    absent = mdata("get", "color")
    assert (absent.returncode, absent.stderr) == (1, b"No metadata for 'color'\n")
    assert mdata("put", "color", "red").returncode == 0
    assert mdata("get", "color").stdout == b"red\n"
    assert mdata("put", "color", stdin=b"line 1\nline 2").returncode == 0
    assert mdata("get", "color").stdout == b"line 1\nline 2\n"
    assert mdata("delete", "color").returncode == 0
    assert mdata("get", "color").returncode == 1


def test_big_and_strange_values_come_back_whole(mdata: Mdata) -> None:
    for value in ("x" * 250_000, "ä\t\0€"):
        assert mdata("put", "k", stdin=value.encode()).returncode == 0
        assert mdata("get", "k").stdout == value.encode() + b"\n"
    assert mdata("put", "k", stdin=b"x" * 1_000_000).returncode == 2
    assert mdata("put", "k", stdin=b"\xff").returncode == 2


def test_errors_are_2(mdata: Mdata) -> None:
    refused = mdata("put", "sdc:alias", "x")
    assert (refused.returncode, b'"sdc"' in refused.stderr) == (2, True)
    assert mdata("put", "forbidden", "x").returncode == 2
    assert mdata("get").returncode == 3


def test_a_zone_gets_its_own_data_only(mdata: Mdata) -> None:
    assert mdata("get", "root_pw").stdout == b"secret of one\n"
    assert mdata("get", "root_pw", zone="two").stdout == b"secret of two\n"
    mdata("put", "who", "changed")
    assert mdata("get", "who", zone="two").stdout == b"two\n"


def test_launchers_find_their_package_wherever_they_are(zones: Zones, tmp_path: Path) -> None:
    native = tmp_path / "native"
    shutil.copytree(BIN.parent, native / "mdata")
    link = tmp_path / "mdata-get"
    link.symlink_to(native / "mdata/bin/mdata-get")
    done = subprocess.run(
        [str(link), "who"],
        capture_output=True,
        env={"MDATA_SOCKET": str(zones.path("two"))},
        cwd="/",
    )
    assert (done.stdout, done.stderr) == (b"two\n", b"")


def test_the_client_imports_little() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(BIN.parents[1])!r}); before = set(sys.modules); "
        "import mdata.commands; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [PYTHON, "-IS", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"argparse", "json", "socket", "subprocess", "typing", "base64", "re"}


def test_a_restart_is_waited_for(zones: Zones, mdata: Mdata) -> None:
    zones.stop()
    zones.path("one").unlink()
    back = threading.Timer(0.5, lambda: setattr(zones, "server", zones.serve()))
    back.start()
    assert mdata("get", "who").stdout == b"one\n"
    back.join()
    zones.stop()  # now the file is there but dead
    back = threading.Timer(0.5, lambda: setattr(zones, "server", zones.serve()))
    back.start()
    assert mdata("get", "who").stdout == b"one\n"
    back.join()


def test_version_1(zones: Zones) -> None:
    with connect(zones.path("one")) as sock:
        sock.sendall(b"GET script\nGET absent\nKEYS\nnonsense\n")
        assert read_until(sock, b"invalid command\n") == (
            b"SUCCESS\na\n..b\n\n.\nNOTFOUND\nSUCCESS\nwho\nscript\nroot_pw\n.\ninvalid command\n"
        )


def test_the_socket_is_the_zone_roots_alone(zones: Zones) -> None:
    status = zones.path("one").stat()
    assert status.st_mode & 0o777 == 0o600


@pytest.mark.needs_root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give files away")
def test_the_socket_belongs_to_the_zones_root(zones: Zones) -> None:
    zones.server.add_zone("two", zones.path("two"), 1_234_567)
    status = zones.path("two").stat()
    assert (status.st_uid, status.st_gid) == (1_234_567, 1_234_567)


def test_add_replaces_and_remove_forgets(zones: Zones) -> None:
    zones.server.add_zone("one", zones.path("one"), os.getuid())
    with connect(zones.path("one")) as sock:
        sock.sendall(b"GET who\n")
        assert read_until(sock, b".\n") == b"SUCCESS\none\n.\n"
        zones.server.remove_zone("one")
        zones.server.remove_zone("one")
        assert read_all(sock) == b""
    assert not zones.path("one").parent.exists()
    with connect(zones.path("two")) as sock:
        sock.sendall(b"GET who\n")
        assert read_until(sock, b".\n") == b"SUCCESS\ntwo\n.\n"


def test_a_reboot_is_quicker_than_the_loop(zones: Zones) -> None:
    zones.loop.call_soon_threadsafe(time.sleep, 0.2)
    zones.server.remove_zone("one")
    zones.server.add_zone("one", zones.path("one"), os.getuid())
    assert answers(zones.path("one")) < 5


ENTER = """
mount --bind -o ro "$1" /mnt
mount --bind -o ro "$2" /opt  # the checkout may be where only root may look
get=/opt/mdata/bin/mdata-get
as() { setpriv --reuid "$1" --regid "$1" --clear-groups /usr/bin/python3 -ISB $get who 2>&1; }
as 1234567; echo "status $?"
read -r restarted
as 1234567; echo "status $?"
as 7654321; echo "status $?"
"""


@pytest.mark.needs_root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount")
def test_seen_from_a_zone_across_a_restart_of_hulld(zones: Zones) -> None:
    zones.server.add_zone("one", zones.path("one"), 1_234_567)
    unshare = ["unshare", "--mount", "--propagation", "private"]
    with subprocess.Popen(
        [*unshare, "sh", "-c", ENTER, "sh", str(zones.path("one").parent), str(NATIVE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"MDATA_SOCKET": "/mnt/metadata.sock", "PATH": os.environ["PATH"]},
    ) as zone:
        assert zone.stdin is not None
        assert zone.stdout is not None
        assert [zone.stdout.readline() for _ in range(2)] == [b"one\n", b"status 0\n"]
        zones.restart()
        zones.server.add_zone("one", zones.path("one"), 1_234_567)
        out, _ = zone.communicate(b"\n", timeout=30)
    told = out.splitlines()
    assert told[:2] == [b"one", b"status 0"]
    assert b"only root may ask" in told[2]
    assert told[3] == b"status 2"


class Costly(dict[str, Json]):
    """Metadata that take 50 ms to look into."""

    def get(self, key: str, default: Json = None) -> Json:  # type: ignore[override]  # all that is asked
        deadline = time.thread_time() + 0.05
        while time.thread_time() < deadline:
            pass
        return key or default


def answers(path: Path) -> float:
    """Seconds until a zone is answered."""
    begun = time.monotonic()
    with connect(path) as sock:
        sock.sendall(b"GET who\n")
        read_until(sock, b".\n")
    return time.monotonic() - begun


def test_a_zone_whose_answers_take_long_delays_nobody_else(zones: Zones) -> None:
    zones.gate.clear()
    with contextlib.ExitStack() as held:
        for _ in range(20):
            sock = held.enter_context(connect(zones.path("one")))
            sock.sendall(b"GET who\n" * 50)
        assert answers(zones.path("two")) < 1
        zones.gate.set()


def test_a_zone_with_many_connections_delays_itself_only(zones: Zones) -> None:
    zones.restart(ZoneLimits(connections=2))
    with contextlib.ExitStack() as held:
        for _ in range(50):
            held.enter_context(connect(zones.path("one")))
        late = held.enter_context(connect(zones.path("one")))
        late.sendall(b"GET who\n")
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.recv(1)
        assert answers(zones.path("two")) < 1


def test_idle_connections_end(zones: Zones) -> None:
    zones.restart(ZoneLimits(idle_time=0.1))
    with connect(zones.path("one")) as sock:
        assert read_all(sock) == b""


def test_a_flood_is_slowed_down(zones: Zones) -> None:
    zones.restart(ZoneLimits(rate=50, burst=10))
    begun = time.monotonic()
    with connect(zones.path("one")) as sock:
        sock.sendall(b"\n" * 40)
        data = b""
        while data.count(b"\n") < 40:
            data += sock.recv(65536)
    assert time.monotonic() - begun > 0.5
    assert answers(zones.path("two")) < 1


def test_what_costs_more_counts_for_more(zones: Zones) -> None:
    zones.vms["one"]["customer_metadata"] = Costly()
    zones.restart(ZoneLimits(rate=100, burst=10))
    begun = time.monotonic()
    with connect(zones.path("one")) as sock:
        sock.sendall(b"GET who\n" * 3)
        data = b""
        while data.count(b".\n") < 3:
            data += sock.recv(65536)
    # Each has taken 50 ms of CPU, and so is worth 50: one second at least for the first two.
    assert time.monotonic() - begun > 0.8
    assert answers(zones.path("two")) < 1


def test_a_flood_of_connections_is_slowed_down(zones: Zones) -> None:
    zones.restart(ZoneLimits(rate=50, burst=10))
    for _ in range(40):
        connect(zones.path("one")).close()
    assert answers(zones.path("two")) < 1
    assert answers(zones.path("one")) > 0.4


def test_a_zone_that_never_reads_is_cut_off(zones: Zones) -> None:
    zones.vms["one"]["customer_metadata"] = {"who": "x" * 1_000_000}
    zones.restart(ZoneLimits(write_time=0.3))
    with connect(zones.path("one")) as sock:
        sock.sendall(b"GET who\n" * 100)
        time.sleep(0.1)
        assert answers(zones.path("two")) < 1
        time.sleep(0.5)
        with contextlib.suppress(ConnectionError):
            assert len(read_all(sock)) < 3_000_000
    zones.vms["one"]["customer_metadata"] = {"who": "one"}
    assert answers(zones.path("one")) < 1


def test_endless_lines_are_answered_once_and_held_nowhere(zones: Zones) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(zones.path("one")) as sock:
        for _ in range(64):
            sock.sendall(b"x" * (1 << 20))
        sock.sendall(b"\nGET who\n")
        assert read_until(sock, b".\n") == b"invalid command\nSUCCESS\none\n.\n"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB


def test_many_half_lines_at_once_end_their_connections(zones: Zones) -> None:
    zones.restart(ZoneLimits(held=MAX_LINE))
    with connect(zones.path("one")) as first, connect(zones.path("one")) as second:
        first.sendall(b"x" * (MAX_LINE // 2))
        with contextlib.suppress(ConnectionError):
            second.sendall(b"x" * MAX_LINE)
            assert read_all(second) == b""
        assert answers(zones.path("one")) < 5


def test_a_vm_that_is_being_deleted_answers_failure(zones: Zones) -> None:
    del zones.vms["two"]
    with connect(zones.path("two")) as sock:
        sock.sendall(b"NEGOTIATE V2\n" + frame(b"1", "GET", b"who"))
        assert b" 1 FAILURE" in read_until(sock, b"FAILURE")


def test_descriptors_sent_along_are_not_kept(zones: Zones) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with connect(zones.path("one")) as sock, open("/dev/null", "rb") as null:
        for _ in range(10):
            socket.send_fds(sock, [b"GET who\n"], [null.fileno()])
            read_until(sock, b".\n")
        assert len(os.listdir("/proc/self/fd")) <= before + 4
