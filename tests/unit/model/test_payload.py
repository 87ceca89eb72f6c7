# SPDX-License-Identifier: MPL-2.0
"""Payloads of create and validate: rules between properties, canonical form (facts §6.2, §6.3)."""

import pytest

from hull.errors import InvalidPayload
from hull.model.nic import Nic
from hull.model.payload import decode_create, validate
from hull.model.vm import VM
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
SEED: JsonObject = {
    "brand": "joyent",
    "image_uuid": IMAGE,
    "autoboot": True,
    "alias": "nsa-box",
    "hostname": "mirror-customer-information",
    "dns_domain": "nsa.gov",
    "resolvers": ["8.8.8.8"],
    "max_physical_memory": 512,
    "max_swap": 512,
    "nics": [{"nic_tag": "admin", "ip": "dhcp", "primary": True}],
}


def create(**payload: Json) -> VM:
    return decode_create({"image_uuid": IMAGE, **payload}).vm


def with_nics(*nics: JsonObject, brand: str = "joyent") -> tuple[Nic, ...]:
    return create(brand=brand, nics=[{"nic_tag": "admin", **nic} for nic in nics]).nics


def problems(**payload: Json) -> dict[str, str]:
    found = validate("create", "", {"image_uuid": IMAGE, **payload}).problems
    return {problem.path: f"{problem.message} ({problem.hint})" for problem in found}


def nic_problems(*nics: JsonObject) -> dict[str, str]:
    return problems(nics=[{"nic_tag": "admin", **nic} for nic in nics])


def test_the_seed() -> None:
    assert decode_create(SEED).vm == VM(
        brand="joyent",
        image_uuid=IMAGE,
        alias="nsa-box",
        hostname="mirror-customer-information",
        dns_domain="nsa.gov",
        resolvers=("8.8.8.8",),
        max_physical_memory=512,
        max_swap=512,
        max_locked_memory=512,
        max_shm_memory=512,
        tmpfs=512,
        nics=(Nic(nic_tag="admin", ips=("dhcp",), interface="net0", primary=True),),
    )


def test_the_smallest_payload() -> None:
    assert create() == VM(image_uuid=IMAGE)


@pytest.mark.parametrize("brand", [None, ""])
def test_brand_is_joyent_without_one(brand: Json) -> None:
    assert create(brand=brand).brand == "joyent"


@pytest.mark.parametrize(
    ("brand", "message"),
    [
        ("joyant", "did you mean `joyent`?"),
        ("docker", "use one of: joyent, joyent-minimal, builder, lx, kvm, bhyve"),
        (3, "unknown brand"),
        ({}, "unknown brand"),
        ("kvm", "needs the kvm brand, which Hull cannot run yet (it runs joyent, joyent-minimal,"),
        ("bhyve", "needs the bhyve brand"),
    ],
)
def test_brand_refused(brand: Json, message: str) -> None:
    found = problems(brand=brand)
    assert list(found) == ["brand"]
    assert message in found["brand"]


# -- other names --------------------------------------------------------------------------------


def test_dataset_uuid_is_image_uuid() -> None:
    vm = decode_create({"dataset_uuid": IMAGE}).vm
    assert (vm.image_uuid, vm.dataset_uuid) == (IMAGE, "")
    assert problems(dataset_uuid=IMAGE) == {}
    assert list(problems(dataset_uuid=UUID)) == ["dataset_uuid"]


def test_zpool_has_another_name() -> None:
    vm = create(zfs_storage_pool_name="zones")
    assert (vm.zpool, vm.zfs_storage_pool_name) == ("zones", "")


def test_zonename_is_the_uuid() -> None:
    assert create(uuid=UUID, zonename=UUID).zonename == UUID
    assert list(problems(zonename=UUID)) == ["zonename"]
    assert list(problems(uuid=UUID, zonename="web")) == ["zonename"]


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "physical", "locked", "swap", "tmpfs"),
    [
        ({}, 256, 256, 256, 256),
        ({"ram": 512}, 512, 512, 512, 512),
        ({"ram": 512, "max_physical_memory": 1024}, 1024, 1024, 1024, 1024),
        ({"max_physical_memory": 128}, 128, 128, 256, 128),
        ({"max_physical_memory": 512, "max_swap": 256}, 512, 512, 512, 512),
        ({"max_physical_memory": 512, "max_swap": 1024}, 512, 512, 1024, 512),
        ({"max_physical_memory": 512, "max_locked_memory": 1024}, 512, 512, 512, 512),
        ({"max_physical_memory": 512, "max_locked_memory": 64}, 512, 64, 512, 512),
        ({"max_physical_memory": 512, "tmpfs": 0}, 512, 512, 512, 0),
        ({"max_physical_memory": 512, "tmpfs": 1024}, 512, 512, 512, 512),
        ({"max_physical_memory": 512, "max_swap": None}, 512, 512, 512, 512),
    ],
)
def test_memory(payload: JsonObject, physical: int, locked: int, swap: int, tmpfs: int) -> None:
    vm = create(**payload)
    assert vm.ram is None
    assert (vm.max_physical_memory, vm.max_locked_memory) == (physical, locked)
    assert (vm.max_swap, vm.tmpfs) == (swap, tmpfs)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"max_physical_memory": 0}, "0 MiB is too little for a zone to boot (use 16 MiB or more)"),
        ({"ram": 15}, "15 MiB is too little"),
        ({"max_lwps": 0}, "0 is too little"),
    ],
)
def test_too_little(payload: JsonObject, message: str) -> None:
    (name,) = payload  # it is named as the payload has it
    assert message in problems(**payload)[name]


