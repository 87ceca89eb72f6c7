# SPDX-License-Identifier: MPL-2.0
"""The kernel driver: the port's contract, and packets that get where they should, only there."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_interface
from pathlib import Path

import pytest

from hull.errors import Exists, HostError, KernelError, NotFound
from hull.linux import netlink, nft, sysctl
from hull.linux.netlink import Netlink
from hull.net.datalink import NicTag, Vnic
from hull.net.kernel import KernelDatalinks
from hull.net.nictag import admin, eui64
from tests.datalink_contract import DatalinksContract, make_vnic
from tests.integration.net_fixtures import Lan, Namespace, needs_netns, new_lan

pytestmark = needs_netns

SOON = 0.5  # an ARP request that is lost is repeated after one second


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with new_lan(tmp_path) as made:
        yield made


@pytest.fixture
def links(lan: Lan) -> KernelDatalinks:
    return lan.datalinks()


@pytest.fixture
def tag(links: KernelDatalinks) -> NicTag:
    links.up()
    return links.nic_tags()["admin"]


class TestKernel(DatalinksContract):
    @pytest.fixture
    def host_id(self, lan: Lan) -> str:
        return lan.host_id

    @pytest.fixture
    def netns(self, lan: Lan) -> Callable[[], str]:
        return lambda: lan.namespace().path


def add(lan: Lan, links: KernelDatalinks, number: int, **changes: object) -> tuple[Vnic, Namespace]:
    base = make_vnic(lan.host_id, links.nic_tags()["admin"], number)
    vnic = dataclasses.replace(base, **changes)  # type: ignore[arg-type]  # the test's choice
    zone = lan.namespace()
    links.create_vnic(vnic, zone.path)
    return vnic, zone


def ips(vnic: Vnic) -> list[str]:
    return [str(address.ip) for address in vnic.addresses]


def leftovers(host_id: str) -> dict[str, object]:
    """All that a host may leave behind in this namespace."""
    with Netlink() as here:
        names = [link.name for link in here.links() if link.name != "lo"]
    return {"links": names, "rules": nft.apply("list ruleset")}


NOTHING = {"links": [], "rules": ""}


# -- reaching -------------------------------------------------------------------------------------


def test_no_first_packet_is_lost(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    slowest = {}
    for number in range(1, 41):
        vnic, zone = add(lan, links, number)
        for gateway in vnic.gateways:
            slowest[vnic.link, gateway] = zone.ping(gateway, wait=SOON)
    assert [key for key, seconds in slowest.items() if seconds is None] == []


def test_zones_and_host_reach_each_other(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    first, zone = add(lan, links, 1)
    second, other = add(lan, links, 2)
    here = lan.here()
    for mine, its in zip(ips(first), ips(second), strict=True):
        assert zone.ping(its)
        assert other.ping(mine)
        assert here.ping(its)


def test_two_nics_and_a_gateway_outside_the_prefix(lan: Lan) -> None:
    bare = NicTag(name="inner", link=f"h{lan.host_id}.inner")
    made = lan.datalinks(networks=(admin(lan.host_id), bare))
    made.up()
    first, zone = add(lan, made, 1)
    peer_vnic, peer = add(
        lan, made, 2, nic_tag="inner", addresses=(ip_interface("198.51.100.1/32"),), gateways=()
    )
    second = Vnic(
        link=f"h{lan.host_id}z1n1",
        interface="net1",
        mac="02:08:20:00:01:01",
        nic_tag="inner",
        addresses=(ip_interface("192.0.2.1/32"),),
        gateways=("198.51.100.1",),
    )
    made.create_vnic(second, zone.path)
    peer.run("ip", "route", "add", "192.0.2.1", "dev", peer_vnic.interface)
    assert zone.ping(first.gateways[0])
    # Two default routes: the first nic's wins, the second is there for whoever names it.
    routes = zone.run("ip", "-4", "route", "show", "default").stdout.splitlines()
    assert [line.split()[4] for line in routes] == ["net0", "net1"]
    assert zone.run("ip", "route", "add", "198.51.100.1", "dev", "net1").returncode == 0
    assert zone.ping("198.51.100.1")


def test_addrconf_gives_the_address_of_the_mac_and_a_route(
    lan: Lan, links: KernelDatalinks, tag: NicTag
) -> None:
    assert tag.address6
    vnic, zone = add(lan, links, 1, addresses=(), gateways=(), autoconf=True)
    address = str(eui64(vnic.mac, tag.address6.network).ip)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if address in zone.run("ip", "-6", "addr", "show", "dev", "net0").stdout:
            break
        time.sleep(0.05)
    assert zone.ping(str(tag.address6.ip))
    assert lan.here().ping(address)
    assert "default via fe80::" in zone.run("ip", "-6", "route").stdout


def test_a_zone_without_addrconf_ignores_router_advertisements(
    lan: Lan, links: KernelDatalinks, tag: NicTag
) -> None:
    _, zone = add(lan, links, 1, gateways=())
    _, hears = add(lan, links, 2, addresses=(), gateways=(), autoconf=True)
    deadline = time.monotonic() + 10
    while "default" not in hears.run("ip", "-6", "route").stdout and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "default" in hears.run("ip", "-6", "route").stdout
    assert "default" not in zone.run("ip", "-6", "route").stdout


def test_mtu(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    vnic, zone = add(lan, links, 1, mtu=1400)
    inside = zone.link("net0")
    with Netlink() as host:
        outside = host.link(vnic.link)
    assert inside
    assert outside
    assert (inside.mtu, outside.mtu, inside.mac) == (1400, 1400, vnic.mac)


# -- the world outside ----------------------------------------------------------------------------


def test_a_small_mtu_is_nobody_elses(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    """A bridge that took the least MTU of its ports would lose its IPv6 below 1280."""
    vnic, zone = add(lan, links, 1)
    only_v4 = make_vnic(lan.host_id, tag, 2).addresses[:1]
    small, other = add(lan, links, 2, mtu=576, addresses=only_v4, gateways=())
    with Netlink() as here:
        bridge = here.link(tag.link)
    assert bridge is not None
    assert bridge.mtu == tag.mtu
    for gateway in vnic.gateways:
        assert zone.ping(gateway)
    assert other.ping(str(vnic.addresses[0].ip))
    links.delete_vnic(small.link)


@pytest.fixture
def internet(lan: Lan) -> Namespace:
    """A machine beyond the host, which knows no way to a zone."""
    made = lan.namespace()
    with Netlink() as host:
        host.batch(
            netlink.create_veth(
                "up0",
                master=0,
                mtu=1500,
                peer="far0",
                peer_mac="02:00:00:00:ff:01",
                namespace=made.fd,
            ),
            netlink.set_link("up0", up=True),
        )
    settle(["203.0.113.2/24", "2001:db8::2/64"], "up0")
    made.call(lambda: settle(["203.0.113.1/24", "2001:db8::1/64"], "far0"))
    deadline = time.monotonic() + 5
    while lan.here().ping("203.0.113.1", wait=0.1) is None and time.monotonic() < deadline:
        pass
    return made


def settle(addresses: list[str], name: str) -> None:
    with Netlink() as here:
        here.batch(netlink.set_link(name, up=True))
        link = here.link(name)
        assert link
        here.batch(*(netlink.add_address(link.index, ip_interface(text)) for text in addresses))


def test_zones_get_out_by_nat_and_nobody_gets_in(
    lan: Lan, internet: Namespace, links: KernelDatalinks, tag: NicTag
) -> None:
    assert tag.address
    assert tag.address6
    vnic, zone = add(lan, links, 1)
    assert zone.ping("203.0.113.1")
    assert zone.ping("2001:db8::1")
    for network, host in (
        (tag.address.network, "203.0.113.2"),
        (tag.address6.network, "2001:db8::2"),
    ):
        assert internet.run("ip", "route", "add", str(network), "via", host).returncode == 0
    assert internet.ping(str(tag.address.ip))
    assert [internet.ping(address) for address in ips(vnic)] == [None, None]


def test_two_hosts_side_by_side(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    other_id = f"{int(lan.host_id, 16) ^ 0x0101:04x}"
    other = lan.datalinks(other_id)
    other.up()
    vnic, zone = add(lan, links, 1)
    theirs = make_vnic(other_id, other.nic_tags()["admin"], 1)
    their_zone = lan.namespace()
    other.create_vnic(theirs, their_zone.path)
    assert [link.name for link in links.links()] == [vnic.link]
    assert [link.name for link in other.links()] == [theirs.link]
    # A zone's packets for the other host's zones are new ones from outside there.
    assert [zone.ping(address) for address in ips(theirs)] == [None, None]
    assert their_zone.ping(theirs.gateways[0])
    links.down()
    assert their_zone.ping(theirs.gateways[0])
    assert sysctl.read("net/ipv4/ip_forward") == "1"
    other.down()
    assert leftovers(lan.host_id) == NOTHING


def test_a_network_that_is_in_use_is_refused(lan: Lan, links: KernelDatalinks) -> None:
    tag = links.nic_tags()["admin"]
    assert tag.address
    with Netlink() as here:
        here.batch(netlink.create_bridge("lan0", mac="02:00:00:00:00:77", mtu=1500))
    settle([f"{tag.address.ip + 99}/24"], "lan0")
    with pytest.raises(HostError, match="lan0"):
        links.up()
    with Netlink() as here:
        assert here.link(tag.link) is None


# -- leaving nothing ------------------------------------------------------------------------------


def test_down_leaves_nothing(lan: Lan, links: KernelDatalinks) -> None:
    switches = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]
    switches += ["net/ipv6/conf/lo/accept_ra", "net/ipv6/conf/default/accept_ra"]
    before = [sysctl.read(name) for name in switches]
    links.up()
    add(lan, links, 1)
    assert sysctl.read(switches[0]) == "1"
    pid = int((lan.run / lan.host_id / "net/dhcp/admin/pid").read_text())
    links.down()
    assert leftovers(lan.host_id) == NOTHING
    assert [sysctl.read(name) for name in switches] == before
    assert not is_running(pid)
    assert list((lan.run / lan.host_id).iterdir()) == []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_the_dhcp_server_stays_the_same_over_up(lan: Lan, links: KernelDatalinks) -> None:
    links.up()
    pid = (lan.run / lan.host_id / "net/dhcp/admin/pid").read_text()
    links.up()
    assert (lan.run / lan.host_id / "net/dhcp/admin/pid").read_text() == pid
    os.kill(int(pid), signal.SIGKILL)
    while is_running(int(pid)):
        time.sleep(0.01)
    links.up()
    assert (lan.run / lan.host_id / "net/dhcp/admin/pid").read_text() != pid


def test_delete_after_the_namespace_is_gone(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    vnic = make_vnic(lan.host_id, tag, 1)
    zone = Namespace()
    links.create_vnic(vnic, zone.path)
    zone.close()
    deadline = time.monotonic() + 10
    while links.links() and time.monotonic() < deadline:
        time.sleep(0.01)
    links.delete_vnic(vnic.link)
    assert vnic.link not in nft.apply("list ruleset")
    add(lan, links, 1)


FAILURES = {
    "the same route twice": ({"gateways": ("192.0.2.1", "192.0.2.1")}, KernelError),
    "an MTU that cannot be": ({"mtu": 7}, KernelError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_create_leaves_nothing(
    lan: Lan, links: KernelDatalinks, tag: NicTag, failure: str
) -> None:
    assert tag.address
    changes, error = FAILURES[failure]
    before = leftovers(lan.host_id)
    zone = lan.namespace()
    vnic = dataclasses.replace(make_vnic(lan.host_id, tag, 1), **changes)  # type: ignore[arg-type]  # the test's choice
    with pytest.raises(error):
        links.create_vnic(vnic, zone.path)
    assert leftovers(lan.host_id) == before
    assert zone.link("net0") is None
    links.create_vnic(make_vnic(lan.host_id, tag, 1), zone.path)
    with pytest.raises(Exists):
        links.create_vnic(make_vnic(lan.host_id, tag, 1), zone.path)
    assert zone.ping(str(tag.address.ip)) is not None


def test_a_namespace_that_is_not_there(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    with pytest.raises(NotFound, match="/proc/0/ns/net"):
        links.create_vnic(make_vnic(lan.host_id, tag, 1), "/proc/0/ns/net")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from hull.net import kernel
from hull.net.nictag import admin
from tests.datalink_contract import make_vnic
def die(*args): os.kill(os.getpid(), signal.SIGKILL)
setattr(kernel, {step!r}, die)
links = kernel.KernelDatalinks(Path({run!r}), host_id={host_id!r}, networks=(admin({host_id!r}),))
links.create_vnic(make_vnic({host_id!r}, links.nic_tags()["admin"], 1), {netns!r})
"""


