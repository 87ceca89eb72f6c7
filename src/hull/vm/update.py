# SPDX-License-Identifier: MPL-2.0
"""vmadm update: change a VM; what can be live is live at once, the rest at its next boot."""

from contextlib import ExitStack, suppress
from dataclasses import asdict, replace

from hull.errors import HostError
from hull.host.host import Host
from hull.model.payload import decode_update
from hull.model.vm import VM
from hull.vm import network
from hull.vm.announce import announce, operation
from hull.vm.check import check_update
from hull.vm.complete import complete_nics
from hull.vm.dataset import change_properties, properties
from hull.vm.hold import change_holds, settle_holds
from hull.vm.start import limits
from hull.wire import JsonObject, problems_to_json
from hull.zone.index import CONFIGURED


def update(uuid: str, payload: JsonObject, host: Host) -> JsonObject:
    """Raises InvalidPayload with every problem, and then nothing has changed."""
    with operation(uuid, host):
        old = host.index.get(uuid).vm
        new, warnings = decode_update(payload, old)
        new = replace(new, nics=complete_nics(new.nics))
        with ExitStack() as undo:
            undo.callback(host.index.change, uuid, changing=False)
            host.index.change(uuid, changing=True)
            apply(old, new, host, undo)
            # Once more on what it is by now: a zone may change its metadata at any time.
            host.index.edit(
                uuid,
                lambda vm: replace(decode_update(payload, vm).vm, nics=new.nics),
                changing=False,
            )
            undo.pop_all()
        with suppress(HostError):  # the VM is updated; an address kept too long harms nobody
            network.keep_leases(new, host)
    return {"uuid": uuid, "warnings": problems_to_json(warnings)}


def apply(old: VM, new: VM, host: Host, undo: ExitStack) -> None:
    """Make the host follow; each step can be taken back."""
    with host.lock_allocations():
        check_update(new, host)
        undo.callback(network.keep_leases, old, host)
        network.lease_addresses(new, host)
    if host.index.get(new.uuid).zone_state == CONFIGURED:
        return  # it has no data yet
    change_properties(old, new, host, undo)
    change_holds(old, new, host, undo)
    if host.boots.find(new.uuid):
        apply_live(old, new, host, undo)
    write_files(old, new, host)


def write_files(old: VM, new: VM, host: Host) -> None:
    """The zone's files that follow its properties."""
    root = host.paths.zones / new.uuid / "root"
    if new.hostname != old.hostname:  # for an init that sets it at the next boot
        network.write_hostname(new, root)
    if new.maintain_resolvers and new.resolvers != old.resolvers:
        network.write_resolvers(new, host, root)


def apply_live(old: VM, new: VM, host: Host, undo: ExitStack) -> None:
    """What a running zone notices at once."""
    if limits(new) != limits(old):
        host.runtime.set_limits(new.uuid, limits(new))
        undo.callback(host.runtime.set_limits, new.uuid, limits(old))
    if (new.nics, new.routes) != (old.nics, old.routes):
        undo.callback(network.follow, old, host)
        network.follow(new, host)


def settle(uuid: str, host: Host) -> None:
    """Make the host follow a VM's record, after an update that hulld did not survive."""
    zone = host.index.get(uuid)
    with host.lock_allocations():
        network.lease_addresses(zone.vm, host)
    network.keep_leases(zone.vm, host)
    if zone.zone_state != CONFIGURED:
        for dataset, said in properties(zone.vm, host).items():
            host.pool.set(dataset, **asdict(said))
        settle_holds(zone.vm, host)
        if host.boots.find(uuid):
            host.runtime.set_limits(uuid, limits(zone.vm))
            network.follow(zone.vm, host)
        root = host.paths.zones / uuid / "root"
        network.write_hostname(zone.vm, root)
        if zone.vm.maintain_resolvers:
            network.write_resolvers(zone.vm, host, root)
    host.index.change(uuid, changing=False)


def change_metadata(uuid: str, payload: JsonObject, host: Host) -> None:
    """What a zone changes about itself from inside: nothing but its metadata."""
    # Not under the VM's lock: an operation that waits for the zone, such as stop, holds it.
    host.index.edit(uuid, lambda vm: decode_update(payload, vm).vm)
    announce(uuid, host)
