# SPDX-License-Identifier: MPL-2.0
"""Settings of the kernel, in /proc and /sys: each alone, and all that can be found."""

import os
import stat
from collections.abc import Iterator
from functools import partial

from tests.isolation.attacks.base import MS_BIND, MS_REMOUNT, add, attack, mount, rewrite, umount

# Of the machine, not of a namespace.
SETTINGS = {
    "core_pattern": ("/proc/sys/kernel/core_pattern", (6, 21)),
    "modprobe": ("/proc/sys/kernel/modprobe", (6, 22)),
    "overcommit": ("/proc/sys/vm/overcommit_memory", (6,)),
    "panic": ("/proc/sys/kernel/panic", (6,)),
    "poweroff_cmd": ("/proc/sys/kernel/poweroff_cmd", (6,)),
    "ksm": ("/sys/kernel/mm/ksm/run", (7, 24)),
}
SYSRQ = "/proc/sysrq-trigger"
HELP = b"h"  # prints what there is


def _bare(path: str) -> str:
    """The kernel's own file, past what the zone's root may take off."""
    if path.startswith("/sys"):
        mount("", "/sys", "", MS_BIND | MS_REMOUNT)
    else:
        umount("/proc/sys" if path.startswith("/proc/sys/") else path)
    return rewrite(path, HELP)


for _name, (_path, _rows) in SETTINGS.items():
    add(f"set_{_name}", partial(rewrite, _path), *_rows)
    add(f"set_{_name}_bare", partial(_bare, _path), *_rows)


@attack(6)
def sysrq() -> str:
    if stat.S_ISCHR(os.stat(SYSRQ).st_mode):
        return "covered"  # by what takes whatever is written to it
    return rewrite(SYSRQ, HELP)


@attack(6)
def sysrq_bare() -> str:
    return _bare(SYSRQ)


# A zone may set what is its own: its network, its System V IPC, the limits of its namespaces.
OWN = (
    "/proc/sys/net/", "/proc/sys/user/", "/proc/sys/kernel/msg", "/proc/sys/kernel/sem",
    "/proc/sys/kernel/shm", "/proc/sys/kernel/auto_msgmni", "/proc/sys/fs/mqueue/",
    "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/hostname", "/proc/pressure/",
)  # fmt: skip


def _files(top: str) -> Iterator[str]:
    for directory, _, names in os.walk(top):
        yield from (os.path.join(directory, name) for name in names)


def _writable(paths: Iterator[str]) -> list[str]:
    found = []
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
        except OSError:
            continue
        found.append(path)
    return found


@attack(6, 10)
def any_setting_in_proc() -> str:
    """A file below a /proc of one's own, without covers, that a zone should not write."""
    mount("proc", "/root/p", "proc")
    tops = [name for name in os.listdir("/root/p") if not name.isdigit()]
    paths = (
        path
        for name in tops
        if not os.path.islink(f"/root/p/{name}")
        for path in (
            _files(f"/root/p/{name}") if os.path.isdir(f"/root/p/{name}") else (f"/root/p/{name}",)
        )
    )
    found = [path.replace("/root/p", "/proc") for path in _writable(paths)]
    return _named([path for path in found if not path.startswith(OWN)])


@attack(7)
def any_setting_in_sys() -> str:
    """A file below a writable /sys, without covers, beside those of one's own network."""
    mount("", "/sys", "", MS_BIND | MS_REMOUNT)
    with open("/proc/self/mounts") as file:
        covers = [line.split()[1] for line in file]
    for cover in covers:
        if cover.startswith("/sys/"):
            umount(cover)
    return _named(_writable(path for path in _files("/sys") if "/net/" not in path))


def _named(paths: list[str]) -> str:
    """`nothing`, a few names, or `many`."""
    if len(paths) > 20:
        return "many"
    return " ".join(paths) or "nothing"
