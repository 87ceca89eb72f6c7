# SPDX-License-Identifier: MPL-2.0
"""Link protection: Crossbow's mac-nospoof, restricted, ip-nospoof and dhcp-nospoof in nftables.

One fixed set of rules serves every vnic of a host. What a vnic may send is elements of sets, keyed
by its link's name; a link of this host that has no elements may send nothing. So a vnic is loaded
and unloaded at the same small cost however many there are. Pure: text in nft's language.

The rules see a frame as it leaves the zone, before the bridge learns from it. A switch that lifts a
protection puts the link into one of the `any_` sets.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from hull.linux import nft
from hull.net.datalink import NicTag, Vnic
from hull.net.nictag import eui64

FAMILY = "bridge"

LINK_LOCAL = IPv6Network("fe80::/64")

# @th is the transport header: what ICMPv6 and DHCP say has no name in nft's language.
RULES = """
table bridge %(table)s {
    set mac        { typeof iifname . ether saddr; }
    set said_mac   { typeof iifname . @th,288,48; }
    set v4        { typeof iifname . ip saddr; }
    set v4_blocks { typeof iifname . ip saddr; flags interval; }
    set v6        { typeof iifname . ip6 saddr; }
    set v6_blocks { typeof iifname . ip6 saddr; flags interval; }
    set target        { typeof iifname . @th,64,128; }
    set target_blocks { typeof iifname . @th,64,128; flags interval; }
    set any_mac  { typeof iifname; }
    set any_type { typeof iifname; }
    set any_ip   { typeof iifname; }
    set any_dhcp { typeof iifname; }
    set blocked  { typeof iifname . th dport; }
    set unheard  { typeof iifname; }

    chain prerouting {
        type filter hook prerouting priority -300; policy accept;
        iifname "%(prefix)s*" goto vnic
    }

    chain vnic {
        iifname . ether saddr != @mac iifname != @any_mac counter drop comment "mac-nospoof"
        ether type { 8021q, 8021ad } counter drop comment "a vnic is on one network only"
        ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter drop comment "STP, LACP, LLDP"
        ether type arp goto on_arp
        ether type ip goto on_ip4
        ether type ip6 goto on_ip6
        iifname @any_type accept
        counter drop comment "restricted"
    }

    chain on_arp {
        arp htype != 1 counter drop
        arp ptype != ip counter drop
        arp hlen != 6 counter drop
        arp plen != 4 counter drop
        iifname . arp saddr ether != @mac iifname != @any_mac counter drop comment "ip-nospoof"
        iifname @any_ip accept
        arp operation request arp saddr ip 0.0.0.0 accept comment "is this address taken?"
        iifname . arp saddr ip @v4 accept
        iifname . arp saddr ip @v4_blocks accept
        counter drop comment "ip-nospoof"
    }

    chain on_ip4 {
        meta l4proto { tcp, udp } iifname . th dport @blocked counter drop comment "blocked ports"
        iifname != @any_dhcp udp sport { 67, 68 } jump on_dhcp
        iifname != @any_dhcp udp dport { 67, 68 } jump on_dhcp
        iifname @any_ip accept
        iifname . ip saddr @v4 accept
        iifname . ip saddr @v4_blocks accept
        counter drop comment "ip-nospoof"
    }

    # A server would name another client's MAC (chaddr), so that rule alone stops most of them.
    chain on_dhcp {
        ip frag-off & 0x3fff != 0 counter drop comment "dhcp-nospoof"
        udp sport 67 counter drop comment "dhcp-nospoof"
        @th,80,8 != 6 counter drop comment "dhcp-nospoof"
        iifname . @th,288,48 != @said_mac counter drop comment "dhcp-nospoof"
        ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    }

    chain on_ip6 {
        meta l4proto { tcp, udp } iifname . th dport @blocked counter drop comment "blocked ports"
        meta l4proto ipv6-icmp jump on_icmp6
        iifname != @any_dhcp udp sport 547 counter drop comment "dhcp-nospoof"
        iifname @any_ip accept
        iifname . ip6 saddr @v6 accept
        iifname . ip6 saddr @v6_blocks accept
        counter drop comment "ip-nospoof"
    }

    chain on_icmp6 {
        exthdr frag exists counter drop comment "RFC 6980"
        # Each would be carried to every zone there, and mean nothing to any of them.
        iifname @unheard icmpv6 type { mld-listener-report, mld-listener-done } drop
        iifname @unheard icmpv6 type mld2-listener-report drop
        iifname != @any_mac jump on_said_mac
        iifname @any_ip accept
        icmpv6 type { nd-router-advert, nd-redirect } counter drop comment "ip-nospoof"
        icmpv6 type nd-neighbor-advert jump on_target
        ip6 saddr :: icmpv6 type nd-neighbor-solicit jump on_target
        ip6 saddr :: icmpv6 type nd-neighbor-solicit accept
        ip6 saddr :: icmpv6 type { nd-router-solicit, mld-listener-report } accept
        ip6 saddr :: icmpv6 type mld2-listener-report accept
    }

    # The link-layer address in an option of neighbour discovery. The lengths leave room for no
    # option more than those looked at.
    chain on_said_mac {
        icmpv6 type nd-router-solicit ip6 length > 16 counter drop
        icmpv6 type nd-router-solicit @th,64,8 1 iifname . @th,80,48 != @said_mac counter drop
        icmpv6 type nd-neighbor-solicit ip6 length > 40 counter drop
        icmpv6 type nd-neighbor-solicit @th,192,8 1 iifname . @th,208,48 != @said_mac counter drop
        icmpv6 type nd-neighbor-solicit @th,256,8 1 iifname . @th,272,48 != @said_mac counter drop
        icmpv6 type nd-neighbor-advert ip6 length > 32 counter drop
        icmpv6 type nd-neighbor-advert @th,192,8 2 iifname . @th,208,48 != @said_mac counter drop
    }

    # The address that neighbour discovery is about.
    chain on_target {
        iifname . @th,64,128 @target return
        iifname . @th,64,128 @target_blocks return
        counter drop comment "ip-nospoof"
    }
}
"""


@dataclass(frozen=True)
class Protection:
    """The commands for one host's table; `prefix` begins the name of each of its vnics."""

    table: str
    prefix: str

    def rules(self) -> str:
        """The table anew, without elements: as it stands, no vnic may send anything."""
        names = {"table": self.table, "prefix": self.prefix}
        return nft.delete_table(FAMILY, self.table) + RULES % names

    def load(self, vnic: Vnic, tag: NicTag) -> str:
        """Let a vnic send what is its own."""
        return self._commands("add", vnic, tag)

    def unload(self, vnic: Vnic, tag: NicTag) -> str:
        """Let it send nothing any more, whether it was loaded or not."""
        return self._commands("add", vnic, tag) + self._commands("delete", vnic, tag)

    def change(self, old: Vnic, new: Vnic, tag: NicTag) -> str:
        """From what a vnic may send to what it may send from now on."""
        before, after = elements(old, tag), elements(new, tag)
        gone = [element for element in before if element not in after]
        come = [element for element in after if element not in before]
        return self._all("delete", gone) + self._all("add", come)

    def _commands(self, verb: str, vnic: Vnic, tag: NicTag) -> str:
        return self._all(verb, elements(vnic, tag))

    def _all(self, verb: str, found: list[tuple[str, str]]) -> str:
        return "".join(
            f"{verb} element {FAMILY} {self.table} {name} {{ {key} }}\n" for name, key in found
        )


