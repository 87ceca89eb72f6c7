# SPDX-License-Identifier: MPL-2.0
"""More vnics on one nic tag than a bridge has ports for: they all hear each other."""

import dataclasses
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

import pytest

from hull.linux.netlink import Netlink
from hull.net import bridges
from hull.net.datalink import Link, Vnic
from tests.datalink_contract import make_vnic
from tests.integration.net_fixtures import Lan, needs_netns, new_lan

pytestmark = needs_netns

MANY, PORTS = 40, 30


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with new_lan(tmp_path) as lan:
        yield lan


def numbered(lan: Lan, vnic: Vnic, number: int) -> Vnic:
    """Vnic `number` of many that one namespace holds."""
    mac = f"02:08:20:00:{number >> 8:02x}:{number & 255:02x}"
    addresses = (ip_interface(f"198.18.{number >> 8}.{number & 255}/32"),)
    return dataclasses.replace(
        vnic, link=f"h{lan.host_id}z{number}n0", interface=f"net{number}", mac=mac,
        addresses=addresses, gateways=(),
    )  # fmt: skip


def test_a_tag_has_as_many_bridges_as_it_needs(lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer ports than the kernel gives: `make bench` has a thousand zones."""
    monkeypatch.setattr(bridges, "MOST_VNICS", PORTS)
    links = lan.datalinks()
    links.up()
    tag = links.nic_tags()["admin"]
    first, crowd = make_vnic(lan.host_id, tag, 1), lan.namespace()
    here = lan.namespace()
    links.create_vnic(first, here.path)
    for number in range(2, MANY):
        links.create_vnic(numbered(lan, first, number), crowd.path)
    last = dataclasses.replace(
        make_vnic(lan.host_id, tag, 2), link=f"h{lan.host_id}z{MANY}n0", mac="02:08:20:00:ff:ff"
    )
    there = lan.namespace()
    links.create_vnic(last, there.path)
    assert len(links.links()) == MANY
    assert {link.nic_tag for link in links.links()} == {"admin"}
    assert len(masters(links.links())) == 2
    assert tag.address
    router = str(tag.address.ip)
    for zone, targets in ((here, (router, last)), (there, (router, first))):
        for target in targets:
            address = target if isinstance(target, str) else str(target.addresses[0].ip)
            assert zone.ping(address, wait=3), address

    links.up()  # a new hulld leaves them where they are
    assert len(masters(links.links())) == 2
    assert there.ping(router, wait=3)
    links.delete_vnic(last.link)
    links.down()
    with Netlink() as host:
        assert [link.name for link in host.links()] == ["lo"]


def masters(links: list[Link]) -> set[int]:
    names = {link.name for link in links}
    with Netlink() as host:
        return {link.master for link in host.links() if link.name in names}
