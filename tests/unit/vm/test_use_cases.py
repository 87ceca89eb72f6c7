# SPDX-License-Identifier: MPL-2.0
"""Use cases over fakes: what they do, what they refuse, and that each undoes itself."""

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hull.errors import (
    Exists,
    HostError,
    InvalidPayload,
    InvalidState,
    NotFound,
)
from hull.host.host import Host
from hull.vm import lookup, snapshot
from hull.vm.create import create
from hull.vm.delete import delete
from hull.vm.recover import autoboot, recover, shut_down_all
from hull.vm.start import start
from hull.vm.stop import ended, reboot, stop
from hull.vm.update import change_metadata, update
from hull.zone.fake import FakeRuntime
from tests.unit.vm.world import IMAGE, LX_IMAGE, SEED, World, with_


def make(host: Host, **more: Any) -> str:
    return str(create(with_(SEED, nowait=True, **more), host)["uuid"])


def problems(error: pytest.ExceptionInfo[InvalidPayload]) -> list[str]:
    return [problem.path for problem in error.value.problems]


# -- create ----------------------------------------------------------------------------------------
def test_create_makes_and_boots_the_zone(world: World) -> None:
    uuid = make(world.host)
    vm = lookup.get(uuid, world.host)
    assert (vm["state"], vm["zone_state"], vm["alias"]) == ("provisioning", "running", "nsa-box")
    root = world.paths.zones / uuid / "root"
    assert (root / "etc/hostname").read_text() == "mirror\n"
    assert "nameserver 10.9.0.1" in (root / "etc/resolv.conf").read_text()
    assert "10.9.0.2\tmirror.local mirror" in (root / "etc/hosts").read_text()
    assert (root / "var/svc/provisioning").exists()
    ((vnic, netns),) = world.datalinks.vnics.values()
    assert [str(address) for address in vnic.addresses] == ["10.9.0.2/24"]
    assert vnic.gateways == ("10.9.0.1",)
    assert netns == f"/proc/{vm['pid']}/ns/net"
    assert world.watching.attended == {uuid: vm["pid"]}


class ProvisionsAtOnce(FakeRuntime):
    """Inits that do their first boot in no time."""

    def start(self, uuid: str) -> None:
        super().start(uuid)
        root = self.machine.zones[uuid].spec.root
        (root / "var/svc/provisioning").rename(root / "var/svc/provision_success")


def test_create_waits_for_the_first_boot(world: World) -> None:
    host = replace(world.host, runtime=ProvisionsAtOnce(world.machine))
    uuid = str(create(SEED, host)["uuid"])
    assert lookup.get(uuid, host)["state"] == "running"


class EndsAtOnce(FakeRuntime):
    """Inits that end as soon as they run."""

    def start(self, uuid: str) -> None:
        super().start(uuid)
        self.end(uuid, 3)


def test_a_zone_whose_init_ends_in_its_first_boot_has_failed(world: World) -> None:
    host = replace(world.host, runtime=EndsAtOnce(world.machine))
    with pytest.raises(HostError, match="failed to provision: its init ended"):
        create(SEED, host)
    (zone,) = host.index.all()
    vm = lookup.get(zone.uuid, host)
    assert vm["state"] == "failed"
    assert vm["failed"] == "its init ended before provisioning was done"
    assert not world.machine.zones


def test_create_undoes_itself_wherever_it_fails(world: World) -> None:
    steps = world.fail_everywhere(make)
    assert steps > 8


def test_a_create_that_dies_leaves_all_or_nothing(world: World) -> None:
    died = world.die_everywhere(lambda host: None, make)
    assert {"pool.clone", "index.put", "runtime.create", "datalinks.create_vnic"} <= set(died)


def test_every_problem_that_needs_the_host_is_named(world: World) -> None:
    taken = make(world.host)
    make(world.host, nics=[{"nic_tag": "admin", "ips": ["10.9.0.50/24"]}])
    payload = with_(
        SEED,
        uuid=taken,
        image_uuid=LX_IMAGE,
        max_physical_memory=32,
        nics=[
            {"nic_tag": "external", "ip": "dhcp"},
            {"nic_tag": "admin", "ips": ["10.9.0.50/24"]},
            {"nic_tag": "admin", "ips": ["10.9.0.1/24"]},
        ],
    )
    before = world.trace()
    with pytest.raises(InvalidPayload) as error:
        create(payload, world.host)
    assert problems(error) == [
        "uuid", "image_uuid", "max_physical_memory",
        "nics[0].nic_tag", "nics[1].ips", "nics[2].ips",
    ]  # fmt: skip
    assert all(problem.hint for problem in error.value.problems)
    assert world.trace() == before


def test_an_image_that_is_not_installed(world: World) -> None:
    missing = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(InvalidPayload, match=f"imgadm import {missing}"):
        make(world.host, image_uuid=missing)


