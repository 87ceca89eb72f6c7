# SPDX-License-Identifier: MPL-2.0
"""Updates: the forms of facts §7, the primary's election, memory that moves together (§6.3)."""

from dataclasses import replace
from typing import Any

import pytest

from hull.errors import InvalidPayload
from hull.model.disk import Filesystem
from hull.model.nic import Nic
from hull.model.payload import decode_update
from hull.model.vm import VM
from hull.wire import JsonObject

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
OLD = VM(
    uuid="59aaecb6-467d-4116-92bd-f31842d44c90",
    image_uuid="398deede-c025-11e3-8b24-f3ba141900bd",
    alias="web",
    max_physical_memory=512,
    max_locked_memory=256,
    max_swap=1024,
    max_shm_memory=512,
    tmpfs=128,
    tags={"role": "web", "tier": 1},
    customer_metadata={"user-script": "true"},
    nics=(
        Nic(nic_tag="admin", mac=A, interface="net0", primary=True, ips=("10.0.0.5/24",)),
        Nic(
            nic_tag="admin",
            mac=B,
            interface="net1",
            ips=("2001:db8::5/64", "192.168.1.5/24"),
            gateways=("fe80::1", "192.168.1.1"),
        ),
        Nic(nic_tag="admin", mac=C, interface="net2", ips=("9.9.9.9/24",)),
    ),
)


def problems(payload: JsonObject) -> list[str]:
    with pytest.raises(InvalidPayload) as caught:
        decode_update(payload, OLD)
    return [problem.path for problem in caught.value.problems]


def update(payload: JsonObject, old: VM = OLD) -> VM:
    return decode_update(payload, old).vm


def nic(payload: JsonObject, mac: str = B) -> Nic:
    """Nic `mac` after an update of its own."""
    vm = update({"update_nics": [{"mac": mac, **payload}]})
    return next(each for each in vm.nics if each.mac == mac)


def test_nothing_said_changes_nothing() -> None:
    assert update({}) == OLD


def test_scalars() -> None:
    vm = update({"alias": "db", "quota": "20", "autoboot": "false"})
    assert vm == replace(OLD, alias="db", quota=20, autoboot=False)


@pytest.mark.parametrize("nothing", [None, ""])
def test_unset(nothing: str | None) -> None:
    old = replace(OLD, quota=50, cpu_cap=100, dns_domain="example.com")
    payload: JsonObject = {"alias": nothing, "quota": nothing, "cpu_cap": nothing}
    vm = update(payload | {"dns_domain": nothing}, old)
    assert (vm.alias, vm.quota, vm.cpu_cap, vm.dns_domain) == ("", 10, None, "local")


@pytest.mark.parametrize(
    ("payload", "physical", "locked", "swap", "shm", "tmpfs"),
    [
        ({}, 512, 256, 1024, 512, 128),
        ({"max_physical_memory": 1024}, 1024, 768, 1536, 512, 256),
        ({"ram": 1024}, 1024, 768, 1536, 512, 256),
        ({"ram": 256}, 256, 0, 768, 512, 64),
        ({"ram": 127}, 127, 0, 639, 512, 32),
        ({"ram": 1024, "tmpfs": 10}, 1024, 768, 1536, 512, 10),
        ({"ram": 1024, "tmpfs": 2048}, 1024, 768, 1536, 512, 1024),
        ({"tmpfs": 1024}, 512, 256, 1024, 512, 512),
        ({"ram": 1024, "max_swap": 512}, 1024, 768, 1024, 512, 256),
        ({"max_locked_memory": 4096}, 512, 512, 1024, 512, 128),
        ({"max_swap": 300}, 512, 256, 512, 512, 128),
    ],
)
def test_memory(  # one column of the table each
    payload: JsonObject, physical: int, locked: int, swap: int, shm: int, tmpfs: int
) -> None:
    vm = update(payload)
    assert (vm.max_physical_memory, vm.max_locked_memory) == (physical, locked)
    assert (vm.max_swap, vm.max_shm_memory, vm.tmpfs) == (swap, shm, tmpfs)


def test_a_swap_that_was_raised_follows_memory() -> None:
    small = replace(OLD, max_physical_memory=128, max_locked_memory=128, max_swap=256)
    assert update({"ram": 512}, small).max_swap == 512
    assert update({"ram": 200}, small).max_swap == 328


