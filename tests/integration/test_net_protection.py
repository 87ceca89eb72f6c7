# SPDX-License-Identifier: MPL-2.0
"""Link protection against a zone's root: raw frames, each with a control that it would pass."""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hull.linux import nft
from hull.net.datalink import Vnic
from hull.net.kernel import KernelDatalinks
from hull.net.nictag import eui64
from tests.datalink_contract import make_vnic
from tests.integration.net_fixtures import Lan, Namespace, needs_netns, new_lan, packet_socket
from tests.integration.net_frames import (
    ARP,
    BROADCAST,
    EAPOL,
    IP4,
    IP6,
    LACP,
    LLDP,
    NA,
    Frame,
    Party,
    advertisement,
    arp,
    discovery,
    ethernet,
    honest_frames,
    hostile_frames,
    ipv4,
    ipv6,
    report,
    send_and_collect,
    udp,
)

pytestmark = needs_netns

SWITCHES = {
    "none": {},
    "mac": {"allow_mac_spoofing": True},
    "ip": {"allow_ip_spoofing": True},
    "dhcp": {"allow_dhcp_spoofing": True},
    "restricted": {"allow_restricted_traffic": True},
}


class Stage:
    """A host with one zone that listens, and more that send."""

    def __init__(self, lan: Lan) -> None:
        self.lan = lan
        self.links: KernelDatalinks = lan.datalinks()
        self.links.up()
        self.tag = self.links.nic_tags()["admin"]
        self.peer, self.peer_zone = self.add(9)

    def add(self, number: int, **changes: object) -> tuple[Vnic, Namespace]:
        base = make_vnic(self.lan.host_id, self.tag, number)
        vnic = dataclasses.replace(base, **changes)  # type: ignore[arg-type]  # the test's choice
        zone = self.lan.namespace()
        self.links.create_vnic(vnic, zone.path)
        return vnic, zone

    def arrived(self, vnic: Vnic, zone: Namespace, frames: list[Frame]) -> set[str]:
        """Which frames get to the other zone, or to the host."""
        with ExitStack() as stack:
            sender = stack.enter_context(packet_socket(zone, "net0"))
            receivers = [
                stack.enter_context(packet_socket(self.peer_zone, "net0")),
            ]
            # What is for the bridge itself is not seen by others.
            for protocol in (LLDP, LACP, EAPOL):
                receivers.append(stack.enter_context(self.lan.host_socket(vnic.link, protocol)))
            return send_and_collect(sender, receivers, frames)


def party(vnic: Vnic) -> Party:
    ip4, ip6 = (str(address.ip) for address in vnic.addresses)
    return Party(vnic.mac, ip4, ip6)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with new_lan(tmp_path) as lan:
        yield Stage(lan)


def all_frames(stage: Stage, vnic: Vnic) -> list[Frame]:
    victim = party(make_vnic(stage.lan.host_id, stage.tag, 77))
    peer = party(stage.peer)
    me = party(vnic)
    return honest_frames(me, peer) + hostile_frames(me, peer, victim)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_zone_sends_only_what_is_its_own_or_what_a_switch_allows(
    stage: Stage, switch: str
) -> None:
    vnic, zone = stage.add(1, **SWITCHES[switch])
    frames = all_frames(stage, vnic)
    expected = {frame.name for frame in frames if frame.honest or switch in frame.lifted_by}
    arrived = stage.arrived(vnic, zone, frames)
    assert sorted(arrived - expected) == []
    assert sorted(expected - arrived) == []


def test_control_without_protection_every_frame_passes(stage: Stage) -> None:
    vnic, zone = stage.add(1)
    nft.apply(nft.delete_table("bridge", f"hull-{stage.lan.host_id}"))
    frames = all_frames(stage, vnic)
    assert sorted({frame.name for frame in frames} - stage.arrived(vnic, zone, frames)) == []


def test_a_vnic_without_elements_sends_nothing(stage: Stage) -> None:
    vnic, zone = stage.add(1)
    nft.apply(f"flush set bridge hull-{stage.lan.host_id} mac")
    assert stage.arrived(vnic, zone, all_frames(stage, vnic)) == set()


