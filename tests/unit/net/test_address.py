# SPDX-License-Identifier: MPL-2.0
"""Leases: lowest free first, stable, released, never twice."""

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from hull.errors import Corrupt, HostError, NotFound
from hull.net.address import Leases

NETWORK = IPv4Interface("10.88.0.1/29")  # .2 to .6 to lease
U1, U2 = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
M1, M2, M3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def nobody(address: str) -> bool:
    """Has an address without a lease."""
    del address
    return False


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path / "network/admin.json", NETWORK, tmp_path / "served")


def hosts(tmp_path: Path) -> list[str]:
    return (tmp_path / "served/hosts").read_text().splitlines()


def test_the_lowest_free_address_skipping_those_in_use(leases: Leases) -> None:
    assert leases.lease(U1, M1, {"10.88.0.3", "fd00::1"}.__contains__) == IPv4Interface(
        "10.88.0.2/29"
    )
    assert leases.lease(U2, M2, {"10.88.0.3"}.__contains__) == IPv4Interface("10.88.0.4/29")
    assert str(leases.router) == "10.88.0.1"


def test_a_nic_keeps_its_address(leases: Leases, tmp_path: Path) -> None:
    first = leases.lease(U1, M1, nobody)
    assert leases.lease(U1, M1, nobody) == first
    again = Leases(tmp_path / "network/admin.json", NETWORK, tmp_path / "served")
    assert again.address(M1) == first


def test_release_gives_back_what_the_vm_had_and_no_more(leases: Leases, tmp_path: Path) -> None:
    leases.lease(U1, M1, nobody)
    leases.lease(U1, M2, nobody)
    kept = leases.lease(U2, M3, nobody)
    leases.keep(U1, {M2})
    with pytest.raises(NotFound, match=M1):
        leases.address(M1)
    assert leases.address(M2) == IPv4Interface("10.88.0.3/29")
    leases.release(U1)
    leases.release(U1)
    with pytest.raises(NotFound):
        leases.address(M2)
    assert leases.address(M3) == kept
    assert leases.lease(U2, M1, nobody) == IPv4Interface("10.88.0.2/29")
    assert hosts(tmp_path) == [f"{M3},10.88.0.4", f"{M1},10.88.0.2"]


def test_the_mac_of_a_vm_that_is_gone_goes_to_the_next(leases: Leases) -> None:
    leases.lease(U1, M1, nobody)
    new = leases.lease(U2, M1, nobody)
    leases.release(U1)
    assert leases.address(M1) == new


def test_an_exhausted_network_says_so_and_changes_nothing(leases: Leases) -> None:
    for number in range(5):
        leases.lease(U1, f"02:00:00:00:00:1{number}", nobody)
    with pytest.raises(HostError, match=r"10\.88\.0\.0/29") as failure:
        leases.lease(U2, M2, nobody)
    assert "static" in failure.value.hint
    with pytest.raises(NotFound):
        leases.address(M2)
    leases.release(U1)
    assert leases.lease(U2, M2, nobody) == IPv4Interface("10.88.0.2/29")


def test_two_at_once_never_get_the_same(leases: Leases, tmp_path: Path) -> None:
    network = IPv4Interface("10.88.0.1/24")
    path, served = tmp_path / "network/many.json", tmp_path / "served"

    def lease(number: int) -> IPv4Interface:
        mine = Leases(path, network, served)
        return mine.lease(f"{number:08}-0000-4000-8000-000000000000", f"02::{number}", nobody)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lease, range(40)))
    assert len(set(got)) == 40
    assert len(hosts(tmp_path)) == 40


@pytest.mark.parametrize("text", ["{}", "[]", '{"v": 2, "leases": []}', '{"v": 1, "leases": [{}]}'])
def test_a_file_that_is_no_list_of_leases(leases: Leases, tmp_path: Path, text: str) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network/admin.json").write_text(text)
    with pytest.raises(Corrupt, match=r"admin\.json"):
        leases.address(M1)