@pytest.mark.parametrize("name", ["tags", "customer_metadata", "internal_metadata"])
def test_keys_are_set_and_removed(name: str) -> None:
    two: dict[str, Any] = {name: {"a": 1, "b": 2}}
    old = replace(OLD, **two)
    vm = update({f"set_{name}": {"b": 3, "c": "x"}, f"remove_{name}": ["a", "z"]}, old)
    assert getattr(vm, name) == {"b": 3, "c": "x"}
    assert getattr(old, name) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "payload",
    [
        {"tags": {}},
        {"nics": []},
        {"filesystems": []},
        {"uuid": "x"},
        {"brand": "lx"},
        {"image_uuid": OLD.image_uuid},
        {"state": "running"},
        {"mdata_exec_timeout": 5},
        {"remove_disks": ["/x"]},
        {"remove_nics": ["2:2:2:2:2:2"]},
        {"remove_filesystems": ["/srv"]},
        {"zfs_data_compression": "lz4"},
    ],
)
def test_dropped_with_a_warning(payload: JsonObject) -> None:
    vm, warnings = decode_update(payload, OLD)
    assert vm == OLD
    assert [each.path for each in warnings] == list(payload)


@pytest.mark.parametrize("payload", [{"max_physical_memory": 0}, {"quota": -1}])
def test_refused(payload: JsonObject) -> None:
    assert problems(payload) == list(payload)


# -- routes, file systems -------------------------------------------------------------------------


def test_routes_are_set_and_removed() -> None:
    old = replace(OLD, routes={"10.1.0.0/16": "10.0.0.1", "10.2.0.0/16": "nics[0]"})
    payload: JsonObject = {"set_routes": {"10.3.0.0/16": f"macs[{A}]"}}
    vm = update(payload | {"remove_routes": "10.1.0.0/16,10.9.0.0/16"}, old)
    assert vm.routes == {"10.2.0.0/16": "nics[0]", "10.3.0.0/16": f"macs[{A}]"}


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"set_routes": {"foo": "10.0.0.1"}}, "set_routes.foo"),
        ({"set_routes": {"10.0.0.0/8": "foo"}}, "set_routes.10.0.0.0/8"),
        ({"set_routes": {"10.0.0.0/8": "nics[3]"}}, "routes.10.0.0.0/8"),
        # A nic that a route leads to cannot go without it.
        ({"remove_nics": [A, B, C]}, "routes.10.2.0.0/16"),
    ],
)
def test_routes_refused(payload: JsonObject, path: str) -> None:
    old = replace(OLD, routes={"10.2.0.0/16": "nics[0]"})
    with pytest.raises(InvalidPayload) as caught:
        decode_update(payload, old)
    assert [problem.path for problem in caught.value.problems] == [path]


LOFS: JsonObject = {"source": "/a", "target": "/srv", "type": "lofs"}
SRV = Filesystem(source="/a", target="/srv", type="lofs")


@pytest.mark.parametrize(
    ("payload", "filesystems"),
    [
        ({}, (SRV,)),
        (
            {"add_filesystems": [LOFS | {"target": "/opt", "options": "ro"}]},
            (SRV, replace(SRV, target="/opt", options=("ro",))),
        ),
        (
            {"update_filesystems": [{"target": "/srv", "source": "/b"}]},
            (replace(SRV, source="/b"),),
        ),
        ({"remove_filesystems": ["/srv"]}, ()),
        (
            {"remove_filesystems": ["/srv"], "add_filesystems": [LOFS | {"source": "/c"}]},
            (replace(SRV, source="/c"),),
        ),
    ],
)
def test_filesystems(payload: JsonObject, filesystems: tuple[Filesystem, ...]) -> None:
    assert update(payload, replace(OLD, filesystems=(SRV,))).filesystems == filesystems


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"add_filesystems": [LOFS, LOFS]}, "add_filesystems"),
        ({"add_filesystems": [{"target": "/srv"}]}, "add_filesystems[0].source"),
        ({"update_filesystems": [{"source": "/b"}]}, "update_filesystems[0].target"),
        ({"update_filesystems": [{"target": "/b"}]}, "update_filesystems[0].target"),
    ],
)
def test_filesystems_refused(payload: JsonObject, path: str) -> None:
    assert path in problems(payload)


def test_docker_keeps_other_namespaces() -> None:
    old = replace(OLD, brand="lx", internal_metadata_namespaces=("a",))
    vm = update({"docker": "true"}, old)
    assert (vm.docker, vm.internal_metadata_namespaces) == (True, ("a", "docker"))


# -- nics ---------------------------------------------------------------------------------------


def test_add_nics() -> None:
    vm = update({"add_nics": [{"nic_tag": "ext", "ip": "dhcp"}]})
    assert vm.nics == (*OLD.nics, Nic(nic_tag="ext", ips=("dhcp",), interface="net3"))


def test_the_first_nic_is_primary() -> None:
    vm = update({"add_nics": [{"nic_tag": "ext"}]}, replace(OLD, nics=()))
    assert vm.nics == (Nic(nic_tag="ext", interface="net0", primary=True),)


def test_a_removed_number_is_free_again() -> None:
    vm = update({"remove_nics": [B], "add_nics": [{"nic_tag": "ext"}]})
    assert [each.interface for each in vm.nics] == ["net0", "net2", "net1"]


