# SPDX-License-Identifier: MPL-2.0
"""What becomes of properties over fakes: datasets, binds, holds, archives, routes, protection."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hull.errors import InvalidPayload, InvalidState
from hull.host.host import Host
from hull.net.datalink import Route, Vnic
from hull.vm import lookup, snapshot
from hull.vm.create import create
from hull.vm.delete import delete
from hull.vm.hold import require_destructible
from hull.vm.start import start
from hull.vm.stop import reboot, stop
from hull.vm.update import update
from hull.wire import JsonObject
from tests.unit.vm.world import IMAGE, SEED, World, with_

STATIC: JsonObject = {"image_uuid": IMAGE, "nowait": True}
MAC = "02:08:20:00:00:07"


def make(host: Host, **more: Any) -> str:
    return str(create(with_(SEED, nowait=True, **more), host)["uuid"])


def problems(error: pytest.ExceptionInfo[InvalidPayload]) -> list[str]:
    return [problem.path for problem in error.value.problems]


def mounts(world: World, uuid: str) -> dict[str, Any]:
    bundle: Any = world.machine.zones[uuid].spec.bundle
    return {mount["destination"]: mount for mount in bundle["mounts"]}


def capabilities(world: World, uuid: str) -> set[str]:
    bundle: Any = world.machine.zones[uuid].spec.bundle
    return set(bundle["process"]["capabilities"]["bounding"])


def only_vnic(world: World) -> Vnic:
    ((vnic, _),) = world.datalinks.vnics.values()
    return vnic


# -- delegated datasets ----------------------------------------------------------------------------
def test_a_delegated_dataset_is_the_zones_for_its_life(world: World) -> None:
    uuid = make(world.host, delegate_dataset=True, zfs_data_compression="lz4", quota=2)
    name = f"zones/{uuid}/data"
    (data,) = world.pool.datasets(name)
    assert (data.quota, data.compression) == (2 << 30, "lz4")
    assert lookup.get(uuid, world.host)["datasets"] == [name]
    mount = mounts(world, uuid)[f"/{name}"]
    assert mount["source"] == str(world.paths.zones / uuid / "data")
    assert "idmap" in mount["options"]
    update(uuid, {"quota": 3, "zfs_data_compression": "gzip-7"}, world.host)
    (data,) = world.pool.datasets(name)
    assert (data.quota, data.compression) == (3 << 30, "gzip")
    with pytest.raises(InvalidState, match="Cannot currently snapshot zones that have datasets"):
        snapshot.create_snapshot(uuid, "one", world.host)
    delete(uuid, world.host)
    assert not [one for one in world.pool.datasets() if uuid in one.name]


def test_making_one_undoes_itself_and_survives_a_crash(world: World) -> None:
    more = {"delegate_dataset": True, "indestructible_delegated": True, "zfs_data_recsize": 512}
    world.fail_everywhere(lambda host: make(host, autoboot=False, **more))


def test_a_hulld_that_dies_leaves_all_or_nothing(world: World) -> None:
    holds = {"indestructible_zoneroot": True, "indestructible_delegated": True}
    (world.paths.zones / "archive").mkdir()
    uuids: list[str] = []

    def prepare(host: Host) -> None:
        uuids.append(make(host, delegate_dataset=True, archive_on_delete=True))

    def change(host: Host) -> None:
        update(uuids[-1], {**holds, "quota": 3, "tmpfs": 7, "hostname": "new"}, host)

    assert world.die_everywhere(
        lambda host: None, lambda host: make(host, delegate_dataset=True, **holds)
    )
    assert {"pool.snapshot", "pool.set", "index.edit"} <= set(world.die_everywhere(prepare, change))
    assert world.die_everywhere(prepare, lambda host: delete(uuids[-1], host))


def test_without_one_there_is_none(world: World) -> None:
    uuid = make(world.host)
    assert "datasets" not in lookup.get(uuid, world.host)
    assert [one.name for one in world.pool.datasets(f"zones/{uuid}")] == [f"zones/{uuid}"]


# -- indestructible_* ------------------------------------------------------------------------------
@pytest.mark.parametrize("which", ["indestructible_zoneroot", "indestructible_delegated"])
def test_what_is_indestructible(world: World, which: str) -> None:
    uuid = make(world.host, delegate_dataset=True, **{which: True})
    dataset = f"zones/{uuid}" + ("/data" if which.endswith("delegated") else "")
    assert lookup.get(uuid, world.host)[which] is True
    assert lookup.get(uuid, world.host)["snapshots"] == []
    assert [one.short_name for one in world.pool.snapshots(dataset)] == ["indestructible"]
    with pytest.raises(InvalidState) as error:
        delete(uuid, world.host)
    assert str(error.value) == f"{which} is set, cannot delete"
    assert uuid in world.machine.zones
    world.fail_everywhere(lambda host: update(uuid, {which: False}, host))
    assert which not in lookup.get(uuid, world.host)
    assert world.pool.snapshots(dataset) == []
    world.fail_everywhere(lambda host: update(uuid, {which: True}, host))
    assert [one.short_name for one in world.pool.snapshots(dataset)] == ["indestructible"]
    update(uuid, {which: False}, world.host)
    delete(uuid, world.host)


def test_only_the_root_is_in_the_way_of_a_reprovision(world: World) -> None:
    uuid = make(world.host, delegate_dataset=True, indestructible_delegated=True)
    require_destructible(world.host.index.get(uuid).vm, "reprovision")
    update(uuid, {"indestructible_zoneroot": True}, world.host)
    with pytest.raises(InvalidState, match="indestructible_zoneroot is set, cannot reprovision"):
        require_destructible(world.host.index.get(uuid).vm, "reprovision")


def test_a_rollback_does_not_destroy_a_hold(world: World) -> None:
    uuid = make(world.host)
    snapshot.create_snapshot(uuid, "old", world.host)
    update(uuid, {"indestructible_zoneroot": True}, world.host)
    snapshot.create_snapshot(uuid, "new", world.host)
    with pytest.raises(InvalidState, match="cannot roll back to the older snapshot old"):
        snapshot.rollback_snapshot(uuid, "old", world.host)
    snapshot.rollback_snapshot(uuid, "new", world.host)
    assert uuid in world.machine.zones


# -- archive_on_delete, limits ---------------------------------------------------------------------
def test_an_archive_is_kept_where_there_is_a_place(world: World) -> None:
    (world.paths.zones / "archive").mkdir()
    kept, lost = make(world.host, archive_on_delete=True), make(world.host)
    (world.paths.zones / kept / "logs/console.log").write_text("hello\n")
    for uuid in (kept, lost):
        delete(uuid, world.host)
    archive = world.paths.zones / "archive"
    assert [path.name for path in archive.iterdir()] == [kept]
    record = json.loads((archive / kept / f"{kept}.json").read_text())
    assert record["vm"]["alias"] == "nsa-box"
    assert (archive / kept / "logs/console.log").read_text() == "hello\n"


def test_without_a_place_or_with_a_bad_one_it_is_deleted_all_the_same(world: World) -> None:
    delete(make(world.host, archive_on_delete=True), world.host)
    uuid = make(world.host, archive_on_delete=True)
    (world.paths.zones / "archive").mkdir()
    (world.paths.zones / "archive" / uuid).write_text("in the way")
    delete(uuid, world.host)
    assert world.host.index.find(uuid) is None


def test_snapshots_are_limited(world: World) -> None:
    uuid = make(world.host, zfs_snapshot_limit=1)
    snapshot.create_snapshot(uuid, "one", world.host)
    with pytest.raises(InvalidState, match="zfs_snapshot_limit is 1"):
        snapshot.create_snapshot(uuid, "two", world.host)
    update(uuid, {"zfs_snapshot_limit": None}, world.host)
    snapshot.create_snapshot(uuid, "two", world.host)


# -- filesystems -----------------------------------------------------------------------------------
def lofs(source: Path | str, target: str, *options: str) -> JsonObject:
    return {"type": "lofs", "source": str(source), "target": target, "options": list(options)}


def test_filesystems_are_binds_from_the_next_boot_on(world: World, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    more = [lofs(shared, "/data/in", "ro", "nodevices"), lofs(shared, "/data")]
    uuid = make(world.host, filesystems=more)
    found = mounts(world, uuid)
    assert found["/data"]["source"] == str(shared)
    assert {"ro", "nodev", "idmap"} <= set(found["/data/in"]["options"])
    targets = list(found)
    assert targets.index("/data") < targets.index("/data/in")  # or it would be covered
    update(uuid, {"remove_filesystems": ["/data/in"]}, world.host)
    assert "/data/in" in mounts(world, uuid)
    update(uuid, {"update_filesystems": [lofs(shared, "/data", "noexec")]}, world.host)
    reboot(uuid, world.host)
    found = mounts(world, uuid)
    assert "/data/in" not in found
    assert "noexec" in found["/data"]["options"]


def test_zones_is_the_hosts_pool(world: World) -> None:
    (world.paths.zones / "share").mkdir()
    uuid = make(world.host, filesystems=[lofs("/zones/share", "/share")])
    assert mounts(world, uuid)["/share"]["source"] == str(world.paths.zones / "share")


def test_what_no_zone_gets_to_see(world: World, tmp_path: Path) -> None:
    other = make(world.host)
    (tmp_path / "link").symlink_to("/etc")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sources: list[Path | str] = [
        "/", "/proc/1", "/nowhere/at/all", tmp_path / "link", fifo, tmp_path,
        world.paths.etc_zones, world.paths.run, world.paths.usbkey.parent, "/zones",
        f"/zones/{other}", f"/zones/{other}/root/etc", "/zones/archive", "relative", "/zones/..",
    ]  # fmt: skip
    world.paths.usbkey.mkdir(exist_ok=True)
    (world.paths.zones / "archive").mkdir()
    payload = [lofs(source, f"/t{n}") for n, source in enumerate(sources)]
    with pytest.raises(InvalidPayload) as error:
        make(world.host, filesystems=payload)
    assert problems(error) == [f"filesystems[{n}].source" for n in range(len(sources))]


def test_where_and_how_nothing_is_mounted(world: World, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    bad = [
        lofs(shared, "/"), lofs(shared, "/proc/x"), lofs(shared, "/tmp/x"),
        lofs(shared, "/native"), lofs(shared, "/ok", "sync"),
        with_(lofs(shared, "/ufs"), type="ufs"),
    ]  # fmt: skip
    with pytest.raises(InvalidPayload) as error:
        make(world.host, filesystems=bad)
    names = ("target", "target", "target", "target", "options", "type")
    assert problems(error) == [f"filesystems[{n}].{name}" for n, name in enumerate(names)]
    make(world.host, tmpfs=0, filesystems=[lofs(shared, "/tmp/x")])


# -- limit_priv and limits -------------------------------------------------------------------------
def test_limit_priv_is_the_bounding_set_from_the_next_boot_on(world: World) -> None:
    uuid = make(world.host, limit_priv="default,-net_rawaccess")
    assert "CAP_NET_RAW" not in capabilities(world, uuid)
    update(uuid, {"limit_priv": "default,-sys_ip_config"}, world.host)
    assert "CAP_NET_ADMIN" in capabilities(world, uuid)
    reboot(uuid, world.host)
    assert "CAP_NET_ADMIN" not in capabilities(world, uuid)
    assert "CAP_NET_RAW" in capabilities(world, uuid)
    with pytest.raises(InvalidPayload) as error:
        update(uuid, {"limit_priv": "default,everything,sys_devices"}, world.host)
    assert problems(error) == ["limit_priv", "limit_priv"]


def test_io_priority_and_tmpfs_are_limits(world: World) -> None:
    uuid = make(world.host, zfs_io_priority=300, tmpfs=64)
    limits = world.machine.zones[uuid].spec.limits
    assert (limits.io_priority, limits.tmpfs) == (300, 64 << 20)
    assert "size=67108864" in mounts(world, uuid)["/tmp"]["options"]
    update(uuid, {"zfs_io_priority": 30, "tmpfs": 128}, world.host)
    limits = world.machine.zones[uuid].spec.limits
    assert (limits.io_priority, limits.tmpfs) == (30, 128 << 20)
    update(uuid, {"tmpfs": 0}, world.host)
    reboot(uuid, world.host)
    assert "/tmp" not in mounts(world, uuid)


def test_init_name_and_hostname_wait_for_the_next_boot(world: World) -> None:
    uuid = make(world.host)
    update(uuid, {"init_name": "/sbin/other", "hostname": "new"}, world.host)
    bundle: Any = world.machine.zones[uuid].spec.bundle
    assert (bundle["hostname"], bundle["process"]["args"]) == ("mirror", ["/sbin/init"])
    assert (world.paths.zones / uuid / "root/etc/hostname").read_text() == "new\n"
    reboot(uuid, world.host)
    bundle = world.machine.zones[uuid].spec.bundle
    assert (bundle["hostname"], bundle["process"]["args"]) == ("new", ["/sbin/other"])


# -- nics and routes -------------------------------------------------------------------------------
def static(**more: Any) -> list[JsonObject]:
    return [{"nic_tag": "admin", "mac": MAC, "ips": ["10.9.0.50/24"], **more}]


def test_routes_go_by_the_nic_that_they_name_or_that_is_near(world: World) -> None:
    near = {"nic_tag": "admin", "ips": ["10.9.7.1/24"]}
    routes = {
        "192.0.2.0/24": "10.9.7.9",
        "198.51.100.7": "nics[1]",
        "203.0.113.0/24": f"macs[{MAC}]",
        "192.168.0.0/16": "172.16.0.1",  # on no network of the VM's: looked for at the primary nic
    }
    uuid = make(world.host, nics=[*static(), near], routes=routes)
    found = {vnic.interface: vnic.routes for vnic, _ in world.datalinks.vnics.values()}
    assert found == {
        "net0": (Route("192.168.0.0/16", "172.16.0.1"), Route("203.0.113.0/24")),
        "net1": (Route("192.0.2.0/24", "10.9.7.9"), Route("198.51.100.7/32")),
    }
    assert lookup.get(uuid, world.host)["routes"] == routes


def test_routes_and_protection_are_live(world: World) -> None:
    uuid = make(world.host, nics=static())
    payload = {
        "set_routes": {"192.0.2.0/24": "10.9.0.9"},
        "update_nics": [
            {
                "mac": MAC,
                "allow_ip_spoofing": True,
                "allowed_ips": ["10.9.0.99"],
                "blocked_outgoing_ports": [25, 587],
                "allowed_dhcp_cids": ["0xff01"],
                "ips": ["10.9.0.51/24"],
            }
        ],
    }
    before = only_vnic(world)
    assert world.fail_everywhere(lambda host: update(uuid, payload, host)) > 1  # type: ignore[arg-type]  # JSON
    vnic = only_vnic(world)
    assert vnic.routes == (Route("192.0.2.0/24", "10.9.0.9"),)
    assert (vnic.allow_ip_spoofing, vnic.allowed) == (True, ("10.9.0.99",))
    assert (vnic.blocked_ports, vnic.dhcp_cids) == ((25, 587), ("0xff01",))
    assert vnic.addresses == before.addresses  # of the next boot
    update(uuid, {"remove_routes": ["192.0.2.0/24"]}, world.host)
    assert only_vnic(world).routes == ()
    reboot(uuid, world.host)
    assert [str(each) for each in only_vnic(world).addresses] == ["10.9.0.51/24"]


def test_an_address_is_taken_until_the_zone_that_has_it_stops(world: World) -> None:
    first = make(world.host, nics=static())
    update(first, {"update_nics": [{"mac": MAC, "ips": ["10.9.0.51/24"]}]}, world.host)
    payload = [{"nic_tag": "admin", "ips": ["10.9.0.50/24"]}]
    with pytest.raises(InvalidPayload, match=f"in use by VM {first} until that stops"):
        make(world.host, nics=payload)
    stop(first, world.host)
    make(world.host, nics=payload)
    start(first, world.host)


def test_vrrp_nics_have_the_routers_mac_and_send_from_the_primary_ip(world: World) -> None:
    vrrp = {
        "nic_tag": "admin",
        "ips": ["10.9.0.60/24"],
        "vrrp_vrid": 7,
        "vrrp_primary_ip": "10.9.0.50",
    }
    make(world.host, nics=[*static(), vrrp])
    vnics = {vnic.mac: vnic for vnic, _ in world.datalinks.vnics.values()}
    vnic = vnics["00:00:5e:00:01:07"]
    assert vnic.virtual
    assert vnic.allowed == ("10.9.0.50",)
    assert not vnics[MAC].virtual


def test_what_the_kernel_would_refuse_of_a_nic(world: World) -> None:
    nics = [
        {"nic_tag": "admin", "ips": ["10.9.0.50/24"], "vlan_id": 7},
        {"nic_tag": "admin", "ips": ["fd00::1/64"], "mtu": 600},
        {"nic_tag": "admin", "ips": ["10.9.0.51/24"], "mtu": 9000},
    ]
    with pytest.raises(InvalidPayload, match="CONFIG_BRIDGE_VLAN_FILTERING") as error:
        make(world.host, nics=nics)
    assert problems(error) == ["nics[0].vlan_id", "nics[1].mtu", "nics[2].mtu"]
