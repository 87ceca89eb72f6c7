# SPDX-License-Identifier: MPL-2.0
"""vmadm stop: the end of a zone's run, asked for or not."""

import logging
import signal
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from hull.brand.brand import exit_meaning
from hull.brand.table import BRANDS
from hull.errors import HostError, InvalidState, NotFound, Unsupported
from hull.host.host import Host
from hull.vm import docker, network
from hull.vm.announce import announce, operation
from hull.vm.complete import timestamp
from hull.vm.start import boot, remove_metadata_socket
from hull.vm.view import state
from hull.wire import JsonObject
from hull.zone import boots
from hull.zone.index import INSTALLED, Zone
from hull.zone.runtime import ExitStatus

log = logging.getLogger("hull.stop")

SHUTDOWN_SECONDS = 60.0  # what an OS zone gets to shut down in, as on SmartOS
DOCKER_SECONDS = 10.0  # what a container gets after its SIGTERM
KILL_SECONDS = 10.0
NOTICE_PAUSE = 0.1  # an init that was just started handles no signals for a moment
# An init that dies sooner than this after its start is not started again: it would only loop.
RESTART_AFTER_SECONDS = 10.0


def stop(uuid: str, host: Host, *, force: bool = False, timeout: int | None = None) -> JsonObject:
    """Shut a VM down (`force`: kill it), and leave it down at the host's next start.

    Stopping what does not run is not an error: the result then says so. `timeout`, in seconds, is
    for docker VMs only.
    """
    with operation(uuid, host):
        zone = host.index.get(uuid)
        if timeout is not None and not zone.vm.docker:
            raise Unsupported(
                "Timeout option is only supported for bhyve, KVM and docker containers."
            )
        if not host.boots.find(uuid):
            if zone.vm.autoboot:  # it might boot all the same
                host.index.edit(uuid, lambda vm: replace(vm, autoboot=False))
            return {"uuid": uuid, "already": True, "state": state(zone, host)}
        shut_down(uuid, host, force=force, timeout=timeout)
        try:
            host.index.edit(uuid, lambda vm: replace(vm, autoboot=False))
        except HostError as exc:
            words = f"VM {uuid} is stopped, but will boot with the host: {exc.message}"
            raise HostError(words, hint=exc.hint) from exc
    return {"uuid": uuid, "already": False, "state": "stopped"}


def reboot(uuid: str, host: Host, *, force: bool = False) -> JsonObject:
    """Shut a running VM down and boot it again, with its configuration of now."""
    with operation(uuid, host):
        zone = host.index.get(uuid)
        if not host.boots.find(uuid) and not zone.vm.docker:
            raise InvalidState(
                f'Cannot reboot vm from state "{state(zone, host)}", must be "running"'
            )
        shut_down(uuid, host, force=force)
        if zone.restarts:
            host.index.change(uuid, restarts=0)
        boot(host.index.get(uuid), host)
    return {"uuid": uuid}


def shut_down(uuid: str, host: Host, *, force: bool = False, timeout: int | None = None) -> None:
    """End a zone that is up: ask its init, wait, and kill what does not listen."""
    entry = host.boots.find(uuid)
    if not force and entry and not entry.held and host.runtime.pid(uuid):
        host.boots.change(uuid, state=boots.SHUTTING_DOWN)
        announce(uuid, host)
        vm = host.index.get(uuid).vm
        sent = docker.stop_signal(vm) if vm.docker else BRANDS[vm.brand].stop_signal
        patience = DOCKER_SECONDS if vm.docker else SHUTDOWN_SECONDS
        ask_to_end(uuid, sent, patience if timeout is None else timeout, host)
    halt(uuid, host)


def ask_to_end(uuid: str, sent: int, patience: float, host: Host) -> None:
    """Send init the signal that ends it, until it has noticed; wait `patience` seconds in all."""
    deadline = time.monotonic() + patience
    while not host.runtime.kill(uuid, sent) and time.monotonic() < deadline:
        if host.runtime.wait_exit(uuid, NOTICE_PAUSE):
            return
    host.runtime.wait_exit(uuid, deadline - time.monotonic())


def halt(uuid: str, host: Host) -> None:
    """End a zone at once and take down all that its boot built. Repeating it changes nothing."""
    boot_entry = host.boots.find(uuid)
    if boot_entry is None:
        return
    host.attendant.leave(uuid)
    status = _end_of_init(uuid, host)
    host.runtime.delete(uuid)
    for link in boot_entry.links:
        host.datalinks.delete_vnic(link)
    remove_metadata_socket(uuid, host)
    host.boots.remove(uuid)
    with suppress(HostError, NotFound):  # worth a note, not a failure on a full pool
        host.index.change(
            uuid, exit_status=status.code, exit_timestamp=timestamp(status.when), provisioning=False
        )
        network.keep_leases(host.index.get(uuid).vm, host)  # those of nics that it had


def _end_of_init(uuid: str, host: Host) -> ExitStatus:
    status = None
    with suppress(NotFound):  # it was claimed and never built
        status = host.runtime.wait_exit(uuid, 0)
        if status is None:
            host.runtime.kill(uuid, signal.SIGKILL)
            status = host.runtime.wait_exit(uuid, KILL_SECONDS)
    return status or ExitStatus(code=-signal.SIGKILL, when=time.time())


def ended(uuid: str, pid: int, host: Host) -> None:
    """A zone's init has ended by itself: clear up, and boot again where that is what it meant."""
    with operation(uuid, host):
        entry = host.boots.find(uuid)
        if entry is None or entry.pid != pid:
            return  # somebody stopped it meanwhile
        if entry.held:  # it never ran: no end of its own to read a wish from
            halt(uuid, host)
            return
        status = None
        with suppress(NotFound):  # hulld died in the middle of taking it down
            status = host.runtime.wait_exit(uuid, KILL_SECONDS)
        halt(uuid, host)
        zone = host.index.get(uuid)
        if status is None:
            return
        if zone.vm.docker:
            plan_restart(zone, status, entry.timestamp, host)
        elif _boots_again(zone.vm.restart_init, status, entry.timestamp):
            boot(zone, host)


def plan_restart(zone: Zone, status: ExitStatus, since: str, host: Host) -> None:
    """A container is started again as its restart policy says, after a pause."""
    lived = status.when - datetime.fromisoformat(since).timestamp()
    pause = docker.pause_before_restart(zone, status, lived)
    if pause is None:
        log.info("container %s ended with status %d", zone.uuid, status.code)
        return
    log.info("container %s ended with status %d: again in %.1f s", zone.uuid, status.code, pause)
    host.attendant.start_again(zone.uuid, pause)


def start_again(uuid: str, host: Host) -> None:
    """Start a container whose pause is over, unless somebody started, stopped or deleted it."""
    with operation(uuid, host):
        zone = host.index.find(uuid)
        if zone is None or zone.zone_state != INSTALLED or host.boots.find(uuid):
            return
        if zone.vm.autoboot and not zone.failed:
            boot(host.index.change(uuid, restarts=zone.restarts + 1), host)


def _boots_again(restart_init: bool | None, status: ExitStatus, since: str) -> bool:  # noqa: FBT001  # a VM property
    match exit_meaning(status):
        case "reboot":
            return True
        case "halt":
            return False
        case _ if status.code == 0:
            return False  # it was asked to end and did
        case _:
            lived = timestamp(status.when - RESTART_AFTER_SECONDS) > since
            return restart_init is not False and lived
