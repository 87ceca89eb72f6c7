# SPDX-License-Identifier: MPL-2.0
"""DHCP client identifiers and blocked ports, by the kernel: frames that do and do not pass."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.net_fixtures import needs_netns, new_lan
from tests.integration.net_frames import (
    BROADCAST,
    FRAGMENT,
    IP4,
    IP6,
    Frame,
    Party,
    dhcp,
    ethernet,
    ipv4,
    ipv6,
    raw_mac,
    udp,
)
from tests.integration.test_net_protection import Stage, party

pytestmark = needs_netns

ALLOWED = "0xff0102030405060708"
CID = bytes.fromhex(ALLOWED[2:])
OTHER = bytes.fromhex("ff0102030405060709")
DHCP_SERVERS = "33:33:00:01:00:02"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with new_lan(tmp_path) as lan:
        yield Stage(lan)


def v4(me: Party, name: str, options: bytes) -> Frame:
    message = dhcp(1, me.mac, 1)[:-1] + options
    body = ipv4("0.0.0.0", "255.255.255.255", udp(68, 67, message))
    return Frame(name, ethernet(BROADCAST, me.mac, IP4, body))


def v6(me: Party, name: str, options: bytes, kind: int = 1) -> Frame:
    message = udp(546, 547, bytes([kind, 0, 0, 1]) + options)
    return Frame(
        name, ethernet(DHCP_SERVERS, me.mac, IP6, ipv6(me.link_local, "ff02::1:2", 17, message))
    )


def option(code: int, data: bytes) -> bytes:
    return bytes([code, len(data)]) + data


def option6(code: int, data: bytes) -> bytes:
    return code.to_bytes(2) + len(data).to_bytes(2) + data


def good_frames(me: Party, peer: Party) -> list[Frame]:
    own = raw_mac(me.mac)
    return [
        v4(me, "none", option(12, b"name") + b"\xff"),
        v4(me, "listed", option(12, b"name") + bytes(3) + option(61, CID) + b"\xff" + bytes(9)),
        v4(me, "own", option(61, b"\1" + own) + option(55, b"\1\3") + b"\xff"),
        v6(me, "none6", option6(8, bytes(2))),
        v6(me, "listed6", option6(8, bytes(2)) + option6(1, CID) + option6(6, bytes(4))),
        v6(me, "link6", option6(1, b"\0\3\0\1" + own)),
        v6(me, "timed6", option6(1, b"\0\1\0\1" + b"time" + own)),
        Frame("ip4", ethernet(peer.mac, me.mac, IP4, ipv4(me.ip4, peer.ip4, udp(1, 2)))),
        Frame("ip6", ethernet(peer.mac, me.mac, IP6, ipv6(me.ip6, peer.ip6, 17, udp(1, 2)))),
    ]


def bad_frames(me: Party) -> list[Frame]:
    stranger = raw_mac("02:00:00:00:00:ee")
    own = option(61, b"\1" + raw_mac(me.mac))
    head = bytes([17, 0, 0, 0]) + bytes(4)
    message = udp(546, 547, bytes([1, 0, 0, 1]) + option6(1, OTHER))
    hidden = ipv6(me.link_local, "ff02::1:2", FRAGMENT, head + message)
    return [
        v4(me, "other", option(61, OTHER) + b"\xff"),
        v4(me, "other's mac", option(61, b"\1" + stranger) + b"\xff"),
        v4(me, "longer", option(61, CID + b"x") + b"\xff"),
        v4(me, "shorter", option(61, CID[:-1]) + b"\xff"),
        v4(me, "second", own + option(61, OTHER) + b"\xff"),
        v4(me, "behind many", option(12, b"") * 47 + option(61, OTHER) + b"\xff"),
        v4(me, "overload", option(52, b"\1") + b"\xff"),
        v4(me, "no end", option(12, b"name")),
        v4(me, "too many", option(12, b"") * 60 + b"\xff"),
        v6(me, "other6", option6(1, OTHER)),
        v6(me, "second6", option6(1, CID) + option6(1, OTHER)),
        v6(me, "too long6", option6(8, bytes(2)) + b"\0\6\0\x40"),
        v6(me, "relay6", option6(9, bytes(4)), kind=12),
        Frame("hidden6", ethernet(DHCP_SERVERS, me.mac, IP6, hidden)),
    ]


def test_only_listed_identifiers_and_their_own_pass(stage: Stage) -> None:
    vnic, zone = stage.add(1, dhcp_cids=(ALLOWED,))
    me, peer = party(vnic), party(stage.peer)
    good, bad = good_frames(me, peer), bad_frames(me)
    wanted = sorted(frame.name for frame in good)
    assert sorted(stage.arrived(vnic, zone, good + bad)) == wanted
    # Live, and back: without a list any identifier passes.
    stage.links.change_vnic(dataclasses.replace(vnic, dhcp_cids=()), zone.path)
    everything = {frame.name for frame in good + bad}
    assert stage.arrived(vnic, zone, good + bad) == everything
    stage.links.change_vnic(dataclasses.replace(vnic, dhcp_cids=("0x01", ALLOWED)), zone.path)
    assert sorted(stage.arrived(vnic, zone, good + bad)) == wanted


def test_as_many_as_a_nic_may_have(stage: Stage) -> None:
    """20, which joined by commas are less than 1024 characters: the program still fits."""
    cids = tuple(f"0x{number:02x}{'ab' * 23}" for number in range(20))
    vnic, zone = stage.add(1, dhcp_cids=cids)
    me = party(vnic)
    frames = [
        v4(me, name, option(61, bytes.fromhex(cid)) + b"\xff")
        for name, cid in (("last", cids[-1][2:]), ("other", "77" + "ab" * 23))
    ]
    assert stage.arrived(vnic, zone, frames) == {"last"}


def tcp(source: int, to: int) -> bytes:
    return source.to_bytes(2) + to.to_bytes(2) + bytes(8) + b"\x50\x02" + bytes(6)


def test_blocked_ports(stage: Stage) -> None:
    vnic, zone = stage.add(1, blocked_ports=(25, 587), allow_ip_spoofing=True)
    me, peer = party(vnic), party(stage.peer)
    frames = []
    for port in (24, 25, 587):
        for what, number, data in (("tcp", 6, tcp(1, port)), ("udp", 17, udp(1, port))):
            head = bytearray(ipv4(me.ip4, peer.ip4, data))
            head[9] = number
            frames.append(Frame(f"{what}4 {port}", ethernet(peer.mac, me.mac, IP4, bytes(head))))
            body = ipv6(me.ip6, peer.ip6, number, data)
            frames.append(Frame(f"{what}6 {port}", ethernet(peer.mac, me.mac, IP6, body)))
            options = bytes([number, 0, 1, 4, 0, 0, 0, 0])  # hop by hop
            body = ipv6(me.ip6, peer.ip6, 0, options + data)
            frames.append(Frame(f"{what}6h {port}", ethernet(peer.mac, me.mac, IP6, body)))
    passed = stage.arrived(vnic, zone, frames)
    assert passed == {frame.name for frame in frames if frame.name.endswith(" 24")}
