# SPDX-License-Identifier: MPL-2.0
"""500 services, 20 deep: all come up, in their order, and again. bench/smf.py has the times."""

import time

import pytest

from tests.smf.many import MILESTONE, layers, manifest
from tests.smf.world import World, until

COUNT, DEPTH = 500, 20


def states(world: World) -> dict[str, str]:
    rows = world.svcs("-Ha", "-o", "fmri,state").splitlines()
    return dict(row.split() for row in rows)


@pytest.mark.slow
def test_five_hundred(own: World) -> None:
    order = own.scratch / "order"
    start = f"/bin/sh -c 'echo $SMF_FMRI >> {order}'"
    own.bring(manifest(COUNT, DEPTH, start))
    own.wait(MILESTONE, "online", 120)
    assert set(states(own).values()) == {"online"}
    assert len(states(own)) >= COUNT + 1
    in_order(order.read_text().split(), 1)
    # All of it stops, those that need others first, and starts again.
    bottom = f"svc:/{layers(COUNT, DEPTH)[0][0]}:default"
    order.unlink()
    before = own.svcprop("-p", "restarter/state_timestamp", MILESTONE)
    own.svcadm("restart", bottom)
    until(lambda: own.svcprop("-p", "restarter/state_timestamp", MILESTONE) != before, "it stops")
    own.wait(MILESTONE, "online", 120)
    # startd's death is no reason to run anything.
    lines = len(order.read_text().split())
    own.kill("svc.startd")
    own.wait("svc:/system/svc/restarter:default", "online")
    time.sleep(1)
    assert set(states(own).values()) == {"online"}
    assert len(order.read_text().split()) == lines
    # Nor is a boot longer than it has to be, and nothing is left of the run before.
    order.unlink()
    own.reboot()
    own.wait(MILESTONE, "online", 120)
    ran = order.read_text().split()
    assert len(ran) == COUNT * 2  # the stops of the shutdown, dependents first; then the starts
    in_order(list(reversed(ran[:COUNT])), 1)
    in_order(ran[COUNT:], 1)


def in_order(ran: list[str], times: int) -> None:
    """Each ran so often, and after those that it needs."""
    position = {fmri: number for number, fmri in enumerate(ran)}
    assert len(ran) == times * COUNT == times * len(position)
    below: list[str] = []
    for layer in layers(COUNT, DEPTH):
        for number, name in enumerate(layer):
            for other in {below[number], below[(number + 1) % len(below)]} if below else ():
                assert position[f"svc:/{other}:default"] < position[f"svc:/{name}:default"]
        below = layer
