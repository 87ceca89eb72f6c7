# SPDX-License-Identifier: MPL-2.0
"""A VM's network interface: the rows of `nics.*`.

In a decoded Nic `ips` and `gateways` hold everything; the deprecated `ip`, `netmask` and `gateway`
are read from payloads and printed in views (model/view.py), but empty in between.
"""

from dataclasses import dataclass
from ipaddress import ip_interface

from hull.model import address
from hull.model.prop import Kind, Shown, prop

# What a nic's ips may hold beside addresses.
WORDS = ("dhcp", "addrconf")


@dataclass(frozen=True, kw_only=True)
class Nic:
    """One element of `nics`; also of `add_nics` and `update_nics`."""

    nic_tag: str = prop(
        Kind.STRING,
        "*:au",
        "The nic tag to attach to; it must exist on the host.",
        required="*:a",
        pattern=r"[a-zA-Z0-9_/]+",
        wrong="invalid or missing .nic_tag option for NIC: {whole}",
    )
    mac: str = prop(
        Kind.STRING,
        "*:au",
        "MAC address; also the key by which update_nics and remove_nics find the nic.",
        default_doc="generated",
        required="*:u",
        check=address.check_mac,
    )
    interface: str = prop(
        Kind.STRING,
        "*:au",
        "Name of the interface in the zone.",
        default_doc="the lowest free netN, for brand lx ethN",
        pattern=r"(?!lo$)[a-zA-Z][a-zA-Z0-9_]{0,14}",
    )
    primary: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "Whether this nic's gateway is the default route; exactly one nic has it.",
        default=False,
        shown=Shown.SET,
    )
    ips: tuple[str, ...] = prop(
        Kind.LIST,
        "*:au",
        "Addresses: ADDRESS/PREFIX (IPv4 or IPv6), dhcp, addrconf. At most 20.",
        check=address.check_nic_address,
        wrong="Invalid IP for NIC: {whole}",
    )
    ip: str = prop(
        Kind.STRING,
        "*:au",
        "The first IPv4 address, or dhcp; `ips` is its successor, and both are kept in step.",
        check=address.check_nic_ip,
        wrong="Invalid IP for NIC: {whole}",
        shown=Shown.NEVER,
    )
    netmask: str = prop(
        Kind.STRING,
        "*:au",
        "(deprecated) Netmask of ip; needed unless that is dhcp.",
        check=address.check_netmask,
        shown=Shown.NEVER,
    )
    gateways: tuple[str, ...] = prop(
        Kind.LIST,
        "*:au",
        "Default routers.",
        check=address.check_ip,
        shown=Shown.SET,
    )
    gateway: str = prop(
        Kind.STRING,
        "*:au",
        "The first IPv4 default router; `gateways` is its successor, and both are kept in step.",
        check=address.check_ipv4,
        shown=Shown.NEVER,
    )
    vlan_id: int = prop(
        Kind.INTEGER,
        "*:au",
        "VLAN to tag the nic's traffic with; 0: none.",
        default=0,
        default_doc="none",
        minimum=0,
        maximum=4095,
        shown=Shown.SET,
    )
    mtu: int | None = prop(
        Kind.INTEGER,
        "*:au",
        "Largest packet; the nic tag's unless given.",
        default_doc="the nic tag's",
        minimum=576,
        maximum=9000,
        unit="bytes",
        shown=Shown.SET,
    )
    network_uuid: str = prop(
        Kind.UUID,
        "*:au",
        "UUID of the network the addresses belong to; stored for the operator's tools.",
        shown=Shown.SET,
    )
    allowed_ips: tuple[str, ...] = prop(
        Kind.LIST,
        "*:au",
        "More addresses or CIDR blocks that the nic may send from. At most 13.",
        check=address.check_block,
        shown=Shown.SET,
    )
    allow_dhcp_spoofing: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "Let the nic answer DHCP requests; implies allow_ip_spoofing.",
        default=False,
        shown=Shown.SET,
    )
    allow_ip_spoofing: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "Let the nic send from any IP address.",
        default=False,
        shown=Shown.SET,
    )
    allow_mac_spoofing: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "Let the nic send from any MAC address.",
        default=False,
        shown=Shown.SET,
    )
    allow_restricted_traffic: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "Let the nic send other protocols than IPv4, IPv6 and ARP.",
        default=False,
        shown=Shown.SET,
    )
    dhcp_server: bool = prop(
        Kind.BOOLEAN,
        "*:au",
        "(deprecated) Another name of allow_dhcp_spoofing.",
        default=False,
        shown=Shown.SET,
    )
    allow_unfiltered_promisc: bool = prop(
        Kind.BOOLEAN,
        "KH:au",
        "Let the guest's other MAC addresses receive packets.",
        default=False,
        shown=Shown.SET,
    )
    allowed_dhcp_cids: tuple[str, ...] = prop(
        Kind.LIST,
        "JMBLK:au",
        "DHCP client identifiers the nic may use: 0x and an even number of hex digits. At most 20.",
        pattern=r"0x([0-9a-fA-F]{2})+",
        shown=Shown.SET,
    )
    blocked_outgoing_ports: tuple[str, ...] = prop(
        Kind.LIST,
        "*:au",
        "TCP and UDP ports the nic cannot send to.",
        check=address.check_port,
        shown=Shown.SET,
    )
    model: str = prop(
        Kind.STRING,
        "KH:au",
        "The device that the guest sees: virtio, e1000, rtl8139.",
        default_doc="nic_driver",
        shown=Shown.SET,
    )
    vrrp_primary_ip: str = prop(
        Kind.STRING,
        "*:au",
        "Address of the VM's nic that VRRP messages are sent from.",
        check=address.check_ip,
        shown=Shown.SET,
    )
    vrrp_vrid: int | None = prop(
        Kind.INTEGER,
        "*:au",
        "VRRP virtual router; sets the MAC address to 00:00:5e:00:01:VRID.",
        minimum=0,
        maximum=255,
        shown=Shown.SET,
    )


def static_addresses(nic: Nic) -> set[str]:
    """Those of a nic, in one spelling and without prefix lengths."""
    return {str(ip_interface(ip).ip) for ip in nic.ips if ip not in WORDS}
