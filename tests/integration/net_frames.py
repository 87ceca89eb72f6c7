# SPDX-License-Identifier: MPL-2.0
"""Frames that a zone may try to send, honest and hostile, made byte by byte."""

import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_address

from hull.net.nictag import eui64
from tests.integration.net_fixtures import checksum

ARP, IP4, IP6, RARP, VLAN, QINQ, LLDP, LACP, EAPOL, UNKNOWN = (
    0x0806, 0x0800, 0x86DD, 0x8035, 0x8100, 0x88A8, 0x88CC, 0x8809, 0x888E, 0x88B5,
)  # fmt: skip
BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES, ALL_ROUTERS = "33:33:00:00:00:01", "33:33:00:00:00:02"
STRANGER = "02:00:00:00:00:ee"
RS, RA, NS, NA, REDIRECT = 133, 134, 135, 136, 137
HOP_BY_HOP, ICMP6, FRAGMENT = 0, 58, 44


@dataclass(frozen=True)
class Party:
    mac: str
    ip4: str
    ip6: str

    @property
    def link_local(self) -> str:
        return str(eui64(self.mac, IPv6Network("fe80::/64")).ip)


@dataclass(frozen=True)
class Frame:
    """`lifted_by`: the switches that let it pass; honest frames pass always."""

    name: str
    data: bytes
    honest: bool = False
    lifted_by: frozenset[str] = field(default_factory=frozenset)


def raw_mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def raw_ip(address: str) -> bytes:
    return ip_address(address).packed


def ethernet(to: str, source: str, kind: int, payload: bytes) -> bytes:
    return raw_mac(to) + raw_mac(source) + struct.pack("!H", kind) + payload


def tag(kind: int, vid: int, inner: int, payload: bytes) -> tuple[int, bytes]:
    return kind, struct.pack("!HH", vid, inner) + payload


def ipv4(source: str, to: str, payload: bytes, *, fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, 17, 0)
    head += raw_ip(source) + raw_ip(to)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source: int, to: int, payload: bytes = b"x") -> bytes:
    return struct.pack("!HHHH", source, to, 8 + len(payload), 0) + payload


def arp(operation: int, mac: str, address: str, about: str, *, kind: int = ARP) -> bytes:
    body = struct.pack("!HHBBH", 1, IP4, 6, 4, operation) + raw_mac(mac) + raw_ip(address)
    return struct.pack("!H", kind) + body + bytes(6) + raw_ip(about)


def ipv6(source: str, to: str, header: int, payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 0x60000000, len(payload), header, 255)
    return head + raw_ip(source) + raw_ip(to) + payload


def icmp6(source: str, to: str, kind: int, body: bytes) -> bytes:
    data = bytes([kind, 0, 0, 0]) + body
    pseudo = raw_ip(source) + raw_ip(to) + struct.pack("!II", len(data), ICMP6)
    return data[:2] + struct.pack("!H", checksum(pseudo + data)) + data[4:]


def discovery(source: str, to: str, kind: int, body: bytes) -> bytes:
    return ipv6(source, to, ICMP6, icmp6(source, to, kind, body))


def report(source: str, kind: int) -> bytes:
    """A multicast listener's, after a hop-by-hop option."""
    alert = bytes([ICMP6, 0, 5, 2, 0, 0, 1, 0])
    return ipv6(source, "ff02::16", HOP_BY_HOP, alert + icmp6(source, "ff02::16", kind, bytes(20)))


def option(kind: int, mac: str) -> bytes:
    return bytes([kind, 1]) + raw_mac(mac)


def solicitation(target: str, options: bytes = b"") -> bytes:
    return bytes(4) + raw_ip(target) + options


def advertisement(target: str, options: bytes = b"") -> bytes:
    return struct.pack("!I", 0x20000000) + raw_ip(target) + options


def dhcp(operation: int, mac: str, message: int) -> bytes:
    body = struct.pack("!BBBBIHH", operation, 1, 6, 0, 0x1234, 0, 0) + bytes(16) + raw_mac(mac)
    return body + bytes(10) + bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, message, 255])


NONCE = b"\x0e\x01" + bytes(6)


