# SPDX-License-Identifier: MPL-2.0
"""What a VM is given of the host's storage and devices: rows of disks, filesystems, pci_devices."""

from dataclasses import dataclass

from hull.model.address import check_target
from hull.model.prop import Kind, Shown, prop

COMPRESSIONS = ("on", "off", "gzip", *(f"gzip-{level}" for level in range(1, 10)), "lz4", "lzjb")
COMPRESSION = (*COMPRESSIONS, "zle")
# ZFS's record and volume block sizes: powers of two.
RECSIZES = tuple(1 << bit for bit in range(9, 18))
BAD_COMPRESSION = "invalid compression type for {value}, must be one of: " + ", ".join(COMPRESSION)
BAD_RECSIZE = "invalid %s ({value}), must be 512-131072 and a power of 2. (0 to disable)"
PCI_SLOT = r"([0-9]{1,3}:){0,2}[0-9]{1,3}"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One element of `disks`; also of `add_disks` and `update_disks`."""

    path: str = prop(
        Kind.STRING,
        "KH:au",
        "Volume or file behind the disk, and the key for update_disks and remove_disks.",
        default_doc="generated",
        required="KH:u",
    )
    size: int | None = prop(
        Kind.INTEGER,
        "K:a H:au",
        "Size; required without image_uuid. It can grow, not shrink.",
        minimum=0,
        unit="MiB",
        shown=Shown.SET,
    )
    boot: bool = prop(
        Kind.BOOLEAN, "KH:au", "Whether the VM boots from it; one disk only.", shown=Shown.SET
    )
    media: str = prop(Kind.STRING, "KH:au", "disk or cdrom.", default="disk")
    model: str = prop(
        Kind.STRING,
        "KH:au",
        "The device that the guest sees: kvm virtio, scsi, ide; bhyve virtio, ahci, nvme.",
        default_doc="disk_driver",
    )
    image_uuid: str = prop(
        Kind.UUID, "KH:a", "Image of type zvol that the disk is cloned from.", shown=Shown.SET
    )
    image_size: int | None = prop(
        Kind.INTEGER,
        "KH:a",
        "Size of that image.",
        default_doc="from the image's manifest",
        minimum=0,
        unit="MiB",
        shown=Shown.SET,
    )
    image_name: str = prop(Kind.STRING, "K:au", "(deprecated) Name of an image.", shown=Shown.SET)
    block_size: int = prop(
        Kind.INTEGER,
        "KH:a",
        "Block size of the volume: a power of two; not together with image_uuid.",
        default=8192,
        minimum=0,
        choices=RECSIZES,
        unit="bytes",
    )
    compression: str = prop(
        Kind.STRING, "KH:au", "Compression of the volume.", choices=COMPRESSION, shown=Shown.SET
    )
    refreservation: int | None = prop(
        Kind.INTEGER,
        "KH:au",
        "Space set aside for the volume.",
        default_doc="size and metadata",
        minimum=0,
        unit="MiB",
        shown=Shown.SET,
    )
    zpool: str = prop(Kind.STRING, "KH:a", "Pool that holds the volume.", default="zones")
    zfs_filesystem: str = prop(Kind.STRING, "KH:r", "Dataset that holds the disk.", shown=Shown.SET)
    nocreate: bool = prop(
        Kind.BOOLEAN, "KH:a", "The volume or file is there already.", shown=Shown.NEVER
    )
    notrim: bool = prop(Kind.BOOLEAN, "H:au", "Ignore the guest's TRIM.", shown=Shown.SET)
    guest_block_size: str = prop(
        Kind.STRING,
        "H:au",
        "Sector size that the guest sees: N or LOGICAL/PHYSICAL, powers of two.",
        pattern="(?:{0})(?:/(?:{0}))?".format("|".join(map(str, RECSIZES))),
        shown=Shown.SET,
    )
    pci_slot: str = prop(
        Kind.STRING,
        "H:au",
        "PCI slot in the guest: BUS:DEV:FN, DEV:FN or DEV.",
        pattern=PCI_SLOT,
        shown=Shown.SET,
    )
    uuid: str = prop(Kind.UUID, "H:au", "UUID of the disk.", shown=Shown.SET)
    dangerous_allow_shrink: bool = prop(
        Kind.BOOLEAN,
        "H:u",
        "Let size become smaller; what lies behind the new end is lost.",
        shown=Shown.NEVER,
    )
    zonexml_size: int | None = prop(
        Kind.INTEGER, "ro", "Size as the zone's configuration has it.", shown=Shown.NEVER
    )


@dataclass(frozen=True, kw_only=True)
class Filesystem:
    """One element of `filesystems`; also of `add_filesystems` and `update_filesystems`."""

    target: str = prop(
        Kind.STRING,
        "JMBL:au",
        "Where it is in the zone, and the key for update_ and remove_filesystems.",
        required="JMBL:au",
        check=check_target,
    )
    source: str = prop(Kind.STRING, "JMBL:au", "What is mounted.", required="JMBL:a")
    type: str = prop(Kind.STRING, "JMBL:au", "Type, such as lofs.", required="JMBL:a")
    raw: str = prop(Kind.STRING, "JMBL:au", "Device to check before mounting.", shown=Shown.SET)
    options: tuple[str, ...] = prop(Kind.LIST, "JMBL:au", "Mount options.")


@dataclass(frozen=True, kw_only=True)
class PciDevice:
    """One element of `pci_devices`: a device of the host that the guest drives itself."""

    path: str = prop(
        Kind.STRING,
        "H:au",
        "The device on the host, and the key for update_ and remove_pci_devices.",
        required="H:au",
        pattern=r"/devices/.+",
    )
    pci_slot: str = prop(
        Kind.STRING, "H:au", "PCI slot in the guest.", required="H:a", pattern=PCI_SLOT
    )