def test_allowed_addresses_and_blocks(stage: Stage) -> None:
    blocks = ("192.0.2.0/28", "198.51.100.7", "2001:db8::/64")
    vnic, zone = stage.add(1, allowed=blocks)
    me, peer = party(vnic), party(stage.peer)

    def frames(ip4: str, ip6: str) -> list[Frame]:
        na = discovery(ip6, "ff02::1", NA, advertisement(ip6))
        return [
            Frame(ip4, ethernet(peer.mac, me.mac, IP4, ipv4(ip4, peer.ip4, udp(1, 2)))),
            Frame(f"arp {ip4}", ethernet(BROADCAST, me.mac, ARP, arp(1, me.mac, ip4, ip4)[2:])),
            Frame(ip6, ethernet(peer.mac, me.mac, IP6, ipv6(ip6, peer.ip6, 17, udp(1, 2)))),
            Frame(f"na {ip6}", ethernet("33:33:00:00:00:01", me.mac, IP6, na)),
        ]

    inside = frames("192.0.2.3", "2001:db8::5") + frames("198.51.100.7", "2001:db8::ffff")
    outside = frames("192.0.2.16", "2001:db8:0:1::5") + frames("198.51.100.8", "2001:db7::1")
    wanted = {frame.name for frame in inside}
    assert stage.arrived(vnic, zone, inside + outside) == wanted


def test_addrconf_allows_the_address_made_from_the_mac_only(stage: Stage) -> None:
    assert stage.tag.address6
    vnic, zone = stage.add(1, autoconf=True, addresses=())
    peer = party(stage.peer)
    own = str(eui64(vnic.mac, stage.tag.address6.network).ip)
    other = str(stage.tag.address6.ip + 0x1234)
    frames = [
        Frame(ip, ethernet(peer.mac, vnic.mac, IP6, ipv6(ip, peer.ip6, 17, udp(1, 2))))
        for ip in (own, other)
    ]
    assert stage.arrived(vnic, zone, frames) == {own}


def test_frames_for_a_mac_that_nobody_has_reach_no_zone(stage: Stage) -> None:
    vnic, zone = stage.add(1)
    me, peer = party(vnic), party(stage.peer)
    body = ipv4(me.ip4, peer.ip4, udp(1, 2))
    frames = [
        Frame("unknown", ethernet("02:00:00:00:12:34", me.mac, IP4, body)),
        Frame("known", ethernet(peer.mac, me.mac, IP4, body)),
    ]
    assert stage.arrived(vnic, zone, frames) == {"known"}


def test_deleting_a_vnic_deletes_all_that_it_might_send(stage: Stage) -> None:
    def elements() -> list[str]:
        rules = nft.apply(f"list table bridge hull-{stage.lan.host_id}")
        return [line for line in rules.splitlines() if "z1n0" in line]

    every = {name: True for changes in SWITCHES.values() for name in changes}
    vnic, _ = stage.add(1, allowed=("192.0.2.0/28", "2001:db8::/64"), autoconf=True, **every)
    assert len(elements()) >= 10
    stage.links.delete_vnic(vnic.link)
    assert elements() == []


def test_which_multicast_a_zone_wants_is_not_told_to_all_others(stage: Stage) -> None:
    """Each report would be carried to a thousand zones; nobody there routes multicast."""
    vnic, zone = stage.add(1)
    me = party(vnic)
    reports = [
        Frame(f"{kind} from {source}", ethernet("33:33:00:00:00:16", me.mac, IP6, body))
        for source, kind in ((me.link_local, 131), (me.link_local, 132), ("::", 143))
        for body in [report(source, kind)]
    ]
    assert stage.arrived(vnic, zone, reports) == set()
    nft.apply(f"flush set bridge hull-{stage.lan.host_id} unheard")
    assert stage.arrived(vnic, zone, reports) == {frame.name for frame in reports}
