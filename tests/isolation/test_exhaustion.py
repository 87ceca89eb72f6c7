# SPDX-License-Identifier: MPL-2.0
"""One VM takes all that it can get of what a machine has once; its neighbour and the host go on.

What a zone's own limits bound is in the attack table; here is what all zones share.
"""

import asyncio
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hull.daemon.metadatad import Metadatad, ZoneLimits
from hull.linux import sysctl
from hull.metadata.answers import Change
from hull.storage.btrfs import BtrfsPool
from hull.wire import JsonObject
from mdata.client import frame, pair
from tests.integration.daemon_fixtures import connect, event_loop, read_until
from tests.integration.hosts import TestHost
from tests.integration.zone_fixtures import why_not
from tests.isolation.vm import Attacker, Outside, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

CHECKOUT = Path(__file__).parents[2]
MIB = 1 << 20


@pytest.fixture(scope="module")
def both(host: TestHost, base_image: str) -> Iterator[list[Attacker]]:
    with attackers(host, base_image, "hog", "neighbour") as made:
        yield made


@pytest.fixture
def hog(both: list[Attacker]) -> Attacker:
    return both[0]


@pytest.fixture
def neighbour(both: list[Attacker]) -> Attacker:
    return both[1]


# -- what the kernel counts by user ----------------------------------------------------------------
COUNTED = ("take_inotify_instances", "take_signals", "take_message_queues")


@pytest.mark.parametrize("attack", COUNTED)
def test_what_is_counted_by_user_is_each_zones_own(
    hog: Attacker, neighbour: Attacker, outside: Outside, attack: str
) -> None:
    with hog.holding(attack) as word:
        assert word == "bounded"  # it has all that there is
        assert neighbour(attack, most=4) == {attack: "done"}
        assert outside(attack, most=4) == "done"


@pytest.mark.parametrize("attack", COUNTED)
def test_control_namespaces_of_one_owner_share_it(outside: Outside, attack: str) -> None:
    """Two user namespaces that one user has made, as root made all zones' once."""
    owner = str(1_900_000_000 + secrets.randbelow(1_000_000))
    alone = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"]
    enter = [*alone, "unshare", "--user", "--map-root-user", "--ipc"]
    with outside.running(attack, enter) as holder:
        assert holder.word() == "bounded"
        assert outside(attack, enter, most=4) == "bounded"


def test_asynchronous_io_is_enough_for_all(hog: Attacker, neighbour: Attacker) -> None:
    """The kernel's default, 65,536 in all, was one zone's to take; memory bounds it now."""
    with hog.holding("take_asynchronous_io") as word:
        assert word == "done"  # four times as many
        assert neighbour("take_asynchronous_io", most=16) == {"take_asynchronous_io": "done"}


# -- kernel memory that nobody is charged for ------------------------------------------------------
UNCHARGED = ("take_packet_rings", "take_neighbours")


def test_uncharged_memory_is_a_privilege(host: TestHost, base_image: str) -> None:
    """A known limit: only who may not set up a network takes none (docs/security.md)."""
    less = "default,-sys_ip_config,-net_rawaccess"
    with attackers(host, base_image, "less", limit_priv=less) as (attacker,):
        assert attacker(*UNCHARGED) == dict.fromkeys(UNCHARGED, "bounded")


def test_control_with_the_privilege_it_is_taken(hog: Attacker) -> None:
    assert hog(*UNCHARGED) == dict.fromkeys(UNCHARGED, "done")


# -- disk ------------------------------------------------------------------------------------------
@contextmanager
def quota(attacker: Attacker, size: int) -> Iterator[None]:
    """A quota of so many bytes: the smallest that vmadm gives takes long to fill."""
    pool = BtrfsPool("zones", attacker.host.root / "zones")
    pool.set(f"zones/{attacker.uuid}", quota=size)
    try:
        yield
    finally:
        pool.set(f"zones/{attacker.uuid}", quota=1 << 30)


def used_by_the_pool(host: TestHost) -> int:
    os.sync()
    room = os.statvfs(host.root / "zones")
    return (room.f_blocks - room.f_bfree) * room.f_frsize


