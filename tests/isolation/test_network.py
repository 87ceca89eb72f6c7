# SPDX-License-Identifier: MPL-2.0
"""Frames that a VM's root makes: what it may send reaches its neighbour, and nothing else does.

tests/integration/test_net_protection.py has more of them, and what each switch lets through.
"""

import json
import os
from contextlib import closing
from ipaddress import ip_interface

import pytest

from tests.integration.hosts import TestHost, wait_for
from tests.integration.net_fixtures import Namespace, packet_socket
from tests.integration.net_frames import (
    Party,
    collect,
    honest_frames,
    hostile_frames,
    marked,
    on_the_wire,
)
from tests.integration.zone_fixtures import why_not
from tests.isolation.vm import Attacker, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.needs_netns,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

NIC = {"nic_tag": "admin", "ips": ["dhcp", "addrconf"], "primary": True}
FREE = dict.fromkeys(
    ("allow_mac_spoofing", "allow_ip_spoofing", "allow_dhcp_spoofing", "allow_restricted_traffic"),
    True,
)
VICTIM = Party("02:00:00:00:77:77", "10.99.99.77", "fd00:99::77")


def party(vm: Attacker) -> Party:
    mac = vm.host.json("vmadm", "get", vm.uuid)["nics"][0]["mac"]
    found: dict[int, str] = {}

    def has_both() -> bool:
        """The IPv6 one comes with the router's first advertisement."""
        lines = vm.shell("ip -o addr show dev net0 scope global").splitlines()
        addresses = [ip_interface(line.split()[3]).ip for line in lines]
        found.update({address.version: str(address) for address in addresses})
        return len(found) == 2

    wait_for(has_both, what="both addresses")
    return Party(mac, found[4], found[6])


def arrived(sender: Attacker, receiver: Attacker, me: Party, peer: Party) -> set[str]:
    """Which frames get from one VM to the other."""
    marks = marked(honest_frames(me, peer) + hostile_frames(me, peer, VICTIM))
    frames = [on_the_wire(mark, frame).hex() for mark, frame in marks.items()]
    there = Namespace(os.open(f"/proc/{receiver.pid()}/ns/net", os.O_RDONLY))
    with closing(there), packet_socket(there, "net0") as ear:
        assert sender("send_frames", frames=json.dumps(frames)) == {"send_frames": "done"}
        return collect([ear], marks)


def test_a_vm_sends_what_is_its_own(host: TestHost, base_image: str) -> None:
    with attackers(host, base_image, "sender", "receiver", nics=[NIC]) as (one, two):
        me, peer = party(one), party(two)
        wanted = {frame.name for frame in honest_frames(me, peer)}
        assert arrived(one, two, me, peer) == wanted


def test_control_where_spoofing_is_allowed_it_arrives(host: TestHost, base_image: str) -> None:
    with attackers(host, base_image, "free", "receiver", nics=[NIC | FREE]) as (one, two):
        me, peer = party(one), party(two)
        liftable = {frame.name for frame in hostile_frames(me, peer, VICTIM) if frame.lifted_by}
        assert liftable <= arrived(one, two, me, peer)
