# SPDX-License-Identifier: MPL-2.0
"""Numbers and structures are those of the kernel's headers; items of a tree are read right."""

import struct

from hull.linux import btrfs
from hull.linux.ioctl import request


def test_request_numbers() -> None:
    """As a C compiler makes them from <linux/btrfs.h>."""
    assert request("w", 0x94, 23, 4096) == 0x50009417  # BTRFS_IOC_SNAP_CREATE_V2
    assert request("wr", 0x94, 40, 16) == 0xC0109428  # BTRFS_IOC_QUOTA_CTL
    assert request("r", 0x94, 43, 48) == 0x8030942B  # BTRFS_IOC_QGROUP_LIMIT
    assert request("r", 0x94, 60, 504) == 0x81F8943C  # BTRFS_IOC_GET_SUBVOL_INFO


def test_a_root_of_the_tree() -> None:
    item = bytearray(439)
    struct.pack_into("=Q", item, 208, 1)
    struct.pack_into("=16s16s16s", item, 247, b"\x11" * 16, b"\x22" * 16, b"\x33" * 16)
    struct.pack_into("=QI", item, 339, 1_700_000_000, 500_000_000)
    backref = struct.pack("=QQH", 256, 9, 4) + b"name" + b"not of it"
    assert btrfs.parse_root(300, 5, bytes(item), backref) == btrfs.Subvolume(
        id=300, parent=5, directory=256, name="name", uuid="11" * 16, parent_uuid="22" * 16,
        received_uuid="33" * 16, read_only=True, created=1_700_000_000.5,
    )  # fmt: skip


def test_groups_have_levels() -> None:
    assert btrfs.qgroup_id(1, 5) == 0x0001_0000_0000_0005
    assert btrfs.qgroup_id(0, 256) == 256
