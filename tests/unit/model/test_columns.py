# SPDX-License-Identifier: MPL-2.0
"""Columns, filters and order of list and lookup (facts §3)."""

import pytest

from hull.errors import InvalidPayload
from hull.model.columns import (
    column,
    select,
    sort_views,
    value_of,
)
from hull.wire import JsonObject

NICS: list[JsonObject] = [
    {"mac": "02:08:20:aa:bb:cc", "ip": "10.0.0.5", "ips": ["10.0.0.5/24"], "primary": True},
    {"mac": "02:08:20:aa:bb:dd", "ip": "dhcp", "ips": ["dhcp", "addrconf"], "vlan_id": 7},
]
WEB: JsonObject = {
    "uuid": "1", "alias": "web0", "ram": 256, "type": "OS", "autoboot": True, "quota": 0,
    "tags": {"role": "web", "a.b": "dot", "n": 5}, "nics": [*NICS],
}  # fmt: skip  # a VM a paragraph
WIN: JsonObject = {
    "uuid": "2", "alias": "Win.Box", "ram": 4096, "type": "BHYVE", "autoboot": False, "quota": 30,
    "tags": {}, "nics": [],
}  # fmt: skip  # a VM a paragraph
BARE: JsonObject = {"uuid": "3", "ram": 256, "type": "OS", "tags": {"n": "5"}, "nics": []}
VIEWS = [WIN, BARE, WEB]


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("uuid", ("UUID", 36)),
        ("type", ("TYPE", 4)),
        ("ram", ("RAM", 7)),
        ("state", ("STATE", 16)),
        ("do_not_inventory", ("DNI", 5)),
        ("max_physical_memory", ("MAX_PHYS", 8)),
        ("nics.0.ip", ("NICS.0.IP", 20)),
        ("tags.role", ("TAGS.ROLE", 20)),
        ("customer_metadata.user-script", ("CUSTOMER_METADATA.USER-SCRIPT", 20)),
    ],
)
def test_column(key: str, header: tuple[str, int]) -> None:
    assert column(key) == header


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("foo", "invalid order field: foo"),
        ("", "invalid order field: "),
        ("nics", "invalid order field: nics"),
        ("resolvers", "invalid order field: resolvers"),
        ("nics.*.ip", 'Invalid order key: "nics.*.ip"'),
        ("nics.0.foo", 'Invalid order key: "nics.0.foo"'),
        ("nics.x.ip", 'Invalid order key: "nics.x.ip"'),
        ("alias.x", 'Invalid order key: "alias.x"'),
        ("tags.", 'Invalid order key: "tags."'),
    ],
)
def test_no_column(key: str, message: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        column(key)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alias", "web0"),
        ("tags.role", "web"),
        ("tags.a.b", "dot"),
        ("tags.none", None),
        ("nics.1.ip", "dhcp"),
        ("nics.2.ip", None),
        ("nics.0.vlan_id", None),
        ("disks.0.size", None),
        ("hostname", None),
    ],
)
def test_value_of(key: str, value: object) -> None:
    assert value_of(WEB, key) == value


@pytest.mark.parametrize(
    ("filters", "uuids"),
    [
        ([], "231"),
        (["alias=web0"], "1"),
        (["alias=WEB0"], ""),
        (["alias=~WEB"], "1"),
        (["alias=~^w"], "21"),
        (["alias=~w.*[o0]"], "21"),
        (["alias=~"], "21"),
        (["alias="], ""),
        (["ram=256"], "31"),
        (["ram=256", "alias=~."], "1"),
        (["autoboot=true"], "1"),
        (["autoboot=false"], "2"),
        (["quota=0"], "1"),
        (["type=OS"], "31"),
        (["type=BHYV"], "2"),
        (["type=BHYVE"], ""),
        (["tags.role=web"], "1"),
        (["tags.n=5"], "31"),
        (["tags.a.b=dot"], "1"),
        (["nics.*.ip=dhcp"], "1"),
        (["nics.0.ip=dhcp"], ""),
        (["nics.1.ip=dhcp"], "1"),
        (["nics.*.mac=2:8:20:AA:BB:DD"], "1"),
        (["nics.0.mac=2:8:20:AA:BB:DD"], ""),
        (["nics.*.vlan_id=7"], "1"),
        (["nics.*.primary=true"], "1"),
        (["nics.*.ips=dhcp,addrconf"], "1"),
        (["uuid=a=b"], ""),
    ],
)
def test_select(filters: list[str], uuids: str) -> None:
    assert "".join(str(view["uuid"]) for view in select(VIEWS, filters)) == uuids


@pytest.mark.parametrize("text", ["foo=1", "extra", "nics.*.foo=1", "nics.*=1", "tags=x", "=x"])
def test_bad_filter(text: str) -> None:
    key = text.partition("=")[0]
    with pytest.raises(InvalidPayload) as caught:
        select([], [text])
    assert caught.value.message == f'Invalid filter key: "{key}"'
    with pytest.raises(InvalidPayload) as caught:
        select([], [text], what="lookup")
    assert caught.value.message == f'Invalid lookup key: "{key}"'


def test_bad_regular_expression() -> None:
    with pytest.raises(InvalidPayload, match="Invalid regular expression"):
        select([], ["alias=~("])


@pytest.mark.parametrize(
    ("keys", "columns", "uuids"),
    [
        (["ram", "uuid"], ["uuid", "ram"], "132"),
        (["ram", "-uuid"], ["uuid", "ram"], "312"),
        (["-ram", "+uuid"], ["uuid", "ram"], "213"),
        # Only what is a column too takes effect.
        (["ram", "uuid"], ["uuid", "alias"], "123"),
        (["ram"], ["uuid"], "231"),
        # Missing, false and 0 come last.
        (["alias"], ["alias"], "213"),
        (["-alias"], ["alias"], "312"),
        (["quota"], ["quota"], "213"),
        (["autoboot"], ["autoboot"], "123"),
        # Numbers before strings.
        (["tags.n"], ["tags.n"], "132"),
    ],
)
def test_sort(keys: list[str], columns: list[str], uuids: str) -> None:
    ordered = sort_views(VIEWS, keys, columns)
    assert "".join(str(view["uuid"]) for view in ordered) == uuids


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("foo", "invalid sort field: foo"),
        ("-foo", "invalid sort field: foo"),
        ("", "invalid sort field: "),
        ("nics.*.ip", 'Invalid sort key: "nics.*.ip"'),
    ],
)
def test_bad_sort(key: str, message: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        sort_views([], [key], [])
    assert caught.value.message == message
