# SPDX-License-Identifier: MPL-2.0
"""Static routes: what is wrong with them. A gateway is an address, `nics[N]` or `macs[MAC]`: a nic
of the VM with a static address."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from hull.errors import Problem
from hull.model.address import canonical_mac
from hull.model.nic import Nic
from hull.model.prop import Flat

LOCAL = re.compile(r"nics\[(?P<index>[0-9]{1,9})\]|macs\[(?P<mac>[0-9a-fA-F:]+)\]")
CIDR = re.compile(r"[0-9.]+/[0-9]{1,2}")
HINTS = {
    "destination": "write 10.1.0.0/16 or 10.1.2.3",
    "gateway": "write an IPv4 address, nics[0] or macs[MAC]",
    "nic": "it must be a nic of this VM with a static address",
}


def check_routes(name: str, routes: Mapping[str, Flat]) -> Iterable[Problem]:
    """What is wrong with the routes of property `name` by themselves."""
    for destination, gateway in routes.items():
        path = f"{name}.{destination}"
        if not _is_destination(destination):
            message = f'Invalid route destination: "{destination}" (must be IP address or CIDR)'
            yield Problem(path, message, HINTS["destination"])
        elif not isinstance(gateway, str) or not (_is_ipv4(gateway) or LOCAL.fullmatch(gateway)):
            what = "(must be IP address, MAC address, or nic)"
            yield Problem(path, f'Invalid route gateway: "{gateway}" {what}', HINTS["gateway"])


def check_route_nics(routes: Mapping[str, Flat], nics: Sequence[Nic]) -> Iterable[Problem]:
    """Which of a VM's routes lead to a nic that it does not have, or that has no fixed address."""
    for destination, gateway in routes.items():
        match = LOCAL.fullmatch(str(gateway))
        if match and not _is_static(match, nics):
            message = f'Route gateway: "{gateway}" refers to non-existent or DHCP nic'
            yield Problem(f"routes.{destination}", message, HINTS["nic"])


def _is_static(match: re.Match[str], nics: Sequence[Nic]) -> bool:
    if mac := match["mac"]:
        found = [nic for nic in nics if nic.mac == canonical_mac(mac)]
    else:
        found = list(nics[int(match["index"]) :][:1])
    return any(ip not in ("dhcp", "addrconf") for nic in found for ip in nic.ips)


def _is_destination(text: str) -> bool:
    if "/" not in text:
        return _is_ipv4(text)
    try:
        IPv4Network(text, strict=False)
    except ValueError:
        return False
    return CIDR.fullmatch(text) is not None


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
