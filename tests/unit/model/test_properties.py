# SPDX-License-Identifier: MPL-2.0
"""Whatever is sent: InvalidPayload or a VM, and a VM reads back from its record and its view as it
was given. 2,000 payloads each for create and update, the same ones in every run."""

from dataclasses import replace

import pytest
from hypothesis import given

from hull.errors import InvalidPayload
from hull.model.nic import Nic
from hull.model.payload import decode_create, decode_update, validate
from hull.model.prop import BRANDS, rows
from hull.model.record import to_json, vm_from_record, vm_to_record
from hull.model.view import vm_to_listed, vm_to_view
from hull.model.vm import VM
from hull.wire import Json, JsonObject
from tests.payloads import ANY, IMAGE, JUNK, MANY, NOT_READ_BACK, A, B, Sent, mixed


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
