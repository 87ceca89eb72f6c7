# SPDX-License-Identifier: MPL-2.0
"""vmadm start: from an installed zone to a running one."""

import shutil
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from hull.brand.brand import ZoneConfig
from hull.brand.docker import Docker
from hull.brand.privilege import capabilities
from hull.brand.table import BRANDS
from hull.errors import InvalidState
from hull.host.host import Host
from hull.model.units import MIB
from hull.model.vm import VM
from hull.net.datalink import Vnic
from hull.vm import cloudinit, docker, network
from hull.vm.announce import announce, operation
from hull.vm.complete import timestamp
from hull.vm.filesystem import binds
from hull.vm.view import state
from hull.wire import JsonObject
from hull.zone import boots
from hull.zone.index import INSTALLED, Zone
from hull.zone.runtime import Limits, ZoneSpec

IDS_PER_ZONE = 65536
PAGE = 4096
MOST_IPC = 32768  # objects of a kind that a System V IPC namespace can have (the kernel's IPCMNI)


def start(uuid: str, host: Host) -> JsonObject:
    """Boot a stopped VM, and from now on at each start of the host.

    Starting what runs already is not an error: the result then says so.
    """
    with operation(uuid, host):
        zone = host.index.get(uuid)
        entry = host.boots.find(uuid)
        if entry and not entry.held and entry.state != boots.SHUTTING_DOWN:
            return {"uuid": uuid, "already": True, "state": state(zone, host)}
        require_stopped(zone, host)
        with ExitStack() as undo:
            before = zone.vm.autoboot
            host.index.edit(uuid, lambda vm: replace(vm, autoboot=True))
            undo.callback(host.index.edit, uuid, lambda vm: replace(vm, autoboot=before))
            if zone.restarts:
                host.index.change(uuid, restarts=0)
            boot(zone, host)
            undo.pop_all()
    return {"uuid": uuid, "already": False, "state": "running"}


def require_stopped(zone: Zone, host: Host) -> None:
    now = state(zone, host)
    if zone.zone_state != INSTALLED or now not in ("stopped", "provisioning"):
        raise InvalidState(f'Cannot start vm from state "{now}", must be "stopped".')


def boot(zone: Zone, host: Host, boot_args: str = "") -> None:
    """Bring an installed zone up: platform, links, metadata, then its init. All or nothing.

    `boot_args`: for SMF in a native zone, as it is told by `zoneadm boot --`.
    """
    with ExitStack() as undo:
        build(zone, host, undo, boot_args)
        run_init(zone.uuid, host)
        undo.pop_all()
    announce(zone.uuid, host)


def build(zone: Zone, host: Host, undo: ExitStack, boot_args: str = "") -> None:
    """All but its init: from now on the zone is `ready`."""
    vm = zone.vm
    root = host.paths.zones / vm.uuid / "root"
    if vm.maintain_resolvers:
        network.write_resolvers(vm, host, root)
    cloudinit.write_seed(vm, host, root)
    if vm.docker:
        docker.make_workdir(vm, root)
    claimed = host.boots.claim(vm.uuid)
    undo.callback(host.boots.remove, vm.uuid)
    vnics = network.vnics(vm, claimed.zoneid, host)
    links, addresses = tuple(vnic.link for vnic in vnics), network.addresses_in_use(vnics)
    host.boots.change(vm.uuid, links=links, addresses=addresses)
    spec = zone_spec(vm, claimed.zoneid, root, host, boot_args)
    undo.callback(host.runtime.delete, vm.uuid)
    metadata_socket(vm.uuid, host).parent.mkdir(parents=True, exist_ok=True)
    undo.callback(remove_metadata_socket, vm.uuid, host)
    pid = host.runtime.create(spec, lambda netns: create_vnics(vnics, netns, host, undo))
    host.boots.change(vm.uuid, pid=pid)
    undo.callback(host.attendant.leave, vm.uuid)
    host.attendant.attend(vm.uuid, pid, metadata_socket(vm.uuid, host), spec.id_base)


