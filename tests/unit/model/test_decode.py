# SPDX-License-Identifier: MPL-2.0
"""The decoder's type rules: facts/vmadm.md §6.1, row by row."""

from typing import Any

import pytest

from hull.errors import Problem
from hull.model.decode import Values, build, context, decode_values
from hull.model.prop import BRANDS, rows
from hull.model.vm import VM
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
OWNER = "00000000-0000-0000-0000-000000000000"


def decode(payload: Json, brand: str, action: str) -> tuple[Values, list[Problem]]:
    ctx = context(brand, action)
    return decode_values(payload, rows(VM), ctx), ctx.problems


def warnings(payload: Json, brand: str = "joyent", action: str = "create") -> dict[str, str]:
    """Path -> message and hint of what is dropped; nothing else may be wrong."""
    ctx = context(brand, action)
    values = decode_values(payload, rows(VM), ctx)
    assert ctx.problems == []
    assert [each.path for each in ctx.warnings] == ctx.unknown
    assert not values.keys() & ctx.unknown
    return {each.path: f"{each.message} ({each.hint})" for each in ctx.warnings}


def problems(payload: Json, brand: str = "joyent", action: str = "create") -> dict[str, str]:
    """Path -> message and hint of what is wrong; {} if nothing is."""
    _, found = decode(payload, brand, action)
    return {problem.path: f"{problem.message} ({problem.hint})" for problem in found}


TAKEN: list[tuple[str, Json, Any]] = [
    ("autoboot", True, True),
    ("autoboot", False, False),
    ("autoboot", "true", True),
    ("autoboot", "false", False),
    ("autoboot", 1, True),
    ("autoboot", "1", True),
    ("quota", 20, 20),
    ("quota", "20", 20),
    ("quota", 20.0, 20),
    ("quota", 0, 0),
    ("quota", None, 10),
    ("quota", "", 10),
    ("max_swap", 256, 256),
    ("alias", "x", "x"),
    ("alias", "", ""),
    ("alias", None, ""),
    ("alias", "größe ☃", "größe ☃"),
    ("owner_uuid", "notauuid", "notauuid"),
    ("billing_id", "notauuid", "notauuid"),
    ("owner_uuid", None, OWNER),
    ("uuid", IMAGE, IMAGE),
    ("resolvers", ["8.8.8.8", "2001:4860:4860::8888"], ("8.8.8.8", "2001:4860:4860::8888")),
    ("resolvers", "8.8.8.8, 1.1.1.1", ("8.8.8.8", "1.1.1.1")),
    ("resolvers", "", ()),
    ("resolvers", [], ()),
    ("internal_metadata_namespaces", ["a", 7], ("a", "7")),
    ("tags", {"a": "b", "n": 1, "f": 1.5, "t": True}, {"a": "b", "n": 1, "f": 1.5, "t": True}),
    ("tags", [], {}),
    ("tags", None, {}),
    ("zpool", "zones", "zones"),
    ("hostname", "mirror-customer-information", "mirror-customer-information"),
    ("firewall_enabled", "true", True),
    ("routes", {"10.0.0.0/8": "10.1.1.1"}, {"10.0.0.0/8": "10.1.1.1"}),
    ("limit_priv", "default,sys_time", ("default", "sys_time")),
    ("limit_priv", "", ("default",)),
    ("limit_priv", [], ("default",)),
    ("fs_allowed", ["nfs", "tmpfs"], ("nfs", "tmpfs")),
    ("fs_allowed", "", ()),
    ("zfs_io_priority", "50", 50),
    ("zfs_snapshot_limit", None, None),
    ("zfs_snapshot_limit", "7", 7),
    ("zfs_root_recsize", 0, 0),
    ("zlog_max_size", (1 << 63) - 1, (1 << 63) - 1),
    ("internal_metadata_namespaces", [1.5], ("1.5",)),
]


@pytest.mark.parametrize(("name", "raw", "value"), TAKEN)
def test_taken(name: str, raw: Json, value: object) -> None:
    values, found = decode({"image_uuid": IMAGE, name: raw}, "joyent", "create")
    assert found == []
    assert getattr(build(VM, values), name) == value


