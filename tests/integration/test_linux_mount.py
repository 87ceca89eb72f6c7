# SPDX-License-Identifier: MPL-2.0
"""Mounts and loop devices, made and gone again."""

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.errors import KernelError
from hull.linux import loop
from hull.linux.mount import (
    bind,
    is_mounted,
    mount,
    mount_at,
    mount_tmpfs,
    umount,
)

pytestmark = pytest.mark.needs_root
MIB = 1 << 20


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mount point"
    path.mkdir()
    try:
        yield path
    finally:
        while is_mounted(path):
            umount(path, lazy=True)


def test_tmpfs(target: Path) -> None:
    assert mount_at(target) is None
    mount_tmpfs(target, size=MIB, mode=0o750)
    found = mount_at(target)
    assert found is not None
    assert (found.fstype, found.target) == ("tmpfs", str(target))
    assert {"nosuid", "nodev"} <= found.options
    assert target.stat().st_mode & 0o777 == 0o750
    with pytest.raises(OSError, match="No space"):
        (target / "big").write_bytes(bytes(2 * MIB))
    umount(target)
    umount(target)
    assert not is_mounted(target)


def test_busy(target: Path) -> None:
    mount_tmpfs(target, size=MIB)
    with (target / "file").open("w"):
        with pytest.raises(KernelError) as caught:
            umount(target)
        assert caught.value.errno == errno.EBUSY
        umount(target, lazy=True)
    assert not is_mounted(target)


def test_bind(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    bind(source, target)
    (source / "file").write_text("x")
    assert (target / "file").read_text() == "x"


def test_no_such_file_system(target: Path) -> None:
    with pytest.raises(KernelError) as caught:
        mount("nothing", target, "nonesuch")
    assert caught.value.errno == errno.ENODEV
    assert str(target) in caught.value.message


def test_loop(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"first" + bytes(MIB - 5))
    with loop.attached(image) as device:
        assert loop.devices_of(image) == [device]
        assert device.is_block_device()
        assert device.read_bytes()[:5] == b"first"
        with loop.attached(image) as second:
            assert loop.devices_of(image) == sorted([device, second], key=str)
    assert loop.devices_of(image) == []


def test_another_file_of_the_same_name_in_another_mount_table(tmp_path: Path) -> None:
    """A host in a container has its pool where this one has it too."""
    here, there = tmp_path / "here/image", tmp_path / "there/image"
    for image in (here, there):
        image.parent.mkdir()
        image.write_bytes(bytes(MIB))
    script = f"mount --bind {there.parent} {here.parent} && losetup --find --show {here}"
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    device = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    try:
        assert loop.devices_of(here) == []
        assert loop.devices_of(there) == [Path(device)]
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), loop.attached(tmp_path / "none"):
        pass
