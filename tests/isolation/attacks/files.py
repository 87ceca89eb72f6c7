# SPDX-License-Identifier: MPL-2.0
"""Mounts: what of the host's can be mounted, remounted, or is seen below a cover."""

import contextlib
import os
from functools import partial

from tests.isolation.attacks.base import (
    MS_BIND,
    MS_REMOUNT,
    add,
    attack,
    last_error,
    libc,
    mount,
    seen,
    syscall,
    umount,
)

FAN_MARK_ADD, FAN_MARK_MOUNT, FAN_OPEN = 1, 0x10, 0x20
# What is covered in a zone: the machine's memory, symbols, timers, keys, log, disks and hardware.
COVERED = (
    "/proc/cmdline", "/proc/diskstats", "/proc/interrupts", "/proc/partitions",
    "/sys/class/block", "/sys/dev/block", "/sys/fs/ext4", "/sys/kernel/vmcoreinfo", "/sys/power",
)  # fmt: skip
# What the kernel itself shows to nobody but the machine's root.
GUARDED = ("/proc/kcore", "/proc/timer_list", "/proc/vmallocinfo", "/proc/slabinfo")


for _path in COVERED:
    add(f"see:{_path}", partial(seen, _path), *((6,) if _path.startswith("/proc") else (7,)))
for _path in GUARDED:
    add(f"read:{_path}", partial(seen, _path), 6)


def _uncovered(path: str) -> str:
    """Covers are the zone's own mounts: its root may take them off."""
    with contextlib.suppress(OSError):
        umount(path)
    return seen(path)


for _path in GUARDED:
    add(f"read:{_path}:uncovered", partial(_uncovered, _path), 6)


@attack(6)
def kernel_addresses() -> str:
    """Where the kernel is in memory."""
    with contextlib.suppress(OSError):
        umount("/proc/kallsyms")
    with open("/proc/kallsyms") as file:
        return "something" if any(int(line.split()[0], 16) for line in file) else "nothing"


def _remount(target: str) -> str:
    """Writable, with devices and set-user-id programs."""
    mount("", target, "", MS_BIND | MS_REMOUNT)
    return "done"


for _name, _target in (
    ("root", "/"),
    ("native", "/native"),
    ("usr", "/usr"),
    ("shared", "/shared"),
):
    add(f"remount_{_name}", partial(_remount, _target), 4, 17)


def _mount(kind: str) -> str:
    mount(kind, "/root/m", kind)
    return "done"


for _kind in ("debugfs", "tracefs", "securityfs", "bpf", "configfs", "pstore"):
    add(f"mount_{_kind}", partial(_mount, _kind), 5, 7, 17)


@attack(17)
def umount_native() -> str:
    """And see what the host has below it."""
    umount("/native")
    return "done"


@attack(17)
def write_native() -> str:
    os.close(os.open("/native/written", os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink("/native/written")
    return "done"


@attack(17)
def write_metadata_directory() -> str:
    os.close(os.open("/.zonecontrol/written", os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink("/.zonecontrol/written")
    return "done"


@attack(17, 25)
def watch_a_file_system() -> str:
    """Everybody's opens of what is mounted, by fanotify."""
    watch = last_error(libc.fanotify_init(0, os.O_RDONLY))
    syscall(301, watch, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, -100, b"/usr")
    return "done"
