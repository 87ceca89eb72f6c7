# SPDX-License-Identifier: MPL-2.0
"""A VM's nics on this host: leased addresses, vnics, and the files that name them."""

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from pathlib import Path

from hull.host.host import Host
from hull.linux import inroot
from hull.model.address import canonical_mac
from hull.model.nic import WORDS, Nic
from hull.model.routes import LOCAL
from hull.model.vm import VM
from hull.net.datalink import Route, Vnic


def lease_addresses(vm: VM, host: Host) -> None:
    """Give every dhcp nic an address for the VM's life. The caller holds the allocations lock."""

    def is_taken(address: str) -> bool:
        return bool(host.index.holding({address}))

    for nic in vm.nics:
        if "dhcp" in nic.ips:
            host.leases[nic.nic_tag].lease(vm.uuid, nic.mac, is_taken)


def release_addresses(vm: VM, host: Host) -> None:
    for leases in host.leases.values():
        leases.release(vm.uuid)


def keep_leases(vm: VM, host: Host) -> None:
    """Release the addresses of nics that the VM no longer has, once its links are gone too."""
    boot = host.boots.find(vm.uuid)
    linked = {link.mac for link in host.datalinks.links() if boot and link.name in boot.links}
    for tag, leases in host.leases.items():
        macs = {nic.mac for nic in vm.nics if nic.nic_tag == tag and "dhcp" in nic.ips}
        leases.keep(vm.uuid, macs | linked)


def vnics(vm: VM, zoneid: int, host: Host) -> list[Vnic]:
    """All of a VM's, with their static routes."""
    made = [vnic(nic, zoneid, position, host) for position, nic in enumerate(vm.nics)]
    return [replace(each, routes=routes(vm, position, host)) for position, each in enumerate(made)]


def routes(vm: VM, position: int, host: Host) -> tuple[Route, ...]:
    """The static routes by one of the VM's nics."""
    found = (
        Route(
            str(ip_network(destination, strict=False)), "" if LOCAL.fullmatch(gateway) else gateway
        )
        for destination, gateway in vm.routes.items()
        if route_nic(vm, gateway, host) == position
    )
    return tuple(sorted(found))


def route_nic(vm: VM, gateway: str, host: Host) -> int | None:
    """The position of the nic that a route's gateway is, or is behind; None without nics.

    A gateway that is in no nic's network is looked for at the primary nic.
    """
    if named := LOCAL.fullmatch(gateway):
        if mac := named["mac"]:
            wanted = canonical_mac(mac)
            return next((n for n, nic in enumerate(vm.nics) if nic.mac == wanted), None)
        return int(named["index"]) if int(named["index"]) < len(vm.nics) else None
    address = ip_address(gateway)
    for n, nic in enumerate(vm.nics):
        if any(address in network for network in networks(nic, host)):
            return n
    return next((n for n, nic in enumerate(vm.nics) if nic.primary), None)


def networks(nic: Nic, host: Host) -> list[IPv4Network | IPv6Network]:
    """The networks that a nic is on."""
    tag = host.datalinks.nic_tags().get(nic.nic_tag)
    leased = [tag.address.network] if tag and tag.address and "dhcp" in nic.ips else []
    return [*leased, *(ip_interface(ip).network for ip in nic.ips if ip not in WORDS)]


def vnic(nic: Nic, zoneid: int, position: int, host: Host) -> Vnic:
    """All that the host needs to make the nic: pure but for the lease it looks up."""
    addresses = [ip_interface(ip) for ip in nic.ips if ip not in WORDS]
    gateways = list(nic.gateways)
    if "dhcp" in nic.ips:
        leases = host.leases[nic.nic_tag]
        addresses.append(leases.address(nic.mac))
        if nic.primary and not gateways:
            gateways.append(str(leases.router))
    return Vnic(
        link=link_name(host.paths.host_id, zoneid, position),
        interface=nic.interface,
        mac=nic.mac,
        nic_tag=nic.nic_tag,
        addresses=tuple(addresses),
        gateways=tuple(gateways),
        autoconf="addrconf" in nic.ips,
        mtu=nic.mtu or 0,
        vlan_id=nic.vlan_id,
        virtual=nic.vrrp_vrid is not None,
        allowed=(*nic.allowed_ips, *([nic.vrrp_primary_ip] if nic.vrrp_primary_ip else [])),
        allow_mac_spoofing=nic.allow_mac_spoofing,
        allow_ip_spoofing=nic.allow_ip_spoofing,
        allow_dhcp_spoofing=nic.allow_dhcp_spoofing or nic.dhcp_server,
        allow_restricted_traffic=nic.allow_restricted_traffic,
        blocked_ports=tuple(map(int, nic.blocked_outgoing_ports)),
        dhcp_cids=tuple(nic.allowed_dhcp_cids),
    )


def follow(vm: VM, host: Host) -> None:
    """Give a running VM's links the protection and routes that it has now.

    A nic that has been added has no link yet; one that was removed keeps what it has.
    """
    boot = host.boots.find(vm.uuid)
    if boot is None:
        return
    links = {link.mac: link.name for link in host.datalinks.links() if link.name in boot.links}
    for made in vnics(vm, boot.zoneid, host):
        if link := links.get(made.mac):
            host.datalinks.change_vnic(replace(made, link=link), f"/proc/{boot.pid}/ns/net")


def addresses_in_use(vnics: list[Vnic]) -> tuple[str, ...]:
    """What a running zone keeps from others, whatever becomes of its configuration."""
    return tuple(
        in_use(vnic.nic_tag, vnic.vlan_id, str(address.ip))
        for vnic in vnics
        for address in vnic.addresses
    )


def in_use(nic_tag: str, vlan_id: int, address: str) -> str:
    return f"{nic_tag}/{vlan_id} {address}"


def link_name(host_id: str, zoneid: int, position: int) -> str:
    """At most 15 characters: `h3fa2z12n0` is nic 0 of zone id 12 on host 3fa2."""
    return f"h{host_id}z{zoneid}n{position}"


def resolvers(vm: VM, host: Host) -> list[str]:
    """The VM's resolvers, or what DHCP would have told it."""
    if vm.resolvers:
        return list(vm.resolvers)
    return [
        str(host.leases[nic.nic_tag].router) for nic in vm.nics if nic.primary and "dhcp" in nic.ips
    ]


def write_hostname(vm: VM, root: Path) -> None:
    inroot.write_file(root, "/etc/hostname", f"{vm.hostname or vm.uuid}\n".encode())


def write_resolvers(vm: VM, host: Host, root: Path) -> None:
    """/etc/resolv.conf, replaced even where the image has a link to a resolver of its own."""
    lines = [f"nameserver {address}" for address in resolvers(vm, host)]
    if vm.dns_domain:
        lines.insert(0, f"search {vm.dns_domain}")
    inroot.write_file(root, "/etc/resolv.conf", ("\n".join(lines) + "\n").encode())


def hosts_file(vm: VM, host: Host) -> str:
    """localhost, and the VM's own name at its primary address."""
    name = vm.hostname or vm.uuid
    names = f"{name}.{vm.dns_domain} {name}" if vm.dns_domain else name
    address = "127.0.1.1"
    for nic in vm.nics:
        made = vnic(nic, 0, 0, host)
        if nic.primary and made.addresses:
            address = str(made.addresses[0].ip)
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{names}\n"
