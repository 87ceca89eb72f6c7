# SPDX-License-Identifier: MPL-2.0
"""imgapid's view of a directory: what is listed, how, and in which pieces."""

import json
import logging
import os
from pathlib import Path

import pytest

from hull.image.catalog import Catalog, Entry, select
from hull.image.manifest import parse_manifest
from hull.image.server import parse_range
from hull.wire import JsonObject


def manifest(number: int, **changes: str) -> JsonObject:
    base: JsonObject = {
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "name": f"image-{number}",
        "version": "1.0",
        "os": "linux",
        "type": "zone-dataset",
        "published_at": f"2026-01-{number:02}T00:00:00Z",
    }
    return base | dict(changes)


def numbers(entries: list[Entry]) -> list[int]:
    return [int(entry.manifest.uuid[-3:]) for entry in entries]


def entries() -> dict[str, Entry]:
    made = [
        manifest(1),
        manifest(2, os="smartos"),
        manifest(3, state="disabled"),
        manifest(4, type="lx-dataset", name="debian"),
        manifest(5),
    ]
    parsed = [parse_manifest(data) for data in made]
    return {found.uuid: Entry(path=Path(), manifest=found, file=None) for found in parsed}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [1, 2, 4, 5]),
        ({"state": "all"}, [1, 2, 3, 4, 5]),
        ({"state": "disabled"}, [3]),
        ({"os": "smartos"}, [2]),
        ({"type": "lx-dataset"}, [4]),
        ({"name": "image-1"}, [1]),
        ({"name": "~image"}, [1, 2, 5]),
        ({"name": "image"}, []),
        ({"version": "2"}, []),
        ({"limit": "2"}, [1, 2]),
        ({"limit": "2", "marker": "00000000-0000-4000-8000-000000000002"}, [4, 5]),
        ({"marker": "00000000-0000-4000-8000-000000000005"}, []),
        ({"marker": "nonsense"}, []),
        ({"unknown": "field"}, [1, 2, 4, 5]),
    ],
)
def test_filters_and_pages(query: dict[str, str], expected: list[int]) -> None:
    assert numbers(select(entries(), query)) == expected


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "²", "9" * 5000])
def test_a_bad_limit(limit: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        select(entries(), {"limit": limit})


def test_a_directory_is_read_anew_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.entries() == {}
    (tmp_path / "b-1.0.imgmanifest").write_text(json.dumps(manifest(2)))
    (tmp_path / "a-1.0.imgmanifest").write_text(json.dumps(manifest(3)))
    (tmp_path / "b-1.0.tar.zst").write_bytes(b"file")
    (tmp_path / "b-1.0.1.tar.zst").write_bytes(b"another image's")
    (tmp_path / "bad.imgmanifest").write_text("{")
    with caplog.at_level(logging.WARNING):
        found = list(catalog.entries().values())
    assert numbers(found) == [2, 3]
    assert found[0].file == tmp_path / "b-1.0.tar.zst"
    assert found[1].file is None
    assert "bad.imgmanifest" in caplog.text
    assert catalog.entries() is catalog.entries()
    (tmp_path / "a-1.0.imgmanifest").unlink()
    assert numbers(list(catalog.entries().values())) == [2]


def test_the_md5_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    catalog = Catalog(tmp_path)
    assert catalog.content_md5(file) == "kAFQmDzST7DWlj99KOF/cg=="
    file.write_bytes(b"abd")
    os.utime(file, ns=(1, 1))
    assert catalog.content_md5(file) != "kAFQmDzST7DWlj99KOF/cg=="


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-", (0, 100)),
        ("bytes=5-9", (5, 10)),
        ("bytes=90-200", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=9-5", "bytes=-0"])
def test_ranges_beyond_the_file(header: str) -> None:
    with pytest.raises(ValueError, match=r"bytes|file"):
        parse_range(header, 100)
