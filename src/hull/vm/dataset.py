# SPDX-License-Identifier: MPL-2.0
"""The datasets of a VM: its root's, and the one that a zone is delegated."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass

from hull.host.host import Host
from hull.model.units import GIB
from hull.model.vm import VM
from hull.storage.compression import nearest

DATA = "data"


@dataclass(frozen=True, kw_only=True)
class Properties:
    """What a VM says of one of its datasets, in the pool's words."""

    quota: int  # bytes; 0: none
    compression: str


def data_dataset(vm: VM, host: Host) -> str:
    """The delegated dataset's name; the zone sees it at this place, too."""
    return f"{host.dataset(vm.uuid)}/{DATA}"


def properties(vm: VM, host: Host) -> dict[str, Properties]:
    """By dataset. A child's space is not its parent's, so each has the whole quota."""
    known = host.pool.features.compressions
    quota = vm.quota * GIB
    root = Properties(quota=quota, compression=nearest(vm.zfs_root_compression, known))
    data = Properties(quota=quota, compression=nearest(vm.zfs_data_compression, known))
    found = {host.dataset(vm.uuid): root}
    return found | ({data_dataset(vm, host): data} if vm.delegate_dataset else {})


def create_data(vm: VM, host: Host) -> None:
    """Make the delegated dataset, if the VM is to have one; it is the root dataset's child."""
    if vm.delegate_dataset:
        name = data_dataset(vm, host)
        wanted = properties(vm, host)[name]
        host.pool.create(name, quota=wanted.quota, compression=wanted.compression)


def change_properties(old: VM, new: VM, host: Host, undo: ExitStack) -> None:
    """Make the datasets what the VM says of them now; they hold at once."""
    before = properties(old, host)
    for name, wanted in properties(new, host).items():
        if wanted != before[name]:
            host.pool.set(name, **asdict(wanted))
            undo.callback(host.pool.set, name, **asdict(before[name]))
