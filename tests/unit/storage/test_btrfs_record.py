# SPDX-License-Identifier: MPL-2.0
"""The record of a dataset is read as it was written, and by later versions too."""

import json

import pytest

from hull.errors import Corrupt
from hull.storage.btrfs_record import ROOT_RECORD, Record, new_record, parse_record


def test_what_is_left_out_has_its_default() -> None:
    record = parse_record(b'{"v":1,"uuid":"ab","id":7,"created":1.5,"quota":9}')
    assert record == Record(uuid="ab", id=7, created=1.5, quota=9)
    assert (record.compression, record.origin, record.volume, record.pending) == (
        "on",
        "",
        False,
        "",
    )


def test_unknown_names_are_passed_over() -> None:
    raw = json.dumps({"v": 1, "uuid": "ab", "id": 7, "created": 1.5, "later": True}).encode()
    assert parse_record(raw).id == 7


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"7", b"\xff", b'{"id": 1}'])
def test_no_record(raw: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_record(raw)


def test_the_id_names_directory_and_group() -> None:
    record = Record(uuid="", id=0xABC, created=0.0)
    assert record.directory == "000000000abc"
    assert record.qgroup == (1 << 48) + 0xABC
    assert ROOT_RECORD.qgroup == 0
    assert len({new_record().id for _ in range(100)}) == 100
    assert all(0 < new_record().id < 1 << 48 for _ in range(100))
