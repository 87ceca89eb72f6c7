# SPDX-License-Identifier: MPL-2.0
"""nics.*.vlan_id: zones on different VLANs of one nic tag do not hear each other."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.errors import HostError
from hull.net.datalink import Vnic
from tests.datalink_contract import make_vnic
from tests.integration.net_fixtures import Lan, Namespace, needs_netns, new_lan

pytestmark = needs_netns


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with new_lan(tmp_path) as lan:
        yield lan


def test_vlans_are_apart(lan: Lan) -> None:
    """tests/lab runs this on a kernel that has them; one without makes no vnic on a VLAN."""
    links = lan.datalinks()
    links.up()
    tag = links.nic_tags()["admin"]
    if not tag.vlans:
        vnic = dataclasses.replace(make_vnic(lan.host_id, tag, 1), vlan_id=7)
        with pytest.raises(HostError):
            links.create_vnic(vnic, lan.namespace().path)
        assert links.links() == []
        return
    zones: list[tuple[Vnic, Namespace]] = []
    for number, vlan_id in enumerate((0, 0, 7, 7, 8), 1):
        vnic = dataclasses.replace(make_vnic(lan.host_id, tag, number), vlan_id=vlan_id)
        zones.append((vnic, lan.namespace()))
        links.create_vnic(vnic, zones[-1][1].path)
    links.up()  # a new hulld leaves them where they are
    assert tag.address
    for vnic, zone in zones:
        targets = {str(other.addresses[0].ip): other.vlan_id for other, _ in zones if other != vnic}
        targets[str(tag.address.ip)] = 0  # the host itself
        for address, vlan_id in targets.items():
            done = zone.run("ping", "-c1", "-W1", address)
            assert (done.returncode == 0) == (vlan_id == vnic.vlan_id), (vnic.link, address)


def test_a_bridge_that_was_there_is_made_to(lan: Lan) -> None:
    """Repeating `up`, as every start of hulld does, changes nothing for who is there."""
    links = lan.datalinks()
    links.up()
    before = links.nic_tags()["admin"]
    links.up()
    assert links.nic_tags()["admin"] == before
