# SPDX-License-Identifier: MPL-2.0
"""allowed_dhcp_cids: which DHCP client identifiers a vnic may use, as a classic BPF program.

nftables cannot walk options, so traffic control looks at the frames of vnics that have such a list:
what the program accepts passes, everything else is dropped. A load beyond the frame's end ends a
classic program as if it had refused, so whatever is malformed or cut off is dropped, too.

As on illumos a client may also leave its identifier out, or make it of its own MAC. Pure.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

# Instructions (linux/filter.h).
LDH_ABS, LDB_ABS = 0x28, 0x30
LDW_IND, LDH_IND, LDB_IND = 0x40, 0x48, 0x50
LD_MEM, ST, LDX_MSH, LDX_IMM, TAX, TXA = 0x60, 0x02, 0xB1, 0x01, 0x07, 0x87
ADD, ADD_X, RET = 0x04, 0x0C, 0x06
JA, JEQ, JEQ_X, JGT_X, JSET = 0x05, 0x15, 0x1D, 0x2D, 0x45

ACCEPT, REFUSE = 0xFFFFFFFF, 0
ETHERNET, IP6, UDP = 14, 40, 8
BOOTP_OPTIONS = 240  # with the magic cookie
# More options than any client sends; each takes some instructions, of which there can be 4096.
MAX_OPTIONS = 48
PAD, OVERLOAD, CLIENT_ID, END = 0, 52, 61, 255
# Extension headers: what is behind more than one of them cannot be seen.
EXTENSIONS = (0, 43, 60)
FRAGMENT = 44


@dataclass(frozen=True)
class Pattern:
    """An identifier: its length, and what is where in it."""

    size: int
    parts: tuple[tuple[int, bytes], ...]


def patterns(mac: str, cids: Iterable[str]) -> tuple[list[Pattern], list[Pattern]]:
    """What DHCP and what DHCPv6 clients may say: listed, or of their own MAC."""
    own = bytes.fromhex(mac.replace(":", ""))
    listed = [bytes.fromhex(cid.removeprefix("0x")) for cid in cids]
    both = [Pattern(len(cid), ((0, cid),)) for cid in listed]
    v4 = Pattern(7, ((0, b"\1" + own),))
    link = Pattern(10, ((0, b"\0\3\0\1" + own),))  # DUID-LL
    timed = Pattern(14, ((0, b"\0\1\0\1"), (8, own)))  # DUID-LLT: the time is anything
    return [*both, v4], [*both, link, timed]


@dataclass
class Assembler:
    """Instructions whose jumps name labels; all of them lead forward."""

    code: list[tuple[int, int, str, str]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    serial: int = 0

    def do(self, op: int, k: int = 0) -> None:
        self.code.append((op, k, "", ""))

    def jump(self, label: str) -> None:
        self.code.append((JA, 0, label, ""))

    def branch(self, op: int, k: int, then: str) -> None:
        """To `then`, however far, if the comparison holds; else on."""
        self.serial += 1
        near = f"_{self.serial}"
        self.code.append((op, k, "", near))
        self.jump(then)
        self.label(near)

    def unless(self, op: int, k: int, then: str) -> None:
        """To `then` if the comparison does not hold."""
        self.serial += 1
        near = f"_{self.serial}"
        self.code.append((op, k, near, ""))
        self.jump(then)
        self.label(near)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def assembled(self) -> bytes:
        """struct sock_filter for each instruction."""
        return b"".join(self._packed(here, *each) for here, each in enumerate(self.code))

    def _packed(self, here: int, op: int, k: int, then: str, other: str) -> bytes:
        def to(label: str) -> int:
            return self.labels[label] - here - 1 if label else 0

        if op == JA:
            return struct.pack("=HBBI", op, 0, 0, to(then))
        return struct.pack("=HBBI", op, to(then), to(other), k)


def program(mac: str, cids: Iterable[str]) -> bytes:
    """Accepts every frame but those of DHCP clients with a foreign identifier."""
    v4, v6 = patterns(mac, cids)
    to = Assembler()
    to.do(LDH_ABS, 12)
    to.branch(JEQ, 0x0800, "ip4")
    to.branch(JEQ, 0x86DD, "ip6")
    to.do(RET, ACCEPT)
    _ip4(to)
    _ip4_options(to, "first", "found")
    to.label("found")
    _compare(to, v4, size_at=1, size_op=LDB_IND, header=2, then="rest")
    to.label("rest")
    _ip4_options(to, "rest", "refuse")
    _ip6(to)
    _ip6_options(to, "first6", "found6")
    to.label("found6")
    _compare(to, v6, size_at=2, size_op=LDH_IND, header=4, then="rest6")
    to.label("rest6")
    _ip6_options(to, "rest6", "refuse")
    to.label("end6")
    to.do(LD_MEM, 0)
    to.unless(JEQ_X, 0, "refuse")
    to.label("accept")
    to.do(RET, ACCEPT)
    to.label("refuse")
    to.do(RET, REFUSE)
    return to.assembled()


def refuse_all() -> bytes:
    """The program after it: traffic control's verdict for what has not been accepted."""
    return struct.pack("=HBBI", RET, 0, 0, 2)  # TC_ACT_SHOT