def test_no_cpu_cap_and_too_many_shares() -> None:
    assert create(cpu_cap=0).cpu_cap is None
    assert create(cpu_cap="").cpu_cap is None
    assert create(cpu_cap=150).cpu_cap == 150
    assert create(cpu_shares=100000).cpu_shares == 65535


def test_recsize_0_is_the_default() -> None:
    assert create(zfs_root_recsize=131072).zfs_root_recsize == 131072


# -- nics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nic", "ips", "gateways"),
    [
        ({}, (), ()),
        ({"ip": "dhcp"}, ("dhcp",), ()),
        ({"ips": ["dhcp", "addrconf"]}, ("dhcp", "addrconf"), ()),
        ({"ip": "10.0.0.5", "netmask": "255.255.255.0"}, ("10.0.0.5/24",), ()),
        (
            {"ip": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"},
            ("10.0.0.5/24",),
            ("10.0.0.1",),
        ),
        (
            {"ips": ["10.0.0.5/24", "2001:DB8::5/64"], "gateways": ["10.0.0.1", "fe80::1"]},
            ("10.0.0.5/24", "2001:db8::5/64"),
            ("10.0.0.1", "fe80::1"),
        ),
        # Both spellings, as `vmadm get` prints them.
        (
            {
                "ip": "10.0.0.5",
                "netmask": "255.255.255.0",
                "gateway": "10.0.0.1",
                "ips": ["2001:db8::5/64", "10.0.0.5/24"],
                "gateways": ["10.0.0.1"],
            },
            ("2001:db8::5/64", "10.0.0.5/24"),
            ("10.0.0.1",),
        ),
        ({"ip": "dhcp", "ips": ["dhcp"]}, ("dhcp",), ()),
        ({"ip": "10.0.0.5", "ips": ["10.0.0.5/16"]}, ("10.0.0.5/16",), ()),
    ],
)
def test_addresses(nic: JsonObject, ips: tuple[str, ...], gateways: tuple[str, ...]) -> None:
    (decoded,) = with_nics(nic)
    assert (decoded.ips, decoded.gateways) == (ips, gateways)
    assert (decoded.ip, decoded.netmask, decoded.gateway) == ("", "", "")


@pytest.mark.parametrize(
    ("nic", "path", "message"),
    [
        ({"ip": "10.0.0.5"}, "netmask", 'add "netmask": "255.255.255.0"'),
        ({"netmask": "255.255.255.0"}, "ip", "required with netmask"),
        ({"ip": "10.0.0.0", "netmask": "255.255.255.0"}, "ip", "address of the network"),
        (
            {"ip": "10.0.0.6", "ips": ["10.0.0.5/24"]},
            "ip",
            "10.0.0.6/24 is not the first IPv4 of ips",
        ),
        ({"ip": "dhcp", "ips": ["10.0.0.5/24"]}, "ip", "dhcp is not the first IPv4 of ips"),
        (
            {"ips": ["10.0.0.5/24"], "gateway": "10.0.0.1", "gateways": ["10.0.0.2"]},
            "gateway",
            "is not the first IPv4 of gateways",
        ),
        (
            {"ips": ["10.0.0.5/24"], "gateway": "10.0.1.1"},
            "gateways",
            "10.0.1.1 is in no network of this nic",
        ),
        ({"gateways": ["2001:db8::1"], "ip": "dhcp"}, "gateways", "is in no network"),
        ({"ips": [f"10.0.{n}.1/24" for n in range(21)]}, "ips", "21 are too many (at most 20)"),
        (
            {"allowed_dhcp_cids": [f"0x{n:02x}" for n in range(21)]},
            "allowed_dhcp_cids",
            "21 are too many (at most 20)",
        ),
        (
            {"allowed_dhcp_cids": [f"0x{n:0100x}" for n in range(10)]},
            "allowed_dhcp_cids",
            "1029 characters are too many (at most 1023)",
        ),
        (
            {"allowed_ips": [f"10.0.{n}.1" for n in range(14)]},
            "allowed_ips",
            "14 are too many (at most 13)",
        ),
        (
            {
                "ips": [f"10.0.{n}.1/24" for n in range(20)],
                "allowed_ips": [f"10.1.{n}.1" for n in range(13)],
            },
            "allowed_ips",
            "33 with ips are too many (at most 32)",
        ),
        (
            {"ips": ["10.0.0.5/24", "10.0.0.5/16"]},
            "ips",
            "Cannot add multiple NICs with the same IP: 10.0.0.5 (nics[0] has it)",
        ),
    ],
)
def test_addresses_refused(nic: JsonObject, path: str, message: str) -> None:
    found = nic_problems(nic)
    assert list(found) == [f"nics[0].{path}"]
    assert message in found[f"nics[0].{path}"]


