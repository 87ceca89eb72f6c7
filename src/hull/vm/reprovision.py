# SPDX-License-Identifier: MPL-2.0
"""vmadm reprovision: another image below the same VM.

The new root is built beside the old one, then given the name NEXT: from that moment on the VM is
the new one, and hulld's next start goes on where a crash has ended it. Before, it is the old one.
"""

import logging
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path

from hull.errors import Error, HostError, InUse, InvalidPayload, InvalidState, NotFound, Problem
from hull.host.host import Host
from hull.image import store
from hull.linux import inroot
from hull.model.units import GIB
from hull.model.vm import VM
from hull.vm import docker
from hull.vm.announce import announce, operation
from hull.vm.check import check_image
from hull.vm.create import PROVISIONING, wait_provisioned, write_first_files
from hull.vm.dataset import properties
from hull.vm.hold import require_destructible
from hull.vm.start import boot
from hull.vm.stop import shut_down
from hull.vm.view import state
from hull.wire import JsonObject
from hull.zone import boots
from hull.zone.index import INSTALLED, Zone

log = logging.getLogger("hull.reprovision")

BUILDING, NEXT, OLD = "-building", "-next", "-old"  # suffixes of the dataset's name
STATES = ("running", "stopped", "failed")  # in which a VM may be; or half down, by an earlier try
KEPT = ("config", "cores", "logs", "site")  # of the zone's directory; the rest comes with the image


def reprovision(uuid: str, payload: JsonObject, host: Host) -> JsonObject:
    """Replace the VM's root by a clone of `image_uuid`; boot it if it has autoboot.

    Its data (uuid, nics, metadata, delegated dataset, quota) stay; its snapshots go with the old
    root. Raises InvalidPayload, InvalidState, InUse, and then nothing has changed.
    """
    with operation(uuid, host):
        vm = check(uuid, payload, host)
        with ExitStack() as undo:
            build(vm, host, undo)
            take_down(uuid, host, undo)
            take_over(uuid, host, undo)
            undo.pop_all()
        try:
            destroy_rest(uuid, host)
        except Error as exc:  # it is reprovisioned all the same
            log.warning("the old root of VM %s stays until hulld's next start: %s", uuid, exc)
        zone = host.index.get(uuid)
        if vm.autoboot:
            announce(uuid, host)
            boot(zone, host)
    if vm.autoboot and zone.provisioning:
        wait_provisioned(zone.vm, host)
    return {"uuid": uuid}


def check(uuid: str, payload: JsonObject, host: Host) -> VM:
    """The VM as it is to be. Reads only."""
    zone = host.index.get(uuid)
    image_uuid = payload.get("image_uuid")
    if not isinstance(image_uuid, str) or not image_uuid:
        raise InvalidPayload([Problem("", "payload is missing image_uuid")])
    require_destructible(zone.vm, "reprovision")
    now = state(zone, host)
    if zone.zone_state != INSTALLED or now not in (*STATES, boots.SHUTTING_DOWN):
        raise InvalidState(f'Cannot reprovision vm from state "{now}".')
    vm = docker.reimaged(zone.vm, image_uuid, host)
    if problems := [*check_image(vm, host), *docker.check_docker(vm)]:
        raise InvalidPayload(problems)
    for snapshot in host.pool.snapshots(host.dataset(uuid)):
        if snapshot.clones:
            raise InUse(f"{snapshot.name} has clones: {', '.join(snapshot.clones)}")
    return vm


def build(vm: VM, host: Host, undo: ExitStack) -> None:
    """The new root, whole, beside the old one."""
    destroy_rest(vm.uuid, host)
    name = host.dataset(vm.uuid) + BUILDING
    made = host.pool.clone(store.origin_snapshot(vm.image_uuid), name, quota=vm.quota * GIB)
    undo.callback(host.pool.destroy, name, recursive=True)
    host.pool.set(name, compression=properties(vm, host)[host.dataset(vm.uuid)].compression)
    write_first_files(vm, host, Path(made.mountpoint) / "root")


