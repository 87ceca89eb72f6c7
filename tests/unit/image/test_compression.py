# SPDX-License-Identifier: MPL-2.0
"""Compression is told from the bytes."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from hull.errors import Corrupt
from hull.image.compression import HEAD, decompressor_argv, parse_compression


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("./etc"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("none", archive()),
        ("gzip", gzip.compress(archive())),
        ("bzip2", bz2.compress(archive())),
        ("xz", lzma.compress(archive())),
        ("zstd", b"\x28\xb5\x2f\xfd\x00"),
    ],
)
def test_each_magic(name: str, data: bytes) -> None:
    assert parse_compression(data[:HEAD]) == name


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"<html>" * 100, bytes(512)])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_compression(data)


def test_decompressors_run_without_rights() -> None:
    assert decompressor_argv("none") == []
    for name in ("gzip", "bzip2", "xz", "zstd"):
        argv = decompressor_argv(name)
        assert argv[0] == "setpriv"
        assert "--reuid=65534" in argv
        assert "--bounding-set=-all" in argv
        assert name in argv
