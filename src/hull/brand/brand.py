# SPDX-License-Identifier: MPL-2.0
"""The Brand port: how a kind of zone boots, what its init may do, and how it is asked to stop.

Brands are data: what they make of a zone is an OCI config (oci.py); the Runtime executes it.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hull.brand.privilege import CAPABILITIES
from hull.wire import JsonObject
from hull.zone.runtime import ExitStatus

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A directory of the host that the zone sees; owners are the same numbers on both sides."""

    source: Path  # without symlinks: a zone may be able to put one there
    target: str
    options: tuple[str, ...] = ()  # ro, nosuid, noexec …


@dataclass(frozen=True, kw_only=True)
class ZoneConfig:
    """What a brand needs to know of a VM."""

    uuid: str
    hostname: str
    init: str = ""  # path in the zone; the brand's own by default
    boot_args: str = ""  # what SMF is told for this boot: -s, -m OPTIONS
    tmpfs: int = 0  # bytes of /tmp; 0: /tmp is on disk
    metadata: Path  # the directory of the metadata socket, seen at /.zonecontrol
    native: Path  # the host's zone tools, seen at /native
    max_locked_memory: int = 64 * MIB  # bytes
    sysctls: Mapping[str, str] = field(default_factory=dict)  # of the zone's own namespaces
    capabilities: tuple[str, ...] = tuple(CAPABILITIES)  # the most that its processes can have
    filesystems: tuple[Bind, ...] = ()


class Brand(Protocol):
    """What a brand says of itself, and its one function."""

    @property
    def name(self) -> str: ...

    @property
    def own_cgroups(self) -> bool:
        """Whether init makes cgroups, and wants a cgroup2 tree of its own: systemd and SMF do."""
        ...

    @property
    def stop_signal(self) -> int:
        """The signal on which init shuts the zone down."""
        ...

    def bundle(self, config: ZoneConfig) -> JsonObject:
        """The zone as OCI config.json, without root. Pure."""
        ...


def exit_meaning(status: ExitStatus) -> str:
    """What init's end meant: `reboot`, `halt`, or `` for an end that says nothing.

    reboot(2) in a zone does not reach the machine: the kernel ends the zone's init, by SIGHUP for a
    restart and by SIGINT for power off and halt (pid_namespaces(7)).
    """
    meanings = {-signal.SIGHUP: "reboot", -signal.SIGINT: "halt"}
    return meanings.get(status.code, "")
