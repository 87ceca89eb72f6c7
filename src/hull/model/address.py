# SPDX-License-Identifier: MPL-2.0
"""Addresses in payloads: what is wrong with one, and its one canonical spelling."""

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)

MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


def check_ip(text: str) -> str:
    """An IPv4 or IPv6 address of one host."""
    try:
        address = ip_address(text)
    except ValueError:
        return "is not an IP address"
    if "%" in text:
        return "must not name a scope"
    return _check_host(address)


def check_ipv4(text: str) -> str:
    """An IPv4 address of one host."""
    return check_ip(text) if ":" not in text else "is not an IPv4 address"


def check_nic_ip(text: str) -> str:
    """The deprecated `ip`: an IPv4 address or `dhcp`."""
    return "" if text == "dhcp" else check_ipv4(text)


def check_netmask(text: str) -> str:
    """An IPv4 netmask: ones, then zeros."""
    try:
        # A mask of zeros, or a prefix length, is read as a hostmask or prefix: neither is meant.
        bits = int(IPv4Address(text))
    except ValueError:
        return "is not a netmask such as 255.255.255.0"
    inverse = bits ^ 0xFFFFFFFF
    return "" if bits and inverse & (inverse + 1) == 0 else "is not a netmask such as 255.255.255.0"


def check_nic_address(text: str) -> str:
    """A member of `ips`: ADDRESS/PREFIX, `dhcp` or `addrconf`."""
    if text in ("dhcp", "addrconf"):
        return ""
    host, slash, prefix = text.partition("/")
    if not slash:
        return "has no prefix length"
    if not re.fullmatch(r"[0-9]{1,3}", prefix):
        return "has no prefix length that is a number"
    try:
        address = ip_interface(text)
    except ValueError:
        return "is not ADDRESS/PREFIX, dhcp or addrconf"
    if problem := check_ip(host):
        return problem
    network = address.network
    if isinstance(network, IPv4Network) and network.prefixlen < 31:
        if address.ip == network.network_address:
            return "is the address of the network itself"
        if address.ip == network.broadcast_address:
            return "is the network's broadcast address"
    return ""


def check_port(text: str) -> str:
    """A TCP or UDP port."""
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return ""
    return "is not a port: a number from 1 to 65535"


def check_target(text: str) -> str:
    """Where a file system is mounted in a zone."""
    if not text.startswith("/"):
        return "is not an absolute path"
    return "must not go up by .." if ".." in text.split("/") else ""


def check_block(text: str) -> str:
    """A member of `allowed_ips`: an address or a CIDR block."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return "is not an IP address or CIDR block"
    return "must not name a scope" if "%" in text else ""


def check_mac(text: str) -> str:
    """A MAC address that a vnic can have."""
    if not MAC.fullmatch(text):
        return "is not a MAC address such as 02:08:20:aa:bb:cc"
    mac = canonical_mac(text)
    if int(mac[:2], 16) & 1:
        return "is a multicast address, which no nic can have"
    return "is no address" if mac == "00:00:00:00:00:00" else ""


def canonical_mac(text: str) -> str:
    """Six lower-case pairs: 2:8:20:AA:bb:cc -> 02:08:20:aa:bb:cc; other text as it is."""
    if not MAC.fullmatch(text):
        return text
    return ":".join(part.lower().zfill(2) for part in text.split(":"))


def canonical_nic_address(text: str) -> str:
    """One spelling for each address, so that equal ones compare equal."""
    return text if text in ("dhcp", "addrconf") else str(ip_interface(text))


def interface_of(text: str) -> IPv4Interface | IPv6Interface | None:
    """A member of `ips` as an address with its network; None for dhcp and addrconf."""
    return None if text in ("dhcp", "addrconf") else ip_interface(text)


def _check_host(address: IPv4Address | IPv6Address) -> str:
    if address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0):
        return "is not the address of a host"
    if address.is_multicast:
        return "is a multicast address"
    if address.is_loopback:
        return "is a loopback address"
    if address.version == 4 and int(address) >> 28 == 15:
        return "is in the reserved range 240.0.0.0/4"
    return ""
