# SPDX-License-Identifier: MPL-2.0
"""Deaths and reboots of SMF itself: services keep running, and nothing is forgotten (facts 12)."""

import os
import signal
import threading
import time

from tests.smf.manifests import Needs, counted
from tests.smf.processes import members, read_process
from tests.smf.world import World, until


def test_30_startd_dies_and_the_service_does_not_notice(own: World) -> None:
    t = own.service("site/r30")
    child = own.service("site/r30-child", "/bin/sleep 1000", duration="child")
    once = own.service("site/r30-once", counted(own.scratch / "site-r30-once:default"), ":true",
                       duration="transient")  # fmt: skip
    for each in (t, child, once):
        each.enable()
    before = [(each.pids, each.since, each.state) for each in (t, child, once)]
    own.kill("svc.startd")
    own.wait("svc:/system/svc/restarter:default", "online")
    time.sleep(0.5)
    assert [(each.pids, each.since, each.state) for each in (t, child, once)] == before
    assert once.runs() == 1
    for each in (t, child):
        pid = each.pid()
        os.kill(pid, signal.SIGKILL)
        each.has_restarted(pid)


def test_30b_what_died_while_startd_was_away_is_restarted(own: World) -> None:
    t = own.service("site/r30b")
    child = own.service("site/r30b-child", "/bin/sleep 1000", duration="child")
    t.enable()
    child.enable()
    startd, pids = own.child("svc.startd"), [t.pid(), child.pid()]
    os.kill(startd, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    os.kill(startd, signal.SIGKILL)
    for each, pid in zip((t, child), pids, strict=True):
        each.has_restarted(pid)


def test_a_method_under_way_is_begun_again_and_only_once(own: World) -> None:
    file = own.scratch / "site-rway:default"
    t = own.service("site/rway", counted(file, "sleep 3; exec /bin/sleep 1000 &"))
    own.svcadm("enable", t.fmri)
    until(lambda: t.runs() == 1, "the start method runs")
    own.kill("svc.startd")
    t.becomes("online")
    assert len(t.pids) == 1
    assert t.runs() == 2


def test_a_fault_while_startd_was_away_is_one_for_dependents(own: World) -> None:
    b = own.service("site/raway-b")
    a = own.service("site/raway-a", needs=[Needs("site/raway-b", restart_on="error")])
    b.enable()
    a.enable()
    startd, pid, old = own.child("svc.startd"), b.pid(), a.pid()
    os.kill(startd, signal.SIGSTOP)
    os.kill(pid, signal.SIGSEGV)
    os.kill(startd, signal.SIGKILL)
    b.has_restarted(pid)
    a.has_restarted(old)


def test_a_bounce_that_waits_for_a_refresh_is_not_lost_with_startd(own: World) -> None:
    gate = own.scratch / "gate"
    waits = f"/bin/sh -c 'until [ -e {gate} ]; do sleep 0.1; done'"
    b = own.service("site/rbounce-b")
    needs = [Needs("site/rbounce-b", restart_on="restart")]
    a = own.service("site/rbounce-a", refresh=waits, needs=needs)
    b.enable()
    a.enable()
    pid, old = b.pid(), a.pid()
    own.svcadm("refresh", a.fmri)
    until(lambda: a.show("nstate") == ["online"], "A is being refreshed")
    own.svcadm("restart", b.fmri)
    b.has_restarted(pid)
    assert old in a.pids
    assert a.show("nstate") == ["online"]
    own.kill("svc.startd")
    gate.touch()
    a.has_restarted(old)


def test_contract_numbers_grow_whatever_startd_it_is(own: World) -> None:
    """A death that svc.init tells late is of the contract that it was, not of a new one."""
    t = own.service("site/rnumber")
    t.enable()
    before = int(t.show("ctid")[0])
    t.disable()
    own.kill("svc.startd")
    t.enable()
    assert int(t.show("ctid")[0]) > before


def test_what_was_abandoned_is_left_alone(own: World) -> None:
    """By exit 94, by a transient service, and by mark -I: it is no business of the next startd."""
    background = "/bin/sh -c '/bin/sleep 1000 >/dev/null 2>&1 & exit {}'"
    nodaemon = own.service("site/ab-94", background.format(94), ":true")
    once = own.service("site/ab-once", background.format(0), ":true", duration="transient")
    marked = own.service("site/ab-marked")
    for each in (nodaemon, once, marked):
        each.enable()
    own.svcadm("mark", "-I", "maintenance", marked.fmri)
    marked.becomes("maintenance")
    sleeping = {each.pid for each in members(own.cgroup) if each.comm == "sleep"}
    assert len(sleeping) == 3
    own.kill("svc.startd")
    own.wait("svc:/system/svc/restarter:default", "online")
    time.sleep(0.5)
    assert {each.pid for each in members(own.cgroup) if each.comm == "sleep"} == sleeping
    assert [each.state for each in (nodaemon, once, marked)] == ["online", "online", "maintenance"]


def test_configd_dies_and_nobody_notices(own: World) -> None:
    t = own.service("site/rconfigd")
    t.enable()
    before = (t.pids, t.since)
    for _ in range(3):
        own.kill("svc.configd")
        assert (t.pids, t.since) == before
    own.svcadm("restart", t.fmri)
    until(lambda: t.pids not in ([], before[0]), "restarted")
    t.becomes("online")


def test_a_command_waits_while_configd_is_away(own: World) -> None:
    t = own.service("site/rwaits")
    failed = []

    def ask() -> None:
        for _ in range(20):
            if (done := own.run("svcs", t.fmri, status=None)).returncode:
                failed.append(done.stderr)

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        own.kill("svc.configd")
    asking.join()
    assert not failed


def test_22_a_reboot_ends_what_is_temporary(own: World) -> None:
    kept, off = own.service("site/r22"), own.service("site/r22-off")
    kept.enable()
    kept.disable("-st")
    off.enable("-st")
    assert (kept.state, off.state) == ("disabled", "online")
    pid = off.pid()
    own.reboot()
    assert read_process(pid) is None
    kept.becomes("online")
    off.becomes("disabled")
    assert kept.show("ctid")[0].isdigit()


def test_a_shutdown_stops_dependents_first(own: World) -> None:
    order = own.scratch / "order"
    names = ["site/s-1", "site/s-2", "site/s-3"]
    for below, name in zip(["", *names], names, strict=False):
        stop = f"/bin/sh -c 'sleep 0.2; echo {name[-1]} >> {order}'"
        needs = [Needs(below)] if below else []  # restart_on none: shutdown orders all the same
        own.service(name, "/bin/true", stop, duration="transient", needs=needs)
    own.svcadm("enable", "-rs", names[-1])
    own.reboot()
    assert order.read_text().split() == ["3", "2", "1"]
    for name in names:
        own.wait(f"svc:/{name}:default", "online")


def test_a_shutdown_does_not_wait_for_ever(own: World) -> None:
    t = own.service("site/s-slow", stop="/bin/sleep 1000", stop_timeout=2)
    t.enable()
    began = time.monotonic()
    own.shutdown()
    assert time.monotonic() - began < 15


def test_maintenance_and_degraded_survive_startd_and_not_a_reboot(own: World) -> None:
    broken = own.service("site/s-broken", "exit 95")
    tired = own.service("site/s-tired")
    broken.enable(status=3)
    tired.enable()
    own.svcadm("mark", "degraded", tired.fmri)
    tired.becomes("degraded")
    pid = tired.pid()
    own.kill("svc.startd")
    own.wait("svc:/system/svc/restarter:default", "online")
    time.sleep(0.5)
    assert (broken.state, tired.state, tired.pid()) == ("maintenance", "degraded", pid)
    own.reboot()
    tired.becomes("online")
    broken.becomes("maintenance")


def test_disabling_the_restarter_is_ignored(own: World) -> None:
    t = own.service("site/s-master")
    t.enable()
    own.svcadm("disable", "svc:/system/svc/restarter:default", status=None)
    log = own.root / "var/svc/log/system-svc-restarter:default.log"
    until(lambda: log.exists() and "no effect" in log.read_text(), "it is in the log")
    own.svcadm("restart", t.fmri)
    t.becomes("online")


def test_milestones(own: World) -> None:
    for name in ("single-user", "multi-user", "multi-user-server"):
        own.service(f"milestone/{name}", ":true", ":true", duration="transient",
                    needs=[Needs("site/ms-in")] if name == "single-user" else [])  # fmt: skip
    inside, outside = own.service("site/ms-in"), own.service("site/ms-out")
    for each in (inside, outside):
        each.enable()
    own.svcadm("enable", "-s", "svc:/milestone/single-user")
    own.svcadm("milestone", "single-user")
    outside.becomes("disabled")
    assert inside.state == "online"
    assert outside.prop("general/enabled", "-c") == "true"
    assert "enabled      false (temporary)" in own.svcs("-l", outside.fmri)
    assert "SMF-8000-1S" in own.svcs("-x", outside.fmri)
    outside.enable("-s", status=4)
    new = own.service("site/ms-new", enabled=True)
    new.becomes("disabled")
    own.svcadm("milestone", "none")
    inside.becomes("disabled")
    own.svcadm("milestone", "all")
    for each in (inside, outside, new):
        each.becomes("online")
    own.svcadm("milestone", "-d", "single-user")
    own.reboot()
    own.wait("svc:/milestone/single-user:default", "online")
    outside.becomes("disabled")
    assert "SMF-8000-1S" in own.svcs("-x", outside.fmri)