def honest_frames(me: Party, peer: Party) -> list[Frame]:
    link_local = me.link_local
    bodies = {
        "ip4": (peer.mac, IP4, ipv4(me.ip4, peer.ip4, udp(1000, 2000))),
        "arp request": (BROADCAST, ARP, arp(1, me.mac, me.ip4, peer.ip4)[2:]),
        "arp reply": (peer.mac, ARP, arp(2, me.mac, me.ip4, peer.ip4)[2:]),
        "arp probe": (BROADCAST, ARP, arp(1, me.mac, "0.0.0.0", me.ip4)[2:]),
        "ip6": (peer.mac, IP6, ipv6(me.ip6, peer.ip6, 17, udp(1000, 2000))),
        "ip6 link-local": (peer.mac, IP6, ipv6(link_local, peer.ip6, 17, udp(1, 2))),
        "NS": (
            ALL_NODES,
            IP6,
            discovery(me.ip6, "ff02::1", NS, solicitation(peer.ip6, option(1, me.mac))),
        ),
        "NS with a nonce first": (
            ALL_NODES,
            IP6,
            discovery(me.ip6, "ff02::1", NS, solicitation(peer.ip6, NONCE + option(1, me.mac))),
        ),
        "DAD": (ALL_NODES, IP6, discovery("::", "ff02::1", NS, solicitation(me.ip6))),
        "NA": (
            ALL_NODES,
            IP6,
            discovery(me.ip6, "ff02::1", NA, advertisement(me.ip6, option(2, me.mac))),
        ),
        "RS": (
            ALL_ROUTERS,
            IP6,
            discovery(link_local, "ff02::2", RS, bytes(4) + option(1, me.mac)),
        ),
        "DHCP discover": (
            BROADCAST,
            IP4,
            ipv4("0.0.0.0", "255.255.255.255", udp(68, 67, dhcp(1, me.mac, 1))),
        ),
        "DHCP renewal": (peer.mac, IP4, ipv4(me.ip4, peer.ip4, udp(68, 67, dhcp(1, me.mac, 3)))),
    }
    return [
        Frame(name, ethernet(to, me.mac, kind, body), honest=True)
        for name, (to, kind, body) in bodies.items()
    ]


def hostile_frames(me: Party, peer: Party, victim: Party) -> list[Frame]:
    """What would take a victim's place, or play the router, if it passed."""
    return [
        *_link_frames(me, peer, victim),
        *_ip4_frames(me, peer, victim),
        *_dhcp_frames(me, peer),
        *_ip6_frames(me, peer, victim),
        *_discovery_frames(me, peer, victim),
    ]


def _frames(me: Party, lifted_by: str, table: dict[str, tuple[str, int, bytes]]) -> list[Frame]:
    switches = frozenset(lifted_by.split())
    return [
        Frame(name, ethernet(to, me.mac, kind, body), lifted_by=switches)
        for name, (to, kind, body) in table.items()
    ]


def _link_frames(me: Party, peer: Party, victim: Party) -> list[Frame]:
    fine, spoofed = ipv4(me.ip4, peer.ip4, udp(1, 2)), ipv4(victim.ip4, peer.ip4, udp(1, 2))
    inner = struct.pack("!HH", 1, IP4)
    mac = Frame(
        "a stranger's MAC", ethernet(peer.mac, STRANGER, IP4, fine), lifted_by=frozenset(["mac"])
    )
    return [
        mac,
        *_frames(
            me,
            "restricted",
            {
                "an unknown protocol": (peer.mac, UNKNOWN, bytes(46)),
                "RARP": (BROADCAST, RARP, arp(3, me.mac, me.ip4, me.ip4)[2:]),
            },
        ),
        *_frames(
            me,
            "",
            {
                "VLAN 100": (peer.mac, *tag(VLAN, 100, IP4, fine)),
                "VLAN 100, spoofed": (peer.mac, *tag(VLAN, 100, IP4, spoofed)),
                "VLAN 0, priority only": (peer.mac, *tag(VLAN, 0, IP4, fine)),
                "VLAN 1, spoofed": (peer.mac, *tag(VLAN, 1, IP4, spoofed)),
                "QinQ": (peer.mac, *tag(QINQ, 1, VLAN, inner + fine)),
                "LLDP": ("01:80:c2:00:00:0e", LLDP, bytes(46)),
                "LACP": ("01:80:c2:00:00:02", LACP, bytes(46)),
                "802.1X": ("01:80:c2:00:00:03", EAPOL, bytes(46)),
                "STP": ("01:80:c2:00:00:00", 38, b"\x42\x42\x03" + bytes(35)),
            },
        ),
    ]


def _ip4_frames(me: Party, peer: Party, victim: Party) -> list[Frame]:
    return [
        *_frames(
            me,
            "ip dhcp",
            {
                "a victim's IPv4": (peer.mac, IP4, ipv4(victim.ip4, peer.ip4, udp(1, 2))),
                "IPv4 from 0.0.0.0": (peer.mac, IP4, ipv4("0.0.0.0", peer.ip4, udp(1, 2))),
                "ARP for a victim": (BROADCAST, ARP, arp(2, me.mac, victim.ip4, peer.ip4)[2:]),
                "ARP reply from 0.0.0.0": (BROADCAST, ARP, arp(2, me.mac, "0.0.0.0", me.ip4)[2:]),
            },
        ),
        *_frames(
            me,
            "mac",
            {"ARP with a stranger's MAC": (BROADCAST, ARP, arp(2, STRANGER, me.ip4, me.ip4)[2:])},
        ),
    ]


