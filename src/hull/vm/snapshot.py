# SPDX-License-Identifier: MPL-2.0
"""vmadm create-snapshot, rollback-snapshot and delete-snapshot."""

import re

from hull.errors import Exists, InvalidPayload, NotFound, Problem
from hull.host.host import Host
from hull.vm.announce import operation
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
        host.index.get(uuid)
        if _exists(uuid, name, host):
            raise Exists(f'snapshot with name "{name}" already exists.')
        host.pool.snapshot(_dataset_snapshot(uuid, name, host))
    return {"uuid": uuid, "name": name}


def rollback_snapshot(uuid: str, name: str, host: Host) -> JsonObject:
    """Stop the zone at once, make its file system what the snapshot is, and start it, always."""
    with operation(uuid, host):
        zone = host.index.get(uuid)
        _require(uuid, name, host)
        halt(uuid, host)
        host.pool.rollback(_dataset_snapshot(uuid, name, host))
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


def _require(uuid: str, name: str, host: Host) -> None:
    if not _exists(uuid, name, host):
        raise NotFound(
            f'No snapshot named "{name}" for {uuid}', hint="`vmadm get` lists the snapshots"
        )
