# SPDX-License-Identifier: MPL-2.0
"""Whatever is sent: InvalidPayload or a VM, and a VM reads back from its record and its view as it
was given. 2,000 payloads each for create and update, the same ones in every run."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hull.errors import InvalidPayload
from hull.model.nic import Nic
from hull.model.payload import decode_create, decode_update, validate
from hull.model.prop import BRANDS, OS, Kind, Prop, rows
from hull.model.record import to_json, vm_from_record, vm_to_record
from hull.model.table import payload_rows
from hull.model.view import vm_to_listed, vm_to_view
from hull.model.vm import VM
from hull.wire import Json, JsonObject

MANY = settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"

# -- anything -----------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["10.0.0.5", "10.0.0.5/24", "::1/0", A, "dhcp", "nics[0]", IMAGE, "\ud800"]),
)  # fmt: skip  # two lines of leaves
MEMBERS = sorted(set().union(*(rows(row.item) for row in rows(VM).values() if row.item)))
ANY: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(sorted(payload_rows())) | st.text(max_size=6)
JUNK: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, ANY, max_size=3)
JUNK_TOO = st.tuples(JUNK, st.just(value=False))
UNKNOWN: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=6).filter(lambda name: name not in payload_rows()), ANY, max_size=2
)

# -- what must be accepted ------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12)
FLAT: st.SearchStrategy[Any] = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.integers() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=8),
    max_size=3,
)
ROUTES: st.SearchStrategy[Any] = st.dictionaries(
    st.builds("10.{}.0.0/16".format, st.integers(0, 255)), st.just("10.0.0.1"), max_size=3
)
ADDRESSES = st.builds("10.{}.0.{}/24".format, st.integers(0, 255), st.integers(1, 254))
NIC: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"nic_tag": st.sampled_from(["admin", "external"])},
    optional={
        "ips": st.lists(ADDRESSES | st.sampled_from(["dhcp", "addrconf"]), max_size=1),
        "primary": st.just(value=True),
        "vlan_id": st.integers(1, 4094),
        "mtu": st.integers(576, 9000),
        "network_uuid": st.just(IMAGE),
        "allowed_ips": st.lists(ADDRESSES, max_size=3),
        "allow_ip_spoofing": st.just(value=True),
        "allowed_dhcp_cids": st.lists(st.sampled_from(["0x01", "0xabCD"]), min_size=1, max_size=3),
        "blocked_outgoing_ports": st.lists(st.integers(1, 65535).map(str), min_size=1, max_size=3),
    },
)
FILESYSTEM: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "source": st.builds("/{}".format, WORDS),
        "target": st.builds("/{}".format, WORDS),
        "type": st.just("lofs"),
        "options": st.lists(WORDS, max_size=2),
    },
    optional={"raw": st.just("/dev/dsk/x")},
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "brand": st.sampled_from([brand for brand, letter in BRANDS.items() if letter in OS]),
    "hostname": st.sampled_from(["a", "web-1", "a.b"]),
    "dns_domain": st.sampled_from(["a", "example.com"]),
    "init_name": st.just("/sbin/init"),
    "resolvers": st.sampled_from([[], ["8.8.8.8"], ["8.8.8.8", "::2"]]),
    "internal_metadata_namespaces": st.sampled_from([[], ["a"], ["a", "b"]]),
    "limit_priv": st.sampled_from([["default"], ["default", "-proc_fork"]]),
    "cpu_cap": st.integers(1, 10000),
    "cpu_shares": st.integers(0, 65535),
    "max_physical_memory": st.integers(16, 1 << 20),
    "max_lwps": st.integers(16, 1 << 20),
    "zpool": st.just("zones"),
    "routes": ROUTES,
    "set_routes": ROUTES,
    "nics": st.lists(NIC, max_size=1),
    "add_nics": st.lists(NIC, max_size=1),
    "filesystems": st.lists(FILESYSTEM, max_size=1),
    "add_filesystems": st.lists(FILESYSTEM, max_size=1),
    "remove_nics": st.sampled_from([[], [B]]),
    "update_nics": st.sampled_from([[], [{"mac": A, "mtu": 1400}]]),
}
# Other names, what Hull fills in, what follows from others; and what is tried with good forms only.
LEFT_OUT = {"zonename", "ram", "dataset_uuid", "zfs_storage_pool_name", "update_filesystems"}
# Never shown, or moved by the rules between properties.
NOT_READ_BACK = {
    "image_uuid", "max_locked_memory", "max_swap", "tmpfs", "zfs_data_recsize", "delegate_dataset",
    "zfs_data_compression", "indestructible_delegated", "restart_init", "mdata_exec_timeout",
    "internal_metadata_namespaces", "nowait",
}  # fmt: skip  # a list of words


def good(name: str, row: Prop) -> st.SearchStrategy[Any]:
    """Values of a property that any OS brand must take, as `vmadm get` would print them."""
    if name in GOOD:
        return GOOD[name]
    match row.kind:
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.INTEGER if row.choices:
            return st.sampled_from([choice for choice in row.choices if choice])
        case Kind.INTEGER:
            return st.integers(row.minimum, row.maximum or (1 << 53))
        case Kind.UUID:
            return st.uuids().map(str)
        case Kind.LIST:
            return st.lists(WORDS, max_size=3)
        case Kind.FLAT_OBJECT:
            return FLAT
        case _:
            return st.sampled_from(row.choices) if row.choices else WORDS


class Sent(NamedTuple):
    payload: JsonObject
    good: JsonObject  # the part of it that must be taken if any is
    must: bool  # nothing else is in it that counts


def mixed(action: str, **always: Json) -> st.SearchStrategy[Sent]:
    """Some good properties, some unknown ones, and at times anything."""
    table = {
        name: row
        for name, row in payload_rows().items()
        if all(row.allows(letter, action) for letter in OS) and name not in LEFT_OUT
    }
    names = st.lists(st.sampled_from(sorted(table)), max_size=6, unique=True)
    goods = names.flatmap(lambda some: st.fixed_dictionaries({n: good(n, table[n]) for n in some}))
    junk = st.one_of(*(st.tuples(UNKNOWN, st.just(value=True)) for _ in range(3)), JUNK_TOO)
    return st.builds(lambda a, b: Sent({**b[0], **a, **always}, a, b[1]), goods, junk)


def read_back(vm: VM, sent: JsonObject, view: JsonObject) -> None:
    """The view says what was sent, and the record keeps what the view says."""
    assert vm_from_record(vm_to_record(vm)) == vm
    for name in sent.keys() & rows(VM).keys() - NOT_READ_BACK - {"nics"}:
        row = rows(VM)[name]
        value, unset = sent[name], to_json(row.initial)
        if row.joined:
            assert isinstance(value, list)
            value, unset = ",".join(map(str, value)), ""
        assert view.get(name, unset) == value, name


def assert_explained(sent: Sent, error: InvalidPayload) -> None:
    assert not sent.must, str(error)
    assert error.problems
    assert all(problem.message for problem in error.problems)


@MANY
@given(mixed("c", image_uuid=IMAGE))
def test_create(sent: Sent) -> None:
    try:
        vm, warnings = decode_create(sent.payload)
    except InvalidPayload as exc:
        assert_explained(sent, exc)
        return
    assert not {each.path for each in warnings} & sent.good.keys() - NOT_READ_BACK
    vm = replace(vm, uuid=vm.uuid or IMAGE, nics=with_macs(vm.nics))
    view = vm_to_view(vm, {})
    read_back(vm, sent.good, view)
    nics = sent.good.get("nics")
    for asked, shown in zip(nics if isinstance(nics, list) else [], to_list(view), strict=True):
        assert isinstance(asked, dict)
        assert [shown.get(name, []) for name in asked] == list(asked.values())
    assert decode_update({}, vm) == (vm, [])
    assert sum(nic.primary for nic in vm.nics) == bool(vm.nics)
    # What no view shows only matters to the create itself.
    seen = replace(vm, mdata_exec_timeout=300, nowait=False)
    assert decode_create(creatable(view)).vm == seen
    assert vm_to_listed(view)["ram"] == vm.max_physical_memory


def with_macs(nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
    """What model/complete.py adds."""
    return tuple(
        nic if nic.mac else replace(nic, mac=f"2a:00:00:00:00:{index:02x}")
        for index, nic in enumerate(nics)
    )


def to_list(view: JsonObject) -> list[dict[str, Json]]:
    nics = view["nics"]
    assert isinstance(nics, list)
    return [nic for nic in nics if isinstance(nic, dict)]


def creatable(view: JsonObject) -> JsonObject:
    """What get prints, create takes again, but for what only Hull says."""
    table = rows(VM)
    again = {
        name: value
        for name, value in view.items()
        if name in table and table[name].allows(BRANDS[str(view["brand"])], "c")
    }
    del again["zonename"]
    return again | ({"delegate_dataset": True} if "datasets" in view else {})


OLD = VM(
    uuid=IMAGE,
    image_uuid=IMAGE,
    nics=(
        Nic(nic_tag="admin", mac=A, interface="net0", primary=True, ips=("172.16.0.5/24",)),
        Nic(nic_tag="admin", mac=B, interface="net1"),
    ),
    tags={"a": 1},
    routes={"192.168.0.0/16": "nics[0]"},
)
MOVED = {"max_locked_memory", "max_swap", "tmpfs", "max_physical_memory", "ram"}


@MANY
@given(mixed("u"))
def test_update(sent: Sent) -> None:
    try:
        vm, _ = decode_update(sent.payload, OLD)
    except InvalidPayload as exc:
        assert_explained(sent, exc)
        return
    before = vm_to_view(OLD, {})
    vm = replace(vm, nics=with_macs(vm.nics))
    view = vm_to_view(vm, {})
    read_back(vm, sent.good, view)
    for name in ("tags", "routes", "customer_metadata", "internal_metadata"):
        said, shown = sent.good.get(f"set_{name}", {}), view[name]
        assert isinstance(said, dict)
        assert isinstance(shown, dict)
        assert said.items() <= shown.items()
    forms = {name.partition("_")[2] for name in sent.payload}
    for name in before.keys() - sent.payload.keys() - forms - MOVED - {"restart_init"}:
        assert view[name] == before[name], name
    assert {IMAGE} == {view["uuid"], view["image_uuid"]}


@given(ANY)
def test_a_payload_may_be_anything(payload: Json) -> None:
    with pytest.raises(InvalidPayload):
        decode_create(payload)


@pytest.mark.parametrize("brand", sorted(BRANDS))
@given(payload=JUNK)
def test_validate_always_answers(brand: str, payload: JsonObject) -> None:
    for action in ("create", "update"):
        verdict = validate(action, brand, payload)
        assert verdict.is_valid or verdict.problems