def test_an_uuid_that_is_an_images(world: World) -> None:
    with pytest.raises(InvalidPayload, match=f"zones/{IMAGE} exists"):
        make(world.host, uuid=IMAGE)


def test_without_autoboot_nothing_runs(world: World) -> None:
    uuid = make(world.host, autoboot=False)
    assert lookup.get(uuid, world.host)["state"] == "stopped"
    assert not world.machine.zones


# -- start, stop, reboot ---------------------------------------------------------------------------
def test_stop_and_start(world: World) -> None:
    uuid = make(world.host)
    assert stop(uuid, world.host)["already"] is False
    vm = lookup.get(uuid, world.host)
    assert (vm["state"], vm["autoboot"], vm["exit_status"]) == ("stopped", False, 0)
    assert not world.datalinks.vnics
    assert stop(uuid, world.host) == {"uuid": uuid, "already": True, "state": "stopped"}
    start(uuid, world.host)
    assert lookup.get(uuid, world.host)["autoboot"] is True
    assert start(uuid, world.host)["already"] is True


def test_an_init_that_does_not_listen_is_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hull.vm.stop.SHUTDOWN_SECONDS", 0.01)
    world.machine.handlers.clear()
    uuid = make(world.host)
    stop(uuid, world.host)
    assert lookup.get(uuid, world.host)["exit_status"] == -signal.SIGKILL


def test_start_undoes_itself_wherever_it_fails(world: World) -> None:
    uuid = make(world.host, autoboot=False)
    steps = world.fail_everywhere(lambda host: start(uuid, host))
    assert steps > 5


def test_a_host_that_dies_while_it_stops_reboots_or_deletes(world: World) -> None:
    uuids: list[str] = []

    def prepare(host: Host) -> None:
        uuids.append(make(host))

    operations: list[Callable[[str, Host], object]] = [stop, reboot, delete]
    for operation in operations:
        died = world.die_everywhere(prepare, lambda host: operation(uuids[-1], host))  # noqa: B023  # called here and now
        assert died


def test_only_a_stopped_vm_starts(world: World) -> None:
    uuid = make(world.host, autoboot=False)
    world.host.index.change(uuid, failed="it did not provision")
    with pytest.raises(InvalidState, match='from state "failed", must be "stopped"'):
        start(uuid, world.host)
    with pytest.raises(InvalidState, match="Cannot reboot vm"):
        reboot(uuid, world.host)


@pytest.mark.parametrize(
    ("code", "restart_init", "lived", "again"),
    [
        (-signal.SIGHUP, True, 0.0, True),  # reboot(2)
        (-signal.SIGINT, True, 100.0, False),  # power off
        (0, True, 100.0, False),
        (-signal.SIGSEGV, True, 100.0, True),
        (-signal.SIGSEGV, True, 0.0, False),  # it would only loop
        (-signal.SIGSEGV, False, 100.0, False),
    ],
)
def test_what_the_end_of_an_init_means(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    restart_init: bool,
    lived: float,
    again: bool,
) -> None:
    monkeypatch.setattr("hull.vm.stop.RESTART_AFTER_SECONDS", 10.0 - lived)
    uuid = make(world.host, restart_init=restart_init)
    pid = world.watching.attended[uuid]
    FakeRuntime(world.machine).end(uuid, code)
    ended(uuid, pid, world.host)
    assert (uuid in world.machine.zones) is again
    assert lookup.get(uuid, world.host)["autoboot"] is True
    ended(uuid, pid, world.host)  # late news of a boot that is over
    assert (uuid in world.machine.zones) is again


# -- update ----------------------------------------------------------------------------------------
def test_update_is_live_where_it_can_be(world: World) -> None:
    uuid = make(world.host)
    update(
        uuid, {"quota": 3, "cpu_cap": 50, "max_physical_memory": 1024, "alias": "new"}, world.host
    )
    assert lookup.get(uuid, world.host)["alias"] == "new"
    assert world.pool.datasets(f"zones/{uuid}")[0].quota == 3 << 30
    limits = world.machine.zones[uuid].spec.limits
    assert (limits.cpu_cap, limits.memory) == (50, 1 << 30)


def test_update_undoes_itself_wherever_it_fails(world: World) -> None:
    uuid = make(world.host)
    payload = {"quota": 3, "cpu_cap": 50, "add_nics": [{"nic_tag": "admin", "ip": "dhcp"}]}
    view = lookup.get(uuid, world.host)
    steps = world.fail_everywhere(
        lambda host: update(uuid, payload, host)  # type: ignore[arg-type]  # JSON
    )
    assert steps >= 3
    assert len(lookup.get(uuid, world.host)["nics"]) == 2  # type: ignore[arg-type]  # a list
    assert view["quota"] == 10


