# SPDX-License-Identifier: MPL-2.0
"""A DHCP client and a resolver in a zone, against what Hull has leased."""

import socket
import struct
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from hull.net import dhcp
from hull.net.address import Leases
from hull.net.datalink import NicTag, Vnic
from hull.net.kernel import KernelDatalinks
from tests.integration.net_fixtures import Lan, Namespace, needs_netns, new_lan

pytestmark = needs_netns

UUID, OTHER = "7fd0d3a4-0000-4000-8000-000000000001", "7fd0d3a4-0000-4000-8000-000000000002"
MAC = "02:08:20:00:00:01"


def nobody(address: str) -> bool:
    """Has an address without a lease."""
    del address
    return False


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with new_lan(tmp_path) as made:
        yield made


@pytest.fixture
def links(lan: Lan) -> KernelDatalinks:
    made = lan.datalinks()
    made.up()
    return made


@pytest.fixture
def tag(links: KernelDatalinks) -> NicTag:
    return links.nic_tags()["admin"]


@pytest.fixture
def leases(lan: Lan, tag: NicTag, tmp_path: Path) -> Leases:
    assert tag.address
    served = dhcp.directory(lan.run / lan.host_id, tag.name)
    return Leases(tmp_path / "pool/admin.json", tag.address, served)


def zone_with(lan: Lan, links: KernelDatalinks, *addresses: IPv4Interface) -> Namespace:
    vnic = Vnic(
        link=f"h{lan.host_id}z1n0",
        interface="net0",
        mac=MAC,
        nic_tag="admin",
        addresses=addresses,
    )
    zone = lan.namespace()
    links.create_vnic(vnic, zone.path)
    return zone


def ask(zone: Namespace, tmp_path: Path) -> dict[str, str]:
    """What a DHCP client in the zone is told; empty if nobody answers it."""
    answer, script = tmp_path / "answer", tmp_path / "script"
    script.write_text(f'#!/bin/sh\n[ "$1" = bound ] && env > {answer}\nexit 0\n')
    script.chmod(0o755)
    answer.unlink(missing_ok=True)
    options = ["-n", "-q", "-f", "-t2", "-T1", "-O", "mtu", "-i", "net0", "-s", str(script)]
    zone.run("busybox", "udhcpc", *options)
    if not answer.exists():
        return {}
    return dict(line.split("=", 1) for line in answer.read_text().splitlines() if "=" in line)


def test_a_client_gets_the_leased_address(
    lan: Lan, links: KernelDatalinks, tag: NicTag, leases: Leases, tmp_path: Path
) -> None:
    assert tag.address
    leases.lease(OTHER, "02:08:20:00:00:02", nobody)
    address = leases.lease(UUID, MAC, nobody)
    told = ask(zone_with(lan, links, address), tmp_path)
    router = str(tag.address.ip)
    assert (told["ip"], told["mask"]) == (str(address.ip), str(address.network.prefixlen))
    assert (told["router"], told["dns"], told["mtu"]) == (router, router, "1500")


def test_a_client_without_a_lease_gets_no_answer_and_with_a_new_one_the_new_one(
    lan: Lan, links: KernelDatalinks, leases: Leases, tmp_path: Path
) -> None:
    first = leases.lease(UUID, MAC, nobody)
    leases.release(UUID)
    zone = zone_with(lan, links, first)
    assert ask(zone, tmp_path) == {}
    second = leases.lease(UUID, MAC, {str(first.ip)}.__contains__)
    assert second != first
    assert ask(zone, tmp_path)["ip"] == str(second.ip)


def test_leases_outlive_the_host(
    lan: Lan, links: KernelDatalinks, leases: Leases, tmp_path: Path
) -> None:
    address = leases.lease(UUID, MAC, nobody)
    links.down()
    links.up()
    leases.publish()
    assert ask(zone_with(lan, links, address), tmp_path)["ip"] == str(address.ip)


def test_the_router_answers_dns_queries(
    lan: Lan, links: KernelDatalinks, tag: NicTag, leases: Leases
) -> None:
    assert tag.address
    zone = zone_with(lan, links, leases.lease(UUID, MAC, nobody))
    name = b"".join(bytes([len(part)]) + part for part in b"1.1.168.192.in-addr.arpa".split(b"."))
    query = struct.pack("!HHHHHH", 0x4242, 0x0100, 1, 0, 0, 0) + name + b"\0\0\x0c\0\x01"
    with zone.call(partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(5)
        sock.sendto(query, (str(tag.address.ip), 53))
        answer = sock.recv(512)
    # Names of private addresses are answered here (no such name), never asked for outside.
    assert answer[:2] == b"\x42\x42"
    assert answer[3] & 0xF == 3
