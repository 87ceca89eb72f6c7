# SPDX-License-Identifier: MPL-2.0
"""Prerequisites that need the host: read-only, and every problem is named, not only the first."""

from collections.abc import Iterator

from hull.brand import privilege
from hull.errors import InvalidPayload, Problem
from hull.host.host import Host
from hull.image import store
from hull.model.nic import Nic, static_addresses
from hull.model.vm import VM
from hull.net.datalink import NicTag
from hull.vm import network
from hull.vm.docker import check_docker
from hull.vm.filesystem import check_filesystems

# Which image types a brand can be made from.
IMAGE_TYPES = {
    "joyent": ("zone-dataset",),
    "joyent-minimal": ("zone-dataset",),
    "builder": ("zone-dataset",),
    "lx": ("lx-dataset", "docker"),
}


CONFLICT = "Conflict detected with another vm, please check the MAC, IP, and VRID"


def check_create(vm: VM, host: Host) -> None:
    """Raises InvalidPayload with all that stands against creating `vm` here and now."""
    problems = [*check_identity(vm, host), *check_image(vm, host), *check_effects(vm, host)]
    problems += check_docker(vm)
    if problems:
        raise InvalidPayload(problems)


def check_update(vm: VM, host: Host) -> None:
    """Raises InvalidPayload with all that stands against `vm` becoming this."""
    problems = list(check_effects(vm, host))
    if problems:
        raise InvalidPayload(problems)


def check_effects(vm: VM, host: Host) -> Iterator[Problem]:
    """What a zone is to have on this host, new or changed."""
    yield from check_nics(vm, host)
    yield from check_filesystems(vm, host)
    for message in privilege.problems(vm.limit_priv):
        yield Problem("limit_priv", message)


def check_identity(vm: VM, host: Host) -> Iterator[Problem]:
    if host.index.find(vm.uuid):
        yield Problem("uuid", f"VM with UUID {vm.uuid} already exists", "leave it out to get a new")
    elif (host.paths.zones / vm.uuid).exists():
        yield Problem("uuid", f"dataset {host.dataset(vm.uuid)} exists", "use another uuid")


def check_image(vm: VM, host: Host) -> Iterator[Problem]:
    if not store.is_installed(host.paths, vm.image_uuid):
        yield Problem(
            "image_uuid",
            f"image {vm.image_uuid} is not installed",
            f"run `imgadm import {vm.image_uuid}`",
        )
        return
    manifest = store.get(host.paths, vm.image_uuid).manifest
    if manifest.type not in IMAGE_TYPES[vm.brand]:
        wanted = next((b for b, types in IMAGE_TYPES.items() if manifest.type in types), "another")
        yield Problem(
            "image_uuid",
            f"provisioning dataset {vm.image_uuid} with brand {vm.brand} is not supported",
            f'{manifest.name} {manifest.version} is a {manifest.type}: use "brand": "{wanted}"',
        )
    needs = manifest.data.get("requirements")
    low = needs.get("min_ram") if isinstance(needs, dict) else None
    if isinstance(low, int) and vm.max_physical_memory < low:
        yield Problem(
            "max_physical_memory", f"the image needs at least {low} MiB", f"give it {low} or more"
        )


def check_nics(vm: VM, host: Host) -> Iterator[Problem]:
    tags = host.datalinks.nic_tags()
    for position, nic in enumerate(vm.nics):
        where = f"nics[{position}]"
        tag = tags.get(nic.nic_tag)
        if tag is None:
            known = ", ".join(sorted(tags)) or "none"
            yield Problem(
                f"{where}.nic_tag",
                f'Invalid nic tag "{nic.nic_tag}"',
                f"nic tags here: {known}",
            )
        elif "dhcp" in nic.ips and (tag.address is None or nic.vlan_id):
            on = f"a VLAN of {nic.nic_tag}" if nic.vlan_id else f'nic tag "{nic.nic_tag}"'
            yield Problem(
                f"{where}.ips",
                f"this host leases no addresses on {on}",
                "give a static address, such as 10.0.0.5/24",
            )
        elif tag.address is not None and str(tag.address.ip) in static_addresses(nic):
            yield Problem(
                f"{where}.ips", f"{tag.address.ip} is this host's own address", "use another"
            )
        if tag is not None:
            yield from _check_link(where, nic, tag)
        yield from _conflicts(where, nic, vm, host)
        yield from _in_use(where, nic, vm, host)


# The bridge's own number for what is untagged, and the one that 802.1Q keeps for itself.
RESERVED_VLANS = (1, 4095)
IPV6_MTU = 1280


def _check_link(where: str, nic: Nic, tag: NicTag) -> Iterator[Problem]:
    """What the kernel would refuse."""
    if nic.vlan_id and not tag.vlans:
        yield Problem(
            f"{where}.vlan_id",
            f'nic tag "{tag.name}" has no VLANs: this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING',
            "leave it out, or use a kernel that has it",
        )
    elif nic.vlan_id in RESERVED_VLANS:
        yield Problem(f"{where}.vlan_id", f"{nic.vlan_id} is reserved", "use 2 to 4094")
    if nic.mtu and nic.mtu > tag.mtu:
        yield Problem(f"{where}.mtu", f"nic tag {tag.name} carries no more than {tag.mtu}")
    if nic.mtu and nic.mtu < IPV6_MTU and any(":" in ip or ip == "addrconf" for ip in nic.ips):
        yield Problem(f"{where}.mtu", f"{nic.mtu} is too little for IPv6", f"{IPV6_MTU} or more")


def _conflicts(where: str, nic: Nic, vm: VM, host: Host) -> Iterator[Problem]:
    for uuid, other in _rivals(nic, vm, host):
        if (other.nic_tag, other.vlan_id) != (nic.nic_tag, nic.vlan_id):
            continue
        if other.mac == nic.mac:
            yield Problem(f"{where}.mac", CONFLICT, f"{nic.mac} belongs to VM {uuid}")
        for address in sorted(static_addresses(nic) & static_addresses(other)):
            yield Problem(f"{where}.ips", CONFLICT, f"{address} belongs to VM {uuid}")


def _in_use(where: str, nic: Nic, vm: VM, host: Host) -> Iterator[Problem]:
    """Addresses that running VMs have until they end, though their records say otherwise now."""
    wanted = {network.in_use(nic.nic_tag, nic.vlan_id, ip): ip for ip in static_addresses(nic)}
    for boot in host.boots.holding(wanted.keys()):
        if boot.uuid == vm.uuid:
            continue
        for key in sorted(wanted.keys() & set(boot.addresses)):
            others = _nics_of(boot.uuid, host)
            if not any(wanted[key] in static_addresses(other) for other in others):
                hint = f"{wanted[key]} is in use by VM {boot.uuid} until that stops"
                yield Problem(f"{where}.ips", CONFLICT, hint)


def _nics_of(uuid: str, host: Host) -> tuple[Nic, ...]:
    zone = host.index.find(uuid)
    return zone.vm.nics if zone else ()


def _rivals(nic: Nic, vm: VM, host: Host) -> list[tuple[str, Nic]]:
    """Other VMs' nics with its MAC or an address of its; failed VMs' do not count."""
    found = host.index.holding({nic.mac} | static_addresses(nic))
    others = [zone for zone in found if zone.uuid != vm.uuid and not zone.failed]
    return [(zone.uuid, other) for zone in others for other in zone.vm.nics]
