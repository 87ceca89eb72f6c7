# SPDX-License-Identifier: MPL-2.0
"""What only guests of kvm and bhyve have: the rows that VM (model/vm.py) inherits."""

from dataclasses import dataclass

from hull.model.disk import Disk, PciDevice
from hull.model.prop import HVM, Kind, Shown, prop


@dataclass(frozen=True, kw_only=True)
class Guest:
    """The virtual machine inside a zone of brand kvm or bhyve."""

    vcpus: int = prop(
        Kind.INTEGER, f"{HVM}:cru", "CPUs of the guest.", default=1, minimum=1, width=5
    )
    cpu_type: str = prop(
        Kind.STRING,
        "K:cru",
        "CPU that the guest sees.",
        default="qemu64",
        choices=("qemu64", "host"),
        width=8,
        shown=Shown.SET,
    )
    disks: tuple[Disk, ...] = prop(Kind.OBJECT_ARRAY, f"{HVM}:cr", "Disks.", item=Disk)
    disk_driver: str = prop(
        Kind.STRING, f"{HVM}:cru", "Default of disks.*.model.", default_doc="none", shown=Shown.SET
    )
    nic_driver: str = prop(Kind.STRING, f"{HVM}:cru", "Default of nics.*.model.", shown=Shown.SET)
    flexible_disk_size: int | None = prop(
        Kind.INTEGER,
        "H:cru",
        "Space for all disks and their snapshots.",
        minimum=0,
        unit="MiB",
        header="FLEX_DISK_SIZE",
        width=14,
        shown=Shown.SET,
    )
    boot: str = prop(Kind.STRING, f"{HVM}:cru", "Boot order.", default="order=cd", shown=Shown.SET)
    bootrom: str = prop(
        Kind.STRING,
        "H:cru",
        "Firmware: bios, uefi or a path in the zone.",
        default="bios",
        shown=Shown.SET,
    )
    bhyve_extra_opts: str = prop(
        Kind.STRING, "H:cru", "Options to add to bhyve's.", shown=Shown.SET
    )
    qemu_opts: str = prop(Kind.STRING, "K:cru", "Options in place of QEMU's.", shown=Shown.SET)
    qemu_extra_opts: str = prop(
        Kind.STRING, "K:cru", "Options to add to QEMU's.", width=15, shown=Shown.SET
    )
    com1: str = prop(Kind.STRING, "H:cru", "First serial port.", shown=Shown.SET)
    com2: str = prop(Kind.STRING, "H:cru", "Second serial port.", shown=Shown.SET)
    pci_devices: tuple[PciDevice, ...] = prop(
        Kind.OBJECT_ARRAY,
        "H:cru",
        "Devices of the host that the guest drives.",
        item=PciDevice,
        shown=Shown.SET,
    )
    vga: str = prop(
        Kind.STRING,
        "K:cru",
        "Graphics card of the guest.",
        default="std",
        choices=("cirrus", "std", "vmware", "qxl", "xenfb"),
        shown=Shown.SET,
    )
    vnc_port: int = prop(
        Kind.INTEGER,
        f"{HVM}:cru",
        "Port of the VNC server; 0: any, -1: none.",
        default=0,
        minimum=-1,
    )
    vnc_password: str = prop(
        Kind.STRING,
        f"{HVM}:cru",
        "Password of the VNC server; at most 8 characters.",
        pattern=r".{0,8}",
        shown=Shown.SET,
    )
    spice_port: int | None = prop(
        Kind.INTEGER,
        "K:cru",
        "Port of the SPICE server; 0: any, -1: none.",
        minimum=-1,
        shown=Shown.SET,
    )
    spice_password: str = prop(
        Kind.STRING,
        "K:cru",
        "Password of the SPICE server; at most 8 characters.",
        pattern=r".{0,8}",
        shown=Shown.SET,
    )
    spice_opts: str = prop(Kind.STRING, "K:cru", "Options of the SPICE server.", shown=Shown.SET)
    virtio_txburst: int = prop(
        Kind.INTEGER,
        "K:cru",
        "Packets that virtio sends in one go.",
        default=128,
        minimum=0,
        shown=Shown.SET,
    )
    virtio_txtimer: int = prop(
        Kind.INTEGER,
        "K:cru",
        "How long virtio waits for more packets.",
        default=200000,
        minimum=0,
        unit="ns",
        shown=Shown.SET,
    )
