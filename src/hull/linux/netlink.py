# SPDX-License-Identifier: MPL-2.0
"""rtnetlink(7) by the standard library: links, addresses, routes, forwarding entries.

A Request is pure data; `Netlink.batch` sends several in one system call. A socket belongs to the
network namespace of the thread that opens it (hull.linux.netns). Opening one costs 0.02 ms, so
each operation opens its own and needs no lock.
"""

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EHOSTUNREACH, ENETUNREACH, ENODEV
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

from hull.errors import KernelError

Interface = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

AF_BRIDGE = 7

# Message types
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29

# Message flags
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x2, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400

SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSGERR_ATTR_MSG = 1

# Attributes of links
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_OPERSTATE = 1, 3, 4, 10, 16
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_NET_NS_FD, IFLA_EXT_MASK = 18, 20, 28, 29
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
BR_STP_STATE, BR_VLAN_FILTERING, BR_MCAST_SNOOPING = 5, 7, 23
IFLA_AF_SPEC, BRIDGE_VLAN_INFO, VLAN_PVID, VLAN_UNTAGGED = 26, 2, 2, 4
VLAN_RANGE_BEGIN, VLAN_RANGE_END = 8, 16
BRPORT_LEARNING, BRPORT_UNICAST_FLOOD, BRPORT_NO, BRPORT_GROUP_FWD_MASK = 8, 9, 18, 31
# Frames to 01:80:c2:00:00:0x, which a bridge keeps to itself; it drops pause frames (1) anyhow.
ALL_GROUPS = 0xFFFD
RTEXT_FILTER_SKIP_STATS = 8
IFF_UP = 1
IF_OPER_UP = 6

# Attributes of addresses, routes and neighbours
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_F_NODAD = 1, 2, 4, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY = 1, 4, 5, 6
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RTN_LOCAL, RTNH_F_ONLINK = 254, 4, 1, 2, 4
RT_SCOPE_LINK = 253
NDA_LLADDR, NTF_MASTER, NUD_NOARP = 2, 4, 0x40

HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
NEIGHBOUR = struct.Struct("=BxxxiHBB")
ATTRIBUTE = struct.Struct("=HH")

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class Request:
    """One change. `operation` names it in an error: "create link h3fa2z1n0"."""

    operation: str
    type: int
    flags: int
    body: bytes


@dataclass(frozen=True, kw_only=True)
class LinkInfo:
    """A link as the kernel shows it."""

    index: int
    name: str
    kind: str  # bridge, veth; empty for hardware
    mac: str
    mtu: int
    master: int  # the index of the bridge it is a port of, or 0
    up: bool  # set up by the administrator
    running: bool  # up, with a carrier, and able to send
    alias: str
    vlans: bool = False  # a bridge that keeps VLANs apart
    port: int = 0  # its number among the ports of that bridge, from 1 on


# -- packing: pure --------------------------------------------------------------------------------


