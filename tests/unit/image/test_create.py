# SPDX-License-Identifier: MPL-2.0
"""What a new image's manifest says, where it goes, and on which platform it may be used."""

from dataclasses import replace
from pathlib import Path

import pytest

from hull.errors import MaxPlatform, MinPlatform
from hull.image.create import Wanted, manifest_of, output_paths, slug
from hull.image.delete import unused
from hull.image.download import human_size
from hull.image.dsapi import file_url, upgrade
from hull.image.manifest import parse_manifest
from hull.image.platform import check_platform
from hull.image.store import Listed
from hull.image.update import differences
from hull.model.vm import VM
from hull.wire import JsonObject
from tests.unit.image.test_catalog import manifest

STAMP = "20261101T000000Z"
LX = VM(uuid="01b2c898-945f-11e1-a523-af1afbe22822", brand="lx")
NATIVE = replace(LX, brand="joyent")


def test_what_is_inherited() -> None:
    origin = parse_manifest(
        manifest(1) | {"users": [{"name": "root"}], "billing_tags": [], "homepage": "http://x"}
    )
    made = manifest_of({"name": "n", "version": "1", "os": "other"}, LX, origin, "hosted")
    assert made.pop("uuid") != origin.uuid
    assert made == {
        "v": 2, "name": "n", "version": "1", "os": "other", "type": "zone-dataset",
        "users": [{"name": "root"}], "requirements": {"brand": "lx"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "vm", "platform", "expected"),
    [
        ({}, NATIVE, "hosted", None),
        ({}, NATIVE, STAMP, {"min_platform": {"7.0": STAMP}}),
        ({"requirements": {"min_platform": {}}}, NATIVE, STAMP, {"min_platform": {}}),
        ({}, LX, STAMP, {"brand": "lx"}),
        ({"requirements": {"brand": ""}}, LX, STAMP, {}),
        ({"requirements": {"ssh_key": True}}, LX, STAMP, {"ssh_key": True, "brand": "lx"}),
    ],
)
def test_requirements(given: JsonObject, vm: VM, platform: str, expected: object) -> None:
    assert manifest_of(given, vm, None, platform).get("requirements") == expected


def test_where_it_goes(tmp_path: Path) -> None:
    made = parse_manifest(manifest(1) | {"name": "My Image", "version": "1.0/x"})
    wanted = Wanted(vm="", manifest={}, output=tmp_path, compression="gzip")
    assert [path.name for path in output_paths(wanted, made)] == [
        "my-image-1.0x.tar.gz", "my-image-1.0x.imgmanifest",
    ]  # fmt: skip
    named = replace(wanted, output=tmp_path / "x.y", compression="none")
    assert [path.name for path in output_paths(named, made)] == ["x.y.tar", "x.y.imgmanifest"]
    assert slug("../../etc/passwd") == "....etcpasswd"


@pytest.mark.parametrize(
    ("requirements", "error"),
    [
        ({}, None),
        ({"min_platform": {"7.0": STAMP}}, None),
        ({"min_platform": {"7.0": "20270101T000000Z"}}, MinPlatform),
        ({"min_platform": {"7.1": "20200101T000000Z"}}, MinPlatform),
        ({"min_platform": {"6.5": "20270101T000000Z"}}, None),
        ({"max_platform": {"7.0": "20250101T000000Z"}}, MaxPlatform),
        ({"max_platform": {"6.5": "20270101T000000Z"}}, MaxPlatform),
        ({"max_platform": {"7.1": "20200101T000000Z"}}, None),
    ],
)
def test_platforms(requirements: JsonObject, error: type[Exception] | None) -> None:
    image = parse_manifest(manifest(1) | {"requirements": requirements})
    check_platform(image, "hosted")
    if error is None:
        check_platform(image, STAMP)
        return
    with pytest.raises(error, match=f"current platform version, 7.0/{STAMP}, does not satisfy"):
        check_platform(image, STAMP)


def listed(name: str, *clones: str) -> Listed:
    return Listed(record={"manifest": {"uuid": name}, "zpool": "zones"}, clones=clones)


def test_what_is_unused() -> None:
    """c is over b is over a, and unused; d is used by a VM, so e below it is used, too."""
    images = [
        listed("a", "zones/b"), listed("b", "zones/c"), listed("c"),
        listed("d", "zones/vm"), listed("e", "zones/d"),
    ]  # fmt: skip
    assert [image.uuid for image in unused(images)] == ["c", "b", "a"]


def test_differences() -> None:
    old: JsonObject = {"a": 1, "b": 2, "requirements": {"x": 1, "y": 2}}
    new: JsonObject = {"c": 3, "a": 1, "requirements": {"x": 2}}
    assert differences(old, new) == ["c", "requirements.x", "requirements.y", "b"]
    assert differences(old, dict(reversed(old.items()))) == []


def test_sizes_for_people() -> None:
    assert [human_size(n) for n in (0, 1, 1023, 1024, 5_600_000, 1 << 40, 1 << 60)] == [
        "0 B", "1.0 B", "1023.0 B", "1.0 KiB", "5.3 MiB", "1.0 TiB", "1048576.0 TiB",
    ]  # fmt: skip


def test_a_dsapi_manifest() -> None:
    old: JsonObject = {
        "uuid": LX.uuid, "name": "base", "version": "1", "os": "smartos", "type": "zone-dataset",
        "creator_uuid": LX.uuid, "creator_name": "x", "urn": "a:b:c:d",
        "created_at": "2012-01-01T00:00:00Z",
        "files": [{"path": "base.zfs.bz2", "sha1": "a" * 40, "size": 5, "url": "http://x/f"}],
    }  # fmt: skip
    made = parse_manifest(upgrade(old))
    assert (made.file.compression, made.file.size, made.published_at) == (
        "bzip2", 5, "2012-01-01T00:00:00Z",
    )  # fmt: skip
    assert made.data["owner"] == LX.uuid
    assert file_url(old, "http://y/datasets/U/") == "http://x/f"
    assert file_url({"files": [{"path": "f"}]}, "http://y/datasets/U/") == "http://y/datasets/U/f"
