# SPDX-License-Identifier: MPL-2.0
"""What every Runtime must do; run over the fake in unit tests and over crun in integration."""

import signal
import threading
import time
from pathlib import Path
from typing import Protocol

import pytest

from hull.errors import Exists, HostError, InvalidState, NotFound
from hull.zone.runtime import Limits, Runtime, ZoneSpec

TERM_STATUS = 7  # what the contract's init exits with on SIGTERM
NO_ZONE = "99999999-9999-4999-8999-999999999999"


class World(Protocol):
    """One host to try a Runtime on."""

    def manager(self) -> Runtime:
        """A manager that knows only what is recorded, as hulld after a restart."""
        ...

    def spec(self, number: int = 1) -> ZoneSpec: ...

    def wait_booted(self, uuid: str) -> None:
        """Until init handles SIGTERM."""
        ...

    def leftovers(self) -> list[str]:
        """What is on the host of zones that have been deleted."""
        ...


def boot(world: World, number: int = 1) -> str:
    runtime, spec = world.manager(), world.spec(number)
    runtime.create(spec)
    runtime.start(spec.uuid)
    world.wait_booted(spec.uuid)
    return spec.uuid


class RuntimeContract:
    def test_a_life(self, world: World) -> None:
        runtime, spec = world.manager(), world.spec()
        assert runtime.zones() == []
        pid = runtime.create(spec)
        assert pid > 0
        assert (runtime.pid(spec.uuid), runtime.zones()) == (pid, [spec.uuid])
        assert runtime.wait_exit(spec.uuid, 0) is None
        runtime.start(spec.uuid)
        world.wait_booted(spec.uuid)
        assert runtime.pid(spec.uuid) == pid
        assert runtime.usage(spec.uuid).processes >= 1
        before = time.time()
        assert runtime.kill(spec.uuid, signal.SIGTERM)
        status = runtime.wait_exit(spec.uuid, 10)
        assert status is not None
        assert status.code == TERM_STATUS
        assert abs(status.when - before) < 5
        assert (runtime.pid(spec.uuid), runtime.zones()) == (0, [spec.uuid])
        runtime.delete(spec.uuid)
        assert runtime.zones() == []
        assert world.leftovers() == []

    def test_links_are_made_while_it_is_built(self, world: World) -> None:
        runtime, spec = world.manager(), world.spec()
        namespaces: list[str] = []
        runtime.create(spec, namespaces.append)
        assert [path.startswith("/proc/") for path in namespaces] == [True]
        runtime.delete(spec.uuid)

    def test_without_its_links_there_is_no_zone(self, world: World) -> None:
        runtime, spec = world.manager(), world.spec()

        def fail(netns: str) -> None:
            raise HostError(f"no links in {netns}")

        with pytest.raises(HostError, match="no links in /proc"):
            runtime.create(spec, fail)
        assert (runtime.zones(), world.leftovers()) == ([], [])
        boot(world)
        runtime.delete(spec.uuid)

    def test_a_new_manager_knows_everything(self, world: World) -> None:
        uuid = boot(world)
        runtime = world.manager()
        assert runtime.zones() == [uuid]
        assert runtime.pid(uuid) > 0
        assert runtime.login_argv(uuid, Path("/process.json"))
        runtime.kill(uuid, signal.SIGTERM)
        assert runtime.wait_exit(uuid, 10)
        status = world.manager().wait_exit(uuid, 0)
        assert status is not None
        assert status.code == TERM_STATUS
        world.manager().delete(uuid)
        assert world.leftovers() == []

    def test_killed(self, world: World) -> None:
        uuid = boot(world)
        runtime = world.manager()
        runtime.kill(uuid, signal.SIGKILL)
        status = runtime.wait_exit(uuid, 10)
        assert status is not None
        assert status.code == -signal.SIGKILL
        assert not runtime.kill(uuid, signal.SIGTERM)  # there is no init any more: no error
        runtime.delete(uuid)

    def test_a_ready_zone_ends_without_having_run(self, world: World) -> None:
        runtime, spec = world.manager(), world.spec()
        runtime.create(spec)
        assert not runtime.kill(spec.uuid, signal.SIGTERM)  # not its init's to handle yet
        assert runtime.wait_exit(spec.uuid, 0.05) is None
        runtime.delete(spec.uuid)
        assert world.leftovers() == []

    def test_the_running_are_deleted_too(self, world: World) -> None:
        uuid = boot(world)
        runtime = world.manager()
        runtime.delete(uuid)
        runtime.delete(uuid)
        assert (runtime.pid(uuid), runtime.zones(), world.leftovers()) == (0, [], [])

    def test_waiting_ends_when_the_zone_does(self, world: World) -> None:
        uuid = boot(world)
        runtime = world.manager()
        assert runtime.wait_exit(uuid, 0.05) is None
        timer = threading.Timer(0.1, runtime.kill, (uuid, signal.SIGTERM))
        timer.start()
        started = time.monotonic()
        assert world.manager().wait_exit(uuid, 30)
        assert time.monotonic() - started < 5
        timer.join()
        runtime.delete(uuid)

    def test_two_zones_are_apart(self, world: World) -> None:
        runtime = world.manager()
        first, second = boot(world, 1), boot(world, 2)
        assert runtime.zones() == sorted((first, second))
        assert runtime.pid(first) != runtime.pid(second)
        runtime.delete(first)
        assert runtime.zones() == [second]
        assert runtime.wait_exit(second, 0) is None
        runtime.delete(second)

    def test_it_is_created_and_started_once(self, world: World) -> None:
        runtime, spec = world.manager(), world.spec()
        runtime.create(spec)
        with pytest.raises(Exists):
            runtime.create(spec)
        runtime.start(spec.uuid)
        world.wait_booted(spec.uuid)
        with pytest.raises(InvalidState):
            runtime.start(spec.uuid)
        with pytest.raises(Exists):
            runtime.create(spec)
        assert runtime.pid(spec.uuid) > 0
        runtime.kill(spec.uuid, signal.SIGKILL)
        assert runtime.wait_exit(spec.uuid, 10)
        with pytest.raises(InvalidState):
            runtime.start(spec.uuid)
        with pytest.raises(InvalidState):
            runtime.login_argv(spec.uuid, Path("/process.json"))
        runtime.delete(spec.uuid)

    def test_a_zone_that_is_not_up(self, world: World) -> None:
        runtime = world.manager()
        with pytest.raises(NotFound):
            runtime.start(NO_ZONE)
        with pytest.raises(NotFound):
            runtime.wait_exit(NO_ZONE, 0)
        with pytest.raises(NotFound):
            runtime.usage(NO_ZONE)
        with pytest.raises(NotFound):
            runtime.set_limits(NO_ZONE, Limits())
        with pytest.raises(InvalidState):
            runtime.login_argv(NO_ZONE, Path("/process.json"))
        assert runtime.pid(NO_ZONE) == 0
        runtime.kill(NO_ZONE, signal.SIGKILL)
        runtime.delete(NO_ZONE)
