# SPDX-License-Identifier: MPL-2.0
"""zoneadm: a zone from state to state, each step by itself.

vmadm's verbs go from one resting place to the next (create, start, stop, delete); these are the
steps in between. Configured: a record. Installed: its dataset too. Ready: its platform too.
Running: its init too.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace

from hull.brand.joyent import Joyent
from hull.brand.table import BRANDS
from hull.errors import InvalidPayload, InvalidState, NotFound, Refused
from hull.host.host import Host
from hull.model.payload import decode_create
from hull.vm import network
from hull.vm.announce import operation
from hull.vm.check import check_identity, check_image, check_nics
from hull.vm.complete import complete
from hull.vm.create import claim, create_dataset, mark_installed, write_first_files
from hull.vm.dataset import properties
from hull.vm.delete import destroy
from hull.vm.hold import require_destructible
from hull.vm.login import find_zone
from hull.vm.ready import boot_zone, make_ready, require_installed
from hull.vm.stop import halt, shut_down
from hull.wire import JsonObject
from hull.zone.index import CONFIGURED, INCOMPLETE, INSTALLED, Zone

NO_IMAGE = "00000000-0000-0000-0000-000000000000"


def configure(payload: JsonObject, host: Host) -> JsonObject:
    """Give a zone a record, and addresses, and nothing else; `install` does the rest.

    The payload is vmadm create's, but may leave out its image. Raises InvalidPayload.
    """
    vm = complete(decode_create({"image_uuid": NO_IMAGE, **payload}).vm)
    with operation(vm.uuid, host), host.lock_allocations(), ExitStack() as undo:
        if problems := [*check_identity(vm, host), *check_nics(vm, host)]:
            raise InvalidPayload(problems)
        claim(vm, host, undo)
        host.index.change(vm.uuid, zone_state=CONFIGURED)
        undo.pop_all()
    return {"uuid": vm.uuid}


def unconfigure(name: str, host: Host) -> JsonObject:
    """Forget a zone that has no data."""
    uuid = find_zone(name, host).uuid
    with operation(uuid, host):
        if host.index.get(uuid).zone_state != CONFIGURED:
            raise InvalidState(
                f"Zone {uuid} not in configured state; delete not allowed.",
                hint=f"`zoneadm -z {uuid} uninstall` first, or `vmadm delete {uuid}`",
            )
        if has_data(uuid, host):
            raise InvalidState(
                f"Zone {uuid} is detached: its data is still there; delete not allowed.",
                hint=f"`zoneadm -z {uuid} attach`, or `vmadm delete {uuid}`, data and all",
            )
        destroy(uuid, host)
    return {"uuid": uuid}


def boot(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """`{"init": PATH}` replaces the zone's own init for this boot, `{"boot_args": "-s"}` is for SMF
    in it. autoboot stays as it is."""
    return _on(name, host, lambda zone: boot_zone(zone, host, **_once(zone, wanted)))


def _once(zone: Zone, wanted: JsonObject) -> dict[str, str]:
    """What holds for one boot. Refused if nothing in the zone would read it."""
    native = isinstance(BRANDS[zone.vm.brand], Joyent) and not zone.vm.docker
    if (said := wanted.get("boot_args")) and not native:
        raise Refused(
            f"zone '{zone.uuid}': boot argument {said} is SMF's, which only native zones have",
            hint="-i /PATH boots another init",
        )
    return {name: str(wanted.get(name) or "") for name in ("init", "boot_args")}


def ready(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Build the zone up to its init."""
    del wanted
    return _on(name, host, lambda zone: make_ready(zone, host))


