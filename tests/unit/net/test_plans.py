# SPDX-License-Identifier: MPL-2.0
"""What the kernel driver decides before it acts: names, NAT rules, dnsmasq's file, records."""

from dataclasses import replace
from ipaddress import IPv6Network, ip_interface
from pathlib import Path

import pytest

from hull.errors import Corrupt
from hull.net import dhcp, nat
from hull.net.datalink import NicTag, Vnic
from hull.net.kernel import default_routes, ipv6_settings
from hull.net.nictag import admin, eui64, link_name, stable_mac
from hull.net.record import Records, format_vnic, parse_vnic
from tests.datalink_contract import make_vnic

TAG = admin("3fa2")
VNIC = make_vnic("3fa2", TAG, 1)


def test_link_names_fit_and_differ() -> None:
    assert link_name("3fa2", "admin") == "h3fa2.admin"
    long = [link_name("3fa2", f"a_tag_that_is_long{n}") for n in range(50)]
    assert all(len(name) <= 15 and name.startswith("h3fa2.") for name in long)
    assert len(set(long)) == 50


def test_each_host_has_a_network_of_its_own_for_a_thousand_zones() -> None:
    tags = [admin(f"{number:04x}") for number in range(200)]
    networks = {tag.address.network for tag in tags if tag.address}
    assert len(networks) == 200
    assert all(n.num_addresses >= 1024 and str(n).startswith("10.") for n in networks)
    unique = {tag.address6.network for tag in tags if tag.address6}
    assert len(unique) == 200
    assert all(n.subnet_of(IPv6Network("fd00::/8")) and n.prefixlen == 64 for n in unique)
    assert admin("3fa2") == admin("3fa2")


def test_eui64() -> None:
    # RFC 4291, appendix A
    address = eui64("34:56:78:9a:bc:de", IPv6Network("fe80::/64"))
    assert address == ip_interface("fe80::3656:78ff:fe9a:bcde/64")


def test_a_made_up_mac_is_unicast_and_local() -> None:
    for name in ("h3fa2.admin", "h3fa2.inner"):
        assert int(stable_mac(name)[:2], 16) & 3 == 2


def test_nat_is_for_networks_that_this_host_routes() -> None:
    inner = NicTag(name="inner", link="h3fa2.inner")
    text = nat.rules("hull-3fa2", "h3fa2", (TAG, inner))
    assert TAG.address
    assert TAG.address6
    assert f"ip saddr {TAG.address.network} masquerade" in text
    assert f"ip6 saddr {TAG.address6.network} masquerade" in text
    assert 'oifname "h3fa2.admin" ct state new,invalid drop' in text
    assert "inner" not in text


def test_dnsmasq_serves_one_link_and_static_leases_only() -> None:
    lines = dhcp.config(TAG, Path("/run/x"), "dnsmasq").splitlines()
    assert TAG.address
    assert "interface=h3fa2.admin" in lines
    assert f"dhcp-range={TAG.address.network.network_address},static,255.255.252.0,12h" in lines
    assert "dhcp-hostsfile=/run/x/hosts" in lines
    assert "enable-ra" in lines
    only4 = dhcp.config(replace(TAG, address6=None), Path("/run/x"), "dnsmasq")
    assert "enable-ra" not in only4


def test_gateways_outside_every_prefix_are_onlink() -> None:
    def onlink(gateway: str) -> bool:
        (request,) = default_routes(replace(VNIC, gateways=(gateway,)), 2)
        return bool(int.from_bytes(request.body[8:12], "little") & 4)

    assert not onlink(VNIC.gateways[0])
    assert not onlink("fe80::1")
    assert onlink("192.0.2.1")
    assert onlink("2001:db8::1")


def test_a_zone_listens_to_router_advertisements_only_if_told() -> None:
    assert ipv6_settings(VNIC, TAG)["accept_ra"] == "0"
    assert ipv6_settings(replace(VNIC, autoconf=True), TAG)["accept_ra"] == "1"
    assert "dad_transmits" in ipv6_settings(VNIC, TAG)
    assert "dad_transmits" not in ipv6_settings(VNIC, replace(TAG, address6=None))


def test_a_vnic_comes_back_from_its_record() -> None:
    every = replace(
        VNIC, mtu=1400, autoconf=True, allowed=("192.0.2.0/24",), allow_mac_spoofing=True
    )
    for vnic in (VNIC, every, Vnic(link="a", interface="b", mac="c", nic_tag="d")):
        assert parse_vnic(format_vnic(vnic)) == vnic


def test_records_tell_whole_vnics_from_half_made_ones(tmp_path: Path) -> None:
    records = Records(tmp_path / "vnics")
    assert list(records.all()) == []
    second = replace(VNIC, link="h3fa2z2n0")
    records.begin(VNIC)
    records.begin(second)
    records.complete(second.link)
    assert list(records.all()) == [(VNIC, False), (second, True)]
    assert records.get(VNIC.link) == VNIC
    records.remove(VNIC.link)
    records.remove(VNIC.link)
    assert records.get(VNIC.link) is None
    (tmp_path / "vnics/h3fa2z3n0").write_text('{"link": "h3fa2z3n0"}')
    with pytest.raises(Corrupt, match="h3fa2z3n0"):
        records.get("h3fa2z3n0")
