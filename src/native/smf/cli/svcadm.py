# SPDX-License-Identifier: MPL-2.0
"""svcadm: enable and disable services, restart them, take them out of maintenance.

What is asked for is written into the repository, and svc.startd does it. Exit status: 0 asked, or
with -s done; 1 failed; 2 wrong usage; with -s also 3, an instance failed, and 4, its dependencies
cannot be met.
"""

import sys

from smf import actions, states
from smf.actions import Operations
from smf.cli.operands import choose, complain
from smf.cli.options import Args, Command, Usage, Verb
from smf.client import Client, retry_stale
from smf.errors import NotFound
from smf.fmri import MASTER, MILESTONES, instance_of, matching
from smf.tree import Groups, value

NAME = "svcadm"
DUMPED = ["general", "general_ovr", "restarter"]


class Job:
    """The instances that a verb is about, and how they were when it began."""

    def __init__(self, args: Args) -> None:
        self.args = args
        self.client: Client = args.client()
        self.now: dict[str, Groups] = self.client.dump(DUMPED)
        self.status = 0
        self.deleted: set[str] = set()  # since we looked
        self.instances = self._chosen()

    def _chosen(self) -> list[str]:
        everything = [fmri for fmri in self.now if instance_of(fmri)]
        state = self.args.value("-S")
        if state:
            if state not in states.STATES:
                raise Usage(f'there is no state "{state}"; there are {", ".join(states.STATES)}')
            if self.args.words:
                raise Usage("-S and operands exclude each other")
            return [fmri for fmri in everything if self.state(fmri) == state]
        if not self.args.words:
            raise Usage("say which services, or -S STATE")
        chosen, problems = choose(self.args.words, everything)
        for problem in problems:
            self.fail(problem)
        return chosen

    def state(self, fmri: str) -> str:
        return value(self.now[fmri], "restarter", "state")

    def fail(self, text: str) -> None:
        complain(NAME, text)
        self.status = 1

    def say(self, text: str) -> None:
        if self.args.has("-v"):
            print(text)

    def ask(self, fmri: str, operations: Operations, done: str) -> None:
        """Commit for one instance; the others do not suffer from what is wrong with it."""
        try:
            self.client.commit(operations)
        except NotFound as exc:  # deleted since we looked
            self.fail(str(exc))
        else:
            self.say(f"{fmri}: {done}")


# -- enable, disable -------------------------------------------------------------------------------
def enable(args: Args) -> int:
    job = Job(args)
    chosen = _with_requirements(job) if args.has("-r") else job.instances
    return _switch(job, chosen, wanted=True)


def disable(args: Args) -> int:
    return _switch(job := Job(args), job.instances, wanted=False)


def _switch(job: Job, chosen: list[str], *, wanted: bool) -> int:
    from smf.cli.waiting import Wait

    before = {fmri: job.now[fmri] for fmri in chosen}
    wait = Wait(job.client, before, up=wanted) if job.args.has("-s") and chosen else None
    try:
        retry_stale(lambda: _write(job, chosen, wanted=wanted))
        for fmri in job.deleted:
            job.fail(f"{fmri} has been deleted")
        chosen = [fmri for fmri in chosen if fmri not in job.deleted]
        for fmri in chosen:
            word = "enabled" if wanted else "disabled"
            job.say(f"{fmri}: {'temporarily ' if job.args.has('-t') else ''}{word}")
        if wait:
            status, said = wait.until_settled(chosen)
            for text in said:
                complain(NAME, text)
            return status or job.status
    finally:
        if wait:
            wait.close()
    return job.status


def _write(job: Job, chosen: list[str], *, wanted: bool) -> None:
    """All of them at once, so that startd sees a dependency enabled with what needs it."""
    now = job.client.dump(DUMPED)
    operations: Operations = []
    expected = []
    for fmri in chosen:
        if fmri not in now:
            job.deleted.add(fmri)
            continue
        temporary = job.args.has("-t")
        operations += actions.enable(fmri, now[fmri], wanted=wanted, temporary=temporary)
        if text := job.args.value("-c"):
            operations += actions.comment(fmri, text)
        override = now[fmri].get("general_ovr")
        expected.append((fmri, "general_ovr", override.generation if override else 0))
    job.client.commit(operations, expected)


def _with_requirements(job: Job) -> list[str]:
    """-r: the chosen instances and all that they require."""
    import os

    from smf.cli.waiting import running_view
    from smf.reach import Closure, World

    world = World(job.now, lambda fmri: running_view(job.client, fmri), os.path.exists)
    closure = Closure(world)
    for fmri in job.instances:
        closure.add(fmri)
    for fmri, candidates in closure.choices:
        lines = "".join(f"\n    {each}" for each in candidates)
        complain(NAME, f"{fmri} requires one of these; enable the one that you want:{lines}")
    for problem in closure.problems:
        job.fail(problem)
    return list(closure.found)


# -- actions ---------------------------------------------------------------------------------------
def restart(args: Args) -> int:
    """What does not run is not started: startd ignores it."""
    job = Job(args)
    verb = "dodump" if args.has("-d") else "restart"
    for fmri in job.instances:
        job.ask(fmri, actions.act(fmri, verb), "restart requested")
    return job.status


def refresh(args: Args) -> int:
    job = Job(args)
    for fmri in job.instances:
        job.ask(fmri, actions.refresh(fmri), "refresh requested")
    return job.status