def _ip4(to: Assembler) -> None:
    """On with X at the first option if it is from a DHCP client."""
    to.label("ip4")
    to.do(LDB_ABS, ETHERNET + 9)
    to.unless(JEQ, 17, "accept")
    to.do(LDH_ABS, ETHERNET + 6)
    to.branch(JSET, 0x1FFF, "accept")  # a later fragment is nothing without the first
    to.do(LDX_MSH, ETHERNET)
    to.do(LDH_IND, ETHERNET + 2)
    to.unless(JEQ, 67, "accept")
    to.do(TXA)
    to.do(ADD, ETHERNET + UDP + BOOTP_OPTIONS)
    to.do(TAX)


def _ip4_options(to: Assembler, name: str, found: str) -> None:
    """Walk from X on: to accept at the end, to `found` with X at a client identifier."""
    for number in range(MAX_OPTIONS):
        skip, following = f"{name}_skip{number}", f"{name}_next{number}"
        to.do(LDB_IND, 0)
        to.branch(JEQ, END, "accept")
        to.branch(JEQ, CLIENT_ID, found)
        to.branch(JEQ, OVERLOAD, "refuse")  # more options, elsewhere
        to.unless(JEQ, PAD, skip)
        to.do(TXA)
        to.do(ADD, 1)
        to.jump(following)
        to.label(skip)
        to.do(LDB_IND, 1)
        to.do(ADD_X)
        to.do(ADD, 2)
        to.label(following)
        to.do(TAX)
    to.jump("refuse")


def _ip6(to: Assembler) -> None:
    to.label("ip6")
    to.do(LDB_ABS, ETHERNET + 6)
    to.branch(JEQ, 17, "udp6")
    for header in (*EXTENSIONS, FRAGMENT):
        to.branch(JEQ, header, "extension")
    to.jump("accept")
    to.label("extension")
    to.do(LDB_ABS, ETHERNET + IP6)
    to.branch(JEQ, 17, "hidden_udp")
    for header in (*EXTENSIONS, FRAGMENT):
        to.branch(JEQ, header, "refuse")
    to.jump("accept")
    to.label("hidden_udp")
    to.do(LDB_ABS, ETHERNET + 6)
    to.unless(JEQ, FRAGMENT, "refuse")
    to.do(LDH_ABS, ETHERNET + IP6 + 2)
    to.branch(JSET, 0xFFF8, "accept")  # a later fragment
    to.do(LDH_ABS, ETHERNET + IP6 + 8 + 2)
    to.branch(JEQ, 547, "refuse")
    to.jump("accept")
    to.label("udp6")
    to.do(LDH_ABS, ETHERNET + IP6 + 2)
    to.unless(JEQ, 547, "accept")
    to.do(LDB_ABS, ETHERNET + IP6 + UDP)
    to.branch(JEQ, 12, "refuse")  # a relay speaks for others
    to.do(LDH_ABS, ETHERNET + IP6 + 4)
    to.do(ADD, ETHERNET + IP6)
    to.do(ST, 0)  # where the message ends
    to.do(LDX_IMM, ETHERNET + IP6 + UDP + 4)


def _ip6_options(to: Assembler, name: str, found: str) -> None:
    for _ in range(MAX_OPTIONS):
        to.do(LD_MEM, 0)
        to.unless(JGT_X, 0, "end6")
        to.do(LDH_IND, 0)
        to.branch(JEQ, 1, found)
        to.do(LDH_IND, 2)
        to.do(ADD_X)
        to.do(ADD, 4)
        to.do(TAX)
    to.jump("refuse")


def _compare(
    to: Assembler, known: list[Pattern], *, size_at: int, size_op: int, header: int, then: str
) -> None:
    """With X at an identifier: to `then`, X behind it, if it is known; else refuse."""
    for number, pattern in enumerate(known):
        other = f"{then}_not{number}"
        to.do(size_op, size_at)
        to.unless(JEQ, pattern.size, other)
        for offset, data in pattern.parts:
            _compare_bytes(to, header + offset, data, other)
        to.do(TXA)
        to.do(ADD, header + pattern.size)
        to.do(TAX)
        to.jump(then)
        to.label(other)
    to.jump("refuse")


def _compare_bytes(to: Assembler, offset: int, data: bytes, other: str) -> None:
    loads = {4: LDW_IND, 2: LDH_IND, 1: LDB_IND}
    done = 0
    while left := len(data) - done:
        size = 4 if left >= 4 else 2 if left >= 2 else 1
        to.do(loads[size], offset + done)
        to.unless(JEQ, int.from_bytes(data[done : done + size]), other)
        done += size
