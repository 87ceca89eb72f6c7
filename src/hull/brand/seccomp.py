# SPDX-License-Identifier: MPL-2.0
"""The system calls that no zone may make: what reaches past namespaces, and what nobody misses.

A deny list: a zone runs whole distributions, and a list of what they need would be 400 names long
and out of date. It is the third wall, after ids without power on the host and capabilities.
"""

import errno
from collections.abc import Iterator

from hull.wire import Json, JsonObject

# Three ways into an x86-64 kernel; a filter for one would leave the others open.
ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")

DENIED = (
    # The kernel itself: another kernel, its modules, programs and probes in it.
    "kexec_load", "kexec_file_load",
    "init_module", "finit_module", "delete_module", "create_module", "query_module",
    "bpf", "perf_event_open", "lookup_dcookie",
    # Its log, accounting, swap and clock are the host's.
    "syslog", "acct", "swapon", "swapoff", "settimeofday", "stime",
    "clock_settime", "clock_settime64",
    # Keyrings share one number space and quota between all zones.
    "add_key", "request_key", "keyctl",
    # Opens any inode of a file system by number, outside the zone's root too.
    "open_by_handle_at",
    "quotactl", "quotactl_fd",
    # Hardware, and what old kernels offered.
    "iopl", "ioperm", "vm86", "vm86old", "modify_ldt",
    "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "get_kernel_syms",
    # Large, young, and by far the best way to a hole in the kernel.
    "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
)  # fmt: skip

CLONE_NEWUSER = 0x10000000
# UNIX, INET, INET6, NETLINK and PACKET (17) remain. VSOCK would reach the hypervisor, ALG, RXRPC,
# KEY, TIPC, CAN … load kernel modules that hardly anybody looks at.
LAST_FAMILY = 17
EARLIER_FAMILIES = (3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)
# The same for what there is within a family. Of NETLINK remain ROUTE, USERSOCK, SOCK_DIAG, NFLOG,
# XFRM, NETFILTER, KOBJECT_UEVENT and GENERIC (16): not AUDIT, CONNECTOR, ISCSI, CRYPTO, RDMA …
AF_NETLINK = 16
LAST_NETLINK = 16
EARLIER_NETLINKS = (1, 3, 7, 8, 9, 10, 11, 13, 14)
SOCK_TYPE_MASK, SOCK_DCCP = 0xF, 6
IPPROTO_DCCP, IPPROTO_L2TP = 33, 115
# btrfs lets everybody make subvolumes and snapshots of what he owns. Whatever lists those of the
# pool then takes longer, for all zones; so there are none, as in another file system.
SUBVOLUME_IOCTLS = (0x50009401, 0x5000940E, 0x50009417, 0x50009418)
PR_SET_MEMORY_MERGE, MADV_MERGEABLE = 67, 12
# The kernel looks at half of a register where an argument is an int, a filter at all of it.
INT = 0xFFFFFFFF


def profile() -> JsonObject:
    """The OCI seccomp object."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": list[Json](ARCHITECTURES),
        "syscalls": [
            _deny(DENIED, errno.EPERM),
            # No user namespaces in zones: most holes found in the kernel need one. clone3 hides its
            # flags in memory, so it does not exist; every C library falls back to clone.
            _deny(("clone", "unshare"), errno.EPERM, [_masked(0, CLONE_NEWUSER, CLONE_NEWUSER)]),
            _deny(("clone3",), errno.ENOSYS),
            *_sockets(),
            # Whoever shares pages with a neighbour can tell from the time that a write takes what
            # they hold. As where the kernel has no merging.
            _deny(("prctl",), errno.EINVAL, [_masked(0, INT, PR_SET_MEMORY_MERGE)]),
            _deny(("madvise",), errno.EINVAL, [_masked(2, INT, MADV_MERGEABLE)]),
            *(
                _deny(("ioctl",), errno.ENOTTY, [_masked(1, INT, number)])
                for number in SUBVOLUME_IOCTLS
            ),
        ],
    }


def _sockets() -> Iterator[JsonObject]:
    """The kinds of sockets that there are not. What is greater is so in all of a register."""
    calls = ("socket", "socketpair")
    yield _deny(calls, errno.EAFNOSUPPORT, [_greater(0, LAST_FAMILY)])
    for family in EARLIER_FAMILIES:
        yield _deny(calls, errno.EAFNOSUPPORT, [_masked(0, INT, family)])
    netlink = _masked(0, INT, AF_NETLINK)
    yield _deny(("socket",), errno.EPROTONOSUPPORT, [netlink, _greater(2, LAST_NETLINK)])
    for protocol in EARLIER_NETLINKS:
        yield _deny(("socket",), errno.EPROTONOSUPPORT, [netlink, _masked(2, INT, protocol)])
    yield _deny(calls, errno.ESOCKTNOSUPPORT, [_masked(1, SOCK_TYPE_MASK, SOCK_DCCP)])
    for protocol in (IPPROTO_DCCP, IPPROTO_L2TP):
        yield _deny(("socket",), errno.EPROTONOSUPPORT, [_masked(2, INT, protocol)])
    # The old 32-bit door to all sockets, whose arguments no filter can see.
    yield _deny(("socketcall",), errno.ENOSYS)


def _masked(index: int, mask: int, value: int) -> Json:
    """Whether some bits of an argument have this value."""
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _greater(index: int, value: int) -> Json:
    return {"index": index, "value": value, "op": "SCMP_CMP_GT"}


def _deny(names: tuple[str, ...], number: int, args: list[Json] | None = None) -> JsonObject:
    rule: JsonObject = {"names": list[Json](names), "action": "SCMP_ACT_ERRNO", "errnoRet": number}
    return rule | ({"args": args} if args else {})
