# SPDX-License-Identifier: MPL-2.0
"""A VM's nics together: one spelling of their addresses, no two alike, names, one primary.

The functions take and give Placed: a nic with the path of what the payload said of it.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from hull.errors import Problem
from hull.model.address import (
    canonical_mac,
    canonical_nic_address,
    check_nic_address,
    interface_of,
)
from hull.model.decode import Values
from hull.model.nic import Nic

MAX_IPS = 20
MAX_ALLOWED_IPS = 13
MAX_ADDRESSES = 32
MAX_CIDS = 20
MAX_CIDS_LENGTH = 1023  # of all, joined by commas


class Placed(NamedTuple):
    path: str
    nic: Nic


def merge_nics(name: str, elements: Sequence[Values], problems: list[Problem]) -> list[Placed]:
    """New nics from the elements of object-array `name`, but for those with problems already."""
    paths = [f"{name}[{index}]" for index in range(len(elements))]
    return [
        merge_nic(values, Nic(), path, problems)
        for path, values in zip(paths, elements, strict=True)
        if not is_spoiled(path, problems)
    ]


def is_spoiled(path: str, problems: list[Problem]) -> bool:
    """Whether an element has problems, so that more would only be consequences."""
    return any(each.path == path or each.path.startswith(f"{path}.") for each in problems)


def merge_nic(values: Values, old: Nic, path: str, problems: list[Problem]) -> Placed:
    """`old` with what a payload says of it; both spellings of addresses become ips and gateways."""
    said = dict(values)
    ips = _merge_ips(said, old, path, problems)
    gateways = _merge_gateways(said, old, path, problems)
    for deprecated in ("ip", "netmask", "gateway"):
        said.pop(deprecated, None)
    said |= _merge_mac(said, old, path, problems)
    if said.get("dhcp_server"):
        said["allow_dhcp_spoofing"] = True
    if said.get("vrrp_primary_ip"):
        said["vrrp_primary_ip"] = str(ip_address(said["vrrp_primary_ip"]))
    nic = replace(old, **(said | {"ips": ips, "gateways": gateways}))
    problems.extend(_check_nic(nic, path))
    return Placed(path, nic)


def _merge_mac(said: Values, old: Nic, path: str, problems: list[Problem]) -> Values:
    """The MAC address that was said, in canonical form, or that follows from vrrp_vrid."""
    mac = canonical_mac(said.get("mac", ""))
    if said.get("vrrp_vrid") is None:
        return {"mac": mac} if mac else {}
    virtual = vrrp_mac(said["vrrp_vrid"])
    if mac not in ("", old.mac, virtual):
        hint = f"leave mac out: it becomes {virtual}"
        problems.append(Problem(f"{path}.mac", "Cannot set both mac and vrrp_vrid", hint))
    return {"mac": virtual}


def vrrp_mac(vrid: int) -> str:
    """The MAC address of virtual router `vrid` (RFC 5798, 7.3)."""
    return f"00:00:5e:00:01:{vrid:02x}"


def _merge_ips(said: Values, old: Nic, path: str, problems: list[Problem]) -> tuple[str, ...]:
    ips = tuple(map(canonical_nic_address, said.get("ips", old.ips)))
    if not said.get("ip") and not said.get("netmask"):
        # Unset, or not said at all.
        return _without_first_ipv4(ips) if "ip" in said and "ips" not in said else ips
    first = first_ipv4(ips)
    entry = _joined(said, first, path, problems)
    if not entry:
        return ips
    if "ips" not in said:
        return (entry, *_without_first_ipv4(ips))
    if entry != first:
        hint = "remove ip and netmask, which are deprecated"
        problems.append(Problem(f"{path}.ip", f"{entry} is not the first IPv4 of ips", hint))
    return ips


def _joined(said: Values, first: str, path: str, problems: list[Problem]) -> str:
    """`ip` and `netmask` as a member of ips; what was not said is as in `first`. "": a problem."""
    interface = interface_of(first) if first else None
    ip = said.get("ip") or (str(interface.ip) if interface else first)
    if ip == "dhcp":
        return ip
    if not ip:
        problems.append(Problem(f"{path}.ip", "required with netmask"))
        return ""
    # The old netmask only fits the old address, or another one of its network.
    if interface and (ip_address(ip) in interface.network):
        netmask = said.get("netmask") or str(interface.netmask)
    else:
        netmask = said.get("netmask", "")
    if not netmask:
        hint = f'add "netmask": "255.255.255.0", or write "ips": ["{ip}/24"]'
        message = f"Missing .netmask option for NIC: {json.dumps(said, separators=(',', ':'))}"
        problems.append(Problem(f"{path}.netmask", message, hint))
        return ""
    entry = str(ip_interface(f"{ip}/{netmask}"))
    if problem := check_nic_address(entry):
        problems.append(Problem(f"{path}.ip", f"{entry} {problem}"))
        return ""
    return entry


def first_ipv4(ips: Iterable[str]) -> str:
    """The first member of ips that is IPv4 or dhcp; "" without one."""
    return next((each for each in ips if each != "addrconf" and ":" not in each), "")


def _without_first_ipv4(ips: tuple[str, ...]) -> tuple[str, ...]:
    first = first_ipv4(ips)
    return tuple(each for each in ips if each != first)


def _merge_gateways(said: Values, old: Nic, path: str, problems: list[Problem]) -> tuple[str, ...]:
    gateways = tuple(str(ip_address(each)) for each in said.get("gateways", old.gateways))
    if "gateway" not in said:
        return gateways
    gateway = said["gateway"]
    first = next((each for each in gateways if ":" not in each), "")
    if "gateways" not in said:
        rest = tuple(each for each in gateways if each != first)
        return (gateway, *rest) if gateway else rest
    if gateway != first:
        hint = "remove gateway, which is deprecated"
        problems.append(Problem(f"{path}.gateway", "is not the first IPv4 of gateways", hint))
    return gateways


def _check_nic(nic: Nic, path: str) -> Iterable[Problem]:
    """What is wrong with a nic by itself."""
    together = len(nic.ips) + len(nic.allowed_ips) + bool(nic.vrrp_primary_ip)
    counts = (
        ("ips", len(nic.ips), MAX_IPS, ""),
        ("allowed_ips", len(nic.allowed_ips), MAX_ALLOWED_IPS, ""),
        ("allowed_ips", together, MAX_ADDRESSES, " with ips"),
        ("allowed_dhcp_cids", len(nic.allowed_dhcp_cids), MAX_CIDS, ""),
        ("allowed_dhcp_cids", len(",".join(nic.allowed_dhcp_cids)), MAX_CIDS_LENGTH, " characters"),
    )
    for name, count, most, what in counts:
        if count > most:
            yield Problem(f"{path}.{name}", f"{count}{what} are too many", f"at most {most}")
    for gateway in nic.gateways:
        if not _reaches(nic, gateway):
            hint = "add an address of the gateway's network, or correct the netmask"
            yield Problem(f"{path}.gateways", f"{gateway} is in no network of this nic", hint)


def _reaches(nic: Nic, gateway: str) -> bool:
    """Whether the gateway is a neighbour; the kernel takes no other, but here all can be said."""
    address = ip_address(gateway)
    learned = "dhcp" if address.version == 4 else "addrconf"
    if learned in nic.ips or address.is_link_local:
        return True
    interfaces = [interface for each in nic.ips if (interface := interface_of(each))]
    return any(address in interface.network for interface in interfaces)


def check_nics(placed: Sequence[Placed]) -> Iterable[Problem]:
    """What is wrong with a VM's nics together."""
    primaries = [path for path, nic in placed if nic.primary]
    for path in primaries[1:]:
        hint = f"{primaries[0]} is primary; exactly one nic can be"
        yield Problem(f"{path}.primary", "payload specifies more than 1 primary NIC", hint)
    for name, (what, key) in UNIQUE.items():
        seen: dict[Hashable, str] = {}
        for path, nic in placed:
            for value in key(nic):
                if value in seen:
                    message = f"Cannot add multiple NICs with the same {what}: {value}"
                    yield Problem(f"{path}.{name}", message, f"{seen[value]} has it")
                seen.setdefault(value, path)


