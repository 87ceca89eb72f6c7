# SPDX-License-Identifier: MPL-2.0
"""vmadm create: from a payload to a running zone.

Read `create` and `install` as the table of contents. Nothing on the host changes
before `claim`; from there on each step registers its undo, and a crash leaves a zone in state
`incomplete`, which start-up destroys.
"""

import logging
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from hull.errors import HostError, NotFound
from hull.host.host import Host, Progress, no_progress
from hull.image import store
from hull.linux import inroot
from hull.model.payload import decode_create
from hull.model.units import GIB
from hull.model.vm import VM
from hull.vm import cloudinit, docker, network
from hull.vm.announce import announce, operation
from hull.vm.check import check_create
from hull.vm.complete import complete
from hull.vm.dataset import create_data, properties
from hull.vm.hold import change_holds
from hull.vm.start import boot
from hull.vm.stop import halt
from hull.wire import JsonObject, problems_to_json
from hull.zone.index import INSTALLED, Zone

log = logging.getLogger("hull.create")

# An image that has this directory takes part in provisioning: its init renames the marker when the
# first boot is done (docs/image-format.md). Other images are done as soon as their init runs.
PROVISIONING_DIRECTORY = "/var/svc"
PROVISIONING = "/var/svc/provisioning"
PROVISION_SUCCESS = "/var/svc/provision_success"
# What a zone with SMF says when its first boot cannot be done any more; it may take that back.
PROVISION_FAILURE = "/var/svc/provision_failure"
FAILURE_STANDS = 1.0  # seconds
MAX_FAILURE = 2000  # characters of it
MAX_PAUSE = 0.1  # seconds between two looks


def create(payload: JsonObject, host: Host, progress: Progress = no_progress) -> JsonObject:
    """Make the zone that `payload` describes and boot it; returns its uuid and what was ignored.

    Raises InvalidPayload with every problem, and then nothing has changed; HostError if a step
    failed, and then everything is undone. A zone that boots but does not finish its provisioning
    in time stays, in state `failed`, so that its owner can look why.
    """
    asked, warnings = decode_create(payload)
    vm = docker.with_image(complete(asked), host)
    with operation(vm.uuid, host), ExitStack() as undo:
        zone = install(vm, host, undo)
        progress({"uuid": vm.uuid, "step": "installed"})
        if vm.autoboot:
            announce(vm.uuid, host)
            boot(zone, host)
        undo.pop_all()
    if vm.autoboot and zone.provisioning and not vm.nowait:
        wait_provisioned(vm, host)
    return {"uuid": vm.uuid, "warnings": problems_to_json(warnings)}


def install(vm: VM, host: Host, undo: ExitStack) -> Zone:
    """Everything but booting it: the zone's record, addresses, dataset and first files."""
    with host.lock_allocations():
        check_create(vm, host)
        claim(vm, host, undo)
    root = create_dataset(vm, host, undo)
    write_first_files(vm, host, root)
    change_holds(None, vm, host, undo)
    return mark_installed(vm, host, root)


def claim(vm: VM, host: Host, undo: ExitStack) -> None:
    """Take the uuid, MAC and IP addresses, in state incomplete."""
    host.index.put(Zone(vm=vm))
    undo.callback(host.index.remove, vm.uuid)
    undo.callback(network.release_addresses, vm, host)
    network.lease_addresses(vm, host)


def create_dataset(vm: VM, host: Host, undo: ExitStack) -> Path:
    """Clone the image; returns the zone's root."""
    dataset = host.dataset(vm.uuid)
    made = host.pool.clone(store.origin_snapshot(vm.image_uuid), dataset, quota=vm.quota * GIB)
    undo.callback(host.pool.destroy, dataset, recursive=True)
    host.pool.set(dataset, compression=properties(vm, host)[dataset].compression)
    create_data(vm, host)
    (Path(made.mountpoint) / "logs").mkdir(mode=0o700, exist_ok=True)
    return Path(made.mountpoint) / "root"


def write_first_files(vm: VM, host: Host, root: Path) -> None:
    """Names and resolvers: the zone's owner may change them from now on."""
    if vm.docker:  # an image may be one program and nothing else
        inroot.make_dirs(root, "/etc")
    network.write_hostname(vm, root)
    inroot.write_file(root, "/etc/hosts", network.hosts_file(vm, host).encode())
    network.write_resolvers(vm, host, root)
    cloudinit.write_seed(vm, host, root)
    if not vm.docker and inroot.exists(root, PROVISIONING_DIRECTORY):
        for past in (PROVISION_SUCCESS, PROVISION_FAILURE):  # of the zone that the image was
            inroot.remove(root, past)
        inroot.write_file(root, PROVISIONING, b"")


def mark_installed(vm: VM, host: Host, root: Path) -> Zone:
    provisioning = not vm.docker and inroot.exists(root, PROVISIONING)
    return host.index.change(vm.uuid, zone_state=INSTALLED, provisioning=provisioning)


def wait_provisioned(vm: VM, host: Host) -> None:
    """Wait until the zone says that its first boot is done; mark it failed if it does not.

    Not under the VM's lock: it may be looked at, stopped and deleted meanwhile.
    """
    root = host.paths.zones / vm.uuid / "root"
    begun = time.monotonic()
    failing = math.inf  # since when the zone says that it has failed
    while not inroot.exists(root, PROVISION_SUCCESS):
        waited = time.monotonic() - begun
        said = failure(root)
        failing = min(failing, waited) if said else math.inf
        if waited - failing < FAILURE_STANDS:
            said = ""
        if reason := said or why_failed(vm, host, waited):
            mark_failed(vm.uuid, reason, host)
        time.sleep(min(0.002 + waited / 20, MAX_PAUSE))
    with operation(vm.uuid, host):
        host.index.change(vm.uuid, provisioning=False)


def failure(root: Path) -> str:
    """Why the first boot cannot be done, in the zone's words; "" as long as it says nothing."""
    try:
        said = inroot.read_file(root, PROVISION_FAILURE, MAX_FAILURE).decode(errors="replace")
    except (NotFound, HostError):
        return ""
    lines = ("".join(filter(str.isprintable, line)).strip() for line in said.splitlines())
    return " ".join(filter(None, lines))


def why_failed(vm: VM, host: Host, waited: float) -> str:
    if not host.runtime.pid(vm.uuid):
        return "its init ended before provisioning was done"
    if vm.mdata_exec_timeout and waited > vm.mdata_exec_timeout:
        return f"not done within mdata_exec_timeout ({vm.mdata_exec_timeout} s)"
    return ""


def mark_failed(uuid: str, reason: str, host: Host) -> NoReturn:
    """Keep the VM as it is, down, for its owner to look at."""
    log.error("VM %s failed to provision: %s", uuid, reason)
    with operation(uuid, host):
        host.index.change(uuid, provisioning=False, failed=reason)
        halt(uuid, host)
    raise HostError(
        f"VM {uuid} was created but failed to provision: {reason}",
        hint=f"look at /zones/{uuid}/logs, then `vmadm delete {uuid}`",
    )