def attribute(kind: int, *parts: bytes) -> bytes:
    """One attribute, padded to four bytes; nested ones are attributes of attributes."""
    data = b"".join(parts)
    return ATTRIBUTE.pack(4 + len(data), kind) + data + bytes(-len(data) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message; the flag bits of their types are taken off."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        size, kind = ATTRIBUTE.unpack_from(data, offset)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + size]
        offset += size + -size % 4
    return found


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _byte(kind: int, value: int) -> bytes:
    return attribute(kind, bytes([value]))


def _mac(kind: int, mac: str) -> bytes:
    return attribute(kind, bytes.fromhex(mac.replace(":", "")))


def create_bridge(name: str, *, mac: str, mtu: int) -> Request:
    """A bridge with a MAC that stays its own, whatever ports it gets."""
    # Without a querier on the network, snooping would only lose IPv6's neighbour discovery.
    data = attribute(INFO_DATA, _number(BR_STP_STATE, 0), _byte(BR_MCAST_SNOOPING, 0))
    info = attribute(IFLA_LINKINFO, attribute(INFO_KIND, b"bridge"), data)
    body = LINK.pack(0, 0, 0, 0, 0)
    body += _text(IFLA_IFNAME, name) + _mac(IFLA_ADDRESS, mac) + _number(IFLA_MTU, mtu) + info
    return Request(f"create link {name}", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def keep_vlans_apart(name: str) -> Request:
    """Ports of the bridge are on VLAN 1 from now on, untagged. EOPNOTSUPP if the kernel cannot."""
    data = attribute(INFO_DATA, _byte(BR_VLAN_FILTERING, 1))
    info = attribute(IFLA_LINKINFO, attribute(INFO_KIND, b"bridge"), data)
    body = LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name) + info
    return Request(f"set bridge {name}", RTM_NEWLINK, 0, body)


def add_port_vlan(index: int, vid: int) -> Request:
    """What the port sends is on the VLAN, and what it gets; neither is tagged."""
    return _port_vlan(RTM_SETLINK, index, vid, VLAN_PVID | VLAN_UNTAGGED)


def delete_port_vlan(index: int, vid: int) -> Request:
    return _port_vlan(RTM_DELLINK, index, vid, 0)


def add_trunk(index: int) -> Request:
    """What is on a VLAN comes and goes with its tag; what is on none as it is."""
    first = attribute(BRIDGE_VLAN_INFO, struct.pack("=HH", VLAN_RANGE_BEGIN, 2))
    last = attribute(BRIDGE_VLAN_INFO, struct.pack("=HH", VLAN_RANGE_END, 4094))
    body = LINK.pack(AF_BRIDGE, 0, index, 0, 0) + attribute(IFLA_AF_SPEC, first, last)
    return Request(f"let all VLANs by link {index}", RTM_SETLINK, 0, body)


def _port_vlan(kind: int, index: int, vid: int, flags: int) -> Request:
    info = attribute(BRIDGE_VLAN_INFO, struct.pack("=HH", flags, vid))
    body = LINK.pack(AF_BRIDGE, 0, index, 0, 0) + attribute(IFLA_AF_SPEC, info)
    return Request(f"set VLAN {vid} of link {index}", kind, 0, body)


def create_veth(
    name: str, *, master: int, mtu: int, peer: str, peer_mac: str, namespace: int
) -> Request:
    """A pair of links: `name` here, a port of bridge `master`; `peer` is born in `namespace`."""
    far_end = attribute(
        VETH_INFO_PEER,
        LINK.pack(0, 0, 0, 0, 0),
        _text(IFLA_IFNAME, peer),
        _mac(IFLA_ADDRESS, peer_mac),
        _number(IFLA_MTU, mtu),
        _number(IFLA_NET_NS_FD, namespace),
    )
    info = attribute(IFLA_LINKINFO, attribute(INFO_KIND, b"veth"), attribute(INFO_DATA, far_end))
    body = LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name) + info
    body += _number(IFLA_MTU, mtu) + _number(IFLA_MASTER, master)
    operation = f"create link {name} with {peer}"
    return Request(operation, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_link(
    name: str,
    *,
    up: bool | None = None,
    master: int = 0,
    mac: str = "",
    mtu: int = 0,
    alias: str = "",
) -> Request:
    """Change what is given of the link with that name."""
    change = 0 if up is None else IFF_UP
    body = LINK.pack(0, 0, 0, change if up else 0, change) + _text(IFLA_IFNAME, name)
    body += _number(IFLA_MASTER, master) if master else b""
    body += _mac(IFLA_ADDRESS, mac) if mac else b""
    body += _number(IFLA_MTU, mtu) if mtu else b""
    body += attribute(IFLA_IFALIAS, alias.encode()) if alias else b""
    return Request(f"set link {name}", RTM_NEWLINK, 0, body)


def set_port(name: str, *, learning: bool) -> Request:
    """Whether a bridge port learns MACs, and so gets frames for those nobody is known to have.

    What it sends to the bridge itself (LLDP, LACP) is forwarded instead: so it passes the rules.
    """
    flags = _byte(BRPORT_LEARNING, learning) + _byte(BRPORT_UNICAST_FLOOD, learning)
    flags += attribute(BRPORT_GROUP_FWD_MASK, struct.pack("=H", ALL_GROUPS))
    kind = attribute(INFO_SLAVE_KIND, b"bridge")
    info = attribute(IFLA_LINKINFO, kind, attribute(INFO_SLAVE_DATA, flags))
    body = LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name) + info
    return Request(f"set bridge port {name}", RTM_NEWLINK, 0, body)


