# SPDX-License-Identifier: MPL-2.0
"""svcadm -s: wait until instances are as asked, or are known not to become so.

Sleeps until the repository says that one of them has changed. What cannot be seen from them alone,
whether their dependencies can be met, is looked at every three seconds.
"""

import json
import os
import select
import time

from smf.client import Client
from smf.errors import NotFound
from smf.fmri import MASTER, instance_of
from smf.graph import NEVER
from smf.reach import World, reach
from smf.states import DISABLED, MAINTENANCE, NONE, RUNNING_STATES
from smf.tree import OPTIONS, RUNNING, Groups, enabled, option, value

FAILED, BLOCKED = 3, 4  # exit statuses; the first has precedence
LOOK_AGAIN = 3.0  # seconds
GROUPS = ["general", "general_ovr", "restarter", "restarter_actions", *OPTIONS]
WANTED = {True: "run", False: "stop"}


class Wait:
    """For some instances, to be running or to be disabled. Made before the request is."""

    def __init__(self, client: Client, before: dict[str, Groups], *, up: bool) -> None:
        self.client = client
        self.up = up
        # Since when an instance was in maintenance before: it takes a moment to leave it.
        self.maintained = {
            fmri: _since(groups) for fmri, groups in before.items() if _state(groups) == MAINTENANCE
        }
        self.watcher = client.watch()
        self.received = b""

    def close(self) -> None:
        self.watcher.close()

    def until_settled(self, instances: list[str]) -> tuple[int, list[str]]:
        """(exit status, what is to be said of those that did not become as asked)."""
        status, said = 0, []
        waiting = dict.fromkeys(instances)
        changed, world = set(instances), None
        look_at = time.monotonic() + LOOK_AGAIN
        while waiting:
            for fmri in [each for each in waiting if world or each in changed]:
                outcome = self._outcome(fmri, self._now(fmri), world)
                if outcome is None:
                    continue
                del waiting[fmri]
                if outcome[0]:
                    status = min(status or outcome[0], outcome[0])
                    said.append(outcome[1])
            world = None
            if waiting:
                changed = self._changes(look_at - time.monotonic())
                if time.monotonic() >= look_at:
                    world = World(self.client.dump(GROUPS), self._configured, os.path.exists)
                    look_at = time.monotonic() + LOOK_AGAIN
        return status, said

    def _now(self, fmri: str) -> Groups | None:
        try:
            return self.client.attached(fmri)
        except NotFound:
            return None

    def _configured(self, fmri: str) -> Groups:
        return running_view(self.client, fmri)

    def _outcome(
        self, fmri: str, groups: Groups | None, world: World | None
    ) -> tuple[int, str] | None:
        """(exit status, why) once there is nothing to wait for. `world`: if it is time to look."""
        if groups is None:
            return FAILED, f"{fmri} has been deleted"
        if fmri == MASTER and not self.up:
            return FAILED, f"{fmri} is svc.startd itself, which goes on"
        if enabled(groups) is not self.up:
            if self.up and (beyond := self._beyond(fmri, self._now(MASTER) or {})):
                return beyond
            return FAILED, f"{fmri}: somebody else has had it {WANTED[not self.up]} meanwhile"
        state, at_rest = _state(groups), value(groups, "restarter", "next_state", NONE) == NONE
        if at_rest and (state in RUNNING_STATES if self.up else state == DISABLED):
            return 0, ""
        if state == MAINTENANCE and not self._may_leave(fmri, groups, world):
            return FAILED, f"{fmri} is in maintenance; see svcs -x {fmri}"
        return self._blocked(fmri, world) if world else None

    def _may_leave(self, fmri: str, groups: Groups, world: World | None) -> bool:
        """Whether it is in maintenance only because startd has not come to it yet."""
        if world is not None:
            return False
        cleared = int(value(groups, "restarter_actions", "maint_off", "0"))
        if cleared > _nanoseconds(_since(groups)):
            return True
        return not self.up and self.maintained.get(fmri) == _since(groups)

    def _blocked(self, fmri: str, world: World) -> tuple[int, str] | None:
        restarter = world.restarter(fmri)
        # The master restarter may have no state of its own; others are instances like any.
        state = world.state(restarter)
        if (restarter != MASTER or state) and state not in RUNNING_STATES:
            return BLOCKED, f"{fmri}: its restarter {restarter} is not running"
        beyond = self._beyond(fmri, world.now.get(MASTER, {})) if self.up else None
        if beyond and world.state(fmri) == DISABLED:
            return beyond
        if self.up and reach(world, fmri) == NEVER:
            return BLOCKED, f"{fmri}: its dependencies cannot be met; see svcs -x {fmri}"
        return None

    @staticmethod
    def _beyond(fmri: str, master: Groups) -> tuple[int, str] | None:
        """It is startd who has disabled it, if there is a milestone to stay at."""
        milestone = option(master, "milestone", "all")
        if milestone == "all":
            return None
        return BLOCKED, f"{fmri}: milestone {milestone} does not need it; see svcadm milestone"

    def _changes(self, patience: float) -> set[str]:
        """Sleep until something has changed; which instances."""
        if not select.select([self.watcher], [], [], max(patience, 0))[0]:  # noqa: TID251  # few descriptors are open here
            return set()
        try:
            chunk = self.watcher.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        if not chunk:  # configd ended: watch the new one, and see what has happened meanwhile
            self.watcher.close()
            self.watcher, self.received = self.client.watch(), b""
            return set(self.client.entities())
        *lines, self.received = (self.received + chunk).split(b"\n")
        return {fmri for line in lines for fmri, _ in json.loads(line)["changed"]}


def running_view(client: Client, fmri: str) -> Groups:
    """An instance's running snapshot; before its first refresh what is configured; {} if it is not
    there."""
    if not instance_of(fmri):
        return {}
    for snapshot in (RUNNING, ""):
        try:
            return client.composed(fmri, snapshot)
        except NotFound:
            continue
    return {}


def _state(groups: Groups) -> str:
    return value(groups, "restarter", "state")


def _nanoseconds(moment: str) -> int:
    """A value of type time."""
    seconds, _, fraction = moment.partition(".")
    return int(seconds or 0) * 10**9 + int(fraction.ljust(9, "0"))


def _since(groups: Groups) -> str:
    return value(groups, "restarter", "state_timestamp")
