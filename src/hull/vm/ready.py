# SPDX-License-Identifier: MPL-2.0
"""zoneadm ready and boot: a zone's platform without its init, and then its init."""

from contextlib import ExitStack
from dataclasses import replace

from hull.errors import InvalidState
from hull.host.host import Host
from hull.vm.announce import announce
from hull.vm.start import boot, build, run_init
from hull.zone.index import INSTALLED, Zone


def make_ready(zone: Zone, host: Host) -> None:
    """Build an installed zone: mounts, links, metadata; its init waits. All or nothing."""
    require_installed(zone, host, "ready")
    with ExitStack() as undo:
        build(zone, host, undo)
        host.boots.change(zone.uuid, held=True)
        undo.pop_all()
    announce(zone.uuid, host)


def boot_zone(zone: Zone, host: Host, init: str = "", boot_args: str = "") -> None:
    """Boot an installed or a ready zone; `init` replaces the zone's own for this boot, and
    `boot_args` are what SMF in it is told."""
    entry = host.boots.find(zone.uuid)
    if entry is None:
        require_installed(zone, host, "boot")
        vm = replace(zone.vm, init_name=init) if init else zone.vm
        boot(replace(zone, vm=vm), host, boot_args)
    elif not entry.held:
        raise InvalidState(f"zone '{zone.uuid}': zone is already booted")
    elif init or boot_args:
        raise InvalidState(
            f"zone '{zone.uuid}': a ready zone has its init already",
            hint=f"`zoneadm -z {zone.uuid} halt` first",
        )
    else:
        run_init(zone.uuid, host)
        announce(zone.uuid, host)


def require_installed(zone: Zone, host: Host, verb: str) -> None:
    """Raises InvalidState in zoneadm's words."""
    if host.boots.find(zone.uuid) or zone.zone_state != INSTALLED:
        raise InvalidState(f"zone '{zone.uuid}': must be installed before {verb}.")
