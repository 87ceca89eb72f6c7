# SPDX-License-Identifier: MPL-2.0
"""/proc/self/mountinfo as the kernel writes it."""

from hull.linux.mount import Mount, parse_mountinfo

TEXT = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
35 22 0:31 /a /mnt/with\040blank rw,nosuid - btrfs /dev/loop0 rw,compress=zstd:1,subvol=/a
36 22 0:32 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 master:3 - autofs systemd-1 rw,fd=29
37 22 0:33 / /tmp/\303\244\134 ro - tmpfs none ro
"""


def test_mountinfo() -> None:
    root, btrfs, autofs, last = parse_mountinfo(TEXT)
    assert root == Mount(
        device="254:0", root="/", target="/", options=frozenset({"rw", "relatime"}),
        fstype="ext4", source="/dev/vda", super_options=frozenset({"rw", "discard"}),
    )  # fmt: skip
    assert (btrfs.root, btrfs.target) == ("/a", "/mnt/with blank")
    assert "compress=zstd:1" in btrfs.super_options
    assert (autofs.fstype, autofs.source) == ("autofs", "systemd-1")
    assert last.target.endswith("\\")
    assert parse_mountinfo("") == []
