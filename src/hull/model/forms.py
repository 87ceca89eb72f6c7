# SPDX-License-Identifier: MPL-2.0
"""What only an update may carry: additions to, changes of and removals from the VM's objects."""

from collections.abc import Mapping
from dataclasses import dataclass

from hull.model import address
from hull.model.disk import Disk, Filesystem, PciDevice
from hull.model.nic import Nic
from hull.model.prop import HVM, Flat, Kind, Shown, prop


@dataclass(frozen=True, kw_only=True)
class Update:
    """The rows of add_*, update_*, remove_* and set_*; model/update.py applies them."""

    add_nics: tuple[Nic, ...] = prop(
        Kind.OBJECT_ARRAY, "*:u", "Nics to add.", item=Nic, shown=Shown.NEVER
    )
    update_nics: tuple[Nic, ...] = prop(
        Kind.OBJECT_ARRAY, "*:u", "Nics to change, found by mac.", item=Nic, shown=Shown.NEVER
    )
    remove_nics: tuple[str, ...] = prop(
        Kind.LIST,
        "*:u",
        "MAC addresses of nics to remove.",
        check=address.check_mac,
        shown=Shown.NEVER,
    )
    add_disks: tuple[Disk, ...] = prop(
        Kind.OBJECT_ARRAY,
        f"{HVM}:u",
        "Disks to add; the VM must be stopped.",
        item=Disk,
        shown=Shown.NEVER,
    )
    update_disks: tuple[Disk, ...] = prop(
        Kind.OBJECT_ARRAY,
        f"{HVM}:u",
        "Disks to change, found by path.",
        item=Disk,
        shown=Shown.NEVER,
    )
    remove_disks: tuple[str, ...] = prop(
        Kind.LIST,
        f"{HVM}:u",
        "Paths of disks to remove, with all that is on them.",
        shown=Shown.NEVER,
    )
    add_filesystems: tuple[Filesystem, ...] = prop(
        Kind.OBJECT_ARRAY,
        "JMBLK:u",
        "File systems to add, from the next boot on.",
        item=Filesystem,
        shown=Shown.NEVER,
    )
    update_filesystems: tuple[Filesystem, ...] = prop(
        Kind.OBJECT_ARRAY,
        "JMBLK:u",
        "File systems to change, found by target.",
        item=Filesystem,
        shown=Shown.NEVER,
    )
    remove_filesystems: tuple[str, ...] = prop(
        Kind.LIST, "*:u", "Targets of file systems to remove.", shown=Shown.NEVER
    )
    add_pci_devices: tuple[PciDevice, ...] = prop(
        Kind.OBJECT_ARRAY, "H:cru", "Devices to add.", item=PciDevice, shown=Shown.NEVER
    )
    update_pci_devices: tuple[PciDevice, ...] = prop(
        Kind.OBJECT_ARRAY,
        "H:u",
        "Devices to change, found by path.",
        item=PciDevice,
        shown=Shown.NEVER,
    )
    remove_pci_devices: tuple[str, ...] = prop(
        Kind.LIST, "H:u", "Paths of devices to remove.", shown=Shown.NEVER
    )
    set_tags: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:u", "Tags to set.", shown=Shown.NEVER, live=True
    )
    remove_tags: tuple[str, ...] = prop(
        Kind.LIST, "*:u", "Names of tags to remove.", shown=Shown.NEVER, live=True
    )
    set_customer_metadata: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:u", "Keys to set.", shown=Shown.NEVER, live=True
    )
    remove_customer_metadata: tuple[str, ...] = prop(
        Kind.LIST, "*:u", "Keys to remove.", shown=Shown.NEVER, live=True
    )
    set_internal_metadata: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:u", "Keys to set.", shown=Shown.NEVER, live=True
    )
    remove_internal_metadata: tuple[str, ...] = prop(
        Kind.LIST, "*:u", "Keys to remove.", shown=Shown.NEVER, live=True
    )
    set_routes: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT,
        "*:u",
        "Routes to set: destination to gateway.",
        shown=Shown.NEVER,
        live=True,
    )
    remove_routes: tuple[str, ...] = prop(
        Kind.LIST, "*:u", "Destinations of routes to remove.", shown=Shown.NEVER, live=True
    )
