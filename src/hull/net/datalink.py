# SPDX-License-Identifier: MPL-2.0
"""The Datalinks port: nic tags and vnics. Drivers: kernel (netlink, nftables), fake.

The words are Crossbow's; bridge and veth exist only in the kernel driver. Contract as everywhere:
a method that raises has changed nothing, removal is idempotent.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class NicTag:
    """A network that vnics join by name."""

    name: str  # admin
    link: str  # the link that carries it on the host
    mtu: int = 1500
    # Set where this host itself is the network's router: then it leases addresses and does NAT.
    address: IPv4Interface | None = None
    address6: IPv6Interface | None = None
    vlans: bool = False  # whether vnics can be on a VLAN of it


@dataclass(frozen=True, order=True)
class Route:
    """A static route of a zone."""

    destination: str  # a network, in canonical form
    gateway: str = ""  # a neighbour; "": everything there is one


@dataclass(frozen=True, kw_only=True)
class Vnic:
    """One zone's network interface, complete: nothing is left to be found out."""

    link: str  # its name on the host
    interface: str  # its name in the zone: net0, eth0
    mac: str  # six lower-case pairs
    nic_tag: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    gateways: tuple[str, ...] = ()  # IPv4 or IPv6 default routers
    autoconf: bool = False  # IPv6 addresses by router advertisement
    routes: tuple[Route, ...] = ()
    mtu: int = 0  # 0: the tag's
    vlan_id: int = 0  # 0: untagged
    virtual: bool = False  # the MAC is a VRRP router's, and may be at another port at any time
    # Link protection (all on unless the owner lifts it), and what it lets through beside addresses.
    allowed: tuple[str, ...] = ()  # addresses or CIDR blocks
    allow_mac_spoofing: bool = False
    allow_ip_spoofing: bool = False
    allow_dhcp_spoofing: bool = False
    allow_restricted_traffic: bool = False
    blocked_ports: tuple[int, ...] = ()  # TCP and UDP ports that it cannot send to
    dhcp_cids: tuple[str, ...] = ()  # the only DHCP client identifiers it may use: 0x…; (): any


@dataclass(frozen=True, kw_only=True)
class Link:
    """What `dladm show-vnic` knows of a vnic that exists."""

    name: str
    nic_tag: str
    mac: str
    up: bool


class Datalinks(Protocol):
    def nic_tags(self) -> dict[str, NicTag]: ...

    def links(self) -> list[Link]:
        """The vnics of this host's zones that exist now."""
        ...

    def create_vnic(self, vnic: Vnic, netns: str) -> None:
        """Make a vnic in the network namespace at path `netns`, protected from its first frame on.

        Addresses, routes and the loopback are set up in the namespace. It answers at once: no
        first packet is lost.
        """
        ...

    def change_vnic(self, vnic: Vnic, netns: str) -> None:
        """Give an existing vnic the protection and the routes of `vnic`; NotFound without it.

        Everything else of it waits for its next creation.
        """
        ...

    def delete_vnic(self, link: str) -> None:
        """Remove a vnic and its protection; also after its namespace is gone."""
        ...

    def up(self) -> None:
        """Make the host's own side: nic tags, address, DHCP, NAT. Repeating it changes nothing."""
        ...

    def down(self) -> None:
        """Remove every link, rule and process that `up` and `create_vnic` made."""
        ...


def changed(vnic: Vnic, wanted: Vnic) -> Vnic:
    """A vnic with all that can change while it is up: what change_vnic makes of it."""
    return replace(
        vnic,
        routes=wanted.routes,
        allowed=wanted.allowed,
        allow_mac_spoofing=wanted.allow_mac_spoofing,
        allow_ip_spoofing=wanted.allow_ip_spoofing,
        allow_dhcp_spoofing=wanted.allow_dhcp_spoofing,
        allow_restricted_traffic=wanted.allow_restricted_traffic,
        blocked_ports=wanted.blocked_ports,
        dhcp_cids=wanted.dhcp_cids,
    )
