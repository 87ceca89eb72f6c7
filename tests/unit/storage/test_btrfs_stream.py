# SPDX-License-Identifier: MPL-2.0
"""The first command of a btrfs stream, and nothing after it, is read."""

import os
import struct
from pathlib import Path

import pytest

from hull.errors import Corrupt
from hull.storage.btrfs_stream import StreamHead, parse_attributes, read_head


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


def stream(command: int, *attributes: bytes, magic: bytes = b"btrfs-stream\0") -> bytes:
    body = b"".join(attributes)
    return magic + struct.pack("<I", 1) + struct.pack("<IHI", len(body), command, 0) + body


FULL = stream(1, attribute(15, b"final"), attribute(1, b"u" * 16), attribute(2, bytes(8)))
MORE = stream(
    2, attribute(15, b"next"), attribute(1, b"v" * 16), attribute(2, bytes(8)),
    attribute(20, b"\xab" * 16), attribute(21, bytes(8)),
)  # fmt: skip


def head_of(raw: bytes, path: Path) -> tuple[StreamHead, bytes]:
    path.write_bytes(raw)
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_head(fd), os.read(fd, 100)
    finally:
        os.close(fd)


def test_full(tmp_path: Path) -> None:
    head, rest = head_of(FULL + b"the rest", tmp_path / "s")
    assert (head.snapshot, head.base, head.raw) == ("final", "", FULL)
    assert rest == b"the rest"


def test_incremental(tmp_path: Path) -> None:
    head, rest = head_of(MORE, tmp_path / "s")
    assert (head.snapshot, head.base, rest) == ("next", "ab" * 16, b"")


@pytest.mark.parametrize("cut", [0, 1, 16, 26, 27, len(FULL) - 1])
def test_cut_short(tmp_path: Path, cut: int) -> None:
    with pytest.raises(Corrupt):
        head_of(FULL[:cut], tmp_path / "s")


@pytest.mark.parametrize(
    "raw",
    [
        stream(3, attribute(15, b"x")),
        stream(1, magic=b"zfs-stream\0\0\0"),
        stream(1, b"x" * 5000),
        stream(1, b"\x0f\0\xff"),
    ],
)
def test_no_stream(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(Corrupt):
        head_of(raw, tmp_path / "s")


def test_attributes() -> None:
    assert parse_attributes(b"") == {}
    assert parse_attributes(attribute(1, b"a") + attribute(2, b"")) == {1: b"a", 2: b""}
