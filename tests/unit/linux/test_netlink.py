# SPDX-License-Identifier: MPL-2.0
"""Netlink messages: what is packed is what the kernel reads, and the other way round."""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_interface

from hypothesis import given
from hypothesis import strategies as st

from hull.linux import netlink
from hull.linux.netlink import ADDRESS, LINK, ROUTE, attribute, attributes

values = st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8)


@given(values)
def test_attributes_come_back(data: dict[int, bytes]) -> None:
    packed = b"".join(attribute(kind, value) for kind, value in data.items())
    assert len(packed) % 4 == 0
    assert attributes(packed) == data


@given(st.binary(max_size=60))
def test_attributes_of_nonsense_end(data: bytes) -> None:
    assert all(len(value) <= len(data) for value in attributes(data).values())


def test_the_nested_flag_is_no_part_of_the_type() -> None:
    assert attributes(attribute(0x8000 | 18, b"abcd")) == {18: b"abcd"}


def test_a_link_comes_back_as_it_was_packed() -> None:
    request = netlink.create_bridge("h3fa2.admin", mac="02:00:00:00:00:07", mtu=1400)
    link = netlink.parse_link(request.body)
    assert (link.name, link.kind, link.mac, link.mtu) == (
        "h3fa2.admin",
        "bridge",
        "02:00:00:00:00:07",
        1400,
    )
    assert not link.up


def test_a_link_runs_when_it_is_up_and_the_kernel_says_so() -> None:
    def running(flags: int, state: int) -> bool:
        body = LINK.pack(0, 0, 7, flags, 0) + attribute(netlink.IFLA_OPERSTATE, bytes([state]))
        return netlink.parse_link(body).running

    assert running(netlink.IFF_UP, netlink.IF_OPER_UP)
    assert not running(0, netlink.IF_OPER_UP)
    assert not running(netlink.IFF_UP, 2)


def test_the_far_end_of_a_pair_is_born_in_the_namespace() -> None:
    request = netlink.create_veth(
        "h3fa2z1n0", master=5, mtu=1500, peer="net0", peer_mac="02:08:20:00:00:01", namespace=9
    )
    assert netlink.parse_link(request.body).master == 5
    info = attributes(attributes(request.body[LINK.size :])[netlink.IFLA_LINKINFO])
    peer = attributes(info[netlink.INFO_DATA])[netlink.VETH_INFO_PEER]
    inside = attributes(peer[LINK.size :])
    assert inside[netlink.IFLA_IFNAME] == b"net0\0"
    assert inside[netlink.IFLA_ADDRESS].hex(":") == "02:08:20:00:00:01"
    assert struct.unpack("=I", inside[netlink.IFLA_NET_NS_FD]) == (9,)


def test_only_what_is_given_of_a_link_changes() -> None:
    _, _, _, flags, change = LINK.unpack_from(netlink.set_link("net0", mtu=1400).body)
    assert (flags, change) == (0, 0)
    _, _, _, flags, change = LINK.unpack_from(netlink.set_link("net0", up=True).body)
    assert (flags, change) == (1, 1)
    _, _, _, flags, change = LINK.unpack_from(netlink.set_link("net0", up=False).body)
    assert (flags, change) == (0, 1)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 32))
def test_an_address_comes_back(address: IPv4Address | IPv6Address, prefix: int) -> None:
    interface = ip_interface(f"{address}/{prefix}")
    request = netlink.add_address(3, interface)
    assert netlink.parse_address(request.body) == (3, interface)


def test_ipv6_addresses_need_no_detection_of_duplicates() -> None:
    flags = [
        ADDRESS.unpack_from(netlink.add_address(3, ip_interface(text)).body)[2]
        for text in ("fd00::2/64", "10.0.0.2/24")
    ]
    assert flags == [netlink.IFA_F_NODAD, 0]


def test_a_gateway_outside_the_prefix_is_on_the_link() -> None:
    for onlink in (True, False):
        request = netlink.add_default_route(3, IPv4Address("192.0.2.1"), metric=7, onlink=onlink)
        flags = ROUTE.unpack_from(request.body)[8]
        assert bool(flags & netlink.RTNH_F_ONLINK) is onlink
        assert "192.0.2.1" in request.operation


def test_errors_carry_the_kernels_words() -> None:
    words = attribute(netlink.NLMSGERR_ATTR_MSG, b"Nexthop has invalid gateway\0")
    body = struct.pack("=i", -101) + bytes(16) + words
    assert netlink.parse_error(body) == (101, "Nexthop has invalid gateway")
    assert netlink.parse_error(struct.pack("=i", 0) + bytes(16)) == (0, "")
