# SPDX-License-Identifier: MPL-2.0
"""What a vnic may send, as elements of sets. What the rules do to frames: see integration."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.net.nictag import admin
from hull.net.protection import Protection, elements, own_addresses
from tests.datalink_contract import make_vnic

TAG = admin("3fa2")
VNIC = make_vnic("3fa2", TAG, 1)
PROTECTION = Protection("hull-3fa2", "h3fa2")


def sets(**changes: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    changed = replace(VNIC, **changes)  # type: ignore[arg-type]  # the test's choice
    for name, key in elements(changed, TAG):
        assert key.startswith(f'"{VNIC.link}"')
        found.setdefault(name, []).append(key.removeprefix(f'"{VNIC.link}"').removeprefix(" . "))
    return found


def test_a_vnic_has_its_mac_its_addresses_and_no_switch() -> None:
    assert TAG.address6
    found = sets()
    assert found["mac"] == ["02:08:20:00:00:01"]
    assert found["said_mac"] == ["0x020820000001"]
    assert found["v4"] == [str(VNIC.addresses[0].ip)]
    assert set(found["v6"]) == {str(VNIC.addresses[1].ip), "fe80::8:20ff:fe00:1"}
    assert hex(int(VNIC.addresses[1].ip)) in found["target"]
    assert set(found) == {"mac", "said_mac", "v4", "v6", "target", "unheard"}


def test_only_where_another_router_may_be_a_vnic_says_which_multicast_it_wants() -> None:
    elsewhere = replace(TAG, address=None, address6=None)
    assert "unheard" not in {name for name, _ in elements(VNIC, elsewhere)}


@pytest.mark.parametrize(
    ("switch", "lifted"),
    [
        ("allow_mac_spoofing", {"any_mac"}),
        ("allow_ip_spoofing", {"any_ip"}),
        ("allow_dhcp_spoofing", {"any_dhcp", "any_ip"}),
        ("allow_restricted_traffic", {"any_type"}),
    ],
)
def test_each_switch_lifts_its_protection(switch: str, lifted: set[str]) -> None:
    assert {name for name in sets(**{switch: True}) if name.startswith("any_")} == lifted


def test_blocks_are_intervals_and_swallow_what_lies_in_them() -> None:
    address = VNIC.addresses[0]
    found = sets(allowed=(str(address.network), "192.0.2.9", "2001:db8::/126"))
    assert found["v4_blocks"] == [str(address.network)]
    assert found["v4"] == ["192.0.2.9"]
    first = 0x20010DB8 << 96
    assert found["target_blocks"] == [f"{first:#x}-{first + 3:#x}"]


def test_addrconf_adds_the_address_made_from_the_mac() -> None:
    assert TAG.address6
    more = set(sets(autoconf=True)["v6"]) - set(sets()["v6"])
    assert [ip_network(text).subnet_of(TAG.address6.network) for text in more] == [True]  # type: ignore[arg-type]  # both are IPv6


blocks = st.tuples(st.ip_addresses(v=4), st.integers(8, 32)).map(
    lambda pair: str(ip_network(f"{pair[0]}/{pair[1]}", strict=False))
)


@given(st.lists(blocks, max_size=8))
def test_intervals_never_overlap(allowed: list[str]) -> None:
    # nft refuses a set whose intervals overlap.
    own = [n for n in own_addresses(replace(VNIC, allowed=tuple(allowed)), TAG) if n.version == 4]
    for number, network in enumerate(own):
        assert not any(network.overlaps(other) for other in own[number + 1 :])
    assert all(any(ip_network(text).subnet_of(n) for n in own) for text in allowed)  # type: ignore[arg-type]  # all are IPv4


def test_unload_works_whether_the_vnic_was_loaded_or_not() -> None:
    load = PROTECTION.load(VNIC, TAG).splitlines()
    unload = PROTECTION.unload(VNIC, TAG).splitlines()
    assert unload[: len(load)] == load
    assert unload[len(load) :] == [line.replace("add ", "delete ", 1) for line in load]


def test_the_rules_are_one_transaction_that_begins_anew() -> None:
    text = PROTECTION.rules()
    assert text.startswith("add table bridge hull-3fa2\ndelete table bridge hull-3fa2\n")
    assert 'iifname "h3fa2*" goto vnic' in text
    assert "%(" not in text


def test_blocked_ports_are_elements_too() -> None:
    assert sets(blocked_ports=(587, 25, 25))["blocked"] == ["25", "587"]


def test_a_change_names_only_what_differs() -> None:
    new = replace(VNIC, allow_ip_spoofing=True, blocked_ports=(25,))
    table = "bridge hull-3fa2"
    assert PROTECTION.change(VNIC, new, TAG).splitlines() == [
        f'add element {table} blocked {{ "{VNIC.link}" . 25 }}',
        f'add element {table} any_ip {{ "{VNIC.link}" }}',
    ]
    assert PROTECTION.change(new, VNIC, TAG).splitlines() == [
        f'delete element {table} blocked {{ "{VNIC.link}" . 25 }}',
        f'delete element {table} any_ip {{ "{VNIC.link}" }}',
    ]
