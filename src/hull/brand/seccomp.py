# SPDX-License-Identifier: MPL-2.0
"""The system calls that no zone may make: what reaches past namespaces, and what nobody misses.

A deny list: a zone runs whole distributions, and a list of what they need would be 400 names long
and out of date. It is the third wall, after ids without power on the host and capabilities.
"""

import errno

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
AF_NETLINK, NETLINK_AUDIT = 16, 9
# UNIX, INET, INET6, NETLINK and PACKET (17) remain. VSOCK would reach the hypervisor, ALG, RXRPC,
# KEY, TIPC, CAN … load kernel modules that hardly anybody looks at.
LAST_FAMILY = 17
EARLIER_FAMILIES = (3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)


def profile() -> JsonObject:
    """The OCI seccomp object."""
    flag: JsonObject = {
        "index": 0,
        "value": CLONE_NEWUSER,
        "valueTwo": CLONE_NEWUSER,
        "op": "SCMP_CMP_MASKED_EQ",
    }
    sockets = ("socket", "socketpair")
    audit = [_arg(0, "EQ", AF_NETLINK), _arg(2, "EQ", NETLINK_AUDIT)]
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": list[Json](ARCHITECTURES),
        "syscalls": [
            _deny(DENIED, errno.EPERM),
            # No user namespaces in zones: most holes found in the kernel need one. clone3 hides its
            # flags in memory, so it does not exist; every C library falls back to clone.
            _deny(("clone", "unshare"), errno.EPERM, [flag]),
            _deny(("clone3",), errno.ENOSYS),
            _deny(sockets, errno.EAFNOSUPPORT, [_arg(0, "GT", LAST_FAMILY)]),
            *(
                _deny(sockets, errno.EAFNOSUPPORT, [_arg(0, "EQ", family)])
                for family in EARLIER_FAMILIES
            ),
            _deny(("socket",), errno.EPROTONOSUPPORT, audit),
            # The old 32-bit door to all sockets, whose arguments no filter can see.
            _deny(("socketcall",), errno.ENOSYS),
        ],
    }


def _arg(index: int, op: str, value: int) -> Json:
    return {"index": index, "value": value, "op": f"SCMP_CMP_{op}"}


def _deny(names: tuple[str, ...], number: int, args: list[Json] | None = None) -> JsonObject:
    rule: JsonObject = {"names": list[Json](names), "action": "SCMP_ACT_ERRNO", "errnoRet": number}
    return rule | ({"args": args} if args else {})
