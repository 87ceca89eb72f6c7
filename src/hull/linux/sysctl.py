# SPDX-License-Identifier: MPL-2.0
"""Kernel parameters below /proc/sys, of the calling thread's network namespace where they have one.

Names are paths (`net/ipv4/ip_forward`): a link's name may have dots in it.
"""

from pathlib import Path

from hull.errors import KernelError

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
    for name, value in settings.items():
        path = f"net/ipv6/conf/{link}/{name}"
        if read(path) not in (None, value):
            write(path, value)
