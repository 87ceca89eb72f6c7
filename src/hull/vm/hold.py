# SPDX-License-Identifier: MPL-2.0
"""indestructible_zoneroot and indestructible_delegated: data that no command destroys.

As on SmartOS each has the snapshot `@indestructible`; the hold on it is the VM's own record.
"""

from contextlib import ExitStack, suppress

from hull.errors import Exists, InvalidState
from hull.host.host import Host
from hull.model.vm import VM
from hull.vm.dataset import data_dataset

SNAPSHOT = "indestructible"


def require_destructible(vm: VM, verb: str) -> None:
    """`delete` takes everything; `reprovision` leaves a delegated dataset alone."""
    delegated = vm.indestructible_delegated and verb == "delete"
    held = {"indestructible_zoneroot": vm.indestructible_zoneroot}
    held["indestructible_delegated"] = delegated
    for name, is_held in held.items():
        if is_held:
            hint = f"`vmadm update {vm.uuid} {name}=false` first"
            raise InvalidState(f"{name} is set, cannot {verb}", hint=hint)


def change_holds(old: VM | None, new: VM, host: Host, undo: ExitStack) -> None:
    """Make and remove snapshots; without `old`, those of a VM that is new."""
    before = snapshots(old, host) if old else set[str]()
    after = snapshots(new, host)
    for name in sorted(after - before):
        with suppress(Exists):  # left over by a hulld that died
            host.pool.snapshot(name)
        undo.callback(host.pool.destroy, name)
    for name in sorted(before - after):
        host.pool.destroy(name)
        undo.callback(host.pool.snapshot, name)


def snapshots(vm: VM, host: Host) -> set[str]:
    """The names of a VM's holds."""
    found = set()
    if vm.indestructible_zoneroot:
        found.add(f"{host.dataset(vm.uuid)}@{SNAPSHOT}")
    if vm.indestructible_delegated:
        found.add(f"{data_dataset(vm, host)}@{SNAPSHOT}")
    return found


def settle_holds(vm: VM, host: Host) -> None:
    """Make the snapshots what the VM says, whatever is there."""
    for name in (host.dataset(vm.uuid), *([data_dataset(vm, host)] if vm.delegate_dataset else ())):
        snapshot = f"{name}@{SNAPSHOT}"
        if snapshot not in snapshots(vm, host):
            host.pool.destroy(snapshot)
        elif not any(each.name == snapshot for each in host.pool.snapshots(name)):
            host.pool.snapshot(snapshot)
