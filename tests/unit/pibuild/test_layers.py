# SPDX-License-Identifier: MPL-2.0
"""The builder's cache, and what it packs."""

from pathlib import Path

import pytest

from pibuild.cpio import FILE, Newc
from pibuild.initramfs import with_what_they_need
from pibuild.layers import KEPT, Layers

DEP = """\
kernel/fs/isofs/isofs.ko: kernel/fs/nls/nls_base.ko
kernel/fs/nls/nls_base.ko:
kernel/drivers/usb/storage/uas.ko: kernel/drivers/usb/storage/usb-storage.ko kernel/scsi.ko
kernel/drivers/usb/storage/usb-storage.ko: kernel/scsi.ko
kernel/scsi.ko:
"""


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "cache", lambda text: None)


def test_a_layer_is_made_once(layers: Layers) -> None:
    made: list[str] = []

    def make(layer: Path) -> None:
        made.append(layer.name)
        (layer / "file").write_text("x")

    first = layers.layer("kind", ["a"], make)
    assert layers.layer("kind", ["a"], make) == first
    assert layers.layer("kind", ["b"], make) != first
    assert (len(made), (first / "file").read_text()) == (2, "x")


def test_one_that_fails_leaves_nothing(layers: Layers) -> None:
    def fail(layer: Path) -> None:
        (layer / "half").write_text("x")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        layers.layer("kind", ["a"], fail)
    assert [path.name for path in layers.directory.iterdir()] == ["lock"]


def test_old_ones_go(layers: Layers) -> None:
    for number in range(KEPT + 2):
        layers.layer("kind", [number], lambda layer: None)
    assert len(list(layers.directory.glob("kind-*"))) == KEPT


def test_an_archive_is_as_the_kernel_reads_it() -> None:
    archive = Newc()
    archive.add("a", FILE, b"12345")
    data = archive.end()
    assert data.startswith(b"070701" + b"00000001" + b"000081A4")
    assert data[110:112] == b"a\0"
    assert (data[112:117], len(data) % 4) == (b"12345", 0)
    assert b"TRAILER!!!\0" in data


def test_modules_come_with_what_they_need() -> None:
    assert with_what_they_need(DEP, ("uas", "built_in")) == [
        "kernel/drivers/usb/storage/uas.ko",
        "kernel/drivers/usb/storage/usb-storage.ko",
        "kernel/scsi.ko",
    ]
    assert "kernel/drivers/usb/storage/usb-storage.ko" in with_what_they_need(DEP, ("usb_storage",))
