# SPDX-License-Identifier: MPL-2.0
"""What hulld does when it starts: make the host agree with its records, after whatever ended it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from hull.errors import Error
from hull.host.host import Host
from hull.linux import files
from hull.vm import image, reprovision
from hull.vm.delete import destroy
from hull.vm.docker import boots_with_host
from hull.vm.send import forget_snapshots
from hull.vm.start import IDS_PER_ZONE, boot, metadata_socket
from hull.vm.stop import ended, halt, shut_down
from hull.vm.update import settle
from hull.zone import boots
from hull.zone.index import INCOMPLETE, INSTALLED, RECEIVING, Zone

log = logging.getLogger("hull.recover")

BOOTS_AT_ONCE = 4


def recover(host: Host) -> None:
    """Finish what a crash left half done; zones that run are taken over as they are."""
    remove_temporaries(host)
    for zone in host.index.all():
        if zone.zone_state in (INCOMPLETE, RECEIVING) and not zone.kept:
            log.warning("VM %s was incomplete: destroyed", zone.uuid)
            destroy(zone.uuid, host)
    reprovision.resume(host)
    forget_snapshots(host)
    for entry in host.boots.all():
        take_over(entry, host)
    for zone in host.index.all():
        if zone.changing:
            log.warning("VM %s was being updated: it is as its record says", zone.uuid)
            settle(zone.uuid, host)
    remove_strays(host)
    image.recover(host)


def remove_temporaries(host: Host) -> None:
    """Files that were being written, wherever Hull writes."""
    paths = host.paths
    kept = (paths.etc_zones, paths.usbkey, paths.var, paths.imgadm, paths.imgadm / "images")
    run = [directory for directory in paths.run.rglob("*") if directory.is_dir()]
    files.remove_temporaries(*kept, paths.imgadm / "preparing", paths.run, *run)


def take_over(entry: boots.Boot, host: Host) -> None:
    """Attend a running zone again; clear up one that ended, or was half up, meanwhile."""
    if host.index.find(entry.uuid) is None or half_up(entry):
        halt(entry.uuid, host)
    elif host.runtime.pid(entry.uuid) != entry.pid:
        log.warning("VM %s ended while hulld was away", entry.uuid)
        ended(entry.uuid, entry.pid, host)
    else:
        id_base = host.id_base + entry.zoneid * IDS_PER_ZONE
        host.attendant.attend(entry.uuid, entry.pid, metadata_socket(entry.uuid, host), id_base)


def half_up(entry: boots.Boot) -> bool:
    """Whether hulld died while it booted the zone."""
    return entry.state == boots.READY and not entry.held


def remove_strays(host: Host) -> None:
    """Processes and links that no zone that is up owns."""
    up = {entry.uuid: entry for entry in host.boots.all()}
    for uuid in host.runtime.zones():
        if uuid not in up:
            log.warning("stray zone %s: removed", uuid)
            host.runtime.delete(uuid)
    owned = {link for entry in up.values() for link in entry.links}
    for link in host.datalinks.links():
        if link.name not in owned:
            log.warning("stray link %s: removed", link.name)
            host.datalinks.delete_vnic(link.name)


def autoboot(host: Host) -> None:
    """Start every VM that wants to be up: the oldest first, a few at a time."""
    wanted = [
        zone.uuid
        for zone in sorted(host.index.all(), key=lambda zone: (zone.vm.create_timestamp, zone.uuid))
        if wants_to_be_up(zone) and zone.zone_state == INSTALLED and not zone.failed
    ]
    log.info("%d VMs boot with the host", len(wanted))
    with ThreadPoolExecutor(BOOTS_AT_ONCE, "autoboot") as pool:
        for number, said in enumerate(pool.map(lambda uuid: boot_one(uuid, host), wanted), 1):
            log.info("autoboot %d of %d: %s", number, len(wanted), said)


def wants_to_be_up(zone: Zone) -> bool:
    return boots_with_host(zone) if zone.vm.docker else zone.vm.autoboot


def boot_one(uuid: str, host: Host) -> str:
    """Boot a VM unless somebody else did, or deleted it, meanwhile; says what became of it."""
    try:
        with host.lock_zone(uuid):
            zone = host.index.find(uuid)
            if zone is None or zone.zone_state != INSTALLED or host.boots.find(uuid):
                return f"VM {uuid} is left as it is"
            boot(zone, host)
    except Error as exc:
        log.error("VM %s did not boot: %s", uuid, exc)
        return f"VM {uuid} did not boot"
    return f"VM {uuid} is up"


def shut_down_all(host: Host) -> None:
    """End every zone for the host's own shutdown; autoboot stays as it is."""

    def one(entry: boots.Boot) -> None:
        with suppress(Error), host.lock_zone(entry.uuid):
            if host.boots.find(entry.uuid):
                shut_down(entry.uuid, host)

    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(one, host.boots.all()))