@pytest.mark.parametrize("step", ["_attach", "_configure", "_wait_running"])
def test_up_clears_what_a_killed_daemon_left(
    lan: Lan, links: KernelDatalinks, tag: NicTag, step: str
) -> None:
    vnic, whole = add(lan, links, 2)
    clean = leftovers(lan.host_id)
    zone = lan.namespace()
    code = KILLED.format(
        path=sys.path,
        step=step,
        run=str(lan.run / lan.host_id),
        host_id=lan.host_id,
        netns=zone.path,
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert leftovers(lan.host_id) != clean
    again = lan.datalinks()
    again.up()
    assert leftovers(lan.host_id)["links"] == clean["links"]
    assert f"{lan.host_id}z1n0" not in nft.apply("list ruleset")
    assert whole.ping(vnic.gateways[0])
    add(lan, links, 1)


def test_up_repairs_what_others_broke(lan: Lan, links: KernelDatalinks, tag: NicTag) -> None:
    vnic, zone = add(lan, links, 1)
    nft.apply("flush ruleset")
    with Netlink() as host:
        host.batch(netlink.delete_link(tag.link))
    assert zone.ping(vnic.gateways[0], wait=0.2) is None
    links.up()
    assert [link.name for link in links.links()] == [vnic.link]
    assert [zone.ping(gateway, wait=2) is not None for gateway in vnic.gateways] == [True, True]
    assert "mac-nospoof" in nft.apply("list ruleset")
