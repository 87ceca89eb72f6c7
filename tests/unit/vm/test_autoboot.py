# SPDX-License-Identifier: MPL-2.0
"""What boots with the host: who, in which order, and what a failure of one means for the others."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from hull.errors import HostError
from hull.host.host import Host
from hull.vm import create, recover, start, stop, zones
from hull.zone.index import Zone
from tests.unit.vm.world import SEED, World, with_


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "host")


def installed(world: World, number: int) -> str:
    """A VM that is down and wants to be up, made in the year 2000 + `number`."""
    payload = with_(SEED, alias=f"vm{number}", autoboot=False)
    uuid = str(create.create(payload, world.host)["uuid"])
    made = f"{2000 + number}-01-01T00:00:00.000Z"
    world.host.index.edit(uuid, lambda vm: replace(vm, autoboot=True, create_timestamp=made))
    return uuid


def booted(world: World) -> list[str]:
    """Who is up, by zone id: in the order of their boots."""
    return [each.uuid for each in sorted(world.host.boots.all(), key=lambda each: each.zoneid)]


def test_the_oldest_boots_first(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recover, "BOOTS_AT_ONCE", 1)
    young, old, middle = (installed(world, number) for number in (9, 1, 5))
    with caplog.at_level(logging.INFO):
        recover.autoboot(world.host)
    assert booted(world) == [old, middle, young]
    assert "3 VMs boot with the host" in caplog.text
    assert f"autoboot 3 of 3: VM {young} is up" in caplog.text


def test_who_stays_down(world: World) -> None:
    bare, failed, unwanted, held, wanted = (installed(world, number) for number in range(5))
    zones.uninstall(bare, {}, world.host)
    world.host.index.change(failed, failed="it did not provision")
    world.host.index.edit(unwanted, lambda vm: replace(vm, autoboot=False))
    zones.ready(held, {}, world.host)
    recover.autoboot(world.host)
    running = {each.uuid for each in world.host.boots.all() if each.state == "running"}
    assert running == {wanted}


def test_one_that_does_not_boot_keeps_nobody_else_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [installed(world, number) for number in range(6)]

    def boot(zone: Zone, host: Host) -> None:
        if zone.uuid == uuids[2]:
            raise HostError("no luck")
        start.boot(zone, host)

    monkeypatch.setattr(recover, "boot", boot)
    recover.autoboot(world.host)
    assert set(booted(world)) == set(uuids) - {uuids[2]}
    for uuid in booted(world):
        stop.stop(uuid, world.host, force=True)