def delete_link(name: str) -> Request:
    body = LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name)
    return Request(f"delete link {name}", RTM_DELLINK, 0, body)


def add_forwarding(index: int, mac: str) -> Request:
    """Tell a port's bridge that a MAC is behind that port, for as long as the port is there."""
    body = NEIGHBOUR.pack(AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, 0) + _mac(NDA_LLADDR, mac)
    operation = f"add {mac} to the bridge of link {index}"
    return Request(operation, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)


def delete_forwarding(index: int, mac: str) -> Request:
    body = NEIGHBOUR.pack(AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, 0) + _mac(NDA_LLADDR, mac)
    return Request(f"take {mac} from the bridge of link {index}", RTM_DELNEIGH, 0, body)


def add_address(index: int, address: Interface) -> Request:
    """Give a link an address; no error if it has it. IPv6 ones are usable at once (no DAD)."""
    packed = address.ip.packed
    flags, extra = IFA_F_NODAD, b""
    if isinstance(address, IPv4Interface):
        flags = 0
        extra = attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    family = _FAMILY[address.version]
    body = ADDRESS.pack(family, address.network.prefixlen, flags, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed) + extra
    operation = f"add address {address} to link {index}"
    return Request(operation, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body)


def add_default_route(index: int, gateway: Address, *, metric: int, onlink: bool) -> Request:
    """A default route. `onlink`: the gateway is reached directly, though no prefix says so."""
    flags = RTNH_F_ONLINK if onlink else 0
    table, kind = (RT_TABLE_MAIN, RTPROT_STATIC, 0), (RTN_UNICAST, flags)
    body = ROUTE.pack(_FAMILY[gateway.version], 0, 0, 0, *table, *kind)
    body += attribute(RTA_GATEWAY, gateway.packed)
    body += _number(RTA_OIF, index) + _number(RTA_PRIORITY, metric)
    operation = f"add default route {gateway}"
    return Request(operation, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body)


def add_route(index: int, network: Network, gateway: Address | None, *, onlink: bool) -> Request:
    """A static route, in place of the zone's own to there if it has one. Without a gateway all of
    the network are neighbours."""
    flags = RTNH_F_ONLINK if onlink else 0
    body = _route(index, network, gateway, flags)
    return Request(f"add route {network}", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body)


def delete_route(index: int, network: Network, gateway: Address | None) -> Request:
    body = _route(index, network, gateway, 0)
    return Request(f"delete route {network}", RTM_DELROUTE, 0, body)


def _route(index: int, network: Network, gateway: Address | None, flags: int) -> bytes:
    scope = 0 if gateway else RT_SCOPE_LINK
    kind = (RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, flags)
    body = ROUTE.pack(_FAMILY[network.version], network.prefixlen, 0, 0, *kind)
    body += attribute(RTA_DST, network.network_address.packed) + _number(RTA_OIF, index)
    return body + (attribute(RTA_GATEWAY, gateway.packed) if gateway else b"")


# -- unpacking: pure ------------------------------------------------------------------------------


def parse_link(body: bytes) -> LinkInfo:
    _, _, index, flags, _ = LINK.unpack_from(body)
    found = attributes(body[LINK.size :])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    return LinkInfo(
        index=index,
        name=_parse_text(found.get(IFLA_IFNAME, b"")),
        kind=_parse_text(info.get(INFO_KIND, b"")),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=_parse_number(found.get(IFLA_MTU, b"")),
        master=_parse_number(found.get(IFLA_MASTER, b"")),
        up=bool(flags & IFF_UP),
        running=bool(flags & IFF_UP) and found.get(IFLA_OPERSTATE) == bytes([IF_OPER_UP]),
        alias=_parse_text(found.get(IFLA_IFALIAS, b"")),
        vlans=attributes(info.get(INFO_DATA, b"")).get(BR_VLAN_FILTERING) == b"\1",
        port=_parse_number(attributes(info.get(INFO_SLAVE_DATA, b"")).get(BRPORT_NO, b"")),
    )


