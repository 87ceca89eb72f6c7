# SPDX-License-Identifier: MPL-2.0
"""A VM as `vmadm get` prints it: the object, and what the host knows of it right now."""

import os
from collections.abc import Sequence

from hull.errors import NotFound
from hull.host.host import Host
from hull.model.view import vm_to_view
from hull.storage.pool import Snapshot
from hull.vm.complete import timestamp
from hull.vm.docker import log_mode
from hull.wire import Json, JsonObject
from hull.zone import boots, index

SNAPSHOT_PREFIX = "vmsnap-"
MIB = 1 << 20


def zone_state(zone: index.Zone, host: Host) -> str:
    """What `zoneadm list` says."""
    boot = host.boots.find(zone.uuid)
    return boot.state if boot else zone.zone_state


def state(zone: index.Zone, host: Host) -> str:
    """What `vmadm list` says."""
    if zone.failed:
        return "failed"
    boot = host.boots.find(zone.uuid)
    if zone.provisioning and boot and not boot.held:
        return "provisioning"
    now = zone_state(zone, host)
    return "stopped" if now == index.INSTALLED else now


def view(
    zone: index.Zone,
    host: Host,
    *,
    snapshots: Sequence[Snapshot] | None = None,
    only: frozenset[str] | None = None,
) -> JsonObject:
    """For tables of many VMs: `snapshots` are its dataset's where they are known already, and with
    `only` other properties need not be there.
    """
    if snapshots is None:
        snapshots = snapshots_of(zone.uuid, host)
    status: JsonObject = {
        "state": state(zone, host),
        "zone_state": zone_state(zone, host),
        "server_uuid": host.server_uuid,
        "datacenter_name": host.datacenter,
        "platform_buildstamp": host.platform,
        "failed": zone.failed,
        "snapshots": snapshots_view(snapshots),
    }
    if only is None or "last_modified" in only:
        status["last_modified"] = _last_modified(zone, host)
    if zone.vm.docker:
        status["zlog_mode"] = log_mode(zone.vm)
    boot = host.boots.find(zone.uuid)
    if boot is not None and boot.state == boots.RUNNING:
        status |= {
            "pid": boot.pid,
            "zoneid": boot.zoneid,
            "boot_timestamp": boot.timestamp,
            "init_restarts": zone.restarts,
        }
    elif zone.exit_status is not None:
        status |= {"exit_status": zone.exit_status, "exit_timestamp": zone.exit_timestamp}
    return vm_to_view(zone.vm, status, only)


def snapshots_of(uuid: str, host: Host) -> Sequence[Snapshot]:
    """The snapshots of a VM's dataset."""
    try:
        return host.pool.snapshots(host.dataset(uuid))
    except NotFound:  # the zone is not made yet
        return ()


def snapshots_view(snapshots: Sequence[Snapshot]) -> list[Json]:
    """Newest first, sizes in MiB."""
    return [
        {
            "name": snapshot.short_name.removeprefix(SNAPSHOT_PREFIX),
            "size": snapshot.used // MIB,
            "created_at": timestamp(snapshot.created),
        }
        for snapshot in reversed(snapshots)
        if snapshot.short_name.startswith(SNAPSHOT_PREFIX)
    ]


def _last_modified(zone: index.Zone, host: Host) -> str:
    try:
        return timestamp(os.stat(host.paths.etc_zones / f"{zone.uuid}.json").st_mtime)  # noqa: PTH116  # one call a VM
    except FileNotFoundError:
        return ""
