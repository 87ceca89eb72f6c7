# SPDX-License-Identifier: MPL-2.0
"""Kernel parameters below /proc/sys, of the calling thread's network namespace where they have one.

Names are paths (`net/ipv4/ip_forward`): a link's name may have dots in it.
"""

import os
from pathlib import Path

from hull.errors import KernelError
from hull.linux import procfs

ROOT = Path("/proc/sys")


def read(name: str) -> str | None:
    """The value, None where the kernel has no such parameter."""
    try:
        return (ROOT / name).read_text().strip()
    except FileNotFoundError:
        return None


def write(name: str, value: str) -> None:
    """Raises KernelError, also where the kernel has no such parameter."""
    try:
        # One write, no truncation: what the kernel expects of a sysctl.
        with (ROOT / name).open("w") as file:
            file.write(value)
    except OSError as exc:
        raise KernelError(f"set {name} to {value}", exc.errno or 0, exc.strerror or "") from exc


def set_ipv6(link: str, settings: dict[str, str]) -> None:
    """Set a link's switches, as far as this kernel has them."""
    with procfs.opened() as top:
        for name, value in settings.items():
            _set(top, f"sys/net/ipv6/conf/{link}/{name}", value)


def _set(top: int, path: str, value: str) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC, dir_fd=top)
    except FileNotFoundError:
        return
    try:
        if os.read(fd, 64).strip() != value.encode():
            os.pwrite(fd, value.encode(), 0)
    except OSError as exc:
        raise KernelError(f"set {path} to {value}", exc.errno or 0, exc.strerror or "") from exc
    finally:
        os.close(fd)
