# SPDX-License-Identifier: MPL-2.0
"""imgadm.conf, and the records of installed images."""

import json
from pathlib import Path

import pytest

from hull.errors import ImageNotInstalled, InvalidPayload
from hull.image import sources, store
from hull.image.manifest import parse_manifest
from hull.paths import Paths
from hull.storage.fake import FakePool
from hull.wire import JsonObject
from tests.unit.image.test_catalog import manifest

URL = "http://127.0.0.1:9/"


def test_a_fresh_host_has_no_sources(tmp_path: Path) -> None:
    assert sources.list_sources(Paths(tmp_path)) == []


def test_sources_come_and_go_in_order(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert sources.add_source(paths, URL, force=True)["added"] is True
    assert sources.add_source(paths, URL, force=True)["added"] is False
    sources.add_source(paths, URL + "b", force=True, insecure=True)
    assert sources.list_sources(paths) == [
        {"url": URL, "type": "imgapi"},
        {"url": URL + "b", "type": "imgapi", "insecure": True},
    ]
    assert sources.delete_source(paths, URL)["deleted"] is True
    assert sources.delete_source(paths, URL)["deleted"] is False
    assert [source.url for source in sources.named(paths, "")] == [URL + "b"]
    assert sources.named(paths, URL + "b")[0].insecure
    assert not sources.named(paths, "http://other")[0].insecure


def test_other_settings_are_kept(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.imgadm.mkdir(parents=True)
    conf = paths.imgadm / "imgadm.conf"
    conf.write_text('{"userAgentExtra": "x", "sources": []}')
    sources.add_source(paths, URL, force=True)
    assert json.loads(conf.read_text())["userAgentExtra"] == "x"


def test_other_kinds_of_source(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with pytest.raises(InvalidPayload):
        sources.add_source(paths, "https://example.com", "rsync", force=True)
    for kind in ("dsapi", "docker", "simplestreams"):
        sources.add_source(paths, f"https://{kind}.example.com", kind, force=True)
    listed: list[JsonObject] = [
        {"url": f"https://{k}.example.com", "type": k} for k in ("docker", "dsapi")
    ]
    assert sources.replace_sources(paths, listed) == listed


def test_an_image_without_a_record_has_its_uuid(tmp_path: Path) -> None:
    """As one that somebody has received by hand; a VM is none, nor what has no @final."""
    paths = Paths(tmp_path)
    (tmp_path / "zones").mkdir()
    pool = FakePool("zones", tmp_path / "zones")
    image, vm, other = (parse_manifest(manifest(number)).uuid for number in (1, 2, 3))
    for uuid in (image, vm, other):
        pool.create(f"zones/{uuid}")
    for uuid in (image, vm):
        pool.snapshot(f"zones/{uuid}@final")
    paths.etc_zones.mkdir(parents=True)
    (paths.etc_zones / f"{vm}.json").write_text("{}")
    pool.clone(f"zones/{image}@final", "zones/one")
    (found,) = store.images(pool, paths)
    assert found.record == {"manifest": {"uuid": image}, "zpool": "zones"}
    assert found.clones == ("zones/one",)


def test_ancestry(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    whole = parse_manifest(manifest(1))
    layer = parse_manifest(manifest(2, origin=whole.uuid))
    for found in (whole, layer):
        store.add(paths, store.Image(manifest=found, zpool="zones", source=""))
    chain = store.ancestry(paths, layer.uuid)
    assert [image.manifest.uuid for image in chain] == [layer.uuid, whole.uuid]


def test_records_of_installed_images(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    newer, older = parse_manifest(manifest(2)), parse_manifest(manifest(1))
    for found in (newer, older):
        store.add(paths, store.Image(manifest=found, zpool="zones", source=URL))
    (tmp_path / "zones").mkdir()
    pool = FakePool("zones", tmp_path / "zones")
    assert store.images(pool, paths) == []  # a record alone is no image
    for found in (newer, older):
        pool.create(f"zones/{found.uuid}")
    assert [image.uuid for image in store.images(pool, paths)] == [older.uuid, newer.uuid]
    assert store.get(paths, newer.uuid).source == URL
    assert store.get(paths, newer.uuid).dataset == f"zones/{newer.uuid}"
    assert store.origin_snapshot(newer.uuid) == f"zones/{newer.uuid}@final"
    record = json.loads((tmp_path / f"var/imgadm/images/zones-{newer.uuid}.json").read_text())
    assert record == {"manifest": newer.data, "zpool": "zones", "source": URL}
    store.remove(paths, newer.uuid)
    store.remove(paths, newer.uuid)
    with pytest.raises(ImageNotInstalled):
        store.get(paths, newer.uuid)
    assert not store.is_installed(paths, newer.uuid)