def test_one_mistake_is_one_problem() -> None:
    found = nic_problems({"ip": "10.0.0.5", "netmask": "255.0.255.0"}, {"ip": "10.0.0.6"})
    assert list(found) == ["nics[0].netmask", "nics[1].netmask"]


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ({"primary": True}, {"primary": True}, "nics[1].primary"),
        ({"mac": "2:8:20:AA:bb:cc"}, {"mac": "02:08:20:aa:bb:cc"}, "nics[1].mac"),
        ({"ips": ["10.0.0.5/24"]}, {"ips": ["10.0.0.5/16"]}, "nics[1].ips"),
        ({"interface": "net1"}, {"interface": "net1"}, "nics[1].interface"),
    ],
)
def test_nics_alike(first: JsonObject, second: JsonObject, path: str) -> None:
    assert list(nic_problems(first, second)) == [path]


def test_dhcp_twice_is_no_conflict() -> None:
    assert nic_problems({"ip": "dhcp"}, {"ip": "dhcp"}) == {}


@pytest.mark.parametrize(
    ("flags", "primary"),
    [([None, None], 0), ([False, True], 1), ([False, False], 0), ([True, None], 0)],
)
def test_exactly_one_nic_is_primary(flags: list[bool | None], primary: int) -> None:
    nics: list[JsonObject] = [{} if flag is None else {"primary": flag} for flag in flags]
    assert [nic.primary for nic in with_nics(*nics)] == [index == primary for index in (0, 1)]


def test_the_first_is_primary_even_if_another_has_a_public_address() -> None:
    nics = with_nics({"ips": ["10.0.0.5/24"]}, {"ips": ["9.9.9.9/24"]})
    assert [nic.primary for nic in nics] == [True, False]


def test_interfaces_take_the_lowest_free_number() -> None:
    nics = with_nics({}, {"interface": "net0"}, {}, {"interface": "wan"}, {})
    assert [nic.interface for nic in nics] == ["net1", "net0", "net2", "wan", "net3"]
    assert [nic.interface for nic in with_nics({}, {}, brand="lx")] == ["eth0", "eth1"]


def test_macs_have_one_spelling_and_dhcp_server_is_spoofing() -> None:
    (nic,) = with_nics({"mac": "2:8:20:AA:bb:cc", "dhcp_server": "true"})
    assert nic.mac == "02:08:20:aa:bb:cc"
    assert nic.allow_dhcp_spoofing


def test_three_mistakes_are_three_problems() -> None:
    with pytest.raises(InvalidPayload) as caught:
        decode_create({**SEED, "max_swap": 128, "vlan": 3, "nics": [{"ip": "10.0.0.1"}]})
    paths = [problem.path for problem in caught.value.problems]
    # What would be dropped is named, too, after what is wrong.
    assert paths == ["max_swap", "nics[0].nic_tag", "vlan"]


def test_what_does_not_fit_is_dropped_with_a_warning() -> None:
    vm, warnings = decode_create(
        {
            "image_uuid": IMAGE,
            "max_fysical_memory": 512,
            "vcpus": 2,
            "set_tags": {},
            "state": "running",
            "nics": [{"nic_tag": "admin", "model": "virtio", "foo": 1}],
        }
    )
    assert vm == create(nics=[{"nic_tag": "admin"}])
    assert [str(each) for each in warnings] == [
        "max_fysical_memory: unknown property (did you mean `max_physical_memory`?)",
        "vcpus: not for VMs of brand joyent (ignored; only for kvm, bhyve)",
        "set_tags: not allowed in create (ignored)",
        "state: is set by Hull, never by a payload (ignored)",
        "nics[0].model: not for VMs of brand joyent (ignored; only for kvm, bhyve)",
        "nics[0].foo: unknown property (ignored)",
    ]
