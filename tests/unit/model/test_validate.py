# SPDX-License-Identifier: MPL-2.0
"""validate: SmartOS's three lists of names (facts/vmadm.md §6.1)."""

import pytest

from hull.model.payload import validate
from hull.wire import JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
SEED: JsonObject = {
    "brand": "joyent",
    "image_uuid": IMAGE,
    "max_physical_memory": 512,
    "max_swap": 512,
    "nics": [{"nic_tag": "admin", "ip": "dhcp", "primary": True}],
}


def report(action: str, brand: str, payload: JsonObject) -> JsonObject:
    verdict = validate(action, brand, payload)
    assert verdict.is_valid == (not any(verdict.report.values()))
    if not verdict.is_valid:
        assert verdict.problems
    return verdict.report


NOTHING: JsonObject = {"bad_values": [], "bad_properties": [], "missing_properties": []}


@pytest.mark.parametrize(
    ("action", "brand", "payload", "found"),
    [
        ("create", "", SEED, {}),
        ("create", "joyent", {"image_uuid": IMAGE}, {}),
        ("create", "", {}, {"missing_properties": ["image_uuid"]}),
        ("create", "", {"image_uuid": IMAGE, "quota": -1}, {"bad_values": ["quota"]}),
        ("create", "", {"image_uuid": IMAGE, "foo": 1}, {"bad_properties": ["foo"]}),
        ("create", "", {"image_uuid": IMAGE, "tags": {"a": {}}}, {"bad_values": ["tags"]}),
        (
            "create",
            "",
            {
                "image_uuid": IMAGE,
                "nics": [
                    {"nic_tag": "a", "vlan_id": 4096, "model": "virtio"},
                    {"nic_tag": "a", "vlan_id": 4096, "mtu": 575},
                    {"ip": "dhcp"},
                ],
            },
            {
                "bad_values": ["nics.*.vlan_id", "nics.*.mtu"],
                "bad_properties": ["nics.*.model"],
                "missing_properties": ["nics.2.nic_tag"],
            },
        ),
        # A setting without effect is no bad property.
        ("create", "", {"image_uuid": IMAGE, "zfs_data_recsize": 512}, {}),
        ("update", "joyent", {"quota": 20, "set_tags": {"a": 1}, "zfs_data_recsize": 512}, {}),
        ("update", "joyent", {"add_nics": [{}]}, {"missing_properties": ["add_nics.0.nic_tag"]}),
        ("update", "joyent", {"ram": 1}, {"bad_values": ["ram"]}),
        ("update", "lx", {"uuid": UUID, "nics": []}, {"bad_properties": ["uuid", "nics"]}),
        ("update", "lx", {"set_routes": {"a": "b"}}, {"bad_values": ["set_routes"]}),
        (
            "update",
            "lx",
            {"update_nics": [{"mac": "2:2:2:2:2:2", "mtu": 1}]},
            {"bad_values": ["nics.*.mtu"]},
        ),
    ],
)
def test_validate(action: str, brand: str, payload: JsonObject, found: JsonObject) -> None:
    assert report(action, brand, payload) == NOTHING | found


@pytest.mark.parametrize(("action", "brand"), [("create", ""), ("update", "nope")])
def test_validate_bad_brand(action: str, brand: str) -> None:
    assert report(action, brand, {"brand": "nope"}) == {"bad_brand": "nope"}


def test_an_update_cannot_add_to_what_it_replaces() -> None:
    (problem,) = validate("update", "lx", {"nics": [], "add_nics": []}).problems[:1]
    assert str(problem).startswith('nics: Cannot specify both "nics" and "add_nics"')