def _host_addresses(nic: Nic) -> list[Hashable]:
    return [str(interface.ip) for each in nic.ips if (interface := interface_of(each))]


UNIQUE: dict[str, tuple[str, Callable[[Nic], list[Hashable]]]] = {
    # Two nics of one virtual router have one MAC address: that is said of vrrp_vrid.
    "mac": ("MAC", lambda nic: [nic.mac] if nic.mac and nic.vrrp_vrid is None else []),
    "ips": ("IP", _host_addresses),
    "interface": ("interface", lambda nic: [nic.interface] if nic.interface else []),
    "vrrp_vrid": ("VRID", lambda nic: [] if nic.vrrp_vrid is None else [nic.vrrp_vrid]),
}


def finish_nics(nics: Sequence[Nic], brand: str, *, lost_primary: bool = False) -> tuple[Nic, ...]:
    """Names and a primary for nics that have none: netN, for brand lx ethN, the lowest free.

    The first becomes primary; where the primary was removed, the lowest with a public address.
    """
    prefix = "eth" if brand == "lx" else "net"
    used = {nic.interface for nic in nics}
    free = (name for index in range(len(nics) + 1) if (name := f"{prefix}{index}") not in used)
    named = [nic if nic.interface else replace(nic, interface=next(free)) for nic in nics]
    if not named or any(nic.primary for nic in named):
        return tuple(named)
    elected = min(range(len(named)), key=lambda index: _rank(named[index])) if lost_primary else 0
    named[elected] = replace(named[elected], primary=True)
    return tuple(named)


def _rank(nic: Nic) -> tuple[bool, int, str]:
    """Sorts the nic with a public address and the lowest number first."""
    public = any(interface.ip.is_global for each in nic.ips if (interface := interface_of(each)))
    number = re.search(r"[0-9]+$", nic.interface)
    return not public, int(number[0]) if number else 0, nic.interface
