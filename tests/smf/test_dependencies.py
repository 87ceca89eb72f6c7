# SPDX-License-Identifier: MPL-2.0
"""Dependencies: who waits for whom, who is stopped with whom, and in which order (facts 4, 14)."""

import os
import signal
import time

import pytest

from tests.smf.manifests import Needs, counted, daemon, instance, service
from tests.smf.world import Subject, World, count_file, until


def pair(world: World, name: str, needs: Needs | None = None) -> tuple[Subject, Subject]:
    """A, which needs B; both count their methods in one file each."""
    b = f"site/{name}-b"
    need = needs or Needs(b, restart_on="restart")
    made = []
    for each, wants in ((f"site/{name}-a", [need]), (b, [])):
        file = count_file(world, f"svc:/{each}:default")
        made.append(world.service(each, daemon(file), needs=wants))
    return made[0], made[1]


def both(a: Subject, b: Subject) -> None:
    a.enable("-rs")
    b.becomes("online")


def bounced(a: Subject, pid: int) -> bool:
    """Whether a service got another process, once all has come to rest."""
    time.sleep(1)
    a.becomes("online")
    return a.pid() != pid


def test_13_what_is_disabled_is_blamed(world: World) -> None:
    a, b = pair(world, "d13")
    world.svcadm("enable", a.fmri)
    until(lambda: a.state == "offline", "A waits")
    explained = world.svcs("-x", a.fmri)
    assert b.fmri in explained
    assert "SMF-8000-GE" in explained
    blocks = world.svcs("-x").split("\n\n")
    block = next(block for block in blocks if block.startswith(b.fmri))
    assert "SMF-8000-05" in block
    assert "1 dependent service" in block
    assert not [block for block in blocks if block.startswith(a.fmri)]
    world.svcadm("disable", a.fmri)


def test_14_enable_r_enables_what_is_needed(world: World) -> None:
    a, b = pair(world, "d14")
    both(a, b)
    assert (a.state, b.state) == ("online", "online")
    assert float(b.since) <= float(a.since)


@pytest.mark.parametrize(
    ("restart_on", "stopped"),
    [("none", False), ("error", False), ("restart", True), ("refresh", True)],
)
def test_15_who_is_stopped_by_a_restart(world: World, restart_on: str, stopped: bool) -> None:
    name = f"d15{restart_on}"
    a, b = pair(world, name, Needs(f"site/{name}-b", restart_on=restart_on))
    both(a, b)
    pid, old = a.pid(), b.pid()
    world.svcadm("restart", b.fmri)
    until(lambda: b.pids not in ([], [old]), "B has restarted")
    assert bounced(a, pid) is stopped


@pytest.mark.parametrize("restart_on", ["error", "restart"])
def test_16_and_04_an_exit_is_no_error_and_a_death_is(world: World, restart_on: str) -> None:
    """All processes exited: a restart cause. A fatal signal: an error, too."""
    name = f"d16{restart_on}"
    b_file = count_file(world, f"svc:/site/{name}-b:default")
    a, _ = pair(world, name, Needs(f"site/{name}-b", restart_on=restart_on))
    polite = world.scratch / f"{name}.sh"
    polite.write_text("trap 'exit 0' TERM\nwhile :; do sleep 0.05; done\n")
    b = Subject(world, f"svc:/site/{name}-b:default")
    b.configure(f'setprop start/exec = astring: "{counted(b_file, f"exec /bin/sh {polite} &")}"')
    both(a, b)
    time.sleep(0.3)
    pid, runs = a.pid(), b.runs()
    os.kill(b.pids[0], signal.SIGTERM)
    until(lambda: b.runs() > runs, "B has restarted after its exit")
    b.becomes("online")
    assert bounced(a, pid) is (restart_on == "restart")
    pid, runs = a.pid(), b.runs()
    os.kill(b.pids[0], signal.SIGSEGV)
    until(lambda: b.runs() > runs, "B has restarted after its death")
    b.becomes("online")
    assert bounced(a, pid)


def test_17_and_02_dependents_go_first_and_wait(world: World) -> None:
    a, b = pair(world, "d17")
    both(a, b)
    b.disable()
    assert b.state == "disabled"
    a.becomes("offline")
    assert a.prop("general/enabled", "-c") == "true"
    # A's contract is empty, and A offline, before B's stop begins.
    assert float(a.since) <= float(b.since)
    b.enable()
    a.becomes("online")


def test_17b_the_order_of_stops_down_a_chain(world: World) -> None:
    order = world.scratch / "d17b"
    names = ["site/d17b-1", "site/d17b-2", "site/d17b-3"]
    for below, name in zip(["", *names], names, strict=False):
        needs = [Needs(below, restart_on="refresh")] if below else []
        stop = f"/bin/sh -c 'sleep 0.2; echo {name[-1]} >> {order}'"
        world.service(name, "/bin/true", stop, duration="transient", needs=needs)
    world.svcadm("enable", "-rs", names[-1])
    world.svcadm("disable", "-s", names[0])
    assert order.read_text().split() == ["3", "2", "1"]
    assert [Subject(world, f"svc:/{n}:default").state for n in names] == [
        "disabled", "offline", "offline",
    ]  # fmt: skip


