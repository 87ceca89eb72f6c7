# SPDX-License-Identifier: MPL-2.0
"""Whatever is sent: InvalidPayload or a VM, and a VM survives its record and its view."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hull.errors import InvalidPayload, Problem
from hull.model.payload import decode_create, decode_update, validate
from hull.model.prop import BRANDS, Kind, rows
from hull.model.record import vm_from_record, vm_to_record
from hull.model.table import payload_rows
from hull.model.view import vm_to_listed, vm_to_view
from hull.model.vm import VM
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["10.0.0.5", "10.0.0.5/24", "::1/0", "2:0:0:0:0:1", "dhcp", IMAGE, "\ud800"]),
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
PAYLOADS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, ANY, max_size=5)

ADDRESSES = st.builds(
    "10.{}.{}.{}/24".format, st.integers(0, 3), st.integers(0, 9), st.integers(1, 254)
)
NICS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"nic_tag": st.sampled_from(["admin", "external"])},
    optional={
        "ips": st.lists(ADDRESSES | st.sampled_from(["dhcp", "addrconf"]), max_size=3, unique=True),
        "primary": st.booleans(),
        "mtu": st.integers(576, 9000),
        "allow_ip_spoofing": st.booleans(),
        "mac": st.builds("2:0:0:0:0:{:x}".format, st.integers(0, 255)),
    },
)
GOOD: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"image_uuid": st.just(IMAGE), "brand": st.sampled_from(["joyent", "joyent-minimal", "lx"])},
    optional={
        "alias": st.text(st.characters(categories=["L", "N"]), max_size=12),
        "autoboot": st.sampled_from([True, False, "true", "false", 1]),
        "max_physical_memory": st.integers(16, 1 << 20),
        "ram": st.integers(16, 1 << 20).map(str),
        "tmpfs": st.integers(0, 1 << 20),
        "max_swap": st.integers(256, 1 << 20),
        "quota": st.integers(0, 1000) | st.just(""),
        "tags": st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=4), st.integers() | st.booleans()
        ),
        "resolvers": st.sampled_from([[], ["8.8.8.8"], "8.8.8.8,::2"]),
        "nics": st.lists(NICS, max_size=3),
    },
)


def outcome(decode: Callable[[Json], VM], payload: Json) -> VM | tuple[Problem, ...]:
    """The VM or the problems; anything else is a failure."""
    try:
        return decode(payload)
    except InvalidPayload as exc:
        return exc.problems


@given(ANY | PAYLOADS)
def test_create_gives_a_vm_or_names_the_problems(payload: Json) -> None:
    vm = outcome(decode_create, payload)
    if isinstance(vm, VM):
        assert vm_from_record(vm_to_record(vm)) == vm
    else:
        assert vm
        assert all(problem.message for problem in vm)


@given(PAYLOADS)
def test_update_gives_a_vm_or_names_the_problems(payload: JsonObject) -> None:
    vm = outcome(lambda payload: decode_update(payload, VM(uuid=IMAGE)), payload)
    assert vm
    if isinstance(vm, VM):
        assert vm_from_record(vm_to_record(vm)) == vm
        assert vm_to_view(vm, {})["uuid"] == IMAGE


@pytest.mark.parametrize("brand", sorted(BRANDS))
@given(payload=PAYLOADS)
def test_validate_always_answers(brand: str, payload: JsonObject) -> None:
    validate("create", brand, payload)
    validate("update", brand, payload)


@given(GOOD)
def test_accepted_payloads_survive_record_and_view(payload: JsonObject) -> None:
    decoded = outcome(decode_create, payload)
    assume(isinstance(decoded, VM))  # not two nics alike
    assert isinstance(decoded, VM)
    named = (replace(nic, mac=f"2a:00:00:00:00:0{index}") for index, nic in enumerate(decoded.nics))
    vm = replace(decoded, nics=tuple(named))
    assert vm_from_record(vm_to_record(vm)) == vm
    assert decode_update({}, vm) == vm
    assert sum(nic.primary for nic in vm.nics) == bool(vm.nics)
    assert len({nic.interface for nic in vm.nics}) == len(vm.nics)
    view = vm_to_view(vm, {})
    # What get prints, create takes again, but for what only Hull says.
    table = rows(VM)
    again = {
        name: value
        for name, value in view.items()
        if name in table and table[name].allows(BRANDS[vm.brand], "c")
        if value or table[name].kind is not Kind.UUID
    }
    del again["zonename"]
    assert decode_create(again) == vm
    assert vm_to_listed(view)["ram"] == vm.max_physical_memory
