# SPDX-License-Identifier: MPL-2.0
"""Records and views: what is kept of a VM, and what `vmadm get` prints (facts §4)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hull.errors import Corrupt
from hull.model.nic import Nic
from hull.model.payload import decode_create
from hull.model.record import vm_from_record, vm_to_record
from hull.model.view import vm_to_listed, vm_to_view
from hull.model.vm import VM
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
NOW = "2026-01-01T00:00:00.000Z"
HOST: JsonObject = {
    "last_modified": NOW,
    "server_uuid": IMAGE,
    "platform_buildstamp": "20260101T000000Z",
}
RUNNING: JsonObject = {
    **HOST,
    "state": "running",
    "zone_state": "running",
    "boot_timestamp": NOW,
    "init_restarts": 0,
    "pid": 4242,
    "zoneid": 7,
}


def made(**payload: Json) -> VM:
    vm = decode_create({"uuid": UUID, "image_uuid": IMAGE, **payload}).vm
    return replace(vm, create_timestamp=NOW)


GOLDEN = Path(__file__).parents[2] / "data/model"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("joyent", {"brand": "joyent"}),
        ("joyent-minimal", {"brand": "joyent-minimal"}),
        ("builder", {"brand": "builder"}),
        ("lx", {"brand": "lx", "kernel_version": "4.4.0"}),
        ("docker", {"brand": "lx", "kernel_version": "4.4.0", "docker": True}),
    ],
)
def test_the_default_vm_has_exactly_smartos_keys(name: str, payload: JsonObject) -> None:
    golden = json.loads((GOLDEN / f"golden-{name}.json").read_text())
    assert vm_to_view(made(**payload), RUNNING) == golden


def test_a_stopped_vm_has_other_keys() -> None:
    running = json.loads((GOLDEN / "golden-joyent.json").read_text())
    stopped: JsonObject = {**HOST, "state": "stopped", "zone_state": "installed"}
    view = vm_to_view(made(), stopped | {"exit_status": 0, "exit_timestamp": NOW})
    assert running.keys() - view.keys() == {
        "boot_timestamp", "init_restarts", "pid", "zoneid", "zonedid",
    }  # fmt: skip  # a list of words
    assert view.keys() - running.keys() == {"exit_status", "exit_timestamp"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alias", "web"),
        ("hostname", "web"),
        ("cpu_cap", 50),
        ("do_not_inventory", True),
        ("maintain_resolvers", True),
        ("zfs_root_compression", "lz4"),
        ("package_name", "small"),
        ("restart_init", False),
        ("init_name", "/sbin/init"),
        ("internal_metadata_namespaces", ["sdc"]),
        ("archive_on_delete", True),
        ("indestructible_zoneroot", True),
        ("zfs_snapshot_limit", 3),
        ("zfs_filesystem_limit", 3),
        ("zlog_max_size", 1024),
        ("fs_allowed", "nfs,tmpfs"),
    ],
)
def test_shown_only_when_set(name: str, value: Json) -> None:
    payload: JsonObject = {name: value}
    assert vm_to_view(made(**payload), {})[name] == value
    assert name not in vm_to_view(made(), {})


@pytest.mark.parametrize("name", ["nowait", "mdata_exec_timeout", "dataset_uuid", "failed"])
def test_never_shown(name: str) -> None:
    vm = made(nowait=True, mdata_exec_timeout=5, dataset_uuid=IMAGE)
    assert name not in vm_to_view(vm, {"failed": ""})


def test_a_delegated_dataset() -> None:
    vm = made(delegate_dataset=True, indestructible_delegated=True, zfs_data_compression="gzip")
    view = vm_to_view(vm, {})
    assert "delegate_dataset" not in view
    assert view["datasets"] == [f"zones/{UUID}/data"]
    assert (view["indestructible_delegated"], view["zfs_data_compression"]) == (True, "gzip")


def test_lists_that_are_strings() -> None:
    vm = made(limit_priv=["default", "-proc_fork"], fs_allowed=["nfs"])
    view = vm_to_view(vm, {})
    assert (view["limit_priv"], view["fs_allowed"]) == ("default,-proc_fork", "nfs")


def test_filesystems_always_have_options() -> None:
    lofs: JsonObject = {"source": "/a", "target": "/b", "type": "lofs"}
    assert vm_to_view(made(filesystems=[lofs]), {})["filesystems"] == [lofs | {"options": []}]
    assert "filesystems" not in vm_to_view(made(), {})


def test_status_rows() -> None:
    status: JsonObject = {"state": "stopped", "exit_status": 0, "pid": None, "zonepath": "/h/zones"}
    view = vm_to_view(made(), status)
    assert (view["state"], view["exit_status"], view["zonepath"]) == ("stopped", 0, "/h/zones")
    assert "pid" not in view
    with pytest.raises(KeyError):
        vm_to_view(made(), {"stat": "stopped"})


@pytest.mark.parametrize(
    ("nic", "view"),
    [
        ({}, {"ips": []}),
        ({"ip": "dhcp"}, {"ip": "dhcp", "ips": ["dhcp"]}),
        (
            {"ips": ["2001:db8::5/64", "10.0.0.5/24"], "gateways": ["fe80::1", "10.0.0.1"]},
            {
                "ip": "10.0.0.5",
                "netmask": "255.255.255.0",
                "gateway": "10.0.0.1",
                "ips": ["2001:db8::5/64", "10.0.0.5/24"],
                "gateways": ["fe80::1", "10.0.0.1"],
            },
        ),
        ({"ips": ["addrconf"]}, {"ips": ["addrconf"]}),
        (
            {"vlan_id": 5, "blocked_outgoing_ports": "25", "allowed_dhcp_cids": ["0x01"]},
            {
                "ips": [],
                "vlan_id": 5,
                "blocked_outgoing_ports": ["25"],
                "allowed_dhcp_cids": ["0x01"],
            },
        ),
        ({"vlan_id": 0}, {"ips": []}),
        (
            {"mtu": 1400, "allow_ip_spoofing": True, "allow_mac_spoofing": False},
            {"ips": [], "mtu": 1400, "allow_ip_spoofing": True},
        ),
    ],
)
def test_nics_have_both_spellings(nic: JsonObject, view: JsonObject) -> None:
    vm = made(nics=[{"nic_tag": "admin", "mac": "2:8:20:a:b:c", **nic}])
    common = {"nic_tag": "admin", "mac": "02:08:20:0a:0b:0c", "interface": "net0", "primary": True}
    assert vm_to_view(vm, {})["nics"] == [common | view]


@pytest.mark.parametrize(
    ("brand", "kind"), [("joyent", "OS"), ("joyent-minimal", "OS"), ("lx", "LX")]
)
def test_list_adds_type_and_ram(brand: str, kind: str) -> None:
    view = vm_to_view(made(brand=brand, ram=512), {})
    assert "ram" not in view
    assert vm_to_listed(view) == view | {"type": kind, "ram": 512}


def test_a_guest_has_its_own_rows() -> None:
    view = vm_to_view(VM(uuid=UUID, brand="kvm", ram=512), {})
    assert (view["hvm"], view["ram"], view["vcpus"], view["disks"]) == (True, 512, 1, [])
    assert not {"dns_domain", "tmpfs", "image_uuid", "bootrom"} & view.keys()
    assert vm_to_listed(view)["type"] == "KVM"


# -- records ------------------------------------------------------------------------------------


def test_a_record_holds_what_differs_from_the_defaults() -> None:
    vm = made(alias="web", autoboot=False, nics=[{"nic_tag": "admin", "ip": "dhcp"}])
    assert vm_to_record(vm) == {
        "v": 1,
        "brand": "joyent",
        "uuid": UUID,
        "alias": "web",
        "create_timestamp": NOW,
        "autoboot": False,
        "image_uuid": IMAGE,
        "nics": [{"nic_tag": "admin", "interface": "net0", "primary": True, "ips": ["dhcp"]}],
    }
    assert vm_from_record(vm_to_record(vm)) == vm


def test_a_record_may_hold_what_payloads_may_not() -> None:
    vm = replace(made(), firewall_enabled=True, nics=(Nic(nic_tag="admin", vlan_id=5),))
    assert vm_from_record(vm_to_record(vm)) == vm


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "version None, not 1"),
        ({}, "version None, not 1"),
        ({"v": 2, "brand": "joyent"}, "version 2, not 1"),
        ({"v": 1}, "unknown brand None"),
        ({"v": 1, "brand": "nope"}, "unknown brand nope"),
        ({"v": 1, "brand": "joyent", "quota": "x"}, "quota: must be a whole number"),
        ({"v": 1, "brand": "joyent", "quotas": 1}, "quotas: unknown property"),
        ({"v": 1, "brand": "joyent", "nics": [3]}, "nics[0]: must be an object"),
    ],
)
def test_corrupt_records(record: Json, message: str) -> None:
    with pytest.raises(Corrupt) as caught:
        vm_from_record(record)
    assert message in caught.value.message