@pytest.mark.parametrize("restart_on", ["none", "error"])
def test_02_who_does_not_mind_stays_online(world: World, restart_on: str) -> None:
    name = f"p02{restart_on}"
    a, b = pair(world, name, Needs(f"site/{name}-b", restart_on=restart_on))
    both(a, b)
    pid = a.pid()
    b.disable()
    a.stays("online", 1)
    assert a.pid() == pid


def test_18_optional_all(world: World) -> None:
    b = world.service("site/d18-b", "/bin/sh -c 'sleep 3; exit 94'")
    a = world.service("site/d18-a", needs=[Needs("site/d18-b", "optional_all")])
    absent = world.service("site/d18-c", needs=[Needs("site/d18-none", "optional_all")])
    absent.enable()
    a.enable()  # B disabled
    a.disable()
    world.svcadm("mark", "maintenance", b.fmri)
    b.becomes("maintenance")
    a.enable()  # B in maintenance
    a.disable()
    world.svcadm("clear", b.fmri)
    b.becomes("disabled")
    world.svcadm("enable", b.fmri)
    world.svcadm("enable", a.fmri)
    a.stays("offline", 1)
    a.becomes("online")
    assert b.state == "online"
    assert float(a.since) >= float(b.since)


def test_05_a_missing_file_is_not_optional(world: World) -> None:
    needs = Needs(str(world.scratch / "d05"), "optional_all", kind="path")
    a = world.service("site/p05", needs=[needs])
    world.svcadm("enable", a.fmri)
    a.stays("offline", 1)
    world.svcadm("disable", a.fmri)


def test_19_exclude_all_of_a_path(world: World) -> None:
    file = world.scratch / "d19"
    a = world.service("site/d19", needs=[Needs(str(file), "exclude_all", kind="path")])
    a.enable()
    a.disable()
    file.touch()
    world.svcadm("enable", a.fmri)
    a.stays("offline", 1)
    world.svcadm("disable", a.fmri)
    a.becomes("disabled")


def test_06_exclude_all_of_a_service(world: World) -> None:
    """Satisfied by maintenance, not by offline; and a member that comes up stops us."""
    gate = world.scratch / "p06"
    b = world.service("site/p06-b", needs=[Needs(str(gate), kind="path")])
    a = world.service("site/p06-a", needs=[Needs("site/p06-b", "exclude_all")])
    a.enable()  # B disabled
    world.svcadm("mark", "maintenance", b.fmri)
    b.becomes("maintenance")
    assert a.state == "online"
    world.svcadm("clear", b.fmri)
    gate.touch()
    b.enable()
    a.becomes("offline")
    b.disable()
    a.becomes("online")
    a.disable()
    gate.unlink()
    world.svcadm("enable", b.fmri)
    until(lambda: b.state == "offline", "B waits for its file")
    world.svcadm("enable", a.fmri)
    a.stays("offline", 1)
    for each in (a, b):
        world.svcadm("disable", each.fmri)


def test_20_and_07_files_are_not_watched(world: World) -> None:
    file = world.scratch / "d20"
    a = world.service("site/d20", needs=[Needs(str(file), kind="path")])
    world.svcadm("enable", a.fmri)
    a.stays("offline", 1)
    file.touch()
    a.stays("offline", 3)
    world.svcadm("refresh", a.fmri)
    a.becomes("online")


def test_21_a_cycle_costs_one_of_it(world: World) -> None:
    a = world.service("site/d21-a", needs=[Needs("site/d21-b")], enabled=True)
    b = world.service("site/d21-b", needs=[Needs("site/d21-a")], enabled=True)
    until(lambda: "maintenance" in (a.state, b.state), "one is in maintenance")
    time.sleep(1)
    states = {a.state: a, b.state: b}
    assert set(states) == {"maintenance", "offline"}
    assert states["maintenance"].aux == "dependency_cycle"
    assert "SMF-8000-HP" in world.svcs("-x", states["maintenance"].fmri)
    for each in (a, b):
        world.svcadm("disable", each.fmri)


@pytest.mark.parametrize("grouping", ["require_any", "optional_all"])
def test_03_a_member_that_stops_bounces_us_though_others_are_up(
    world: World, grouping: str
) -> None:
    name = f"p03{grouping.replace('_', '-')}"
    members = [world.service(f"site/{name}-{n}") for n in (1, 2)]
    for each in members:
        each.enable()
    needs = Needs([f"site/{name}-1", f"site/{name}-2"], grouping, "restart")
    a = world.service(f"site/{name}-a", needs=[needs])
    a.enable()
    pid = a.pid()
    members[0].disable()
    assert bounced(a, pid)


