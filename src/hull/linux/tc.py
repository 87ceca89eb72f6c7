# SPDX-License-Identifier: MPL-2.0
"""Traffic control: programs that look at each frame that comes in by a link. Pure requests."""

import struct

from hull.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Request, attribute

RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER = 36, 37, 44
# struct tcmsg: family, interface, handle, parent, info.
MESSAGE = struct.Struct("=BxxxiIII")
CLSACT, CLSACT_HANDLE, INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
TCA_KIND, TCA_OPTIONS = 1, 2
BPF_OPS_LEN, BPF_OPS, BPF_FLAGS, ACT_DIRECT = 4, 5, 8, 1
ALL_PROTOCOLS = 0x0300  # ETH_P_ALL in network order
INSTRUCTION = 8  # bytes


def add_queue(index: int) -> Request:
    """What programs of a link are attached to."""
    body = MESSAGE.pack(0, index, CLSACT_HANDLE, CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    operation = f"look at the frames of link {index}"
    return Request(operation, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def delete_queue(index: int) -> Request:
    """With all programs."""
    body = MESSAGE.pack(0, index, CLSACT_HANDLE, CLSACT, 0)
    return Request(f"look no more at the frames of link {index}", RTM_DELQDISC, 0, body)


def set_program(index: int, position: int, program: bytes, *, verdict: bool) -> Request:
    """Attach a classic BPF program, or put it in place of the one at `position` (1, 2 …).

    With `verdict` it returns traffic control's (2: drop). Without, a frame for which it returns
    anything but 0 passes, and the others go on to the next program.
    """
    size = struct.pack("=H", len(program) // INSTRUCTION)
    options = attribute(BPF_OPS_LEN, size) + attribute(BPF_OPS, program)
    if verdict:
        options += attribute(BPF_FLAGS, struct.pack("=I", ACT_DIRECT))
    body = MESSAGE.pack(0, index, 1, INGRESS, position << 16 | ALL_PROTOCOLS)
    body += attribute(TCA_KIND, b"bpf\0") + attribute(TCA_OPTIONS, options)
    return Request(f"filter the frames of link {index}", RTM_NEWTFILTER, NLM_F_CREATE, body)
