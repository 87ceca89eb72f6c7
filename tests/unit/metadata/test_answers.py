# SPDX-License-Identifier: MPL-2.0
"""What a zone is told and may change."""

import json

import pytest

from hull.metadata.answers import (
    DONE,
    MAX_KEY,
    MAX_TOTAL,
    NOT_FOUND,
    Change,
    answer,
    delete,
    get,
    keys,
    put,
)
from hull.metadata.protocol import Answer, Code, Command, Verb
from hull.wire import Json, JsonObject

VM: JsonObject = {
    "uuid": "54e8b2b4-0b6d-4d6b-a1f5-9f5a9b6e4f1c",
    "alias": "nsa",
    "autoboot": True,
    "tmpfs": 256,
    "resolvers": ["8.8.8.8", "8.8.4.4"],
    "nics": [{"mac": "c2:00:00:00:00:01", "ip": "dhcp"}],
    "routes": {"10.0.0.0/8": "10.1.1.1"},
    "tags": {"role": "spy", "a.b": "dotted"},
    "internal_metadata_namespaces": ["ops"],
    "customer_metadata": {
        "user-script": "#!/bin/sh\n",
        "number": 3,
        "flag": True,
        "object": {"a": 1},
        "nothing": None,
        "shadowed_pw": "customer's",
        "ops:shadowed": "customer's",
        "free:key": "x",
        "sdc:fake": "x",
    },
    "internal_metadata": {
        "root_pw": "secret",
        "ops:ticket": "42",
        "operator-script": "#!/bin/operator",
        "private": "not for the zone",
    },
}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("user-script", "#!/bin/sh\n"),
        ("number", "3"),
        ("free:key", "x"),
        ("root_pw", "secret"),
        ("ops:ticket", "42"),
        ("sdc:alias", "nsa"),
        ("sdc:autoboot", "true"),
        ("sdc:tmpfs", "256"),
        ("sdc:resolvers", '["8.8.8.8", "8.8.4.4"]'),
        ("sdc:resolvers.1", "8.8.4.4"),
        ("sdc:nics.0.ip", "dhcp"),
        ("sdc:tags.role", "spy"),
        ("sdc:tags.a.b", "dotted"),
        ("sdc:customer_metadata.number", "3"),
        ("sdc:operator-script", "#!/bin/operator"),
    ],
)
def test_get(key: str, text: str) -> None:
    assert get(key, VM) == Answer(Code.SUCCESS, text)


@pytest.mark.parametrize(
    "key",
    [
        "absent",
        "nothing",
        "private",
        "operator-script",
        "shadowed_pw",
        "ops:shadowed",
        "sdc:",
        "sdc:fake",
        "sdc:absent",
        "sdc:volumes",
        "sdc:internal_metadata",
        "sdc:internal_metadata.private",
        "sdc:internal_metadata.root_pw",
        "sdc:nics.1.ip",
        "sdc:nics.0.absent",
        "sdc:nics.-1.ip",
        "sdc:nics.²",
        "sdc:nics.0000000000000000000000000000.mac",
        "sdc:resolvers.0.ip",
        "sdc:alias.0",
    ],
)
def test_get_what_is_not_there_or_not_for_the_zone(key: str) -> None:
    assert get(key, VM) == NOT_FOUND


@pytest.mark.parametrize("key", ["flag", "object"])
def test_values_that_are_no_text_fail(key: str) -> None:
    assert get(key, VM).code is Code.FAILURE


def test_objects_of_sdc_are_json() -> None:
    assert json.loads(get("sdc:nics", VM).text) == VM["nics"]
    assert json.loads(get("sdc:routes", VM).text) == [
        {"linklocal": False, "dst": "10.0.0.0/8", "gateway": "10.1.1.1"}
    ]


def test_a_route_to_neighbours_names_the_nic_by_its_address() -> None:
    nics: list[Json] = [{"ip": "dhcp"}, {"ip": "10.2.0.5"}]
    routes: JsonObject = {
        "10.3.0.0/16": "nics[1]",
        "10.4.0.0/16": "nics[0]",
        "10.5.0.0/16": "nics[7]",
        "10.6.0.0/16": "10.2.0.1",
    }
    assert json.loads(get("sdc:routes", VM | {"nics": nics, "routes": routes}).text) == [
        {"linklocal": True, "dst": "10.3.0.0/16", "gateway": "10.2.0.5"},
        {"linklocal": False, "dst": "10.6.0.0/16", "gateway": "10.2.0.1"},
    ]


def test_volumes_come_from_the_operators_metadata() -> None:
    vm = VM | {"internal_metadata": {"sdc:volumes": '[{"name": "v"}]'}}
    assert get("sdc:volumes", vm).text == '[{"name": "v"}]'


def test_keys_are_those_that_get_finds() -> None:
    listed = keys(VM)
    assert listed == [
        "user-script",
        "number",
        "flag",
        "object",
        "nothing",
        "free:key",
        "root_pw",
        "ops:ticket",
    ]
    assert answer(Command(Verb.KEYS), VM) == Answer(Code.SUCCESS, "\n".join(listed))


def test_a_vm_without_metadata() -> None:
    assert get("a", {}) == NOT_FOUND
    assert keys({}) == []
    assert put("a", "b", {}) == Change("customer_metadata", "a", "b")


def test_put_and_delete_say_what_to_update() -> None:
    change = put("color", "red", VM)
    assert isinstance(change, Change)
    assert change.payload == {"set_customer_metadata": {"color": "red"}}
    change = put("admin_pw", "x", VM)
    assert isinstance(change, Change)
    assert change.payload == {"set_internal_metadata": {"admin_pw": "x"}}
    change = delete("number", VM)
    assert isinstance(change, Change)
    assert change.payload == {"remove_customer_metadata": ["number"]}


def test_an_empty_value_deletes() -> None:
    assert put("number", "", VM) == Change("customer_metadata", "number", None)
    assert put("absent", "", VM) == DONE
    assert delete("absent", VM) == DONE


@pytest.mark.parametrize("key", ["sdc:alias", "sdc:", "sdc", "ops:ticket", "a\nb", "k" * 1025])
def test_what_a_zone_may_not_write(key: str) -> None:
    for found in (put(key, "x", VM), put(key, "", VM), delete(key, VM)):
        assert isinstance(found, Answer)
        assert found.code is Code.FAILURE
    if key.startswith("sdc"):
        assert put(key, "x", VM) == Answer(Code.FAILURE, 'Cannot update the "sdc" Namespace.')


def test_a_zone_cannot_fill_the_disk() -> None:
    big = "x" * (MAX_TOTAL - 100)
    assert isinstance(put("k", big, {}), Change)
    vm: JsonObject = {"customer_metadata": {"k": big}}
    refused = put("other", "x" * 200, vm)
    assert isinstance(refused, Answer)
    assert refused.code is Code.FAILURE
    assert isinstance(put("k", big, vm), Change), "replacing a value does not count it twice"
    assert isinstance(put("k" * MAX_KEY, "x", {}), Change)
