# SPDX-License-Identifier: MPL-2.0
"""Prerequisites that need the host: read-only, and every problem is named, not only the first."""

import ipaddress
from collections.abc import Iterator

from hull.errors import InvalidPayload, NotFound, Problem
from hull.host.host import Host
from hull.image import store
from hull.model.nic import Nic
from hull.model.vm import VM

# Which image types a brand can be made from.
IMAGE_TYPES = {
    "joyent": ("zone-dataset",),
    "joyent-minimal": ("zone-dataset",),
    "builder": ("zone-dataset",),
    "lx": ("lx-dataset", "docker"),
}


def check_create(vm: VM, host: Host) -> None:
    """Raises InvalidPayload with all that stands against creating `vm` here and now."""
    problems = [*check_identity(vm, host), *check_image(vm, host), *check_nics(vm, host)]
    if problems:
        raise InvalidPayload(problems)


def check_update(vm: VM, host: Host) -> None:
    """Raises InvalidPayload with all that stands against `vm` becoming this."""
    problems = list(check_nics(vm, host))
    if problems:
        raise InvalidPayload(problems)


def check_identity(vm: VM, host: Host) -> Iterator[Problem]:
    if host.index.find(vm.uuid):
        yield Problem("uuid", f"VM with UUID {vm.uuid} already exists", "leave it out to get a new")
    elif _dataset_exists(vm.uuid, host):
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
            f"image {manifest.name} {manifest.version} is a {manifest.type} "
            f"and does not fit brand {vm.brand}",
            f'use "brand": "{wanted}"',
        )
    needs = manifest.data.get("requirements")
    low = needs.get("min_ram") if isinstance(needs, dict) else None
    if isinstance(low, int) and vm.max_physical_memory < low:
        yield Problem(
            "max_physical_memory", f"the image needs at least {low} MiB", f"give it {low} or more"
        )


def check_nics(vm: VM, host: Host) -> Iterator[Problem]:
    tags = host.datalinks.nic_tags()
    others = [(other.uuid, nic) for other in _others(vm, host) for nic in other.nics]
    for position, nic in enumerate(vm.nics):
        where = f"nics[{position}]"
        tag = tags.get(nic.nic_tag)
        if tag is None:
            known = ", ".join(sorted(tags)) or "none"
            yield Problem(
                f"{where}.nic_tag",
                f'no nic tag "{nic.nic_tag}" on this host',
                f"nic tags here: {known}",
            )
        elif "dhcp" in nic.ips and tag.address is None:
            yield Problem(
                f"{where}.ips",
                f'this host leases no addresses on nic tag "{nic.nic_tag}"',
                "give a static address, such as 10.0.0.5/24",
            )
        elif tag.address is not None and str(tag.address.ip) in _plain(nic):
            yield Problem(
                f"{where}.ips", f"{tag.address.ip} is this host's own address", "use another"
            )
        yield from _conflicts(where, nic, others)


def _conflicts(where: str, nic: Nic, others: list[tuple[str, Nic]]) -> Iterator[Problem]:
    for uuid, other in others:
        if other.nic_tag != nic.nic_tag:
            continue
        if other.mac == nic.mac:
            yield Problem(f"{where}.mac", f"{nic.mac} belongs to VM {uuid}", "leave it out")
        for address in sorted(_plain(nic) & _plain(other)):
            yield Problem(f"{where}.ips", f"{address} belongs to VM {uuid}", "use another")


def _others(vm: VM, host: Host) -> list[VM]:
    """The VMs whose addresses count; those that failed to provision do not."""
    return [zone.vm for zone in host.index.all() if zone.uuid != vm.uuid and not zone.failed]


def _plain(nic: Nic) -> set[str]:
    """The static addresses of a nic, in one spelling and without prefix lengths."""
    return {str(ipaddress.ip_interface(ip).ip) for ip in nic.ips if ip not in ("dhcp", "addrconf")}


def _dataset_exists(uuid: str, host: Host) -> bool:
    try:
        host.pool.datasets(host.dataset(uuid), usage=False)
    except NotFound:
        return False
    return True
