# SPDX-License-Identifier: MPL-2.0
"""What Hull does to a host, as things that a kill may fall into: before, after, and how to tell."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hull.errors import InvalidState, NotFound
from hull.host.host import Host
from hull.image import delete as image_delete
from hull.image import import_, store
from hull.image.create import Wanted
from hull.vm import (
    create,
    delete,
    image,
    receive,
    reprovision,
    send,
    snapshot,
    start,
    stop,
    update,
    zones,
)
from hull.wire import JsonObject
from hull.zone.index import CONFIGURED
from tests.torture.world import World

VM = "dddddddd-0000-4000-8000-000000000001"
MARK = "srv"  # a file in the zone's root
NIC: JsonObject = {"nic_tag": "admin", "ip": "dhcp", "primary": True, "mac": "02:08:20:00:00:01"}
FIXED: JsonObject = {"nic_tag": "admin", "ips": ["192.0.2.7/24"], "mac": "02:08:20:00:00:02"}
CHANGES: JsonObject = {
    "quota": 3, "max_physical_memory": 128, "cpu_cap": 50, "alias": "new",
    "set_tags": {"a": 1}, "set_routes": {"198.51.100.0/24": "192.0.2.1"},
    "add_nics": [{"nic_tag": "admin", "ip": "dhcp", "mac": "02:08:20:00:00:03"}],
    "update_nics": [{"mac": "02:08:20:00:00:02", "allowed_ips": ["192.0.2.9"]}],
    "hostname": "renamed", "maintain_resolvers": True, "resolvers": ["192.0.2.53"],
    "indestructible_zoneroot": True,
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """`before` and `after` say whether the host is in that state; `act` leads from one to the
    other, and may be run again whenever it is not `after`.

    One that takes away may fail midway: what is gone is gone, and running it again, or `again`
    where that is another thing to do, takes the rest.
    """

    name: str
    prepare: Callable[[World, Host], None]
    act: Callable[[World, Host], None]
    before: Callable[[World, Host], bool]
    after: Callable[[World, Host], bool]
    midway: bool = False
    again: Callable[[World, Host], None] | None = None


def quiet(report: JsonObject) -> None:
    del report


# -- states ----------------------------------------------------------------------------------------
def none(world: World, host: Host) -> bool:
    del world
    return host.index.find(VM) is None


def up(world: World, host: Host) -> bool:
    del world
    entry = host.boots.find(VM)
    return entry is not None and host.runtime.pid(VM) == entry.pid


def down(world: World, host: Host) -> bool:
    del world
    return host.index.find(VM) is not None and host.boots.find(VM) is None


def mark(world: World, host: Host) -> str:
    del world
    path = host.paths.zones / VM / "root" / MARK
    return path.read_text() if path.exists() else ""


def snapshots(host: Host) -> set[str]:
    return {each.short_name for each in host.pool.snapshots(host.dataset(VM))}


def installed(world: World, host: Host, uuid: str) -> bool:
    del world
    return store.is_installed(host.paths, uuid) and store.has_final(host.pool, uuid)


# -- preparations ----------------------------------------------------------------------------------
def payload(world: World, **more: object) -> JsonObject:
    made = {
        "uuid": VM, "image_uuid": world.image, "max_physical_memory": 64, "nics": [NIC, FIXED],
        "alias": "old", "delegate_dataset": True, **more,
    }  # fmt: skip
    return cast(JsonObject, made)


def running(world: World, host: Host) -> None:
    create.create(payload(world), host)


def plain(world: World, host: Host) -> None:
    """A VM whose root can be snapshotted."""
    create.create(payload(world, delegate_dataset=False), host)


def stopped(world: World, host: Host) -> None:
    create.create(payload(world, autoboot=False), host)


def unmade(world: World, host: Host) -> None:
    stopped(world, host)
    for path in made_files(world):
        path.unlink()


def snapshotted(world: World, host: Host) -> None:
    plain(world, host)
    (host.paths.zones / VM / "root" / MARK).write_text("then")
    snapshot.create_snapshot(VM, "s", host)
    snapshot.create_snapshot(VM, "later", host)
    (host.paths.zones / VM / "root" / MARK).write_text("now")


def nothing(world: World, host: Host) -> None:
    del world, host


def streamed(world: World, host: Host) -> None:
    """A stream of a VM that is gone."""
    if not stream(world).exists():
        running(world, host)
        (host.paths.zones / VM / "root" / MARK).write_text("sent")
        with stream(world).open("wb") as file:
            send.send(VM, file.fileno(), host)
        delete.delete(VM, host)


def stream(world: World) -> Path:
    return world.directory / "stream"


def imported(world: World, host: Host) -> None:
    import_.import_image(target(host), world.remote, progress=quiet)


# -- acts ------------------------------------------------------------------------------------------
def target(host: Host) -> import_.Target:
    return import_.Target(pool=host.pool, paths=host.paths, platform=host.platform)


def send_away(world: World, host: Host) -> None:
    del world
    fd = os.open("/dev/null", os.O_WRONLY)
    try:
        send.send(VM, fd, host)
    finally:
        os.close(fd)


def receive_it(world: World, host: Host) -> None:
    with stream(world).open("rb") as file:
        receive.receive(file.fileno(), host)


def install_it(world: World, host: Host) -> None:
    import_.install_image(target(host), third(world), str(third_file(world)), progress=quiet)


def third(world: World) -> JsonObject:
    """The manifest of the image that the source has, by its files."""
    path = world.directory / "served" / f"{world.remote}.imgmanifest"
    return cast(JsonObject, json.loads(path.read_text()))


def third_file(world: World) -> Path:
    return world.directory / "served" / f"{world.remote}.tar"


def make_image(world: World, host: Host) -> None:
    for path in made_files(world):
        path.unlink()
    manifest: JsonObject = {"name": "made", "version": "1"}
    wanted = Wanted(vm=VM, manifest=manifest, output=world.directory / "made")
    image.create_image(wanted, host, quiet)


def made_files(world: World) -> list[Path]:
    return [path for path in world.directory.iterdir() if "made" in path.name]


def image_made(world: World, host: Host) -> bool:
    names = {path.name for path in made_files(world)}
    return down(world, host) and names == {"made.tar", "made.imgmanifest"} and not snapshots(host)


def no_image_made(world: World, host: Host) -> bool:
    return down(world, host) and not made_files(world) and not snapshots(host)


def forget_image(world: World, host: Host) -> None:
    try:
        image_delete.delete_image(host.pool, host.paths, world.remote)
    except NotFound:
        return


def do_update(world: World, host: Host) -> None:
    del world
    update.update(VM, dict(CHANGES), host)


def updated(world: World, host: Host) -> bool:
    del world
    vm = host.index.get(VM).vm
    quota = host.pool.datasets(host.dataset(VM), usage=False)[0].quota
    held = "indestructible" in snapshots(host)
    return (vm.alias, vm.quota, quota >> 30, len(vm.nics), held) == ("new", 3, 3, 3, True)


def not_updated(world: World, host: Host) -> bool:
    del world
    vm = host.index.get(VM).vm
    quota = host.pool.datasets(host.dataset(VM), usage=False)[0].quota
    held = "indestructible" in snapshots(host)
    return (vm.alias, vm.quota, quota >> 30, len(vm.nics), held) == ("old", 10, 10, 2, False)


def image_of(host: Host) -> str:
    return host.index.get(VM).vm.image_uuid


def reboot_or_start(host: Host) -> JsonObject:
    """hulld may notice at any moment that the VM is down, and take down what is left of it."""
    try:
        return stop.reboot(VM, host)
    except InvalidState:
        return start.start(VM, host)


OPERATIONS = (
    Operation("create", nothing, lambda w, h: void(create.create(payload(w), h)), none, up),
    Operation("delete", running, lambda w, h: void(delete.delete(VM, h)), up, none, midway=True),
    Operation("update", running, do_update, not_updated, updated),
    Operation(
        "import", nothing, imported,
        lambda w, h: not store.is_installed(h.paths, w.remote),
        lambda w, h: installed(w, h, w.remote),
    ),
    Operation(
        "install", nothing, install_it,
        lambda w, h: not store.is_installed(h.paths, w.remote),
        lambda w, h: installed(w, h, w.remote),
    ),
    Operation(
        "image delete", imported, forget_image,
        lambda w, h: installed(w, h, w.remote),
        lambda w, h: not store.is_installed(h.paths, w.remote), midway=True,
    ),
    Operation(
        "snapshot", plain, lambda w, h: void(snapshot.create_snapshot(VM, "s", h)),
        lambda w, h: snapshots(h) == set(), lambda w, h: snapshots(h) == {"vmsnap-s"},
    ),
    Operation(
        "rollback", snapshotted, lambda w, h: void(snapshot.rollback_snapshot(VM, "s", h)),
        lambda w, h: mark(w, h) == "now" and len(snapshots(h)) == 2,
        lambda w, h: mark(w, h) == "then" and up(w, h) and snapshots(h) == {"vmsnap-s"},
        midway=True,
    ),
    Operation(
        "reprovision", running,
        lambda w, h: void(reprovision.reprovision(VM, {"image_uuid": w.other}, h)),
        lambda w, h: image_of(h) == w.image, lambda w, h: image_of(h) == w.other and up(w, h),
        midway=True,
    ),
    Operation(
        "send", running, send_away, up,
        lambda w, h: down(w, h) and not h.index.get(VM).vm.autoboot, midway=True,
    ),
    Operation(
        "receive", streamed, receive_it, none, lambda w, h: down(w, h) and mark(w, h) == "sent"
    ),
    Operation("start", stopped, lambda w, h: void(start.start(VM, h)), down, up),
    Operation(
        "stop", running, lambda w, h: void(stop.stop(VM, h)), up,
        lambda w, h: down(w, h) and not h.index.get(VM).vm.autoboot, midway=True,
    ),
    Operation(
        "reboot", running, lambda w, h: void(stop.reboot(VM, h)), up, up, midway=True,
        again=lambda w, h: void(reboot_or_start(h)),
    ),
    Operation("image create", unmade, make_image, no_image_made, image_made),
    Operation(
        # An interrupted one leaves the zone incomplete, for the next, as SmartOS does.
        "uninstall", stopped, lambda w, h: void(zones.uninstall(VM, {}, h)), down,
        lambda w, h: h.index.get(VM).zone_state == CONFIGURED, midway=True,
    ),
)  # fmt: skip


def void(result: object) -> None:
    del result


def clear(world: World, host: Host) -> None:
    """Back to a host with its images and no VM."""
    if zone := host.index.find(VM):
        if zone.vm.indestructible_zoneroot:
            update.update(VM, {"indestructible_zoneroot": False}, host)
        delete.delete(VM, host)
    forget_image(world, host)


def scrub(world: World, host: Host) -> None:
    """The same after a test has failed, whatever that has left."""
    if host.index.find(VM):
        clear(world, host)
    for suffix in ("", "-building", "-next", "-old"):
        host.pool.destroy(host.dataset(VM) + suffix, recursive=True)
    for name in (world.remote, f"{world.remote}-partial"):
        host.pool.destroy(host.dataset(name), recursive=True)
    store.remove(host.paths, world.remote)
    for leases in host.leases.values():
        leases.release(VM)