def _dhcp_frames(me: Party, peer: Party) -> list[Frame]:
    everybody = "255.255.255.255"
    wrong = udp(68, 67, dhcp(1, STRANGER, 1))
    first = struct.pack("!HHHH", 67, 68, 308, 0) + bytes(16)
    return _frames(
        me,
        "dhcp",
        {
            "DHCP for a stranger": (BROADCAST, IP4, ipv4("0.0.0.0", everybody, wrong)),
            "DHCP offer": (
                BROADCAST,
                IP4,
                ipv4(me.ip4, everybody, udp(67, 68, dhcp(2, peer.mac, 2))),
            ),
            "DHCP in fragments": (BROADCAST, IP4, ipv4(me.ip4, everybody, first, fragment=0x2000)),
            "DHCPv6 advertise": (
                peer.mac,
                IP6,
                ipv6(me.ip6, peer.ip6, 17, udp(547, 546, b"\x02abc")),
            ),
        },
    )


def _ip6_frames(me: Party, peer: Party, victim: Party) -> list[Frame]:
    hidden = icmp6(me.ip6, peer.ip6, NA, advertisement(victim.ip6))
    return _frames(
        me,
        "ip dhcp",
        {
            "a victim's IPv6": (peer.mac, IP6, ipv6(victim.ip6, peer.ip6, 17, udp(1, 2))),
            "IPv6 from ::": (peer.mac, IP6, ipv6("::", peer.ip6, 17, udp(1, 2))),
            "a foreign link-local address": (
                peer.mac,
                IP6,
                ipv6("fe80::1", peer.ip6, 17, udp(1, 2)),
            ),
            "NA for a victim": (
                ALL_NODES,
                IP6,
                discovery(me.ip6, "ff02::1", NA, advertisement(victim.ip6, option(2, me.mac))),
            ),
            "NA for a victim behind a header": (
                peer.mac,
                IP6,
                ipv6(me.ip6, peer.ip6, HOP_BY_HOP, bytes([ICMP6, 0, 1, 4, 0, 0, 0, 0]) + hidden),
            ),
            "DAD against a victim": (
                ALL_NODES,
                IP6,
                discovery("::", "ff02::1", NS, solicitation(victim.ip6)),
            ),
            "RA": (ALL_NODES, IP6, discovery(me.link_local, "ff02::1", RA, bytes(12))),
            "redirect": (peer.mac, IP6, discovery(me.link_local, peer.ip6, REDIRECT, bytes(36))),
        },
    )


def _discovery_frames(me: Party, peer: Party, victim: Party) -> list[Frame]:
    stranger1, stranger2 = option(1, STRANGER), option(2, STRANGER)
    mac_frames = {
        "NA with a stranger's MAC": (NA, advertisement(me.ip6, stranger2)),
        "NA with a second option": (NA, advertisement(me.ip6, NONCE + stranger2)),
        "NS with a stranger's MAC": (NS, solicitation(peer.ip6, stranger1)),
        "NS with a stranger's MAC second": (NS, solicitation(peer.ip6, NONCE + stranger1)),
        "NS with a third option": (NS, solicitation(peer.ip6, NONCE + NONCE + stranger1)),
        "RS with a stranger's MAC": (RS, bytes(4) + stranger1),
    }
    fragment = struct.pack("!BBHI", ICMP6, 0, 1, 7)  # the first of two
    na = icmp6(me.ip6, peer.ip6, NA, advertisement(victim.ip6))
    return [
        *_frames(
            me,
            "mac",
            {
                name: (peer.mac, IP6, discovery(me.ip6, peer.ip6, kind, body))
                for name, (kind, body) in mac_frames.items()
            },
        ),
        *_frames(
            me,
            "",
            {"NA in fragments": (peer.mac, IP6, ipv6(me.ip6, peer.ip6, FRAGMENT, fragment + na))},
        ),
    ]


def marked(frames: list[Frame]) -> dict[bytes, Frame]:
    """Frames by a trailer behind the packet: it is outside of what any header counts."""
    return {number.to_bytes(4, "big") + b"hull": frame for number, frame in enumerate(frames)}


def on_the_wire(mark: bytes, frame: Frame) -> bytes:
    return frame.data + bytes(max(0, 60 - len(frame.data))) + mark


def send_and_collect(
    sender: socket.socket, receivers: list[socket.socket], frames: list[Frame]
) -> set[str]:
    """The names of the frames that reach one of the receivers."""
    marks = marked(frames)
    for mark, frame in marks.items():
        sender.send(on_the_wire(mark, frame))
    return collect(receivers, marks)


def collect(receivers: list[socket.socket], marks: dict[bytes, Frame]) -> set[str]:
    """The names of those that have come in."""
    arrived = set()
    for receiver in receivers:
        receiver.settimeout(0.2)
        try:
            while True:
                data = receiver.recv(4096)
                if data[-8:] in marks:
                    arrived.add(marks[data[-8:]].name)
        except TimeoutError:
            continue
    return arrived
