# SPDX-License-Identifier: MPL-2.0
"""vmadm delete."""

from contextlib import suppress

from hull.errors import HostError
from hull.host.host import Host
from hull.vm import network
from hull.vm.announce import operation
from hull.vm.stop import halt
from hull.wire import JsonObject
from hull.zone.index import INCOMPLETE


def delete(uuid: str, host: Host) -> JsonObject:
    """Destroy a VM with its data and snapshots, running or not."""
    with operation(uuid, host):
        host.index.get(uuid)
        destroy(uuid, host)
    return {"uuid": uuid}


def destroy(uuid: str, host: Host) -> None:
    """Remove every trace of a zone; repeating it after a crash finishes the job."""
    zone = host.index.get(uuid)
    with suppress(HostError):  # the pool is full: deleting is what helps then
        host.index.change(uuid, zone_state=INCOMPLETE, kept=False)
    halt(uuid, host)
    host.pool.destroy(host.dataset(uuid), recursive=True)
    network.release_addresses(zone.vm, host)
    host.index.remove(uuid)