@pytest.mark.parametrize("attack", ["take_disk", "take_small_files"])
def test_a_quota_bounds_bytes_and_files(hog: Attacker, neighbour: Attacker, attack: str) -> None:
    before = used_by_the_pool(hog.host)
    with quota(hog, 32 * MIB):
        assert hog(attack) == {attack: "bounded"}
        assert used_by_the_pool(hog.host) - before < 120 * MIB
        assert neighbour(attack, most=24) == {attack: "done"}
        hog.host("vmadm", "get", hog.uuid)
        hog.shell("rm -rf /root/disk-* /root/small; sync")
        assert hog.shell("echo still > /root/there; cat /root/there") == "still\n"


@pytest.mark.parametrize("attack", ["take_disk", "take_small_files"])
def test_control_a_larger_quota_lets_it(hog: Attacker, attack: str) -> None:
    assert hog(attack) == {attack: "done"}
    hog.shell("rm -rf /root/disk-* /root/small")


def test_a_zone_makes_no_subvolumes(hog: Attacker) -> None:
    assert hog("take_subvolumes") == {"take_subvolumes": "bounded"}
    # The control: its mounts and users, without the filter.
    without_seccomp = hog.enter("--user", "--mount", "--pid")
    assert Outside(Path("/root/a"))("take_subvolumes", without_seccomp) == "done"
    hog.shell("rmdir /root/subvolumes/*")


def test_a_zone_with_many_mounts_ends_like_any_other(host: TestHost, base_image: str) -> None:
    with attackers(host, base_image, "mounts") as (attacker,):
        with attacker.holding("take_mounts", most=5000) as word:
            assert word == "done"
            host("vmadm", "stop", attacker.uuid, "-F", timeout=60)
        assert host.json("vmadm", "get", attacker.uuid)["state"] == "stopped"


# -- what the host keeps of a zone -----------------------------------------------------------------
def test_a_flood_of_the_console_leaves_a_small_log(hog: Attacker) -> None:
    assert hog("flood_the_console") == {"flood_the_console": "done"}
    logs = hog.host.root / "zones" / hog.uuid / "logs"
    assert 0 < sum(path.stat().st_size for path in logs.iterdir()) < 10 * MIB


# -- the network -----------------------------------------------------------------------------------
@pytest.fixture
def way_out(host: TestHost) -> Iterator[None]:
    """A way out of the host: whatever goes there is lost."""
    commands = (
        "ip link add outside type bridge",
        "ip addr add 192.0.2.1/24 dev outside",
        "ip link set outside up",
        "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:99 dev outside nud permanent",
        "ip route add default via 192.0.2.2 dev outside",
    )
    with ExitStack() as undo:
        undo.callback(host.in_netns, "ip", "link", "delete", "outside", check=False)
        for command in commands:
            host.in_netns(*command.split())
        yield


def connections(host: TestHost) -> int:
    return int(host.in_netns("cat", "/proc/sys/net/netfilter/nf_conntrack_count").stdout)


def test_a_zone_has_its_share_of_tracked_connections(
    hog: Attacker, neighbour: Attacker, way_out: None
) -> None:
    before = connections(hog.host)
    hog("take_connections", network="198.51.100")
    taken = connections(hog.host) - before
    assert 30_000 < taken < 33_000
    neighbour("take_connections", network="198.51.100", most=1000)
    assert connections(hog.host) - before - taken > 900


def test_control_without_the_rule_it_has_all(hog: Attacker, way_out: None) -> None:
    table = hog.host.in_netns("nft", "list", "tables").stdout.split("table inet ")[1].split()[0]
    hog.host.in_netns("nft", "flush", "chain", "inet", table, "count")
    before = connections(hog.host)
    hog("take_connections", network="203.0.113")
    assert connections(hog.host) - before > 45_000


ROUTER = """
router=$(ip route | awk '/^default/ {print $3}')
for n in 1 2 3; do
    ip neigh flush all
    ping -c 1 -W 1 -q "$router" >/dev/null || { echo lost; break; }
    echo found
done
"""
TABLE = "net/ipv4/neigh/default/gc_thresh"


