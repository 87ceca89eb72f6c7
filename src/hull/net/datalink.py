# SPDX-License-Identifier: MPL-2.0
"""The Datalinks port: nic tags and vnics. Drivers: kernel (netlink, nftables), fake.

The words are Crossbow's; bridge and veth exist only in the kernel driver. Contract as everywhere:
a method that raises has changed nothing, removal is idempotent.
"""

from dataclasses import dataclass
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
    mtu: int = 0  # 0: the tag's
    # Link protection (all on unless the owner lifts it), and what it lets through beside addresses.
    allowed: tuple[str, ...] = ()  # addresses or CIDR blocks
    allow_mac_spoofing: bool = False
    allow_ip_spoofing: bool = False
    allow_dhcp_spoofing: bool = False
    allow_restricted_traffic: bool = False


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

    def delete_vnic(self, link: str) -> None:
        """Remove a vnic and its protection; also after its namespace is gone."""
        ...

    def up(self) -> None:
        """Make the host's own side: nic tags, address, DHCP, NAT. Repeating it changes nothing."""
        ...

    def down(self) -> None:
        """Remove every link, rule and process that `up` and `create_vnic` made."""
        ...