REFUSED: list[tuple[str, Json, str]] = [
    ("autoboot", 0, "must be true or false, not 0"),
    ("autoboot", "0", 'must be true or false, not "0"'),
    ("autoboot", "yes", 'not "yes"'),
    ("autoboot", None, "not null"),
    ("autoboot", "", 'not ""'),
    ("autoboot", [], "not []"),
    ("quota", -1, "at least 0 GiB, is -1 (use 0 GiB or more)"),
    ("quota", 1.5, "must be a whole number of GiB, not 1.5"),
    ("quota", "x", "must be a whole number of GiB"),
    ("quota", "10G", "write the number alone, without a unit"),
    ("quota", True, "must be a whole number"),
    ("quota", [1], "must be a whole number"),
    ("quota", 1 << 63, "at most 8589934591 GiB, is a very large number"),
    ("quota", "9" * 5000, "must be a whole number"),
    ("quota", float("nan"), "must be a whole number"),
    ("max_swap", 255, "at least 256 MiB, is 255 (use 256 MiB or more)"),
    ("max_swap", 0, "at least 256 MiB"),
    ("alias", 1, "must be a string, not 1 (put it in quotes)"),
    ("alias", True, "must be a string"),
    ("alias", {}, "must be a string"),
    ("alias", ["x"], "must be a string"),
    ("alias", "a\nb", "cannot be printed"),
    ("alias", "\ud800", "cannot be printed"),
    ("hostname", "two words", "it must match"),
    ("hostname", "x" * 64, "it must match"),
    ("dns_domain", "a\\b", "it must match"),
    ("init_name", "sbin/init", "it must match /.+"),
    ("uuid", IMAGE.upper(), "write it in lower case"),
    ("uuid", "", 'must be a UUID, not ""'),
    ("uuid", None, "must be a UUID, not null"),
    ("uuid", "x", "must be a UUID"),
    ("uuid", f"{IMAGE}\n", "must be a UUID"),
    ("resolvers", None, "must be a list, not null"),
    ("resolvers", {}, "must be a list, not {}"),
    ("resolvers", ["x"], '"x" is not an IP address'),
    ("resolvers", ["8.8.8.8,1.1.1.1"], "has a comma"),
    ("resolvers", [None], "members must be strings or numbers, not null"),
    ("resolvers", [""], "members must be strings or numbers"),
    ("resolvers", ["fe80::1%eth0"], "must not name a scope"),
    ("internal_metadata_namespaces", ["foo:bar"], "it must match"),
    ("internal_metadata_namespaces", ["a b"], "it must match"),
    ("tags", "x", "must be an object"),
    ("tags", ["x"], "must be an object"),
    ("nics", {}, "must be an array of objects"),
    ("nics", "x", "must be an array of objects"),
    ("zpool", "tank", 'there is no pool "tank" (use one of: zones)'),
    ("zpool", "", "there is no pool"),
    (
        "zfs_root_compression",
        "zstd",
        "invalid compression type for zstd, must be one of: on, off, gzip, gzip-1, gzip-2, gzip-3,",
    ),
    (
        "zfs_root_recsize",
        1000,
        "invalid zfs_root_recsize (1000), must be 512-131072 and a power of 2. (0 to disable)",
    ),
    ("zlog_max_size", 1 << 63, "at most"),
]

DROPPED: list[tuple[str, Json, str]] = [
    ("max_physcal_memory", 1, "unknown property (did you mean `max_physical_memory`?)"),
    ("xyzzy", 1, "unknown property (ignored)"),
    ("vcpus", 1, "not for VMs of brand joyent (ignored; only for kvm, bhyve)"),
    ("disks", [], "not for VMs of brand joyent"),
    ("vnc_port", 1, "not for VMs of brand joyent"),
    ("kernel_version", "3.13.0", "only for lx"),
    ("docker", True, "only for joyent-minimal, lx"),
    ("create_timestamp", "2026-01-01T00:00:00.000Z", "not allowed in create"),
    ("datasets", [], "not allowed in create"),
]


@pytest.mark.parametrize(("name", "raw", "message"), REFUSED)
def test_refused(name: str, raw: Json, message: str) -> None:
    found = problems({"image_uuid": IMAGE, name: raw})
    assert list(found) == [name]
    assert message in found[name]


@pytest.mark.parametrize(("name", "raw", "message"), DROPPED)
def test_dropped(name: str, raw: Json, message: str) -> None:
    found = warnings({"image_uuid": IMAGE, name: raw})
    assert list(found) == [name]
    assert message in found[name]


NIC_REFUSED: list[tuple[str, Json, str]] = [
    ("vlan_id", 4096, "at most 4095"),
    ("mtu", 575, "at least 576 bytes"),
    ("mtu", 9001, "at most 9000 bytes"),
    ("vrrp_vrid", 256, "at most 255"),
    ("mac", "x", "is not a MAC address"),
    ("mac", "01:00:5e:00:00:01", "multicast"),
    ("mac", "0:0:0:0:0:0", "is no address"),
    ("allowed_dhcp_cids", ["0x1"], "it must match"),
    ("nic_tag", "a b", "invalid or missing .nic_tag option for NIC: {"),
    ("blocked_outgoing_ports", [25, 0], '"0" is not a port'),
    ("blocked_outgoing_ports", "65536", "is not a port"),
    ("interface", "lo", "it must match"),
    ("interface", "a" * 16, "it must match"),
    ("ip", "10.0.0.300", '("10.0.0.300" is not an IP address)'),
    ("ip", "2001:db8::1", "is not an IPv4 address"),
    ("ip", "127.0.0.1", "is a loopback address"),
    ("ip", "224.0.0.1", "is a multicast address"),
    ("ip", "0.0.0.0", "is not the address of a host"),  # refused, not bound
    ("ip", "255.255.255.255", "reserved range"),
    ("netmask", "255.0.255.0", "is not a netmask"),
    ("netmask", "24", "is not a netmask"),
    ("ips", ["10.0.0.1"], "has no prefix length"),
    ("ips", ["10.0.0.1/33"], "is not ADDRESS/PREFIX"),
    ("ips", ["10.0.0.1/x"], "has no prefix length that is a number"),
    ("ips", ["10.0.0.0/24"], "is the address of the network itself"),
    ("ips", ["10.0.0.255/24"], "is the network's broadcast address"),
    ("ips", ["x/24"], "is not ADDRESS/PREFIX"),
    ("gateways", ["x"], "is not an IP address"),
    ("gateway", "2001:db8::1", "is not an IPv4 address"),
    ("allowed_ips", ["10.0.0.0/33"], "is not an IP address or CIDR block"),
]


