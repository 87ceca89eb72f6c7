# SPDX-License-Identifier: MPL-2.0
"""A VM's nics on this host: leased addresses, vnics, and the files that name them."""

from ipaddress import ip_interface
from pathlib import Path

from hull.host.host import Host
from hull.linux import inroot
from hull.model.nic import Nic
from hull.model.vm import VM
from hull.net.datalink import Vnic


def lease_addresses(vm: VM, host: Host) -> None:
    """Give every dhcp nic an address for the VM's life. The caller holds the allocations lock."""
    taken = _static_addresses(host)
    for nic in vm.nics:
        if "dhcp" in nic.ips:
            host.leases[nic.nic_tag].lease(vm.uuid, nic.mac, taken)


def release_addresses(vm: VM, host: Host) -> None:
    for leases in host.leases.values():
        leases.release(vm.uuid)


def keep_leases(vm: VM, host: Host) -> None:
    """Release the addresses of nics that the VM no longer has."""
    for tag, leases in host.leases.items():
        macs = {nic.mac for nic in vm.nics if nic.nic_tag == tag and "dhcp" in nic.ips}
        leases.keep(vm.uuid, macs)


def vnic(nic: Nic, zoneid: int, position: int, host: Host) -> Vnic:
    """All that the host needs to make the nic: pure but for the lease it looks up."""
    addresses = [ip_interface(ip) for ip in nic.ips if ip not in ("dhcp", "addrconf")]
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
        allowed=tuple(nic.allowed_ips),
        allow_mac_spoofing=nic.allow_mac_spoofing,
        allow_ip_spoofing=nic.allow_ip_spoofing,
        allow_dhcp_spoofing=nic.allow_dhcp_spoofing or nic.dhcp_server,
        allow_restricted_traffic=nic.allow_restricted_traffic,
    )


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


def _static_addresses(host: Host) -> set[str]:
    return {
        str(ip_interface(ip).ip)
        for zone in host.index.all()
        for nic in zone.vm.nics
        for ip in nic.ips
        if ip not in ("dhcp", "addrconf")
    }