def parse_address(body: bytes) -> tuple[int, Interface]:
    """The link's index and the address."""
    _, prefix, _, _, index = ADDRESS.unpack_from(body)
    found = attributes(body[ADDRESS.size :])
    address = ipaddress.ip_address(found.get(IFA_LOCAL) or found[IFA_ADDRESS])
    return index, ipaddress.ip_interface(f"{address}/{prefix}")


def parse_error(body: bytes) -> tuple[int, str]:
    """The errno, 0 for success, and the kernel's own words if it has some."""
    (code,) = struct.unpack_from("=i", body)
    words = attributes(body[4 + HEADER.size :]).get(NLMSGERR_ATTR_MSG, b"")
    return -code, _parse_text(words)


def _parse_text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def _parse_number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


# -- the socket -----------------------------------------------------------------------------------


class Netlink:
    """One socket, in the network namespace of the thread that made it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def batch(self, *requests: Request) -> None:
        """Make changes, in order. All are tried; raises KernelError for the first that failed."""
        if not requests:
            return
        waiting: dict[int, Request] = {}
        data = b""
        for request in requests:
            self._sequence += 1
            waiting[self._sequence] = request
            data += self._message(request.type, request.flags | NLM_F_ACK, request.body)
        self._send(data)
        failure: KernelError | None = None
        while waiting:
            for kind, _, sequence, body in self._receive():
                if kind != NLMSG_ERROR or sequence not in waiting:
                    continue
                request = waiting.pop(sequence)
                failure = failure or _failure(request.operation, body)
        if failure:
            raise failure

    def link(self, name: str) -> LinkInfo | None:
        """The link with that name; None if there is none."""
        body = LINK.pack(0, 0, 0, 0, 0) + _text(IFLA_IFNAME, name)
        body += _number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
        try:
            (answer,) = self._ask(f"look up link {name}", RTM_GETLINK, 0, body)
        except KernelError as exc:
            if exc.errno == ENODEV:
                return None
            raise
        return parse_link(answer)

    def links(self) -> list[LinkInfo]:
        body = LINK.pack(0, 0, 0, 0, 0) + _number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
        return [parse_link(item) for item in self._ask("list links", RTM_GETLINK, NLM_F_DUMP, body)]

    def addresses(self) -> list[tuple[int, Interface]]:
        """Every address, with the index of its link."""
        body = ADDRESS.pack(0, 0, 0, 0, 0)
        answers = self._ask("list addresses", RTM_GETADDR, NLM_F_DUMP, body)
        return [parse_address(item) for item in answers]

    def is_local(self, address: Address) -> bool:
        """Whether packets to an address are for this namespace itself."""
        family, size = _FAMILY[address.version], address.max_prefixlen
        body = ROUTE.pack(family, size, 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, address.packed)
        try:
            (answer,) = self._ask(f"look up the route to {address}", RTM_GETROUTE, 0, body)
        except KernelError as exc:
            if exc.errno in (ENETUNREACH, EHOSTUNREACH):
                return False
            raise
        kind: int = ROUTE.unpack_from(answer)[7]
        return kind == RTN_LOCAL

    def _ask(self, operation: str, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._sequence += 1
        self._send(self._message(kind, flags, body))
        answers: list[bytes] = []
        while True:
            for kind_, flags_, sequence, answer in self._receive():
                if sequence != self._sequence:
                    continue
                if kind_ == NLMSG_DONE:
                    return answers
                if kind_ == NLMSG_ERROR:
                    raise _failure(operation, answer) or KernelError(operation, 0, "no answer")
                answers.append(answer)
                if not flags_ & NLM_F_MULTI:
                    return answers

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        size = HEADER.size + len(body)
        return HEADER.pack(size, kind, flags | NLM_F_REQUEST, self._sequence, 0) + body

    def _send(self, data: bytes) -> None:
        self._socket.sendto(data, (0, 0))

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        """The messages of one datagram: type, flags, sequence number, body."""
        data = self._socket.recv(1 << 16)
        offset = 0
        while offset + HEADER.size <= len(data):
            size, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset + HEADER.size : offset + size]
            offset += size + -size % 4


def _failure(operation: str, body: bytes) -> KernelError | None:
    code, words = parse_error(body)
    if not code:
        return None
    reason = os.strerror(code)
    return KernelError(operation, code, f"{reason} ({words})" if words else reason)