def run_init(uuid: str, host: Host) -> None:
    """Let a ready zone's init run."""
    host.runtime.start(uuid)
    host.boots.change(uuid, state=boots.RUNNING, timestamp=timestamp(), held=False)


def create_vnics(vnics: list[Vnic], netns: str, host: Host, undo: ExitStack) -> None:
    """Links, addresses and protection, before the zone's first process runs."""
    for vnic in vnics:
        host.datalinks.create_vnic(vnic, netns)
        undo.callback(host.datalinks.delete_vnic, vnic.link)


def zone_spec(vm: VM, zoneid: int, root: Path, host: Host, boot_args: str) -> ZoneSpec:
    """The zone as data: what its brand makes of the VM."""
    brand = Docker(docker.container(vm, root)) if vm.docker else BRANDS[vm.brand]
    id_base = host.id_base + zoneid * IDS_PER_ZONE
    config = ZoneConfig(
        uuid=vm.uuid,
        hostname=vm.hostname or vm.uuid,
        init=vm.init_name or "",
        boot_args=boot_args,
        tmpfs=(vm.tmpfs or 0) * MIB,
        max_locked_memory=(vm.max_locked_memory or vm.max_physical_memory) * MIB,
        sysctls=ipc_sysctls(vm),
        metadata=metadata_socket(vm.uuid, host).parent,
        native=host.native,
        capabilities=capabilities(vm.limit_priv),
        filesystems=binds(vm, host),
    )
    return ZoneSpec(
        uuid=vm.uuid,
        zoneid=zoneid,
        root=root,
        id_base=id_base,
        bundle=brand.bundle(config),
        limits=limits(vm),
        own_cgroups=brand.own_cgroups,
        console_log=log_file(vm, host),
        log_limit=vm.zlog_max_size or 0,
        open_stdin=docker.is_set(vm, "docker:open_stdin"),
    )


def log_file(vm: VM, host: Host) -> Path | None:
    """Where what init writes is kept."""
    zone = host.paths.zones / vm.uuid
    if not vm.docker:
        return zone / "logs/console.log"
    return None if docker.log_driver(vm) == "none" else zone / docker.STDIO_LOG


def ipc_sysctls(vm: VM) -> dict[str, str]:
    """System V IPC: how many objects the zone may have, and how much memory they may share."""
    shared = (vm.max_shm_memory or vm.max_physical_memory) * MIB
    # The kernel's own defaults for semaphores in a set, in all sets, and operations in a call.
    return {
        "kernel.msgmni": str(min(vm.max_msg_ids, MOST_IPC)),
        "kernel.sem": f"32000 1024000000 500 {min(vm.max_sem_ids, MOST_IPC)}",
        "kernel.shmmni": str(min(vm.max_shm_ids, MOST_IPC)),
        "kernel.shmmax": str(shared),
        "kernel.shmall": str(shared // PAGE),
    }


def limits(vm: VM) -> Limits:
    """SmartOS's max_swap counts memory and swap together; the kernel's swap is on top."""
    return Limits(
        memory=vm.max_physical_memory * MIB,
        swap=max(0, vm.max_swap - vm.max_physical_memory) * MIB,
        processes=vm.max_lwps,
        cpu_shares=vm.cpu_shares,
        cpu_cap=vm.cpu_cap or 0,
        io_priority=vm.zfs_io_priority,
        tmpfs=vm.tmpfs * MIB,
    )


def metadata_socket(uuid: str, host: Host) -> Path:
    """In a directory of its own, which the zone sees at /.zonecontrol."""
    return host.paths.run / "metadata" / uuid / "metadata.sock"


def remove_metadata_socket(uuid: str, host: Host) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(metadata_socket(uuid, host).parent)  # with what a bind has left half done
