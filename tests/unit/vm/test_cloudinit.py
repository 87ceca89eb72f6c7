# SPDX-License-Identifier: MPL-2.0
"""The NoCloud seed: what is in it, for whom, and when it is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from hull.host.host import Host
from hull.linux import inroot
from hull.vm import create, start, stop, update
from hull.vm.cloudinit import SEED
from tests.unit.vm.world import LX_IMAGE, World, with_
from tests.unit.vm.world import SEED as PAYLOAD

NOCLOUD = with_(
    PAYLOAD,
    brand="lx",
    image_uuid=LX_IMAGE,
    kernel_version="6.1",
    resolvers=["9.9.9.9"],
    internal_metadata={"cloudinit_datasource": "nocloud"},
    nowait=True,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "host")


def made(world: World, payload: Any) -> tuple[str, Path]:
    uuid = str(create.create(payload, world.host)["uuid"])
    return uuid, world.paths.zones / uuid / "root"


def file(root: Path, name: str) -> str:
    return inroot.read_file(root, f"{SEED}/{name}", 1 << 20).decode()


def internal(host: Host, uuid: str) -> Any:
    return host.index.get(uuid).vm.internal_metadata


def test_what_is_in_it(world: World) -> None:
    uuid, root = made(world, NOCLOUD)
    assert file(root, "meta-data") == f'instance-id: {uuid}\nlocal-hostname: "mirror"\n'
    assert file(root, "user-data") == "#cloud-config\n{}\n"
    assert not inroot.exists(root, f"{SEED}/vendor-data")
    network = json.loads(file(root, "network-config"))
    assert network["version"] == 2
    (nic,) = network["ethernets"].values()
    assert nic["match"] == {"macaddress": world.host.index.get(uuid).vm.nics[0].mac}
    (address,) = nic["addresses"]
    assert address.startswith("10.9.0.")
    assert nic["routes"] == [{"to": "default", "via": "10.9.0.1"}]
    assert nic["nameservers"]["addresses"] == ["9.9.9.9"]
    known = internal(world.host, uuid)
    assert known["cloudinit_nocloud_path"] == SEED
    assert len(known["cloudinit_nocloud_hash"]) == 64
    assert (root / SEED.lstrip("/") / "user-data").stat().st_mode & 0o777 == 0o600


def test_the_customers_own_words(world: World) -> None:
    words = {f"cloud-init:{name}": f"{name}\n" for name in ("user-data", "vendor-data")}
    words["cloud-init:network-config"] = "version: 2\n"
    _, root = made(world, with_(NOCLOUD, customer_metadata=words))
    assert file(root, "user-data") == "user-data\n"
    assert file(root, "vendor-data") == "vendor-data\n"
    assert file(root, "network-config") == "version: 2\n"


@pytest.mark.parametrize(
    "change",
    [
        {"internal_metadata": {}},
        {"internal_metadata": {"cloudinit_datasource": "smartos"}},
        {"brand": "joyent", "image_uuid": PAYLOAD["image_uuid"], "kernel_version": ""},
    ],
)
def test_who_has_none(world: World, change: dict[str, Any]) -> None:
    payload = {key: value for key, value in with_(NOCLOUD, **change).items() if value != ""}
    _, root = made(world, payload)
    assert not inroot.exists(root, SEED)


def test_the_image_may_ask_for_it(world: World) -> None:
    record = world.paths.imgadm / "images" / f"zones-{LX_IMAGE}.json"
    image = json.loads(record.read_text())
    image["manifest"]["tags"] = {"org.smartos:cloudinit_datasource": "nocloud"}
    record.write_text(json.dumps(image))
    uuid, root = made(world, with_(NOCLOUD, internal_metadata={}))
    assert inroot.exists(root, f"{SEED}/meta-data")
    assert internal(world.host, uuid)["cloudinit_datasource"] == "nocloud"


def test_it_is_written_again_when_it_would_differ(world: World) -> None:
    words = {"cloud-init:vendor-data": "v"}
    uuid, root = made(world, with_(NOCLOUD, autoboot=False, customer_metadata=words))
    before = internal(world.host, uuid)["cloudinit_nocloud_hash"]
    inroot.write_file(root, f"{SEED}/user-data", b"the zone's own")
    start.start(uuid, world.host)
    assert file(root, "user-data") == "the zone's own"
    stop.stop(uuid, world.host, force=True)
    change: Any = {
        "set_customer_metadata": {"cloud-init:user-data": "#!/bin/sh\n"},
        "remove_customer_metadata": ["cloud-init:vendor-data"],
    }
    update.update(uuid, change, world.host)
    assert file(root, "user-data") == "the zone's own"
    start.start(uuid, world.host)
    assert file(root, "user-data") == "#!/bin/sh\n"
    assert not inroot.exists(root, f"{SEED}/vendor-data")
    assert internal(world.host, uuid)["cloudinit_nocloud_hash"] != before


def test_a_zone_cannot_lead_it_astray(world: World, tmp_path: Path) -> None:
    """Its root may make links of the seed's path; they end inside."""
    uuid, root = made(world, with_(NOCLOUD, autoboot=False))
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("meta-data", "network-config", "user-data"):
        (root / SEED.lstrip("/") / name).unlink()
    (root / SEED.lstrip("/")).rmdir()
    (root / SEED.lstrip("/")).symlink_to(outside)
    change: Any = {"set_customer_metadata": {"cloud-init:user-data": "new"}}
    update.update(uuid, change, world.host)
    assert start.start(uuid, world.host)["state"] == "running"
    assert list(outside.iterdir()) == []
