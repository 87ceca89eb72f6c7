# SPDX-License-Identifier: MPL-2.0
"""VRRP: nics whose MAC address follows from a virtual router's id, beside nics of the VM's own."""

from collections.abc import Iterable, Sequence

from hull.errors import Problem
from hull.model.address import interface_of
from hull.model.nic import Nic
from hull.model.nics import Placed


def check_vrrp(placed: Sequence[Placed]) -> Iterable[Problem]:
    """What is wrong with the VRRP nics among all of a VM's."""
    own = {ip for _, nic in placed if nic.vrrp_vrid is None for ip in _hosts(nic)}
    shared = {ip for _, nic in placed if nic.vrrp_vrid is not None for ip in _hosts(nic)}
    for path, nic in placed:
        where = f"{path}.vrrp_primary_ip"
        if nic.vrrp_vrid is not None and not nic.vrrp_primary_ip:
            hint = "the address, of another nic of the VM, that messages are sent from"
            yield Problem(where, "vrrp_vrid set but not vrrp_primary_ip", hint)
        elif nic.vrrp_primary_ip in shared:
            hint = f"use one of: {', '.join(sorted(own))}" if own else "add a nic without vrrp_vrid"
            yield Problem(where, "Cannot set vrrp_primary_ip to the IP of a VRRP nic", hint)
        elif nic.vrrp_primary_ip and nic.vrrp_primary_ip not in own:
            hint = f"use one of: {', '.join(sorted(own)) or 'none'}"
            yield Problem(where, "vrrp_primary_ip must belong to the same VM", hint)
    if placed and all(nic.vrrp_vrid is not None for _, nic in placed):
        yield Problem("nics", "VM cannot contain only VRRP nics", "add a nic without vrrp_vrid")


def _hosts(nic: Nic) -> list[str]:
    return [str(interface.ip) for each in nic.ips if (interface := interface_of(each))]
