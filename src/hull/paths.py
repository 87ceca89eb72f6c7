# SPDX-License-Identifier: MPL-2.0
"""Where everything is. One Paths, made from the root, is passed down; nobody else builds a path.

A live host has the root `/` and SmartOS's paths; a hosted one has them below HULL_ROOT, so that
several hosts can live on one machine.
"""

import os
from pathlib import Path
from zlib import crc32

DEFAULT_ROOT = "/var/lib/hull"
# sun_path holds 108 bytes; the longest socket below the root is a zone's console.
MAX_ROOT = 40


class Paths:
    """The files of one host, from its root directory."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    @classmethod
    def from_environment(cls) -> "Paths":
        return cls(os.environ.get("HULL_ROOT") or DEFAULT_ROOT)

    @property
    def host_id(self) -> str:
        """Four hex digits that tell this host's links, tables and cgroups from another's."""
        return f"{crc32(str(self.root).encode()) & 0xFFFF:04x}"

    # -- on the pool: survives a reboot -----------------------------------------------------------
    @property
    def zones(self) -> Path:
        """The pool's mountpoint; zone UUID is in `zones/UUID`."""
        return self.root / "zones"

    @property
    def etc_zones(self) -> Path:
        """One JSON file a zone."""
        return self.root / "etc/zones"

    @property
    def usbkey(self) -> Path:
        return self.root / "usbkey"

    @property
    def opt(self) -> Path:
        return self.root / "opt"

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def imgadm(self) -> Path:
        return self.var / "imgadm"

    @property
    def log(self) -> Path:
        return self.var / "log"

    # -- runtime: a tmpfs, gone after a reboot -----------------------------------------------------
    @property
    def run_mount(self) -> Path:
        """Where `hull up` mounts the tmpfs of a hosted host."""
        return self.root / "run"

    @property
    def run(self) -> Path:
        return self.run_mount / "hull"

    @property
    def socket(self) -> Path:
        return self.run / "hulld.sock"

    @property
    def boots(self) -> Path:
        """One JSON file for each zone that is up."""
        return self.run / "boots"

    @property
    def locks(self) -> Path:
        return self.run / "locks"
