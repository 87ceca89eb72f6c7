# SPDX-License-Identifier: MPL-2.0
"""Runs inside a zone, as its root: tries what must not work and prints what happened, as JSON.

Standard library only; each probe returns a word, an errno's name for a refusal.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from functools import partial

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
# x86-64 numbers; arguments that would do no harm if they were let through.
SYSCALLS = {
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, -1, 0, 0),
    "delete_module": (176, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, 0),
    "syslog": (103, 10, 0, 0),
    "acct": (163, 0),
    "swapon": (167, 0, 0),
    "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "iopl": (172, 3),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 0, 0),
    "unshare_user": (272, 0x10000000),
    "clone_user": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "kexec_load_x32": (0x40000000 + 528, 0, 0, 0, 0),
    "bpf_x32": (0x40000000 + 321, 0, 0, 0),
}
FAMILIES = {"vsock": 40, "alg": 38, "rxrpc": 33, "key": 15, "tipc": 30, "can": 29, "xdp": 44}
GOOD_FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17}
WRITES = {
    "core_pattern": "/proc/sys/kernel/core_pattern",
    "modprobe": "/proc/sys/kernel/modprobe",
    "sysrq": "/proc/sysrq-trigger",
    "drop_caches": "/proc/sys/vm/drop_caches",
    "sysfs": "/sys/kernel/mm/ksm/run",
    "metadata": "/.zonecontrol/x",
    "native": "/native/x",
    "shared_ro": "/usr/x",
}
READS = ("/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list", "/sys/firmware")
MS_BIND, MS_REMOUNT = 4096, 32


def attempt(work: Callable[[], object]) -> str:
    try:
        result = work()
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, str(exc))
    return str(result) if isinstance(result, str) else "done"


def call(*arguments: int) -> str:
    result = libc.syscall(*(ctypes.c_long(argument) for argument in arguments))
    if result == 0 and arguments[0] == 56:
        os._exit(0)
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def text(path: str) -> str:
    with open(path) as file:
        return file.read()


def write(path: str) -> None:
    with open(path, "w") as file:
        file.write("1")


def read(path: str) -> str:
    if os.path.isdir(path):
        return f"{len(os.listdir(path))} entries"
    with open(path, "rb") as file:
        return f"{len(file.read(100))} bytes"


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    os.makedirs(target, exist_ok=True)
    words = (word.encode() for word in (source, target, kind))
    if libc.mount(*words, flags, data.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def open_socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def make_node() -> None:
    os.mknod("/root/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))


def umount_and_write(path: str) -> None:
    """A mask is the zone's own mount: behind it there must be a second wall."""
    for part in ("/proc/sys", "/proc/sysrq-trigger"):
        libc.umount2(part.encode(), 2)
    write(path)


def open_node(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def cgroup_writes() -> str:
    """Every cgroup hierarchy that can be mounted: what of it can be seen and written?"""
    seen: list[str] = []
    controllers = [line.split(":")[1] for line in text("/proc/self/cgroup").splitlines()]
    for number, name in enumerate(controllers):
        place = f"/root/cg{number}"
        kind, data = ("cgroup", name) if name else ("cgroup2", "")
        with contextlib.suppress(OSError):
            mount("cgroup", place, kind, 0, data)
            seen += [f"{name}:{entry.name}" for entry in os.scandir(place) if entry.is_dir()]
            for file in ("memory.limit_in_bytes", "pids.max", "memory.max", "cpu.shares"):
                if os.path.exists(f"{place}/{file}"):
                    outcome = attempt(partial(write, f"{place}/{file}"))
                    if outcome == "done":
                        seen.append(f"wrote {file}")
    return " ".join(seen) or "nothing"


def probes() -> dict[str, str]:
    found = {f"syscall {name}": call(*args) for name, args in SYSCALLS.items()}
    for name, family in {**FAMILIES, **GOOD_FAMILIES}.items():
        kind = socket.SOCK_DGRAM if name in ("unix", "inet", "inet6") else socket.SOCK_RAW
        found[f"socket {name}"] = attempt(partial(open_socket, family, kind))
    found["socket audit"] = attempt(partial(open_socket, socket.AF_NETLINK, socket.SOCK_RAW, 9))
    found |= {f"write {name}": attempt(partial(write, path)) for name, path in WRITES.items()}
    found |= {f"read {path}": attempt(partial(read, path)) for path in READS}
    found |= {
        "mknod": attempt(make_node),
        "image device": attempt(lambda: open_node("/root/image-disk")),
        "shared device": attempt(lambda: open_node("/shared/disk")),
        "mount disk": attempt(lambda: mount("/root/image-disk", "/root/m1", "ext4")),
        "mount devtmpfs": attempt(lambda: mount("devtmpfs", "/root/m2", "devtmpfs")),
        "mount debugfs": attempt(lambda: mount("debugfs", "/root/m3", "debugfs")),
        "mount proc": attempt(lambda: mount("proc", "/root/m4", "proc")),
        "remount root": attempt(lambda: mount("", "/", "", MS_BIND | MS_REMOUNT)),
        "remount native": attempt(lambda: mount("", "/native", "", MS_BIND | MS_REMOUNT)),
        "remount usr": attempt(lambda: mount("", "/usr", "", MS_BIND | MS_REMOUNT)),
        "remount shared": attempt(lambda: mount("", "/shared", "", MS_BIND | MS_REMOUNT)),
        "mount tmpfs": attempt(lambda: mount("tmpfs", "/root/m5", "tmpfs")),
        "cgroups": cgroup_writes(),
        "hostname": attempt(lambda: socket.sethostname("other")),
        "set-uid": str(os.stat("/root/suid").st_mode & 0o4000),
        "pids": " ".join(sorted(name for name in os.listdir("/proc") if name.isdigit())),
        "links": " ".join(sorted(name for _, name in socket.if_nameindex())),
        "uid_map": " ".join(text("/proc/self/uid_map").split()),
        "devices": " ".join(sorted(os.listdir("/dev"))),
    }
    # Last: it lays the masks bare.
    found["core_pattern unmasked"] = attempt(lambda: umount_and_write(WRITES["core_pattern"]))
    found["sysrq unmasked"] = attempt(lambda: umount_and_write(WRITES["sysrq"]))
    found["kcore unmasked"] = attempt(
        lambda: (libc.umount2(b"/proc/kcore", 2), read("/proc/kcore"))[1]
    )
    return found


def in_a_zone() -> bool:
    """On the host these probes would do what they try."""
    return text("/proc/self/uid_map").split()[1] != "0"


if __name__ == "__main__":
    if not in_a_zone():
        sys.exit("zone_probe.py must run inside a zone")
    print(json.dumps(probes()))
