# SPDX-License-Identifier: MPL-2.0
"""ZFS's names of compressions on pools that have others."""

import pytest

from hull.model.disk import COMPRESSION
from hull.storage.btrfs_record import COMPRESSIONS
from hull.storage.compression import nearest


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("off", "off"), ("on", "on"), ("gzip", "gzip"), ("gzip-1", "gzip"), ("gzip-9", "gzip"),
        ("lz4", "lz4"), ("lzjb", "lzjb"), ("zle", "lz4"),
    ],
)  # fmt: skip
def test_on_btrfs(wanted: str, found: str) -> None:
    assert nearest(wanted, tuple(COMPRESSIONS)) == found


@pytest.mark.parametrize("wanted", COMPRESSION)
@pytest.mark.parametrize("known", [("off", "on"), ("off", "on", "zstd"), ("off",)])
def test_what_comes_out_is_known(wanted: str, known: tuple[str, ...]) -> None:
    assert nearest(wanted, known) in known
