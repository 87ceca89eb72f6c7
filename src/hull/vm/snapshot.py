# SPDX-License-Identifier: MPL-2.0
"""vmadm create-snapshot, rollback-snapshot and delete-snapshot."""

import re
from contextlib import ExitStack

from hull.errors import Exists, InvalidPayload, InvalidState, NotFound, Problem
from hull.host.host import Host
from hull.model.vm import VM
from hull.vm.announce import operation
from hull.vm.hold import SNAPSHOT as HOLD
from hull.vm.start import boot
from hull.vm.stop import halt
from hull.vm.view import SNAPSHOT_PREFIX
from hull.wire import JsonObject

NAME = re.compile(r"[A-Za-z0-9_.:%-]{1,64}\Z")


def create_snapshot(uuid: str, name: str, host: Host) -> JsonObject:
    """Freeze the zone's file system as it is, running or not."""
    if not NAME.match(name):
        raise InvalidPayload(
            [
                Problem(
                    "name", f'Invalid snapshot name: "{name}"', "up to 64 of A-Z a-z 0-9 _ . : % -"
                )
            ]
        )
    with operation(uuid, host):
        vm = host.index.get(uuid).vm
        if vm.delegate_dataset:
            raise InvalidState("Cannot currently snapshot zones that have datasets")
        if _exists(uuid, name, host):
            raise Exists(f'snapshot with name "{name}" already exists.')
        _require_room(vm, host)
        host.pool.snapshot(_dataset_snapshot(uuid, name, host))
    return {"uuid": uuid, "name": name}


def rollback_snapshot(uuid: str, name: str, host: Host) -> JsonObject:
    """Stop the zone at once, make its file system what the snapshot is, and start it, always."""
    with operation(uuid, host):
        zone = host.index.get(uuid)
        _require(uuid, name, host)
        _require_no_hold(zone.vm, name, host)
        with ExitStack() as undo:
            if host.boots.find(uuid):
                halt(uuid, host)
                undo.callback(boot, zone, host)
            host.pool.rollback(_dataset_snapshot(uuid, name, host))
            undo.pop_all()
        boot(zone, host)
    return {"uuid": uuid, "name": name}


def delete_snapshot(uuid: str, name: str, host: Host) -> JsonObject:
    with operation(uuid, host):
        host.index.get(uuid)
        _require(uuid, name, host)
        host.pool.destroy(_dataset_snapshot(uuid, name, host))
    return {"uuid": uuid, "name": name}


def _dataset_snapshot(uuid: str, name: str, host: Host) -> str:
    return f"{host.dataset(uuid)}@{SNAPSHOT_PREFIX}{name}"


def _exists(uuid: str, name: str, host: Host) -> bool:
    wanted = _dataset_snapshot(uuid, name, host)
    return any(snapshot.name == wanted for snapshot in host.pool.snapshots(host.dataset(uuid)))


def _require_room(vm: VM, host: Host) -> None:
    """zfs_snapshot_limit counts every snapshot of the dataset, as ZFS does."""
    limit = vm.zfs_snapshot_limit
    if limit is not None and len(host.pool.snapshots(host.dataset(vm.uuid))) >= limit:
        raise InvalidState(
            f"zfs_snapshot_limit is {limit}, cannot create another snapshot",
            hint="delete a snapshot, or raise the limit",
        )


def _require_no_hold(vm: VM, name: str, host: Host) -> None:
    """A rollback destroys what is newer; a hold prevents that."""
    names = [snapshot.short_name for snapshot in host.pool.snapshots(host.dataset(vm.uuid))]
    newer = names[names.index(f"{SNAPSHOT_PREFIX}{name}") :]
    if vm.indestructible_zoneroot and HOLD in newer:
        raise InvalidState(
            f"indestructible_zoneroot is set, cannot roll back to the older snapshot {name}",
            hint=f"`vmadm update {vm.uuid} indestructible_zoneroot=false` first",
        )


def _require(uuid: str, name: str, host: Host) -> None:
    if not _exists(uuid, name, host):
        raise NotFound(
            f'No snapshot named "{name}" for {uuid}', hint="`vmadm get` lists the snapshots"
        )