def test_removing_the_primary_elects_the_lowest_with_a_public_address() -> None:
    vm = update({"remove_nics": "2:0:0:0:0:A"})
    assert [(each.mac, each.primary) for each in vm.nics] == [(B, False), (C, True)]
    vm = update({"remove_nics": [C]})
    assert [each.primary for each in vm.nics] == [True, False]
    private = replace(OLD, nics=(OLD.nics[0], replace(OLD.nics[2], ips=()), OLD.nics[1]))
    vm = update({"remove_nics": [A]}, private)
    assert [each.mac for each in vm.nics if each.primary] == [B]


def test_removing_all() -> None:
    assert update({"remove_nics": [A, B, C]}).nics == ()


def test_a_new_primary_takes_it_from_the_old() -> None:
    vm = update({"update_nics": [{"mac": B, "primary": True}]})
    assert [each.primary for each in vm.nics] == [False, True, False]
    payload: JsonObject = {
        "update_nics": [{"mac": A, "mtu": 1400}],
        "add_nics": [{"nic_tag": "ext", "primary": True}],
    }
    assert [each.primary for each in update(payload).nics] == [False, False, False, True]


@pytest.mark.parametrize(
    ("payload", "ips"),
    [
        # ip alone rewrites ips, and stays in its network.
        ({"ip": "192.168.1.6"}, ("192.168.1.6/24", "2001:db8::5/64")),
        (
            {"ip": "172.16.0.6", "netmask": "255.255.0.0", "gateways": []},
            ("172.16.0.6/16", "2001:db8::5/64"),
        ),
        ({"netmask": "255.255.0.0"}, ("192.168.1.5/16", "2001:db8::5/64")),
        ({"ip": "dhcp"}, ("dhcp", "2001:db8::5/64")),
        ({"ip": "", "gateway": ""}, ("2001:db8::5/64",)),
        ({"ips": ["192.168.1.7/24"]}, ("192.168.1.7/24",)),
        ({"mtu": 1400}, ("2001:db8::5/64", "192.168.1.5/24")),
    ],
)
def test_addresses(payload: JsonObject, ips: tuple[str, ...]) -> None:
    assert nic(payload).ips == ips


@pytest.mark.parametrize(
    ("payload", "gateways"),
    [
        ({"gateway": "192.168.1.2"}, ("192.168.1.2", "fe80::1")),
        ({"gateway": ""}, ("fe80::1",)),
        ({"gateways": ["192.168.1.3"]}, ("192.168.1.3",)),
        ({"gateways": []}, ()),
    ],
)
def test_gateways(payload: JsonObject, gateways: tuple[str, ...]) -> None:
    assert nic(payload).gateways == gateways


def test_members_are_unset_by_null() -> None:
    old = replace(OLD, nics=(replace(OLD.nics[0], mtu=1400),))
    assert update({"update_nics": [{"mac": A, "mtu": None}]}, old).nics[0].mtu is None


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"update_nics": [{"mtu": 1400}]}, "update_nics[0].mac"),
        ({"update_nics": [{"mac": "2:2:2:2:2:2", "mtu": 1400}]}, "update_nics[0].mac"),
        ({"remove_nics": [B], "update_nics": [{"mac": B, "mtu": 1400}]}, "update_nics[0].mac"),
        ({"update_nics": [{"mac": A, "primary": False}]}, "update_nics[0].primary"),
        ({"update_nics": [{"mac": B, "primary": False}]}, "update_nics[0].primary"),
        ({"update_nics": [{"mac": B, "vrrp_vrid": 3}]}, "update_nics[0].vrrp_primary_ip"),
        (
            {"update_nics": [{"mac": B, "primary": True}, {"mac": C, "primary": True}]},
            "update_nics[1].primary",
        ),
        ({"add_nics": [{"nic_tag": "x", "mac": A}]}, "add_nics[0].mac"),
        ({"add_nics": [{"nic_tag": "x", "ips": ["9.9.9.9/8"]}]}, "add_nics[0].ips"),
        ({"update_nics": [{"mac": B, "ip": "172.16.0.6"}]}, "update_nics[0].netmask"),
        ({"update_nics": [{"mac": B, "ips": ["10.9.0.1/24"]}]}, "update_nics[0].gateways"),
        ({"add_nics": [{"ip": "dhcp"}]}, "add_nics[0].nic_tag"),
        ({"add_nics": {}}, "add_nics"),
    ],
)
def test_nics_refused(payload: JsonObject, path: str) -> None:
    assert problems(payload) == [path]


def test_a_virtual_router_changes_the_mac() -> None:
    payload: JsonObject = {"mac": C, "vrrp_vrid": 3, "vrrp_primary_ip": "10.0.0.5"}
    vm = update({"update_nics": [payload]})
    assert [each.mac for each in vm.nics] == [A, B, "00:00:5e:00:01:03"]
