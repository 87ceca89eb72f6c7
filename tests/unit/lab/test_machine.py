# SPDX-License-Identifier: MPL-2.0
"""A machine of the lab, as QEMU's command."""

from pathlib import Path

from lab.machine import Hardware, qemu_argv


def test_hardware() -> None:
    hardware = Hardware(disks=(1, 2), nics=1, options="noimport=true", shared=Path("/"))
    argv = qemu_argv(Path("/p"), hardware, Path("/d"))
    assert argv[argv.index("-kernel") + 1] == "/p/platform/kernel"
    assert argv[argv.index("-initrd") + 1] == "/p/boot-archive"
    assert argv[argv.index("-append") + 1].endswith(" noimport=true")
    assert [word for word in argv if word.startswith("virtio-blk")] == [
        "virtio-blk-pci,drive=d0,serial=LAB0",
        "virtio-blk-pci,drive=d1,serial=LAB1",
    ]
    assert "virtio-9p-pci,fsdev=host,mount_tag=host" in argv