def elements(vnic: Vnic, tag: NicTag) -> list[tuple[str, str]]:
    """What a vnic may send: names of sets, and what is in them for it."""
    link = f'"{vnic.link}"'
    found = [("mac", f"{link} . {vnic.mac}"), ("said_mac", f"{link} . {_number(vnic.mac)}")]
    for network in own_addresses(vnic, tag):
        family = f"v{network.version}"
        if network.num_addresses == 1:
            found.append((family, f"{link} . {network.network_address}"))
        else:
            found.append((f"{family}_blocks", f"{link} . {network}"))
        if isinstance(network, IPv6Network):
            first, last = int(network.network_address), int(network.broadcast_address)
            name, key = (
                ("target", hex(first))
                if first == last
                else ("target_blocks", f"{first:#x}-{last:#x}")
            )
            found.append((name, f"{link} . {key}"))
    # SmartOS: who may play the DHCP server may use any address too.
    any_ip = vnic.allow_ip_spoofing or vnic.allow_dhcp_spoofing
    switches = {
        "any_mac": vnic.allow_mac_spoofing,
        "any_type": vnic.allow_restricted_traffic,
        "any_ip": any_ip,
        "any_dhcp": vnic.allow_dhcp_spoofing,
        # What wants which multicast is nobody's business where no router but this host is.
        "unheard": tag.address is not None or tag.address6 is not None,
    }
    found += [("blocked", f"{link} . {port}") for port in sorted(set(vnic.blocked_ports))]
    return found + [(name, link) for name, lifted in switches.items() if lifted]


def own_addresses(vnic: Vnic, tag: NicTag) -> list[IPv4Network | IPv6Network]:
    """The addresses a vnic may use, as networks, without those that lie within another."""
    own: list[IPv4Network | IPv6Network] = [ip_network(a.ip) for a in vnic.addresses]
    own.append(ip_network(eui64(vnic.mac, LINK_LOCAL).ip))
    if vnic.autoconf and tag.address6:
        own.append(ip_network(eui64(vnic.mac, tag.address6.network).ip))
    own += [ip_network(block, strict=False) for block in vnic.allowed]
    blocks = [network for network in own if network.num_addresses > 1]
    return [
        network
        for network in dict.fromkeys(own)
        if not any(_within(network, block) for block in blocks if block != network)
    ]


def _within(network: IPv4Network | IPv6Network, block: IPv4Network | IPv6Network) -> bool:
    return (
        network.version == block.version
        and network.network_address in block
        and network.prefixlen > block.prefixlen
    )


def _number(mac: str) -> str:
    return "0x" + mac.replace(":", "")
