# SPDX-License-Identifier: MPL-2.0
"""vmadm delete."""

from contextlib import suppress

from hull.errors import HostError
from hull.host.host import Host
from hull.vm import network
from hull.vm.announce import operation
from hull.vm.archive import archive
from hull.vm.hold import require_destructible
from hull.vm.reprovision import BUILDING, NEXT, OLD
from hull.vm.stop import halt
from hull.wire import JsonObject
from hull.zone.index import INCOMPLETE


def delete(uuid: str, host: Host) -> JsonObject:
    """Destroy a VM with its data and snapshots, running or not."""
    with operation(uuid, host):
        zone = host.index.get(uuid)
        require_destructible(zone.vm, "delete")
        if zone.vm.archive_on_delete:
            halt(uuid, host)  # so that its logs are whole
            archive(host.index.get(uuid), host)
        destroy(uuid, host)
    return {"uuid": uuid}


def destroy(uuid: str, host: Host) -> None:
    """Remove every trace of a zone; repeating it after a crash finishes the job."""
    zone = host.index.get(uuid)
    with suppress(HostError):  # the pool is full: deleting is what helps then
        host.index.change(uuid, zone_state=INCOMPLETE, kept=False)
    halt(uuid, host)
    for suffix in ("", BUILDING, NEXT, OLD):  # the last three: of a reprovision that failed
        host.pool.destroy(host.dataset(uuid) + suffix, recursive=True)
    network.release_addresses(zone.vm, host)
    host.index.remove(uuid)
