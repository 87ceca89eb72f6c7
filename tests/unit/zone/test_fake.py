# SPDX-License-Identifier: MPL-2.0
"""The fake keeps the contract, and fails where it is told to."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hull.errors import HostError
from hull.zone.fake import FakeRuntime, Machine
from hull.zone.runtime import Limits, Runtime, ZoneSpec
from tests.runtime_contract import TERM_STATUS, RuntimeContract


class FakeWorld:
    def __init__(self) -> None:
        self.machine = Machine(handlers={signal.SIGTERM: TERM_STATUS})

    def manager(self) -> Runtime:
        return FakeRuntime(self.machine)

    def spec(self, number: int = 1) -> ZoneSpec:
        return ZoneSpec(
            uuid=f"{number:08x}-1111-4111-8111-111111111111",
            zoneid=number,
            root=Path("/nonexistent"),
            id_base=number * 65536,
            bundle={},
            console_log=Path("/nonexistent/console.log"),
        )

    def wait_booted(self, uuid: str) -> None:
        assert self.machine.zones[uuid].started

    def leftovers(self) -> list[str]:
        return list(self.machine.zones)


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


class TestFake(RuntimeContract):
    pass


@pytest.mark.parametrize("step", ["create", "start", "kill", "set_limits", "delete"])
def test_a_step_fails_once_and_changes_nothing(world: FakeWorld, step: str) -> None:
    runtime, spec = FakeRuntime(world.machine), world.spec()
    steps: dict[str, Callable[[], object]] = {
        "create": lambda: runtime.create(spec),
        "start": lambda: runtime.start(spec.uuid),
        "set_limits": lambda: runtime.set_limits(spec.uuid, Limits(memory=1)),
        "kill": lambda: runtime.kill(spec.uuid, signal.SIGKILL),
        "delete": lambda: runtime.delete(spec.uuid),
    }
    for name, work in steps.items():
        if name == step:
            before = dict(world.machine.zones)
            runtime.fail_at = step
            with pytest.raises(HostError):
                work()
            assert world.machine.zones == before
        work()


def test_limits_are_kept(world: FakeWorld) -> None:
    runtime, spec = FakeRuntime(world.machine), world.spec()
    runtime.create(spec)
    runtime.set_limits(spec.uuid, Limits(memory=1))
    assert world.machine.zones[spec.uuid].spec.limits == Limits(memory=1)


def test_init_ends_by_itself(world: FakeWorld) -> None:
    runtime, spec = FakeRuntime(world.machine), world.spec()
    runtime.create(spec)
    runtime.end(spec.uuid, 3)
    status = runtime.wait_exit(spec.uuid, 0)
    assert status is not None
    assert status.code == 3
