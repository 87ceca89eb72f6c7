# SPDX-License-Identifier: MPL-2.0
"""Every door of every operation fails once: a full disk, a broken one, no memory, no descriptors.

The operation then says so, in words of its own, and the host is as before or as after, without any
hulld's start in between. A program that hangs is given up, and counts as one that failed.
"""

import errno
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from hull.errors import Error
from hull.host.host import Host
from hull.linux.syscall import shortage
from tests.torture import faults
from tests.torture.invariants import strays
from tests.torture.operations import OPERATIONS, VM, Operation, clear, scrub
from tests.torture.test_kills import chosen, count_doors
from tests.torture.world import World, torture_world

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

# By how a door's name begins: what may come of it. Each door gets the next one of its list.
FAILURES = {
    "subprocess.Popen": (errno.ENOMEM, errno.EMFILE, errno.EAGAIN),
    "os.posix_spawn": (errno.ENOMEM, errno.EAGAIN),
    "netlink": (errno.ENOBUFS, errno.ENOMEM),
    "nft": (errno.ENOMEM, errno.ENOBUFS),
    "libc": (errno.ENOMEM, errno.EIO, errno.EMFILE),
    "open": (errno.ENOSPC, errno.EMFILE, errno.EIO),
    "": (errno.ENOSPC, errno.EIO, errno.ENOMEM),
}
MANY = 50  # doors; see test_kills.py
PATIENCE = 2.0  # seconds that are waited for a program


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with torture_world(tmp_path_factory.mktemp("torture")) as made:
        yield made


def failure_of(door: str, number: int) -> int:
    found = next(numbers for start, numbers in FAILURES.items() if door.startswith(start))
    return found[number % len(found)]


def attempt(world: World, operation: Operation, host: Host) -> str:
    """Run it, with whatever has been put in its way; what it said, "" if it got through."""
    said = ""
    try:
        operation.act(world, host)
    except Error as exc:
        said = str(exc)
        assert said
    except OSError as exc:  # as hulld tells it
        lacking = shortage(exc)
        assert lacking
        said = lacking.message
    finally:
        faults.disarm()
    return said


def look(world: World, operation: Operation, host: Host, said: str) -> None:
    before, after = operation.before(world, host), operation.after(world, host)
    assert said or after, "it says that all is well, and it is not"
    if not operation.midway:
        assert before or after, f"neither as before nor as after: {said}"
        assert lost(host) == [], f"after: {said}"
    if not after:
        (operation.again or operation.act)(world, host)
        assert operation.after(world, host), "it cannot be run again"
        assert lost(host) == [], f"run again after: {said}"
    clear(world, host)
    assert lost(host) == []


def lost(host: Host) -> list[str]:
    """What is nobody's; rubbish that cannot be removed now waits for hulld's next start."""
    rubbish = ("/import-", f"dataset {VM}-old")
    return [found for found in strays(host) if not any(each in found for each in rubbish)]


def failed_at(world: World, operation: Operation, door: int, number: int) -> bool:
    def work(host: Host) -> bool:
        operation.prepare(world, host)
        faults.arm(faults.Doors(act=faults.fail(number), at=door))
        look(world, operation, host, attempt(world, operation, host))
        return True

    return world.do(work)


def tried(world: World, where: str, work: Callable[[], bool], failures: list[str]) -> bool:
    """Do it, and go on if it is not well; what `work` returned."""
    try:
        return work()
    except AssertionError as exc:
        failures.append(f"{where}: {exc}")
        world.do(lambda host: scrub(world, host))
        return True


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_door_fails_once(world: World, operation: Operation) -> None:
    doors = count_doors(world, operation)
    failures: list[str] = []
    for number, name in chosen(doors, MANY):
        failure = failure_of(name, number)
        where = f"{operation.name}, {errno.errorcode[failure]} at {number} of {len(doors)}, {name}"
        tried(world, where, partial(failed_at, world, operation, number, failure), failures)
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_program_hangs_once(world: World, operation: Operation) -> None:
    failures: list[str] = []
    number = 0
    there_was_one = True
    while there_was_one:
        number += 1
        where = f"{operation.name}: program {number} hangs"
        work = partial(hanging, world, operation, number)
        there_was_one = tried(world, where, work, failures)
    assert not failures, "\n".join(failures)


def hanging(world: World, operation: Operation, number: int) -> bool:
    """Whether there was a program to hang."""

    def work(host: Host) -> bool:
        operation.prepare(world, host)
        came_to_it = faults.hang_program(number, PATIENCE)
        look(world, operation, host, attempt(world, operation, host))
        return came_to_it()

    return world.do(work)
