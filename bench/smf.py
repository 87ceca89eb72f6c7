# SPDX-License-Identifier: MPL-2.0
"""SMF: 500 services, 20 deep, whose methods are /bin/true, beside those methods alone.

It needs no host and no image: a svc.init in a directory, as in tests/smf.
"""

import os
import time

from bench.measure import Results, milliseconds, pss, usage
from smf.client import Client
from smf.tree import value
from tests.smf.many import MILESTONE, layers, manifest
from tests.smf.world import World

COUNT, DEPTH = 500, 20
IDLE_SECONDS = 10
MIB = 1 << 20
ALONE = "methods alone"
DAEMONS = ("svc.startd", "svc.configd")


def measure(n: int, results: Results) -> None:
    """Rows smf boot, smf restart, smf svcs, smf memory 500, smf wakeups."""
    with World() as world:
        world.bring(manifest(COUNT, DEPTH))
        until_online(world, "")
        for _ in range(n):
            results.add("smf boot", ALONE, milliseconds(methods))
            world.shutdown()
            results.add("smf boot", "hull", milliseconds(lambda: boot(world)))
        bottom = f"svc:/{layers(COUNT, DEPTH)[0][0]}:default"
        for _ in range(n):
            results.add("smf svcs", "hull", milliseconds(lambda: world.svcs("-a")))
            results.add("smf restart", ALONE, milliseconds(lambda: methods(2)))
            results.add("smf restart", "hull", milliseconds(lambda: restart(world, bottom)))
        total = sum(pss(pid) for pid in daemons(world))
        results.add("smf memory 500", "hull", total / MIB)
        idle(world, results)


def boot(world: World) -> None:
    """From the start of svc.init; what is volatile is gone, as after a boot of the machine."""
    for file in (world.root / "run/svc").glob("*"):
        if file.is_file() or file.is_socket():
            file.unlink()
    world.boot(wait=False)
    until_online(world, "")


def restart(world: World, bottom: str) -> None:
    """All of them stop, and start again."""
    before = since(world)
    world.svcadm("restart", bottom)
    until_online(world, before)


def methods(times: int = 1) -> None:
    """The 500 methods as SMF starts them, layer by layer, without SMF."""
    for layer in layers(COUNT, DEPTH) * times:
        command = ["/bin/sh", "-c", "exec /bin/true"]
        pids = [os.posix_spawn("/bin/sh", command, {}) for _ in layer]
        for pid in pids:
            os.waitpid(pid, 0)


def since(world: World) -> str:
    client = Client(str(world.root / "run/svc/repository_door"))
    try:
        return value(client.attached(MILESTONE), "restarter", "state_timestamp")
    finally:
        client.close()


def until_online(world: World, before: str, patience: float = 120) -> None:
    """Until the milestone is, since another moment than `before`. Asks fifty times a second."""
    door = world.root / "run/svc/repository_door"
    deadline = time.monotonic() + patience
    while not door.exists():
        time.sleep(0.002)
    client = Client(str(door))
    try:
        while time.monotonic() < deadline:
            found = client.attached(MILESTONE)
            online = value(found, "restarter", "state") == "online"
            if online and value(found, "restarter", "state_timestamp") != before:
                return
            time.sleep(0.02)
    finally:
        client.close()
    raise AssertionError(f"{MILESTONE} did not come up in {patience:g} s: {world.said()}")


def daemons(world: World) -> list[int]:
    return [world.child(comm) for comm in DAEMONS]


def idle(world: World, results: Results) -> None:
    assert world.init is not None
    pids = [*daemons(world), world.init.pid]
    before = sum(usage(pid).wakeups for pid in pids)
    time.sleep(IDLE_SECONDS)
    after = sum(usage(pid).wakeups for pid in pids)
    results.add("smf wakeups", "hull", (after - before) / IDLE_SECONDS)