def take_down(uuid: str, host: Host, undo: ExitStack) -> None:
    """Stop the VM, and copy what its directory holds beside the root."""
    if host.boots.find(uuid):
        shut_down(uuid, host)
        undo.callback(boot, host.index.get(uuid), host)
    zone, built = host.paths.zones / uuid, host.paths.zones / f"{uuid}{BUILDING}"
    (built / "logs").mkdir(mode=0o700, exist_ok=True)
    for name in KEPT:
        if (zone / name).is_dir():
            copy_tree(zone / name, built / name)


def copy_tree(source: Path, target: Path) -> None:
    """Raises HostError."""
    try:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    except OSError as exc:  # shutil.Error is one, with a list of what went wrong
        raise HostError(f"cannot copy {source}: {exc.strerror or exc}") from exc


def take_over(uuid: str, host: Host, undo: ExitStack) -> None:
    """Let the new root have the VM's name, datasets below it and record. Can be repeated."""
    dataset = host.dataset(uuid)

    def rename(old: str, new: str) -> None:
        host.pool.rename(old, new)
        undo.callback(host.pool.rename, new, old)

    names = family(uuid, host)
    if dataset + BUILDING in names:
        rename(dataset + BUILDING, dataset + NEXT)
        names |= {dataset + NEXT}
    if dataset + NEXT in names:
        if dataset in names:
            rename(dataset, dataset + OLD)
        rename(dataset + NEXT, dataset)
    for child in children(dataset + OLD, host):
        rename(f"{dataset}{OLD}/{child}", f"{dataset}/{child}")
    change_record(uuid, host, undo)


def change_record(uuid: str, host: Host, undo: ExitStack) -> None:
    """Let the record say what the root is a clone of, and that its first boot is to come."""
    before = host.index.get(uuid)
    origin = host.pool.datasets(host.dataset(uuid), usage=False)[0].origin
    image_uuid = origin.partition("@")[0].rpartition("/")[2]
    root = host.paths.zones / uuid / "root"
    host.index.put(
        Zone(
            vm=docker.reimaged(before.vm, image_uuid, host),
            zone_state=INSTALLED,
            provisioning=inroot.exists(root, PROVISIONING),
            exit_status=before.exit_status,
            exit_timestamp=before.exit_timestamp,
        )
    )
    undo.callback(host.index.put, before)


def destroy_rest(uuid: str, host: Host) -> None:
    """Destroy what is no longer, or never was, the VM."""
    for suffix in (BUILDING, OLD):
        host.pool.destroy(host.dataset(uuid) + suffix, recursive=True)


def family(uuid: str, host: Host) -> set[str]:
    """Which of the VM's roots there are."""
    dataset = host.dataset(uuid)
    wanted = {dataset, dataset + BUILDING, dataset + NEXT, dataset + OLD}
    return {one.name for one in host.pool.datasets(usage=False)} & wanted


def children(dataset: str, host: Host) -> list[str]:
    """The names of the datasets right below one, if it is there."""
    found: list[str] = []
    with suppress(NotFound):
        for one in host.pool.datasets(dataset, usage=False)[1:]:
            name = one.name.removeprefix(f"{dataset}/")
            if "/" not in name:
                found.append(name)
    return found


def resume(host: Host) -> None:
    """Go on with every reprovision that hulld did not survive; called when it starts."""
    names = {dataset.name for dataset in host.pool.datasets(usage=False)}
    for uuid in {zone.uuid for zone in host.index.all()}:
        dataset = host.dataset(uuid)
        if dataset + BUILDING in names:
            host.pool.destroy(dataset + BUILDING, recursive=True)
        if dataset + NEXT in names or dataset + OLD in names:
            log.warning("going on with the reprovision of VM %s", uuid)
            with ExitStack() as undo:
                take_over(uuid, host, undo)
                undo.pop_all()
            destroy_rest(uuid, host)