def found_its_router(hog: Attacker, neighbour: Attacker) -> list[str]:
    """Whether the neighbour does, while the other looks for what is not there."""
    hog.host("vmadm", "reboot", hog.uuid)  # old entries would make room for new ones
    with hog.running("take_addresses_that_nobody_has") as running:
        running.begun()
        found = neighbour.shell(ROUTER).split()
        assert running.is_under_way()
    return found


def test_a_router_is_found_while_a_zone_looks_for_many(hog: Attacker, neighbour: Attacker) -> None:
    assert found_its_router(hog, neighbour) == ["found"] * 3


@pytest.mark.skipif(sysctl.read(f"{TABLE}3") is None, reason="not the machine's own namespace")
def test_control_with_the_kernels_table_they_are_not(hog: Attacker, neighbour: Attacker) -> None:
    """For a few seconds this machine has the table that it had before `hull up`."""
    now = {number: sysctl.read(f"{TABLE}{number}") for number in "23"}
    try:
        sysctl.write(f"{TABLE}2", "512")
        sysctl.write(f"{TABLE}3", "1024")
        assert "lost" in found_its_router(hog, neighbour)
    finally:
        for number in "32":
            sysctl.write(f"{TABLE}{number}", str(now[number]))


# -- hulld -----------------------------------------------------------------------------------------
def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_a_flood_of_the_metadata_socket_is_the_zones_own_affair(
    hog: Attacker, neighbour: Attacker
) -> None:
    pid = hog.host.hulld_pid()
    with hog.running("flood_the_metadata_socket", most=8):
        time.sleep(1)
        cpu, memory, begun = cpu_seconds(pid), resident(pid), time.monotonic()
        told = neighbour.shell(
            "for n in 1 2 3 4 5 6 7 8 9 10; do mdata-get sdc:alias; sleep 0.3; done"
        )
        busy = (cpu_seconds(pid) - cpu) / (time.monotonic() - begun)
    assert told == "neighbour\n" * 10
    assert busy < 0.3
    assert resident(pid) - memory < 64 * MIB
    record = hog.host.root / "etc/zones" / f"{hog.uuid}.json"
    assert 100_000 < record.stat().st_size < 2 * MIB  # some of it came through


def test_metadata_grow_to_a_bound_and_the_zone_is_told(neighbour: Attacker) -> None:
    """By PUTs of 250 kB each: the fifth of them is too much."""
    script = (
        "value=$(head -c 250000 /dev/zero | tr '\\0' x); "
        'for n in 1 2 3 4 5; do printf %s "$value" | mdata-put key$n 2>&1 || echo $?; done'
    )
    assert neighbour.shell(script).split("\n")[-3:] == [
        "mdata-put: customer_metadata would be larger than 1048576 characters", "2", "",
    ]  # fmt: skip


def test_control_a_server_without_bounds_is_kept_busy(tmp_path: Path) -> None:
    """The same kind of flood, at the same server without its bounds on a zone."""
    values: JsonObject = {"customer_metadata": {"key": "x" * 100_000}}

    def change(uuid: str, asked: Change) -> None:
        json.dumps(values, indent=2)  # as the record is written

    unbounded = ZoneLimits(rate=1e9, burst=1 << 30, worth=1e9)
    path = tmp_path / "zone/metadata.sock"
    with event_loop() as loop:
        server = Metadatad(loop, lambda uuid: values, change, limits=unbounded)
        server.add_zone("zone", path, 0)
        try:
            flood = threading.Thread(target=put_often, args=(path, 2000))
            cpu, begun = time.process_time(), time.monotonic()
            flood.start()
            flood.join(30)
            busy = (time.process_time() - cpu) / (time.monotonic() - begun)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    assert busy > 0.5


def put_often(path: Path, times: int) -> None:
    with connect(path) as sock:
        sock.sendall(b"NEGOTIATE V2\n")
        read_until(sock, b"\n")
        for _ in range(times):
            sock.sendall(frame(b"1", "PUT", pair(b"key", b"x" * 10_000)))
            read_until(sock, b"\n")