def clear(args: Args) -> int:
    verbs = {states.MAINTENANCE: "maint_off", states.DEGRADED: "restore"}
    if args.value("-S", states.MAINTENANCE) not in verbs:
        raise Usage("clear -S takes maintenance or degraded")
    job = Job(args)
    for fmri in job.instances:
        verb = verbs.get(job.state(fmri))
        if verb is None:
            job.fail(f"{fmri} is neither in maintenance nor degraded")
        else:
            job.ask(fmri, actions.act(fmri, verb), "clear requested")
    return job.status


def mark(args: Args) -> int:
    state, *args.words = args.words or [""]
    if state not in (states.MAINTENANCE, states.DEGRADED):
        raise Usage("mark takes maintenance or degraded, then services")
    immediate, temporary = args.has("-I"), args.has("-t")
    if state == states.DEGRADED:
        if temporary:
            raise Usage("-t does not go with degraded")
        verb = "degrade_immediate" if immediate else "degraded"
    elif temporary:
        verb = "maint_on_immtemp" if immediate else "maint_on_temporary"
    else:
        verb = "maint_on_immediate" if immediate else "maint_on"
    job = Job(args)
    for fmri in job.instances:
        if state == states.DEGRADED and job.state(fmri) != states.ONLINE:
            job.fail(f"{fmri} is not online: only what is online can be degraded")
        else:
            job.ask(fmri, actions.act(fmri, verb), f"marked {state}")
    return job.status


def milestone(args: Args) -> int:
    if args.has("-S"):
        raise Usage("-S does not go with milestone")
    if len(args.words) != 1:
        raise Usage("milestone takes one milestone")
    wanted = _milestone(args.words[0])
    client = args.client()
    instances = client.dump(["options_ovr"])
    for needed in (MASTER, wanted):
        if needed not in instances and needed not in ("all", "none"):
            raise NotFound(f"there is no {needed}")
    if args.has("-d"):
        operations: Operations = [
            ["group", MASTER, "options", "framework", ""],
            ["set", MASTER, "options", "milestone", "astring", [wanted]],
        ]
        if "options_ovr" in instances[MASTER]:
            operations.append(["unset", MASTER, "options_ovr", "milestone"])
    else:
        operations = [
            ["group", MASTER, "options_ovr", "framework", "P"],
            ["set", MASTER, "options_ovr", "milestone", "astring", [wanted]],
        ]
    client.commit(operations)
    if args.has("-v"):
        print(f"{wanted}: milestone requested")
    return 0


def _milestone(word: str) -> str:
    """A milestone's FMRI, from it or its end; or all, or none."""
    if word in ("all", "none"):
        return word
    found = matching(word, MILESTONES)
    if len(found) != 1:
        names = ", ".join(each[len("svc:/milestone/") : -len(":default")] for each in MILESTONES)
        raise Usage(f'"{word}" is no milestone; there are {names}, all and none')
    return found[0]


# -- the command -----------------------------------------------------------------------------------
SERVICES = "[SERVICE ...]"
BEFORE = {"-S": "STATE", "-v": "", "-Z": "", "-z": "ZONE"}


class Svcadm(Command):
    """svcadm, here or in zones."""

    def _run(self, argv: list[str]) -> int:
        from smf.cli.options import take_options

        before, rest = take_options(self.options, argv)
        if not rest or self.verb(rest[0]) is None or not ("-z" in before or "-Z" in before):
            return super()._run(argv)
        if "-z" in before and "-Z" in before:
            raise Usage("-z and -Z exclude each other")
        from smf.cli import zones

        inside = ["-v"] * ("-v" in before)
        for state in before.get("-S", []):
            inside += ["-S", state]
        zones.refuse_inside()
        zones.read_nothing()
        chosen = [zones.find(before["-z"][-1])] if "-z" in before else zones.running()
        argv = [*inside, *rest]
        statuses = [
            self.main(argv) if zone.is_global else zones.run(zone, NAME, argv) for zone in chosen
        ]
        return max(statuses, default=0)


COMMAND = Svcadm(
    NAME,
    "enable, disable and restart services",
    (
        Verb(
            "enable",
            enable,
            f"[-rst] {SERVICES}",
            "Have services run. -r: also all that they require. -s: wait until they run. -t: until "
            "the machine goes down.",
            options={"-r": "", "-s": "", "-t": ""},
        ),
        Verb(
            "disable",
            disable,
            f"[-st] [-c COMMENT] {SERVICES}",
            "Stop services for good. -s: wait until they are stopped. -t: until the machine goes "
            "down. -c: say why.",
            options={"-s": "", "-t": "", "-c": "COMMENT"},
        ),
        Verb(
            "restart",
            restart,
            f"[-d] {SERVICES}",
            "Stop and start services that run. -d: have their processes dump core.",
            options={"-d": ""},
        ),
        Verb("refresh", refresh, SERVICES, "Have services use what is configured."),
        Verb("clear", clear, SERVICES, "End maintenance, or being degraded."),
        Verb(
            "mark",
            mark,
            f"[-It] maintenance|degraded {SERVICES}",
            "Put services into a state. -I: at once, their processes go on. -t: until the machine "
            "goes down.",
            options={"-I": "", "-t": ""},
        ),
        Verb(
            "milestone",
            milestone,
            "[-d] MILESTONE",
            "Have only what MILESTONE needs run. -d: from now on at each boot.",
            options={"-d": ""},
        ),
    ),
    BEFORE,
)


def main() -> None:
    sys.exit(COMMAND.main(sys.argv[1:]))
