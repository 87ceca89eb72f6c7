# SPDX-License-Identifier: MPL-2.0
"""Kinds of sockets: hypervisors, ciphers, protocols that load a module of the kernel."""

from functools import partial

from tests.isolation.attacks.base import add, syscall

STREAM, DGRAM, RAW, SEQPACKET, DCCP = 1, 2, 3, 5, 6
NETLINK = 16
HIGH = 1 << 32  # beyond the int that the kernel looks at

# family, type, protocol
FAMILIES = {
    "vsock": (40, STREAM, 0),
    "alg": (38, SEQPACKET, 0),
    "rxrpc": (33, DGRAM, 2),
    "key": (15, RAW, 2),
    "tipc": (30, RAW, 0),
    "can": (29, RAW, 1),
    "xdp": (44, RAW, 0),
    "bluetooth": (31, RAW, 1),
    "ax25": (3, DGRAM, 0),
    "llc": (26, DGRAM, 0),
    "pppox": (24, RAW, 0),
    "qipcrtr": (42, DGRAM, 0),
    "kcm": (41, DGRAM, 0),
    "smc": (43, STREAM, 0),
}
PROTOCOLS = {
    "audit": (NETLINK, RAW, 9),
    "audit_by_a_number_too_high": (NETLINK, RAW, HIGH | 9),
    "connector": (NETLINK, DGRAM, 11),
    "crypto": (NETLINK, RAW, 21),
    "iscsi": (NETLINK, RAW, 8),
    "rdma": (NETLINK, RAW, 20),
    "dccp": (2, DCCP, 33),
    "l2tp": (2, DGRAM, 115),
}


def _socket(family: int, kind: int, protocol: int) -> str:
    """Not by socket.socket, which would cut the numbers."""
    syscall(41, family, kind, protocol)
    return "done"


for _name, _numbers in {**FAMILIES, **PROTOCOLS}.items():
    add(f"socket_{_name}", partial(_socket, *_numbers), 5, 19, 22)
