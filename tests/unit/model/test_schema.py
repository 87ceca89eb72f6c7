# SPDX-License-Identifier: MPL-2.0
"""The JSON Schema: valid as such, and never more generous than the decoder can explain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hull.model.payload import validate
from hull.model.prop import Prop
from hull.model.schema import vm_schema
from hull.model.table import payload_rows
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
CREATE = Draft202012Validator(vm_schema("create"))
UPDATE = Draft202012Validator(vm_schema("update"))


@pytest.mark.parametrize("action", ["create", "update"])
def test_it_is_a_schema(action: str) -> None:
    Draft202012Validator.check_schema(vm_schema(action))


@pytest.mark.parametrize(
    "payload",
    [
        {"image_uuid": IMAGE},
        {"dataset_uuid": IMAGE},
        {"image_uuid": IMAGE, "brand": "lx", "kernel_version": "6.1"},
        {"image_uuid": IMAGE, "tags": {"a": 1}, "nics": [{"nic_tag": "admin", "ip": "dhcp"}]},
        {"image_uuid": IMAGE, "firewall_enabled": True, "routes": {"10.0.0.0/8": "10.1.1.1"}},
        {"image_uuid": IMAGE, "nics": [{"nic_tag": "a", "vlan_id": 3}]},
        {
            "image_uuid": IMAGE,
            "filesystems": [{"source": "/a", "target": "/b", "type": "lofs", "options": ["ro"]}],
        },
    ],
)
def test_accepted(payload: JsonObject) -> None:
    assert CREATE.is_valid(payload)
    assert validate("create", "", payload).is_valid


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"image_uuid": "x"},
        {"image_uuid": IMAGE, "brand": "kvm"},
        {"image_uuid": IMAGE, "brand": "joyent", "kernel_version": "6.1"},
        {"image_uuid": IMAGE, "quota": -1},
        {"image_uuid": IMAGE, "max_swap": 255},
        {"image_uuid": IMAGE, "hostname": "a b"},
        {"image_uuid": IMAGE, "foo": 1},
        {"image_uuid": IMAGE, "state": "running"},
        {"image_uuid": IMAGE, "set_tags": {}},
        {"image_uuid": IMAGE, "zpool": "tank"},
        {"image_uuid": IMAGE, "zfs_root_compression": "zstd"},
        {"image_uuid": IMAGE, "tags": {"a": {}}},
        {"image_uuid": IMAGE, "nics": [{}]},
        {"image_uuid": IMAGE, "nics": [{"nic_tag": "a", "vlan_id": 4096}]},
        {"image_uuid": IMAGE, "nics": [{"nic_tag": "a", "model": "virtio"}]},
    ],
)
def test_refused_by_both(payload: Json) -> None:
    assert not CREATE.is_valid(payload)
    assert not validate("create", "", payload).is_valid


def test_update() -> None:
    assert UPDATE.is_valid({"alias": "x", "set_tags": {"a": True}, "remove_nics": ["2:0:0:0:0:1"]})
    assert UPDATE.is_valid({"update_nics": [{"mac": "2:0:0:0:0:1", "mtu": 1400}]})
    assert not UPDATE.is_valid({"update_nics": [{"mtu": 1400}]})
    assert not UPDATE.is_valid({"tags": {}})


def values(row: Prop) -> st.SearchStrategy[Any]:
    """Simple values, near a row's limits and choices and away from them."""
    near = [row.minimum, row.maximum, *row.choices, row.default]
    return st.one_of(
        st.sampled_from([*near, "", None, True, 0, -1, "x", "10.0.0.1", [], ["10.0.0.1"], {}]),
        st.integers(-2, 5000),
        st.text(max_size=5),
        st.lists(st.text(max_size=5), max_size=2),
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2),
    )


ROWS = {name: row for name, row in payload_rows().items() if row.item is None}
PAYLOADS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(sorted(ROWS)), st.none(), max_size=4
).flatmap(lambda keys: st.fixed_dictionaries({key: values(ROWS[key]) for key in keys}))


@given(PAYLOADS)
def test_what_the_schema_accepts_the_decoder_accepts_or_explains(payload: dict[str, Any]) -> None:
    created = {"image_uuid": IMAGE, **payload}
    if CREATE.is_valid(created):
        for problem in validate("create", "", created).problems:
            assert problem.path.partition(".")[0] in created
            assert problem.message
    if UPDATE.is_valid(payload):
        for problem in validate("update", "joyent", payload).problems:
            assert problem.path.partition(".")[0] in payload