@pytest.mark.parametrize(("name", "raw", "message"), NIC_REFUSED)
def test_nic_refused(name: str, raw: Json, message: str) -> None:
    member: JsonObject = {name: raw}
    found = problems({"image_uuid": IMAGE, "nics": [{"nic_tag": "admin", **member}]})
    assert list(found) == [f"nics[0].{name}"]
    assert message in found[f"nics[0].{name}"]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("foo", 1, "unknown property"),
        ("primry", True, "did you mean `primary`?"),
        ("model", "virtio", "only for kvm, bhyve"),
        ("allow_unfiltered_promisc", True, "only for kvm, bhyve"),
    ],
)
def test_nic_dropped(name: str, raw: Json, message: str) -> None:
    member: JsonObject = {name: raw}
    found = warnings({"image_uuid": IMAGE, "nics": [{"nic_tag": "admin", **member}]})
    assert list(found) == [f"nics[0].{name}"]
    assert message in found[f"nics[0].{name}"]


def test_all_problems_are_named_at_once() -> None:
    found = problems(
        {"quota": "x", "tags": {"a": {}, "b": None}, "nics": [{}, 3, {"nic_tag": "a", "mtu": 1}]}
    )
    assert set(found) == {
        "quota",
        "tags.a",
        "tags.b",
        "nics[0].nic_tag",
        "nics[1]",
        "nics[2].mtu",
        "image_uuid",
    }


def test_another_name_meets_the_requirement() -> None:
    assert problems({"dataset_uuid": IMAGE}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "uuid", "brand", "image_uuid", "zpool", "mdata_exec_timeout", "state", "delegate_dataset",
        "tags", "customer_metadata", "internal_metadata", "routes", "nics", "filesystems",
    ],
)  # fmt: skip  # a list of words
def test_update_drops(name: str) -> None:
    assert list(warnings({name: None}, action="update")) == [name]


@pytest.mark.parametrize("payload", [None, [], 3, "x", True])
def test_a_payload_is_an_object(payload: Json) -> None:
    assert "must be an object" in problems(payload)[""]


@pytest.mark.parametrize(
    ("brand", "payload"),
    [
        ("kvm", {"ram": 512, "vcpus": 2, "disks": [{"size": 10240, "model": "virtio"}]}),
        ("bhyve", {"ram": 512, "bootrom": "uefi", "nics": [{"nic_tag": "a", "model": "virtio"}]}),
    ],
)
def test_guests_are_decoded_although_no_brand_runs_them_yet(
    brand: str, payload: JsonObject
) -> None:
    assert problems(payload, brand=brand) == {}


@pytest.mark.parametrize(
    ("brand", "name", "raw"),
    [
        ("kvm", "resolvers", ["x"]),
        ("bhyve", "vcpus", 0),
        ("bhyve", "pci_devices", [{"path": "/x", "pci_slot": "1:2:3"}]),
        ("bhyve", "pci_devices", [{"path": "/devices/x"}]),
        ("bhyve", "disks", [{"size": 1, "refreservation": "auto"}]),
        ("bhyve", "disks", [{"size": 1, "guest_block_size": "1000"}]),
        ("bhyve", "disks", [{"size": 1, "uuid": "x"}]),
        ("bhyve", "disks", [{"size": 1, "block_size": 1000}]),
        ("kvm", "vnc_password", "123456789"),
    ],
)
def test_guests_refused(brand: str, name: str, raw: Json) -> None:
    found = problems({name: raw}, brand=brand)
    assert len(found) == 1
    assert next(iter(found)).startswith(name)


@pytest.mark.parametrize(
    ("brand", "name"),
    [
        ("bhyve", "tmpfs"),
        ("bhyve", "filesystems"),
        ("bhyve", "delegate_dataset"),
        ("bhyve", "package_name"),
        ("kvm", "bootrom"),
    ],
)
def test_guests_drop(brand: str, name: str) -> None:
    assert list(warnings({name: 1}, brand=brand)) == [name]


def test_brands_differ_in_what_they_take() -> None:
    assert set(BRANDS) == {"joyent", "joyent-minimal", "builder", "lx", "kvm", "bhyve"}
    assert problems({"image_uuid": IMAGE, "kernel_version": "6.1"}, brand="lx") == {}