def test_a_member_that_comes_and_goes_does_not_wear_us_out(world: World) -> None:
    """Each time we are stopped for its sake, which is no fault of ours."""
    name = "dworn"
    a, b = pair(world, name, Needs(f"site/{name}-b", "optional_all", "restart"))
    b.enable()
    a.enable()
    for _ in range(4):
        pid, old = b.pid(), a.pid()
        os.kill(pid, signal.SIGKILL)
        b.has_restarted(pid)
        a.has_restarted(old)
    assert a.state == "online"


def test_require_any_waits_for_one(world: World) -> None:
    one, two = world.service("site/any-1"), world.service("site/any-2")
    a = world.service("site/any-a", needs=[Needs(["site/any-1", "site/any-2"], "require_any")])
    world.svcadm("enable", a.fmri)
    a.stays("offline", 0.5)
    two.enable()
    a.becomes("online")
    assert one.state == "disabled"


def test_08_degraded_counts_as_running(world: World) -> None:
    a, b = pair(world, "p08")
    b.enable()
    world.svcadm("mark", "degraded", b.fmri)
    b.becomes("degraded")
    a.enable()
    assert a.state == "online"
    pid = a.pid()
    world.svcadm("clear", b.fmri)
    b.becomes("online")
    assert a.pid() == pid


@pytest.mark.parametrize(
    ("restart_on", "stopped"),
    [("none", False), ("error", False), ("restart", False), ("refresh", True)],
)
def test_22_a_refresh_stops_those_who_asked_for_it(
    world: World, restart_on: str, stopped: bool
) -> None:
    name = f"p22{restart_on}"
    a, b = pair(world, name, Needs(f"site/{name}-b", restart_on=restart_on))
    both(a, b)
    pid, other = a.pid(), b.pid()
    world.svcadm("refresh", b.fmri)
    assert bounced(a, pid) is stopped
    assert b.pid() == other


def test_an_instance_that_fails_is_an_error_for_its_dependents(world: World) -> None:
    name = "derr"
    a, b = pair(world, name, Needs(f"site/{name}-b", restart_on="error"))
    both(a, b)
    file = count_file(world, b.fmri)
    b.configure(f'setprop start/exec = astring: "{counted(file, "exit 95")}"')
    os.kill(b.pid(), signal.SIGKILL)
    b.becomes("maintenance")
    a.becomes("offline")
    world.svcadm("disable", a.fmri)
    world.svcadm("disable", b.fmri)


def test_a_dependency_on_a_service_is_on_any_of_its_instances(world: World) -> None:
    both_disabled = instance("one") + instance("two")
    world.bring(service("site/dinst", enabled=None, instances=both_disabled))
    needs = [Needs("site/dinst")]
    a = world.service("site/dinst-a", needs=needs)
    world.svcadm("enable", a.fmri)
    a.stays("offline", 0.5)
    world.svcadm("enable", "svc:/site/dinst:two")
    a.becomes("online")


def test_a_dependent_is_a_dependency_of_the_other(world: World) -> None:
    b = world.service("site/ddep-b")
    b.enable()
    a = world.service(
        "site/ddep-a",
        dependents='<dependent name="a" grouping="require_all" restart_on="restart">'
        '<service_fmri value="svc:/site/ddep-b"/></dependent>',
    )
    until(lambda: b.state == "online" or b.state == "offline", "B is somewhere")
    world.svcadm("restart", b.fmri)
    until(lambda: b.state == "offline", "B needs A now")
    a.enable()
    b.becomes("online")
    lines = world.svcs("-H", "-o", "fmri", "-D", a.fmri).split()
    assert lines == [b.fmri]
    assert world.svcs("-H", "-o", "fmri", "-d", b.fmri).split() == [a.fmri]


def test_enable_r_skips_what_has_a_choice(world: World) -> None:
    one, two = world.service("site/r-1"), world.service("site/r-2")
    optional = world.service("site/r-3")
    a = world.service("site/r-a", needs=[
        Needs(["site/r-1", "site/r-2"], "require_any", name="any"),
        Needs("site/r-3", "optional_all", name="maybe"),
    ])  # fmt: skip
    said = world.svcadm("enable", "-r", a.fmri)
    assert one.fmri in said.stdout + said.stderr
    assert [each.state for each in (one, two, optional)] == ["disabled"] * 3
    world.svcadm("disable", a.fmri)


def test_enable_s_says_that_it_cannot_be(world: World) -> None:
    a, b = pair(world, "d4")
    a.enable("-s", status=4)
    assert (a.state, b.state) == ("offline", "disabled")
    world.svcadm("disable", a.fmri)