def halt_zone(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """End the zone at once."""
    del wanted

    def act(zone: Zone) -> None:
        require_up(zone, host, "halt")
        halt(zone.uuid, host)

    return _on(name, host, act)


def reboot(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """End the zone at once and boot it; `wanted` as for boot."""

    def act(zone: Zone) -> None:
        require_up(zone, host, "reboot")
        once = _once(zone, wanted)
        halt(zone.uuid, host)
        boot_zone(host.index.get(zone.uuid), host, **once)

    return _on(name, host, act)


def shutdown(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Ask the zone to end, in its own time; `{"reboot": true}` boots it then, as boot does."""

    def act(zone: Zone) -> None:
        require_up(zone, host, "shutdown")
        once = _once(zone, wanted)
        shut_down(zone.uuid, host)
        if wanted.get("reboot") is True:
            boot_zone(host.index.get(zone.uuid), host, **once)

    return _on(name, host, act)


def install(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Give a configured zone its data, from its image; `{"image_uuid", "quota"}` replace its own.

    Interrupted, it leaves the zone incomplete, for `uninstall`.
    """

    def act(zone: Zone) -> None:
        require_configured(zone, host, "install")
        if has_data(zone.uuid, host):
            raise InvalidState(
                f"zone '{zone.uuid}': is detached.", hint=f"`zoneadm -z {zone.uuid} attach`"
            )
        changes = {key: wanted[key] for key in ("image_uuid", "quota") if wanted.get(key)}
        vm = replace(zone.vm, **changes)  # type: ignore[arg-type]  # the route's schema has checked them
        if problems := list(check_image(vm, host)):
            raise InvalidPayload(problems)
        with ExitStack() as undo:
            host.index.change(zone.uuid, vm=vm, zone_state=INCOMPLETE, kept=True)
            undo.callback(host.index.put, zone)
            with host.lock_allocations():
                network.lease_addresses(vm, host)
            root = create_dataset(vm, host, undo)
            write_first_files(vm, host, root)
            mark_installed(vm, host, root)
            # Nobody waits for the first boot here: it is the image's own affair.
            host.index.change(zone.uuid, kept=False, provisioning=False)
            undo.pop_all()

    return _on(name, host, act)


def uninstall(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Destroy a zone's data and snapshots; its record stays. Repeating it finishes the job."""
    del wanted

    def act(zone: Zone) -> None:
        if host.boots.find(zone.uuid):
            state = "ready" if _is_held(zone, host) else "running"
            raise InvalidState(
                f"zone '{zone.uuid}': uninstall operation is invalid for {state} zones.",
                hint=f"`zoneadm -z {zone.uuid} halt` first",
            )
        if zone.zone_state == CONFIGURED:
            raise InvalidState(f"zone '{zone.uuid}': must be installed before uninstall.")
        require_destructible(zone.vm, "delete")
        host.index.change(zone.uuid, zone_state=INCOMPLETE, kept=True)
        host.pool.destroy(host.dataset(zone.uuid), recursive=True)
        host.index.change(
            zone.uuid, zone_state=CONFIGURED, kept=False, provisioning=False, failed=""
        )

    return _on(name, host, act)


def detach(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Take an installed zone's data out of use; `attach` puts it back, with the record of then."""
    del wanted

    def act(zone: Zone) -> None:
        require_installed(zone, host, "detach")
        require_destructible(zone.vm, "detach")
        host.index.change(zone.uuid, zone_state=CONFIGURED, provisioning=False)

    return _on(name, host, act)


def attach(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Install a configured zone on the data that `detach` left it."""
    del wanted

    def act(zone: Zone) -> None:
        require_configured(zone, host, "attach")
        if not has_data(zone.uuid, host):
            raise InvalidState(
                f"zone '{zone.uuid}': there is no data to attach.",
                hint=f"`zoneadm -z {zone.uuid} install` makes it from the image",
            )
        for dataset, said in properties(zone.vm, host).items():
            host.pool.set(dataset, **asdict(said))  # what was changed meanwhile holds now
        host.index.change(zone.uuid, zone_state=INSTALLED)

    return _on(name, host, act)


def has_data(uuid: str, host: Host) -> bool:
    """Whether the zone has a dataset; a configured one has if it was detached."""
    try:
        _require_dataset(uuid, host)
    except NotFound:
        return False
    return True


def mark(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """Call an installed zone incomplete; only uninstall ends that."""
    del wanted

    def act(zone: Zone) -> None:
        require_installed(zone, host, "mark")
        host.index.change(zone.uuid, zone_state=INCOMPLETE, kept=True)

    return _on(name, host, act)


def verify(name: str, host: Host) -> JsonObject:
    """Raises InvalidPayload with all that stands against installing or booting the zone now."""
    zone = find_zone(name, host)
    problems = list(check_nics(zone.vm, host))
    if zone.zone_state == CONFIGURED:
        problems += check_image(zone.vm, host)
    else:
        _require_dataset(zone.uuid, host)
    if problems:
        raise InvalidPayload(problems)
    return {"uuid": zone.uuid}


def require_up(zone: Zone, host: Host, verb: str) -> None:
    if host.boots.find(zone.uuid) is None:
        raise InvalidState(f"zone '{zone.uuid}': must be running before {verb}.")


def require_configured(zone: Zone, host: Host, verb: str) -> None:
    if zone.zone_state == INCOMPLETE:
        raise InvalidState(f"zone '{zone.uuid}': zone is incomplete; uninstall required.")
    if host.boots.find(zone.uuid):
        state = "ready" if _is_held(zone, host) else "running"
        raise InvalidState(f"zone '{zone.uuid}': {verb} operation is invalid for {state} zones.")
    if zone.zone_state != CONFIGURED:
        raise InvalidState(f"zone '{zone.uuid}': is already installed.")


def _is_held(zone: Zone, host: Host) -> bool:
    entry = host.boots.find(zone.uuid)
    return entry is not None and entry.held


def _require_dataset(uuid: str, host: Host) -> None:
    host.pool.datasets(host.dataset(uuid), usage=False)


def _on(name: str, host: Host, act: Callable[[Zone], None]) -> JsonObject:
    """Act on a zone under its lock, on what its record says by then."""
    uuid = find_zone(name, host).uuid
    with operation(uuid, host):
        act(host.index.get(uuid))
    return {"uuid": uuid}
