# SPDX-License-Identifier: MPL-2.0
"""The host as router of its own networks: NAT as pure data, and the kernel's forwarding switches.

Switches are the namespace's, not ours alone: what was changed is written down, and taken back only
where nobody else can have come to count on it.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from hull.linux import nft, sysctl
from hull.linux.files import read_json, write_json
from hull.net.datalink import NicTag

log = logging.getLogger("hull.net")

FAMILY = "inet"

# How much of the host's connection tracking one nic may have; the kernel's table has room for eight
# of them, with what the host itself has.
CONNECTIONS = 32_000

RULES = """
table inet {table} {{
    # A nic is known by its MAC: link protection lets it have no other.
    set connections {{ type ether_addr; size 65535; flags dynamic; }}
    chain count {{
        ct state new add @connections {{ ether saddr ct count over {connections} }} counter drop
    }}
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname "{prefix}*" jump count
    }}
    # Nobody outside starts a conversation with a zone behind NAT, another host's zones included.
    chain forward {{
        type filter hook forward priority 0; policy accept;
        iifname "{prefix}*" jump count
        iifname "{prefix}*" accept
{guards}
    }}
    chain postrouting {{
        type nat hook postrouting priority 100; policy accept;
        oifname "{prefix}*" accept
{masquerades}
    }}
}}
"""

FORWARD4 = "net/ipv4/ip_forward"
FORWARD6 = "net/ipv6/conf/all/forwarding"
# Bridged frames would pass the host's own firewall and connection tracking once more.
BRIDGE_CALLS = tuple(f"net/bridge/bridge-nf-call-{what}tables" for what in ("ip", "ip6", "arp"))


def rules(table: str, prefix: str, tags: Iterable[NicTag]) -> str:
    """The table anew: NAT for each network that has an address on this host."""
    guards, masquerades = [], []
    for tag in tags:
        if tag.address or tag.address6:
            guards.append(f'        oifname "{tag.link}" ct state new,invalid drop')
        if tag.address:
            masquerades.append(f"        ip saddr {tag.address.network} masquerade")
        if tag.address6:
            masquerades.append(f"        ip6 saddr {tag.address6.network} masquerade")
    text = RULES.format(
        table=table,
        prefix=prefix,
        connections=CONNECTIONS,
        guards="\n".join(guards),
        masquerades="\n".join(masquerades),
    )
    return nft.delete_table(FAMILY, table) + text


def enable_forwarding(record: Path, *, alone: bool) -> None:
    """Let this namespace forward; `record` keeps what it was before.

    `alone`: no bridge of somebody else's is there, who may want its frames to pass a firewall.
    """
    wanted = {FORWARD4: "1"}
    if sysctl.read(FORWARD6) == "0":
        # A router does not listen to router advertisements unless told to (2): do not take the
        # host's own default route away.
        wanted |= dict.fromkeys(_listeners(), "2")
    wanted |= {FORWARD6: "1"}
    if alone:
        wanted |= dict.fromkeys(BRIDGE_CALLS, "0")
    before = _recorded(record)
    for name, value in wanted.items():
        now = sysctl.read(name)
        if now in (None, value):
            continue
        # Written down first: a crash in between restores what is there already.
        before.setdefault(name, str(now))
        write_json(record, dict(before), durable=False)
        sysctl.write(name, value)


def restore_forwarding(record: Path, *, alone: bool) -> None:
    """Take back what `enable_forwarding` changed, if nobody else has a bridge."""
    before = _recorded(record)
    if before and not alone:
        log.info("forwarding stays on: other bridges are there")
        return
    for name, value in reversed(before.items()):
        if sysctl.read(name) not in (None, value):
            sysctl.write(name, value)


def _listeners() -> list[str]:
    """The switches of the links that take addresses and routes from router advertisements."""
    directory = sysctl.ROOT / "net/ipv6/conf"
    names = [f"net/ipv6/conf/{entry.name}/accept_ra" for entry in sorted(directory.iterdir())]
    return [name for name in names if "/all/" not in name and sysctl.read(name) == "1"]


def _recorded(record: Path) -> dict[str, str]:
    try:
        data = read_json(record)
    except FileNotFoundError:
        return {}
    return {name: str(value) for name, value in data.items()} if isinstance(data, dict) else {}
