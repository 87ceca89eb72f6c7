# SPDX-License-Identifier: MPL-2.0
"""Nic tags: which links carry them, and the `admin` network that every host has."""

from hashlib import sha256
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from zlib import crc32

from hull.net.datalink import NicTag

ADMIN = "admin"

MAX_LINK_NAME = 15

# Each host takes a /22 (1,021 zones) of this block, which homes, offices and clouds rarely use.
PRIVATE = IPv4Network("10.64.0.0/10")
PREFIX = 22


def link_name(host_id: str, tag: str) -> str:
    """The link of a nic tag: `h3fa2.admin`. A long tag is cut, and told apart by a checksum."""
    room = MAX_LINK_NAME - len(host_id) - 2
    short = tag if len(tag) <= room else f"{tag[: room - 5]}{crc32(tag.encode()) & 0xFFFFF:05x}"
    return f"h{host_id}.{short}"


def admin(host_id: str) -> NicTag:
    """The network that a host itself routes: the same one each time for the same host."""
    digest = sha256(f"hull {host_id}".encode()).digest()
    number = int(host_id, 16) % (1 << (PREFIX - PRIVATE.prefixlen))
    first = int(PRIVATE.network_address) + (number << (32 - PREFIX))
    unique = (0xFD << 120) | (int.from_bytes(digest[:5], "big") << 80)  # RFC 4193
    return NicTag(
        name=ADMIN,
        link=link_name(host_id, ADMIN),
        address=IPv4Interface((first + 1, PREFIX)),
        address6=IPv6Interface((unique + 1, 64)),
    )


def stable_mac(name: str) -> str:
    """A locally administered MAC made from a name: a bridge keeps it over restarts."""
    return (bytes([0x02]) + sha256(name.encode()).digest()[:5]).hex(":")


def eui64(mac: str, network: IPv6Network) -> IPv6Interface:
    """The address that a link gives itself in a /64 by its MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    host = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    number = int(network.network_address) | int.from_bytes(host, "big")
    return IPv6Interface((number, network.prefixlen))
