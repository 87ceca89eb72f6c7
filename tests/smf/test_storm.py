# SPDX-License-Identifier: MPL-2.0
"""SMF's daemons are killed at random while services are asked to come and go.

Afterwards all is as was last asked, nothing has run twice at a time, and nothing is left behind.
HULL_STORM says how many kills (200); HULL_SEED repeats a run's chances.
"""

import os
import random
import secrets
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.smf.manifests import Needs
from tests.smf.processes import arguments, members
from tests.smf.world import PATIENCE, Subject, World, until

KILLS = int(os.environ.get("HULL_STORM", "200"))
KINDS = {"contract": 8, "child": 6, "transient": 6}
DAEMONS = ("svc.startd", "svc.configd")
ACTIONS = ("enable", "enable", "disable", "restart", "refresh")
# Whoever runs has the lock: a second one at the same time tells on itself. What is left behind
# inherits it; its seconds are its name.
SCRIPT = """#!/bin/sh
exec 9>>"{scratch}/lock-$1"
flock -n 9 || {{
    echo "$1 $2 twice: in $(tail -c 30 /proc/self/cgroup) beside" $(tail -n 1 "{scratch}/lock-$1") \
        >> "{scratch}/violations"
    exit 1
}}
echo "$(date +%T.%N) $(tail -c 30 /proc/self/cgroup)" >&9
case $2 in
contract) /bin/sleep "$3" & ;;
child) exec /bin/sleep "$3" ;;
transient) sleep 0.05 ;;
esac
"""


class Member:
    """A service of the storm. `wanted` is what it was last asked to be; one at a time asks."""

    def __init__(self, world: World, number: int, kind: str, needs: list[Needs]) -> None:
        self.kind = kind
        self.seconds = str(100_000 + number)
        script = world.scratch / "run.sh"
        name = f"site/storm{number}"
        self.subject: Subject = world.service(
            name, f"{script} {number} {kind} {self.seconds}",
            ":true" if kind == "transient" else ":kill",
            duration=kind, needs=needs, stop_timeout=30, refresh=":true",
            startd=[("critical_failure_count", "integer", "100000"),
                    ("critical_failure_period", "integer", "0")],
        )  # fmt: skip
        self.lock = threading.Lock()
        self.wanted = False

    @property
    def runs(self) -> bool:
        return self.wanted and self.kind != "transient"


class Asker(threading.Thread):
    """Asks for one thing after the other; each command has to succeed, whoever is dead just now."""

    def __init__(self, world: World, team: list[Member], chance: random.Random) -> None:
        super().__init__()
        self.world, self.team, self.chance = world, team, chance
        self.ends = False
        self.asked = 0
        self.failed = ""

    def run(self) -> None:
        while not self.ends and not self.failed:
            member, action = self.chance.choice(self.team), self.chance.choice(ACTIONS)
            with member.lock:
                done = self.world.run("svcadm", action, member.subject.fmri, status=None)
                if done.returncode:
                    self.failed = f"{action} {member.subject}: {done.stdout}{done.stderr}"
                elif action in ("enable", "disable"):
                    member.wanted = action == "enable"
            self.asked += 1


def team(world: World) -> list[Member]:
    """Every third one needs the one before it, and goes with it."""
    script = world.scratch / "run.sh"
    script.write_text(SCRIPT.format(scratch=world.scratch))
    script.chmod(0o755)
    kinds = [kind for kind, many in KINDS.items() for _ in range(many)]
    random.Random(1).shuffle(kinds)
    return [
        Member(world, number, kind,
               [Needs(f"site/storm{number - 1}", "optional_all", "restart")] if number % 3 else [])
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


def storm(world: World, kills: int, chance: random.Random) -> None:
    """Kill that many times; a daemon that is not there is waited for, or it would not be one."""
    for number in range(kills):
        time.sleep(chance.uniform(0, 0.25) ** 1.2)
        comm = chance.choice(DAEMONS)
        until(lambda comm=comm: world.children(comm), f"{comm} is started after kill {number}")  # type: ignore[misc]  # mypy and defaults of lambdas
        with suppress(ProcessLookupError, IndexError):
            os.kill(world.children(comm)[0], signal.SIGKILL)
        assert world.init is not None
        assert world.init.poll() is None, world.said()


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    number = int(os.environ.get("HULL_SEED", "0")) or secrets.randbits(32)
    with capsys.disabled():
        print(f"HULL_SEED={number}", end=" ")
    return number


def test_a_storm(own: World, seed: int) -> None:
    chance = random.Random(seed)
    members_ = team(own)
    askers = [Asker(own, members_, random.Random(chance.random())) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        storm(own, KILLS, chance)
    finally:
        for asker in askers:
            asker.ends = True
        for asker in askers:
            asker.join(120)
    assert not [asker.failed for asker in askers if asker.failed]
    assert sum(asker.asked for asker in askers) > KILLS / 10
    for comm in DAEMONS:
        own.child(comm)
    all_as_asked(own, members_)
    nothing_twice(own, members_)
    assert not own.said()
    nothing_lost(own, members_)


def all_as_asked(world: World, members_: list[Member]) -> None:
    wanted = {m.subject.fmri: "online" if m.wanted else "disabled" for m in members_}
    differ: dict[str, str] = {}

    def settled() -> bool:
        rows = [row.split() for row in world.svcs("-Ha", "-o", "fmri,state,nstate").splitlines()]
        found = {fmri: state for fmri, state, following in rows if following == "-"}
        differ.clear()
        differ.update(
            {f: found.get(f, "in transition") for f in wanted if found.get(f) != wanted[f]}
        )
        return not differ

    try:
        until(settled, "all are as was last asked", 3 * PATIENCE)
    except AssertionError as exc:
        logs = "\n".join(Subject(world, fmri).log[-1500:] for fmri in list(differ)[:2])
        raise AssertionError(f"{exc}: {differ}, wanted {wanted}\n{logs}\n{world.said()}") from None


def nothing_twice(world: World, members_: list[Member]) -> None:
    violations = world.scratch / "violations"
    assert not violations.exists(), violations.read_text()[:2000] + world.said()[-2000:]
    expected = sorted(m.seconds for m in members_ if m.runs)

    def there() -> list[str]:
        found = []
        for each in members(world.cgroup):
            if world.init is not None and each.pid == world.init.pid:
                continue
            with suppress(OSError, IndexError):
                found.append(arguments(each.pid)[1] if each.comm == "sleep" else each.comm)
        return sorted(found)

    until(lambda: there() == sorted([*expected, *DAEMONS]),
          "what runs is what should, once", 10)  # fmt: skip
    contracts = Path((world.root / "run/svc/contracts").read_text().strip())
    shown = world.svcs("-Ha", "-o", "ctid").split()
    numbers = sorted(each.name for each in contracts.iterdir() if each.is_dir())
    assert numbers == sorted(number for number in shown if number != "-")


def nothing_lost(world: World, members_: list[Member]) -> None:
    for member in members_:
        found = member.subject.prop("general/enabled", "-c")
        assert found == ("true" if member.wanted else "false")
        assert member.subject.prop("startd/duration") == member.kind
    world.shutdown()
    for path in (world.root / "etc/svc/repository.db", world.root / "run/svc/svc_nonpersist.db"):
        connection = sqlite3.connect(path)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        connection.close()
