# SPDX-License-Identifier: MPL-2.0
"""kill, info, reprovision, send and receive over fakes: all or nothing, wherever they end."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hull.errors import (
    Corrupt,
    Error,
    HostError,
    InvalidPayload,
    InvalidState,
    NotFound,
    Refused,
    Unsupported,
)
from hull.host.host import Host
from hull.vm import lookup, snapshot, zones
from hull.vm.create import create
from hull.vm.info import info
from hull.vm.kill import kill, sysrq
from hull.vm.receive import receive
from hull.vm.recover import recover
from hull.vm.reprovision import BUILDING, NEXT, OLD, reprovision
from hull.vm.send import SENDING, send
from hull.vm.stop import stop
from hull.vm.view import state
from hull.wire import JsonObject
from tests.unit.vm.world import IMAGE, LX_IMAGE, SEED, Died, World, with_

OTHER_IMAGE = "598deede-c025-11e3-8b24-f3ba141900bd"


def make(host: Host, **more: Any) -> str:
    return str(create(with_(SEED, nowait=True, **more), host)["uuid"])


# -- kill, sysrq, info -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["SIGTERM", "TERM", "term", "15"])
def test_kill_ends_an_init_that_minds_the_signal(world: World, name: str) -> None:
    uuid = make(world.host)
    assert kill(uuid, name, world.host) == {"uuid": uuid, "signal": "SIGTERM"}
    assert not world.host.runtime.pid(uuid)


# -- zoneadm boot and reboot -----------------------------------------------------------------------
def bootargs(world: World, uuid: str) -> list[str]:
    process: Any = world.machine.zones[uuid].spec.bundle["process"]
    return [each for each in process["env"] if each.startswith("bootargs")]


def test_boot_arguments_are_for_one_boot(world: World) -> None:
    uuid = make(world.host)
    zones.reboot(uuid, {"boot_args": "-m verbose"}, world.host)
    assert bootargs(world, uuid) == ["bootargs=-m verbose"]
    zones.reboot(uuid, {}, world.host)
    assert bootargs(world, uuid) == []
    zones.shutdown(uuid, {"reboot": True, "boot_args": "-s"}, world.host)
    assert bootargs(world, uuid) == ["bootargs=-s"]


def test_boot_arguments_are_for_zones_with_smf(world: World) -> None:
    uuid = make(world.host, brand="lx", kernel_version="4.4.0", image_uuid=LX_IMAGE)
    before = world.host.runtime.pid(uuid)
    for step in (zones.reboot, zones.boot):
        with pytest.raises(Refused, match="boot argument -s is SMF's"):
            step(uuid, {"boot_args": "-s"}, world.host)
    assert before == world.host.runtime.pid(uuid)


@pytest.mark.parametrize("name", ["FOO", "", "0", "1000", "-1", "SIG"])
def test_a_signal_that_there_is_not(world: World, name: str) -> None:
    uuid = make(world.host)
    with pytest.raises(Refused, match=f'Unknown signal "{name}"'):
        kill(uuid, name, world.host)
    assert world.host.runtime.pid(uuid)


def test_nothing_to_kill(world: World) -> None:
    uuid = make(world.host, autoboot=False)
    with pytest.raises(InvalidState, match=f"Cannot find running init PID for VM {uuid}"):
        kill(uuid, str(signal.SIGKILL.value), world.host)
    with pytest.raises(NotFound):
        kill(IMAGE, "TERM", world.host)


def test_a_zone_is_no_guest(world: World) -> None:
    uuid = make(world.host)
    with pytest.raises(Unsupported) as error:
        sysrq(uuid, world.host)
    said = 'The sysrq command is only supported for VMs  with brand "bhyve" or "kvm".'
    assert error.value.message == said
    world.host.index.change(uuid, provisioning=False)
    with pytest.raises(Unsupported, match=r"^no info types supported for brand joyent$"):
        info(uuid, world.host)
    stop(uuid, world.host)
    with pytest.raises(InvalidState) as stopped:
        info(uuid, world.host)
    said = 'Unable to get info for vm from state "stopped", must be "running" or "stopping".'
    assert stopped.value.message == said


# -- reprovision -----------------------------------------------------------------------------------
@pytest.fixture
def two_images(world: World) -> World:
    world.install(OTHER_IMAGE, "zone-dataset")
    return world


def mark(world: World, uuid: str) -> Path:
    """Something in the root, which goes, and in the delegated dataset, which stays."""
    root = world.paths.zones / uuid / "root"
    (root / "old").write_text("old")
    (world.paths.zones / uuid / "data/precious").write_text("kept")
    (world.paths.zones / uuid / "logs/console.log").write_text("said")
    return root


def roots(world: World) -> set[str]:
    names = {dataset.name.partition("/")[2] for dataset in world.pool.datasets()}
    return {name for name in names if name.endswith((BUILDING, NEXT, OLD))}


def is_new(world: World, uuid: str) -> bool:
    """Whether the VM is the new one. It must be all new, or all old."""
    vm = world.host.index.get(uuid).vm
    new = vm.image_uuid == OTHER_IMAGE
    zone = world.paths.zones / uuid
    assert (zone / "root/old").exists() != new
    assert (zone / "data/precious").read_text() == "kept"
    assert (zone / "logs/console.log").read_text() == "said"
    assert (vm.alias, len(vm.nics), vm.quota) == ("nsa-box", 1, 10)
    (dataset,) = (one for one in world.pool.datasets() if one.name == f"zones/{uuid}")
    assert dataset.origin == f"zones/{vm.image_uuid}@final"
    assert dataset.quota == 10 << 30
    assert not roots(world)
    return new


def test_reprovision_replaces_the_root_and_nothing_else(two_images: World) -> None:
    world = two_images
    uuid = make(world.host, delegate_dataset=True, mdata_exec_timeout=1)
    world.host.index.change(uuid, provisioning=False)
    before = lookup.get(uuid, world.host)
    mark(world, uuid)
    with pytest.raises(HostError, match="mdata_exec_timeout"):  # no init does its first boot here
        reprovision(uuid, {"image_uuid": OTHER_IMAGE}, world.host)
    assert is_new(world, uuid)
    after = lookup.get(uuid, world.host)
    live = ("image_uuid", "last_modified", "pid", "state", "zone_state", "boot_timestamp", "zoneid")
    kept = {key for key in before.keys() & after.keys() if before[key] == after[key]}
    assert before.keys() - kept <= {*live, "zonedid", "init_restarts"}
    assert (world.paths.zones / uuid / "root/etc/hostname").read_text() == "mirror\n"


def test_a_reprovisioned_vm_boots_if_it_has_autoboot(two_images: World) -> None:
    world = two_images
    uuid = make(world.host, autoboot=False)
    reprovision(uuid, {"image_uuid": OTHER_IMAGE}, world.host)
    assert state(world.host.index.get(uuid), world.host) == "stopped"
    assert world.host.index.get(uuid).vm.image_uuid == OTHER_IMAGE


def test_what_cannot_be_reprovisioned(two_images: World) -> None:
    host = two_images.host
    uuid = make(host)
    with pytest.raises(InvalidState, match='from state "provisioning"'):
        reprovision(uuid, {"image_uuid": OTHER_IMAGE}, host)
    stop(uuid, host)
    wrong: list[JsonObject] = [{}, {"image_uuid": ""}, {"image_uuid": 1}]
    for payload in wrong:
        with pytest.raises(InvalidPayload, match=r"^payload is missing image_uuid$"):
            reprovision(uuid, payload, host)
    with pytest.raises(InvalidPayload, match="is not installed"):
        reprovision(uuid, {"image_uuid": uuid}, host)
    host.index.change(uuid, vm=_with(host, uuid, indestructible_zoneroot=True))
    with pytest.raises(InvalidState, match=r"^indestructible_zoneroot is set, cannot reprovision$"):
        reprovision(uuid, {"image_uuid": OTHER_IMAGE}, host)


def _with(host: Host, uuid: str, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(host.index.get(uuid).vm, **changes)


def test_reprovision_undoes_itself_wherever_it_fails(two_images: World) -> None:
    world = two_images
    uuid = make(world.host, delegate_dataset=True, autoboot=False)
    mark(world, uuid)

    def attempt(host: Host) -> None:
        try:
            reprovision(uuid, {"image_uuid": OTHER_IMAGE}, host)
        except HostError:
            assert not is_new(world, uuid)
            raise

    assert world.fail_everywhere(attempt) > 8
    # The last step to fail, which destroys the old root, is no failure: the next start repeats it.
    assert roots(world)
    recover(world.again())
    assert is_new(world, uuid)


def test_a_reprovision_that_dies_leaves_the_old_or_the_new(two_images: World) -> None:
    world = two_images
    ended = set()
    for number in range(1, 100):
        uuid = make(world.host, delegate_dataset=True, autoboot=False)
        mark(world, uuid)
        world.host = world.again()
        world.steps.die_at = number
        try:
            reprovision(uuid, {"image_uuid": OTHER_IMAGE}, world.host)
            break
        except Died:
            world.host = world.again()
            recover(world.host)
            ended.add(is_new(world, uuid))
            world.check_whole()
            world.forget_all()
    assert ended == {False, True}
    assert number > 8


# -- send and receive ------------------------------------------------------------------------------
@pytest.fixture
def other(tmp_path: Path) -> World:
    """Another host, which has not the image."""
    return World(tmp_path / "other")


@pytest.fixture
def sender(tmp_path: Path) -> World:
    return World(tmp_path / "sender")


def transmit(source: Callable[[int], object], target: Callable[[int], object]) -> list[Error]:
    """Through a pipe; what went wrong, on either side."""
    reader, writer = os.pipe()
    wrong: list[Error] = []

    def produce() -> None:
        try:
            source(writer)
        except Error as exc:
            wrong.append(exc)
        finally:
            os.close(writer)

    thread = Thread(target=produce)
    thread.start()
    try:
        target(reader)
    except Error as exc:
        wrong.append(exc)
    finally:
        os.close(reader)
        thread.join()
    return wrong


def sendable(world: World) -> str:
    """A VM with a snapshot, a delegated dataset and files of its own."""
    uuid = make(world.host, tags={"role": "db"})
    world.host.index.change(uuid, provisioning=False)
    root = world.paths.zones / uuid / "root"
    (root / "first").write_text("1")
    snapshot.create_snapshot(uuid, "before", world.host)
    (root / "first").unlink()
    (root / "second").write_text("2" * 3_000_000)
    made = world.pool.create(f"zones/{uuid}/data", quota=1 << 30)
    (Path(made.mountpoint) / "precious").write_text("kept")
    return uuid


def test_a_vm_moves_to_another_host(sender: World, other: World) -> None:
    uuid = sendable(sender)
    before = sender.host.index.get(uuid).vm
    assert not transmit(lambda fd: send(uuid, fd, sender.host), lambda fd: receive(fd, other.host))
    for world in (sender, other):
        vm = lookup.get(uuid, world.host)
        assert (vm["state"], vm["autoboot"], vm["tags"]) == ("stopped", False, {"role": "db"})
        names = [one.short_name for one in world.pool.snapshots(f"zones/{uuid}")]
        assert names == ["vmsnap-before"]
        assert not world.pool.snapshots(f"zones/{uuid}/data")
        zone = world.paths.zones / uuid
        assert not (zone / "root/first").exists()
        assert (zone / "root/second").read_text() == "2" * 3_000_000
        assert (zone / "data/precious").read_text() == "kept"
    assert [nic.mac for nic in other.host.index.get(uuid).vm.nics] == [before.nics[0].mac]
    quotas = {one.name: one.quota for one in other.pool.datasets(f"zones/{uuid}")}
    assert quotas == {f"zones/{uuid}": 10 << 30, f"zones/{uuid}/data": 1 << 30}
    other.check_whole()


def stream_of(world: World, uuid: str, path: Path) -> bytes:
    with path.open("wb") as file:
        send(uuid, file.fileno(), world.host)
    return path.read_bytes()


def receive_bytes(data: bytes, host: Host, path: Path) -> None:
    path.write_bytes(data)
    with path.open("rb") as file:
        receive(file.fileno(), host)


def test_half_a_stream_leaves_nothing(sender: World, other: World, tmp_path: Path) -> None:
    data = stream_of(sender, sendable(sender), tmp_path / "stream")
    before = other.trace()
    cuts = [0, 1, 511, 512, 700, 1024, len(data) // 2, len(data) - 513, len(data) - 512]
    for cut in (*cuts, len(data) - 1):
        with pytest.raises(Corrupt):
            receive_bytes(data[:cut], other.host, tmp_path / "half")
        assert other.trace() == before, cut


def test_a_damaged_stream_leaves_nothing(sender: World, other: World, tmp_path: Path) -> None:
    data = stream_of(sender, sendable(sender), tmp_path / "stream")
    before = other.trace()
    for place in (0, 20, 600, 1000, len(data) // 2, len(data) - 512):
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((Corrupt, InvalidPayload)):
            receive_bytes(damaged, other.host, tmp_path / "damaged")
        assert other.trace() == before, place


def test_receive_undoes_itself_wherever_it_fails(
    sender: World, other: World, tmp_path: Path
) -> None:
    data = stream_of(sender, sendable(sender), tmp_path / "stream")
    steps = other.fail_everywhere(lambda host: receive_bytes(data, host, tmp_path / "again"))
    assert steps > 6


def test_a_receive_that_dies_leaves_all_or_nothing(
    sender: World, other: World, tmp_path: Path
) -> None:
    data = stream_of(sender, sendable(sender), tmp_path / "stream")
    died = other.die_everywhere(
        lambda host: None, lambda host: receive_bytes(data, host, tmp_path / "again")
    )
    assert {"pool.receive", "index.put", "leases.lease"} <= set(died)


def test_a_send_that_dies_leaves_no_snapshot(sender: World) -> None:
    uuid = sendable(sender)
    stop(uuid, sender.host)
    sender.host = sender.again()
    sender.steps.die_at = 4
    with pytest.raises(Died), open(os.devnull, "wb") as file:
        send(uuid, file.fileno(), sender.host)
    assert SENDING in [one.short_name for one in sender.pool.snapshots(f"zones/{uuid}")]
    recover(sender.again())
    assert SENDING not in [one.short_name for one in sender.pool.snapshots(f"zones/{uuid}")]


def test_a_receiver_that_goes_away_ends_the_send(sender: World) -> None:
    uuid = sendable(sender)
    wrong = transmit(lambda fd: send(uuid, fd, sender.host), lambda fd: os.read(fd, 10))
    assert [type(error) for error in wrong] == [HostError]
    assert "cannot write the stream" in wrong[0].message
    assert not [one for one in sender.pool.snapshots(f"zones/{uuid}") if one.short_name == SENDING]


def test_what_is_here_already_is_not_received(sender: World, tmp_path: Path) -> None:
    uuid = sendable(sender)
    wrong = transmit(lambda fd: send(uuid, fd, sender.host), lambda fd: receive(fd, sender.host))
    assert f"uuid: VM with UUID {uuid} already exists" in " ".join(map(str, wrong))
    assert lookup.get(uuid, sender.host)["state"] == "stopped"


def test_a_vm_that_is_received_says_so(sender: World, other: World, tmp_path: Path) -> None:
    uuid = sendable(sender)
    data = stream_of(sender, uuid, tmp_path / "stream")
    receive_bytes(data, other.host, tmp_path / "again")
    seen = [view["state"] for one, view in other.watching.views if one == uuid and view]
    assert seen == ["receiving", "stopped"]


def test_a_stream_is_framed_as_smartos_frames_it(sender: World, tmp_path: Path) -> None:
    data = stream_of(sender, sendable(sender), tmp_path / "stream")
    assert len(data) % 512 == 0
    magic, version, _, name, size, padded = data[:512].split(b"\0")[:6]
    assert (magic, version, name) == (b"MAGIC-VMBUNDLE", b"1", b"JSON")
    assert int(padded) % 512 == 0
    plan = json.loads(data[512 : 512 + int(size)])
    assert [part["child"] for part in plan["datasets"]] == ["", "data"]
    assert plan["datasets"][0]["snapshots"] == ["vmsnap-before", "sending"]
