# SPDX-License-Identifier: MPL-2.0
"""kill -9 of hulld at every door of every operation: the host is as before or as after it.

What the next hulld finds, it sets right: nothing is left that nobody owns, nothing is half, and the
operation can simply be run again. HULL_TORTURE=N (`make torture`) leaves no door out and adds N
kills at random, also of a hulld that sets things right after the last one.
"""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hull.host.host import Host
from hull.vm import recover
from tests.torture import faults
from tests.torture.invariants import strays
from tests.torture.operations import OPERATIONS, Operation, clear, scrub
from tests.torture.world import World, torture_world

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

KILLS = int(os.environ.get("HULL_TORTURE", "0"))
MANY = 150  # doors: most are those of a boot, which several operations have; each second one does
kills = 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with torture_world(tmp_path_factory.mktemp("torture")) as made:
        yield made


def count_doors(world: World, operation: Operation) -> list[str]:
    """What the operation passes when nothing happens to it."""

    def work(host: Host) -> list[str]:
        operation.prepare(world, host)
        doors = faults.Doors(act=faults.kill)
        faults.arm(doors)
        operation.act(world, host)
        faults.disarm()
        assert operation.after(world, host)
        clear(world, host)
        return doors.passed

    return world.do(work)


def chosen(doors: list[str], many: int) -> list[tuple[int, str]]:
    """The doors to try, with their numbers: all of them for `make torture`."""
    numbered = list(enumerate(doors, 1))
    return numbered if KILLS or len(doors) < many else numbered[:: 1 + len(doors) // many]


def killed(world: World, operation: Operation, door: int) -> bool:
    """Run it in a hulld that is killed at a door; False if it got through."""

    def work(host: Host) -> None:
        operation.prepare(world, host)
        faults.arm(faults.Doors(act=faults.kill, at=door))
        operation.act(world, host)

    status, _ = world.child(work)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


def look_after(world: World, operation: Operation, *, again: bool) -> None:
    """The next hulld's start, and what it finds; then the operation once more."""

    def work(host: Host) -> None:
        recover.autoboot(host)
        assert strays(host) == []
        before, after = operation.before(world, host), operation.after(world, host)
        assert before or after, "neither as before nor as after"
        if again and not after:
            operation.act(world, host)
            assert operation.after(world, host), "it cannot be run again"
            assert strays(host) == []
        clear(world, host)
        assert strays(host) == []

    world.do(work)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_killed_at_every_door(world: World, operation: Operation) -> None:
    global kills
    doors = count_doors(world, operation)
    for number, name in chosen(doors, MANY):
        try:
            kills += killed(world, operation, number)
            look_after(world, operation, again=True)
        except AssertionError as exc:
            exc.add_note(f"{operation.name}, killed at door {number} of {len(doors)}: {name}")
            with suppress(AssertionError):
                world.do(lambda host: scrub(world, host))
            raise


def test_a_thousand_kills() -> None:
    """What `make test` promises."""
    assert kills >= 1000


@pytest.mark.parametrize("count", [KILLS] if KILLS else [100])
def test_killed_anywhere_and_again(world: World, count: int) -> None:
    """At random, also while the host is being set right after the last kill."""
    chance = random.Random(count)
    doors = {each.name: len(count_doors(world, each)) for each in OPERATIONS}
    for number in range(count):
        operation = chance.choice(OPERATIONS)
        killed(world, operation, chance.randint(1, doors[operation.name]))
        if chance.random() < 0.3:
            _killed_while_recovering(world, chance.randint(1, 60))
        try:
            look_after(world, operation, again=chance.random() < 0.5)
        except AssertionError as exc:
            exc.add_note(f"kill {number} of {operation.name}")
            raise


def _killed_while_recovering(world: World, door: int) -> None:
    pid = os.fork()
    if pid == 0:
        faults.arm(faults.Doors(act=faults.kill, at=door))
        world.child(lambda host: None)
        os._exit(0)
    os.waitpid(pid, 0)


def test_nothing_is_left_on_the_machine(world: World) -> None:
    world.do(lambda host: clear(world, host))
    assert list(Path("/var/tmp").glob(".imgadm*")) == []
