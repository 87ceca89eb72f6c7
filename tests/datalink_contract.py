# SPDX-License-Identifier: MPL-2.0
"""What every driver of the Datalinks port does. Each driver's test module inherits this class."""

import dataclasses
from collections.abc import Callable
from ipaddress import ip_interface

import pytest

from hull.errors import Exists, HostError, NotFound
from hull.net.datalink import Datalinks, NicTag, Route, Vnic

MAC = "02:08:20:00:00:{:02x}"


def make_vnic(host_id: str, tag: NicTag, number: int) -> Vnic:
    """Vnic `number`, from 1, of a network that the host routes."""
    assert tag.address
    assert tag.address6
    return Vnic(
        link=f"h{host_id}z{number}n0",
        interface="net0",
        mac=MAC.format(number),
        nic_tag=tag.name,
        addresses=(
            ip_interface(f"{tag.address.ip + number}/{tag.address.network.prefixlen}"),
            ip_interface(f"{tag.address6.ip + number}/{tag.address6.network.prefixlen}"),
        ),
        gateways=(str(tag.address.ip), str(tag.address6.ip)),
    )


class DatalinksContract:
    """Inherit, and give the fixtures `links` (a driver that is not up), `host_id`, `netns`."""

    @pytest.fixture
    def vnic(self, links: Datalinks, host_id: str) -> Vnic:
        return make_vnic(host_id, links.nic_tags()["admin"], 1)

    def test_a_vnic_is_listed_while_it_exists(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        assert links.links() == []
        links.create_vnic(vnic, netns())
        (link,) = links.links()
        assert (link.name, link.nic_tag, link.mac, link.up) == (vnic.link, "admin", vnic.mac, True)
        links.delete_vnic(vnic.link)
        assert links.links() == []

    def test_a_link_name_is_taken_once(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        links.create_vnic(vnic, netns())
        other = dataclasses.replace(vnic, mac="02:08:20:00:00:99")
        with pytest.raises(Exists, match=vnic.link):
            links.create_vnic(other, netns())
        assert [link.mac for link in links.links()] == [vnic.mac]

    def test_an_unknown_nic_tag_is_refused_by_name(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        with pytest.raises(NotFound, match='"external"'):
            links.create_vnic(dataclasses.replace(vnic, nic_tag="external"), netns())
        assert links.links() == []

    def test_a_host_that_is_down_makes_no_vnics(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        with pytest.raises(HostError) as failure:
            links.create_vnic(vnic, netns())
        assert "up" in failure.value.hint
        assert links.links() == []

    def test_deleting_what_is_not_there_is_no_error(self, links: Datalinks, vnic: Vnic) -> None:
        links.delete_vnic(vnic.link)
        links.up()
        links.delete_vnic(vnic.link)
        links.delete_vnic("lo")

    def test_up_again_keeps_the_vnics(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        links.create_vnic(vnic, netns())
        links.up()
        assert [link.name for link in links.links()] == [vnic.link]

    def test_down_takes_the_vnics_along_and_may_be_repeated(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.down()
        links.up()
        links.create_vnic(vnic, netns())
        links.down()
        assert links.links() == []
        links.down()
        links.up()
        links.create_vnic(vnic, netns())
        assert [link.name for link in links.links()] == [vnic.link]

    def test_protection_and_routes_change_and_nothing_else_does(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        place = netns()
        links.create_vnic(vnic, place)
        wanted = dataclasses.replace(
            vnic,
            mac="02:08:20:00:00:99",
            routes=(Route("192.0.2.0/24", vnic.gateways[0]), Route("198.51.100.0/24")),
            allowed=("203.0.113.0/24", "203.0.113.77"),
            allow_mac_spoofing=True,
            allow_ip_spoofing=True,
            blocked_ports=(25,),
        )
        for each in (wanted, wanted, vnic, wanted):
            links.change_vnic(each, place)
            assert [link.mac for link in links.links()] == [vnic.mac]
        links.up()  # what has changed is what a new hulld finds
        links.delete_vnic(vnic.link)

    def test_a_vnic_that_is_not_there_cannot_change(
        self, links: Datalinks, vnic: Vnic, netns: Callable[[], str]
    ) -> None:
        links.up()
        with pytest.raises(NotFound, match=vnic.link):
            links.change_vnic(vnic, netns())