def test_an_update_is_checked_against_the_host(world: World) -> None:
    uuid = make(world.host)
    with pytest.raises(InvalidPayload) as error:
        update(uuid, {"add_nics": [{"nic_tag": "none", "ip": "dhcp"}]}, world.host)
    assert problems(error) == ["nics[1].nic_tag"]


def test_removed_nics_give_their_address_back(world: World) -> None:
    uuid = make(world.host)
    nics = lookup.get(uuid, world.host)["nics"]
    assert isinstance(nics, list)
    assert isinstance(nics[0], dict)
    update(uuid, {"remove_nics": [nics[0]["mac"]]}, world.host)
    assert world.trace()["leased"] == 1  # the zone that runs has it still
    stop(uuid, world.host)
    assert world.trace()["leased"] == 0


def test_a_zone_changes_its_own_metadata(world: World) -> None:
    uuid = make(world.host)
    change_metadata(uuid, {"set_customer_metadata": {"said": "hello"}}, world.host)
    assert lookup.get(uuid, world.host)["customer_metadata"] == {"said": "hello"}


# -- snapshots -------------------------------------------------------------------------------------
def test_snapshots(world: World) -> None:
    uuid = make(world.host)
    file = world.paths.zones / uuid / "root/etc/motd"
    file.write_text("before")
    snapshot.create_snapshot(uuid, "one", world.host)
    file.write_text("after")
    stop(uuid, world.host)
    snapshot.rollback_snapshot(uuid, "one", world.host)
    assert file.read_text() == "before"
    assert uuid in world.machine.zones
    with pytest.raises(Exists):
        snapshot.create_snapshot(uuid, "one", world.host)
    with pytest.raises(InvalidPayload):
        snapshot.create_snapshot(uuid, "../up", world.host)
    snapshot.delete_snapshot(uuid, "one", world.host)
    with pytest.raises(NotFound):
        snapshot.delete_snapshot(uuid, "one", world.host)


# -- hulld's start and end -------------------------------------------------------------------------
def test_running_zones_are_taken_over_as_they_are(world: World) -> None:
    uuid = make(world.host)
    pid = world.watching.attended.pop(uuid)
    recover(world.again())
    assert world.watching.attended == {uuid: pid}


def test_a_zone_that_ended_meanwhile_is_cleared_up(world: World) -> None:
    uuid = make(world.host)
    FakeRuntime(world.machine).end(uuid, 0)
    world.watching.attended.clear()
    world.host = world.again()
    recover(world.host)
    assert lookup.get(uuid, world.host)["state"] == "stopped"
    world.check_whole()


def test_strays_are_removed(world: World) -> None:
    uuid = make(world.host)
    for path in world.paths.boots.iterdir():
        path.unlink()
    world.watching.attended.clear()
    world.host = world.again()
    recover(world.host)
    assert not world.machine.zones
    assert not world.datalinks.vnics
    assert world.host.index.find(uuid)


def test_autoboot_and_shutdown_of_the_host(world: World) -> None:
    on, off = make(world.host), make(world.host, autoboot=False)
    shut_down_all(world.host)
    assert not world.machine.zones
    assert lookup.get(on, world.host)["autoboot"] is True
    autoboot(world.host)
    assert set(world.machine.zones) == {on}
    assert lookup.get(off, world.host)["state"] == "stopped"


def test_one_vm_that_does_not_boot_does_not_stop_the_others(world: World) -> None:
    first, second = make(world.host), make(world.host)
    shut_down_all(world.host)
    world.host = world.again()
    world.steps.fail_at = 2
    autoboot(world.host)
    assert len(world.machine.zones) == 1
    assert set(world.machine.zones) < {first, second}


# -- looking ---------------------------------------------------------------------------------------
def test_events_tell_the_states_on_the_way(world: World) -> None:
    host = replace(world.host, runtime=ProvisionsAtOnce(world.machine))
    uuid = str(create(SEED, host)["uuid"])
    stop(uuid, host)
    delete(uuid, host)
    states = [None if view is None else view["state"] for _, view in world.watching.views]
    assert states[0] == "stopped"
    assert states[-1] is None
    assert "shutting_down" in states
    assert all(name == uuid for name, _ in world.watching.views)


def test_tables_and_zones(world: World) -> None:
    uuid = make(world.host)
    table = lookup.table(["uuid", "type", "ram"], ["alias=nsa-box"], ["uuid"], world.host)
    assert table["rows"] == [[uuid, "OS", 256]]
    (zone,) = lookup.zones("nsa-box", world.host)
    assert isinstance(zone, dict)
    assert (zone["zoneid"], zone["brand"], zone["state"]) == (1, "joyent", "running")
    with pytest.raises(NotFound):
        lookup.zones("nobody", world.host)
    make(world.host)
    with pytest.raises(Exists, match="2 VMs have the alias"):
        lookup.zones("nsa-box", world.host)
