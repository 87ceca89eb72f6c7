# SPDX-License-Identifier: MPL-2.0
"""Everything that is on a disk from an earlier Hull can be read; what a newer one wrote is refused.

A file here stands for each version of each record there ever was: add one with each change.
"""

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hull.errors import Corrupt
from hull.image import store
from hull.net.address import parse_leases
from hull.paths import Paths
from hull.storage.btrfs_record import parse_record
from hull.wire import Json
from hull.zone.index import VERSION, Index, zone_from_json, zone_to_json

RECORDS = Path(__file__).parents[1] / "data/records"
UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"


def read(name: str) -> Json:
    found: Json = json.loads((RECORDS / name).read_text())
    return found


@pytest.mark.parametrize("version", range(VERSION + 1))
def test_zones(version: int) -> None:
    zone = zone_from_json(read(f"zone-v{version}.json"))
    assert (zone.uuid, zone.vm.alias, zone.vm.brand) == (UUID, "old", "lx")
    assert (zone.zone_state, zone.exit_status, zone.restarts) == ("installed", 0, 2)
    assert zone.vm.nics[0].ips == ("dhcp",)
    assert zone.vm.max_swap == 1024
    assert zone.changing == (version > 0)
    assert zone_from_json(zone_to_json(zone)) == zone


def test_there_is_a_file_for_each_version() -> None:
    assert len(list(RECORDS.glob("zone-v*.json"))) == VERSION + 1


def test_what_a_newer_hull_wrote_is_left_alone(tmp_path: Path) -> None:
    data = read("zone-v1.json")
    assert isinstance(data, dict)
    newer = json.dumps(data | {"v": VERSION + 1})
    (tmp_path / f"{UUID}.json").write_text(newer)
    with pytest.raises(Corrupt, match="a newer Hull"):
        zone_from_json(json.loads(newer))
    index = Index(tmp_path)
    assert index.all() == []
    assert "newer" in index.corrupt[f"{UUID}.json"]
    assert (tmp_path / f"{UUID}.json").read_text() == newer


def test_leases() -> None:
    (lease,) = parse_leases(read("leases-v1.json"))
    assert (lease.uuid, lease.address) == (UUID, IPv4Address("10.9.0.2"))
    with pytest.raises(ValueError, match="version"):
        parse_leases({"v": 2, "leases": []})


def test_datasets() -> None:
    record = parse_record((RECORDS / "dataset-v1.json").read_bytes())
    assert (record.id, record.quota, record.volume, record.v) == (7, 10 << 30, False, 1)
    with pytest.raises(Corrupt, match="a newer Hull"):
        parse_record(b'{"uuid": "x", "id": 1, "created": 0, "v": 2}')


def test_images(tmp_path: Path) -> None:
    """SmartOS's own form: its version is the manifest's."""
    paths = Paths(tmp_path)
    uuid = "398deede-c025-11e3-8b24-f3ba141900bd"
    path = store.record_path(paths, "zones", uuid)
    path.parent.mkdir(parents=True)
    path.write_text((RECORDS / "image.json").read_text())
    image = store.get(paths, uuid)
    assert (image.manifest.title, image.source) == ("base-64@1.0.0", "https://images.example.com")
