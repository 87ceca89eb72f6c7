# SPDX-License-Identifier: MPL-2.0
"""The kernel's tables that all zones of a machine share: so large that no zone fills one.

A zone's own bound is elsewhere (its cgroup, its ptys), but the kernel's defaults are meant for one
system and its users: a dozen zones have all ptys, one has all asynchronous I/O. A table is only
ever made larger; the last host to go down makes it what it was.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hull.brand.oci import MAX_PTYS
from hull.errors import KernelError
from hull.linux import sysctl
from hull.linux.files import read_json, write_json
from hull.zone.boots import MAX_ZONEID

HOST_PTYS = 1024  # kernel.pty.reserve: those that only the host can have
NEIGHBOUR = 512  # bytes of kernel memory, which are charged to nobody
NEIGHBOURS_SHARE = 100  # of which the table may have one
LEAST_NEIGHBOURS = 1 << 18  # more than a program looks for in the three seconds of an entry


def wanted() -> dict[str, int]:
    """How large each table is to be at least."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    neighbours = max(memory // NEIGHBOURS_SHARE // NEIGHBOUR, LEAST_NEIGHBOURS)
    tables = {
        "kernel/pid_max": 1 << 22,  # the kernel's most; what systemd sets
        "kernel/pty/max": (MAX_ZONEID + 1) * MAX_PTYS + HOST_PTYS,
        # Behind these are pages that are charged to the zone that uses them.
        "fs/file-max": (1 << 63) - 1,  # what systemd sets
        "fs/aio-max-nr": 1 << 31,
    }
    for family in ("ipv4", "ipv6"):
        where = f"net/{family}/neigh/default"
        # All network namespaces' neighbours are in one table. The second number is where the kernel
        # begins to look for old ones.
        tables |= {f"{where}/gc_thresh3": neighbours, f"{where}/gc_thresh2": neighbours // 2}
    return tables


def enlarge(tables: Mapping[str, int], record: Path) -> None:
    """Make the tables at least so large; `record` keeps what they were."""
    before = _recorded(record)
    for name, least in tables.items():
        # Not there: this is not the machine's own network namespace, or another kernel.
        now = sysctl.read(name)
        if now is not None and int(now) < least:
            # Written down first: a crash in between restores what is there already.
            before.setdefault(name, now)
            write_json(record, dict(before), durable=False)
            sysctl.write(name, str(least))


def restore(record: Path) -> None:
    """Make the tables what they were."""
    for name, value in reversed(_recorded(record).items()):
        with suppress(KernelError):  # in use as it is
            sysctl.write(name, value)
    record.unlink(missing_ok=True)


def _recorded(record: Path) -> dict[str, str]:
    try:
        data = read_json(record)
    except FileNotFoundError:
        return {}
    return {name: str(value) for name, value in data.items()} if isinstance(data, dict) else {}
