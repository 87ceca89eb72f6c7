# SPDX-License-Identifier: MPL-2.0
"""Methods, models and faults: what a service is, and what happens when it ends (facts 5, 14)."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.smf.manifests import SLEEPER, Needs, counted, daemon, group, method, service
from tests.smf.processes import arguments, environment, read_process
from tests.smf.world import Subject, World, count_file, until

ALONE = "/bin/sleep 1000"  # in the foreground, as child services are


def test_01_a_daemon_is_started_and_shown(world: World) -> None:
    t = world.service("site/m01")
    t.enable()
    assert t.state == "online"
    lines = world.svcs("-H", "-p", t.fmri).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["sleep"]
    contract = next(x for x in world.svcs("-l", t.fmri).splitlines() if x.startswith("contract_id"))
    assert contract.split()[1].isdigit()
    assert re.search(r"^\[ \w{3} [ \d]\d \d\d:\d\d:\d\d [Ee]xecuting start method", t.log, re.M)


def test_02_a_daemon_killed_from_outside_is_restarted(world: World) -> None:
    t = world.service("site/m02")
    t.enable()
    pid, since, logged = t.pid(), t.since, len(t.log)
    os.kill(pid, signal.SIGKILL)
    t.has_restarted(pid, 5)
    assert t.since != since
    later = t.log[logged:].lower()
    assert "[ " in later
    assert later.index("stopping because") < later.index("executing start method")


def test_03_an_ignored_signal_takes_one_process_and_the_last_one_the_service(world: World) -> None:
    t = world.service("site/m03", f"/bin/sh -c '{SLEEPER} {SLEEPER}'",
                      startd=[("ignore_error", "astring", "signal")])  # fmt: skip
    t.enable()
    first, second = t.pids
    since = t.since
    os.kill(first, signal.SIGKILL)
    until(lambda: t.pids == [second], "one sleep is left")
    time.sleep(0.5)
    assert (t.pids, t.since, t.state) == ([second], since, "online")
    os.kill(second, signal.SIGKILL)
    until(lambda: len(t.pids) == 2 and second not in t.pids, "both are back")
    assert t.since != since


@pytest.mark.parametrize("ignored", ["core, signal", "signal,", "Signal", "all"])
def test_18_ignore_error_is_matched_to_the_letter(world: World, ignored: str) -> None:
    name = f"site/p18-{abs(hash(ignored)) % 10_000}"
    t = world.service(name, f"/bin/sh -c '{SLEEPER} {SLEEPER}'",
                      startd=[("ignore_error", "astring", ignored)])  # fmt: skip
    t.enable()
    first, second = t.pids
    os.kill(first, signal.SIGKILL)
    until(lambda: second not in t.pids and len(t.pids) == 2, f'"{ignored}" ignores nothing')
    t.disable()


def test_04_three_failures_are_enough(world: World) -> None:
    name = "site/m04"
    t = world.service(name, counted(world.scratch / "site-m04:default", "exit 1"))
    t.enable(status=3)
    assert t.state == "maintenance"
    assert t.runs() == 3
    assert t.aux == "fault_threshold_reached"
    explained = world.svcs("-x", t.fmri)
    assert "Reason: " in explained
    assert "SMF-8000-KS" in explained
    assert "site-m04:default.log" in explained


def test_13_the_tries_are_immediate_and_one_transition(world: World) -> None:
    t = world.service("site/p13", counted(world.scratch / "site-p13:default", "exit 1"))
    began = time.monotonic()
    t.enable(status=3)
    assert time.monotonic() - began < 10
    assert t.runs() == 3
    t.enable("-t")  # a request that changes nothing tries nothing
    t.stays("maintenance", 1)
    assert t.runs() == 3


@pytest.mark.parametrize("status", [95, 96, 99, 100])
def test_05_some_failures_are_final_at_once(world: World, status: int) -> None:
    name = f"site/m05-{status}"
    t = world.service(name, counted(count_file(world, f"svc:/{name}:default"), f"exit {status}"))
    t.enable(status=3)
    assert (t.state, t.runs(), t.aux) == ("maintenance", 1, "method_failed")


def test_14_98_is_a_failure_like_any_other(world: World) -> None:
    t = world.service("site/p14", counted(world.scratch / "site-p14:default", "exit 98"))
    t.enable(status=3)
    assert (t.runs(), t.aux) == (3, "fault_threshold_reached")


def test_97_is_degraded_and_degraded_runs(world: World) -> None:
    t = world.service("site/p97", f"/bin/sh -c '{SLEEPER} exit 97'")
    d = world.service("site/p97-dependent", needs=[Needs("site/p97")])
    t.enable()  # -s is content with degraded
    assert t.state == "degraded"
    d.enable()
    assert d.state == "online"
    world.svcadm("clear", t.fmri)
    t.becomes("online")
    t.disable()


def test_06_nodaemon_needs_no_process(world: World) -> None:
    t = world.service("site/m06", "exit 94")
    t.enable()
    assert t.pids == []
    t.stays("online", 5)
    t.disable()


def test_07_a_contract_service_that_leaves_nothing_restarts_too_quickly(world: World) -> None:
    t = world.service("site/m07", counted(world.scratch / "site-m07:default"))
    world.svcadm("enable", t.fmri)
    t.becomes("maintenance")
    assert t.aux == "restarting_too_quickly"
    assert 2 <= t.runs() <= 10


def test_19_the_rate_has_two_properties_and_needs_both(world: World) -> None:
    start = counted(world.scratch / "site-p19:default", "exec /bin/sleep 0.3 &")
    t = world.service("site/p19", start, startd=[
        ("critical_failure_count", "integer", "3"), ("critical_failure_period", "integer", "1000"),
    ])  # fmt: skip
    world.svcadm("enable", t.fmri)
    t.becomes("maintenance")
    assert (t.aux, t.runs()) == ("restarting_too_quickly", 3)
    slow = world.service("site/p19-slow", counted(world.scratch / "site-p19-slow:default",
                         "exec /bin/sleep 0.6 &"), startd=[
        ("critical_failure_count", "integer", "2"), ("critical_failure_period", "integer", "0"),
    ])  # fmt: skip
    world.svcadm("enable", slow.fmri)
    until(lambda: slow.runs() >= 4, "slower than the period: it goes on")
    assert slow.state != "maintenance"
    slow.disable()


def test_08_a_transient_service_is_what_its_method_said(world: World) -> None:
    t = world.service("site/m08", "/bin/true", "/bin/true", duration="transient")
    t.enable()
    assert (t.state, t.pids) == ("online", [])
    assert t.show("ctid") == ["-"]
    t.disable()
    assert t.state == "disabled"


def test_09_kill_is_no_stop_of_a_transient_service(world: World) -> None:
    t = world.service("site/m09", "/bin/true", duration="transient")
    t.enable()
    t.disable("-s", status=3)
    assert t.state == "maintenance"


def test_10_a_start_that_takes_too_long_is_killed_three_times(world: World) -> None:
    t = world.service("site/m10", counted(world.scratch / "site-m10:default", "exec sleep 60"),
                      start_timeout=2)  # fmt: skip
    t.enable(status=3)
    assert (t.state, t.runs()) == ("maintenance", 3)
    assert "timed out" in t.log
    assert t.pids == []


def test_timeout_retry_false_is_one_try(world: World) -> None:
    t = world.service("site/m10b", counted(world.scratch / "site-m10b:default", "exec sleep 60"),
                      start_timeout=1, startd=[("timeout_retry", "boolean", "false")])  # fmt: skip
    t.enable(status=3)
    assert (t.state, t.runs()) == ("maintenance", 1)


def test_11_who_ignores_term_is_killed_and_the_stop_has_failed(world: World) -> None:
    stubborn = "/bin/sh -c 'trap \"\" TERM; /bin/sleep 1000 & wait' &"
    t = world.service("site/m11", stubborn, stop_timeout=2)
    t.enable()
    pids = t.pids
    assert pids
    time.sleep(0.3)  # for the trap
    t.disable("-s", status=3)
    assert t.state == "maintenance"
    assert not [pid for pid in pids if read_process(pid)]
    assert t.aux == "method_failed"
    world.svcadm("clear", t.fmri)
    t.becomes("disabled")


def test_12_a_child_service_is_started_again_whenever_it_ends(world: World) -> None:
    t = world.service("site/m12", counted(world.scratch / "site-m12:default", "exec sleep 0.5"),
                      duration="child")  # fmt: skip
    t.enable()
    until(lambda: t.runs() >= 7, "started more often than would be a fault of others")
    assert t.state in ("online", "offline", "offline*", "online*")
    t.disable()
    runs = t.runs()
    time.sleep(1)
    assert t.runs() == runs
    assert t.state == "disabled"


def test_a_child_service_runs_while_its_process_does(world: World) -> None:
    t = world.service("site/m12b", ALONE, duration="child")
    t.enable()
    pid = t.pid()
    assert arguments(pid) == ["/bin/sleep", "1000"]
    os.kill(pid, signal.SIGTERM)
    t.has_restarted(pid)
    t.disable()
    assert t.pids == []


def test_a_child_service_that_says_96_is_in_maintenance(world: World) -> None:
    t = world.service("site/m12c", "exit 96", duration="child")
    world.svcadm("enable", t.fmri)
    t.becomes("maintenance")


def test_a_method_that_is_true_starts_nothing(world: World) -> None:
    t = world.service("site/mtrue", ":true", ":true")
    t.enable()
    assert t.pids == []
    t.stays("online", 1)
    t.disable()


def test_kill_takes_a_signal_and_reaches_every_process(world: World) -> None:
    script = world.scratch / "mkill.sh"
    script.write_text(
        f"trap 'echo hup >> {world.scratch}/mkill; exit 0' HUP\nwhile :; do sleep 0.05; done\n"
    )
    t = world.service("site/mkill", f"/bin/sh -c '/bin/sh {script} & /bin/sh {script} &'",
                      ":kill -HUP")  # fmt: skip
    t.enable()
    time.sleep(0.3)
    t.disable()
    assert (world.scratch / "mkill").read_text().split() == ["hup", "hup"]


def test_the_stop_method_runs_after_a_fault(world: World) -> None:
    file = world.scratch / "site-mstop:default"
    t = world.service("site/mstop", daemon(file), counted(file, "exit 0"))
    t.enable()
    pid = t.pid()
    os.kill(pid, signal.SIGKILL)
    t.has_restarted(pid)
    assert file.read_text().split() == ["start", "stop", "start"]


def test_24_tokens_are_one_word_each(world: World) -> None:
    script, out = world.scratch / "argv.sh", world.scratch / "argv"
    script.write_text(f'#!/bin/sh\nprintf "<%s>\\n" "$@" > {out}\nexit 94\n')
    script.chmod(0o755)
    t = world.service(
        "site/m24",
        f"{script} %{{config/foo}} %i %m %f %s %r %% %{{config/many:}} x%{{config/none}}x",
        groups='<property_group name="config" type="application">'
        '<property name="many" type="astring"><astring_list><value_node value="1"/>'
        '<value_node value="2"/></astring_list></property>'
        '<property name="none" type="astring"/>'
        '<propval name="foo" type="astring" value="a `b;c"/></property_group>',
    )  # fmt: skip
    t.enable()
    assert out.read_text().splitlines() == [
        "<a `b;c>", "<default>", "<start>", f"<{t.fmri}>", "<site/m24>", "<svc.startd>", "<%>",
        "<1:2>", "<xx>",
    ]  # fmt: skip


def test_25_a_property_that_is_not_there_fails_the_method_before_it_runs(world: World) -> None:
    start = counted(world.scratch / "site-m25:default", "echo %{config/nope}; exit 94")
    t = world.service("site/m25", start)
    t.enable(status=3)
    assert (t.state, t.runs()) == ("maintenance", 0)


CONTEXT = (
    "<method_context{directory}><method_credential user='nobody'/>"
    "<method_environment><envvar name='X' value='1'/></method_environment></method_context>"
)


def test_26_a_method_runs_as_whom_it_is_said(world: World) -> None:
    t = world.service("site/m26", context=CONTEXT.format(directory=" working_directory='/tmp'"))
    t.enable()
    pid = t.pid()
    assert Path(f"/proc/{pid}").stat().st_uid == 65534
    found = environment(pid)
    assert found["X"] == "1"
    assert found["SMF_FMRI"] == t.fmri
    assert found["SMF_METHOD"] == "start"
    assert {"SMF_RESTARTER", "SMF_ZONENAME"} <= found.keys()
    assert found["SMF_RESTARTER"] == "svc:/system/svc/restarter:default"
    assert os.readlink(f"/proc/{pid}/cwd") == "/tmp"  # a link of the kernel


def test_what_cannot_be_in_the_environment_is_left_out_and_logged(world: World) -> None:
    t = world.service("site/menvbad")
    entries = "(A=1 nothing SMF_FMRI=x =y)"
    set_them = f"setprop method_context/environment = astring: {entries}"
    t.configure("addpg method_context framework", set_them)
    t.enable()
    found = environment(t.pid())
    assert (found["A"], found["SMF_FMRI"]) == ("1", t.fmri)
    for entry in ("nothing", "SMF_FMRI=x", "=y"):
        assert f'"{entry}" cannot be in the environment' in t.log


def test_21_a_credential_moves_the_method_to_the_users_home(world: World) -> None:
    """nobody's home does not exist, so the method is not run at all; root's does."""
    t = world.service("site/p21", counted(world.scratch / "site-p21:default", "exit 94"),
                      context=CONTEXT.format(directory=""))  # fmt: skip
    home = Path("~nobody").expanduser()
    t.enable(status=0 if home.is_dir() else 3)
    if not home.is_dir():
        assert (t.state, t.runs()) == ("maintenance", 0)
    context = "<method_context><method_credential user='root'/></method_context>"
    root = world.service("site/p21-root", context=context)
    root.enable()
    assert os.readlink(f"/proc/{root.pid()}/cwd") == "/root"  # a link of the kernel
    plain = world.service("site/p21-plain")
    plain.enable()
    assert os.readlink(f"/proc/{plain.pid()}/cwd") == "/"  # a link of the kernel


@pytest.mark.parametrize(
    "context",
    [
        "<method_context working_directory='/nowhere/at/all'/>",
        "<method_context><method_credential user='nosuchuser'/></method_context>",
        "<method_context><method_credential user='root' group='nosuchgroup'/></method_context>",
    ],
)
def test_a_context_that_there_is_not_is_final(world: World, context: str) -> None:
    name = f"site/mctx{abs(hash(context)) % 100_000}"
    start = counted(count_file(world, f"svc:/{name}:default"), "exit 94")
    t = world.service(name, start, context=context)
    t.enable(status=3)
    assert (t.state, t.runs(), t.aux) == ("maintenance", 0, "method_failed")


def test_a_methods_surroundings(world: World) -> None:
    """stdin is /dev/null, output goes to the log, the mask is 022, and no descriptor leaks."""
    t = world.service("site/menv", "/bin/sh -c 'umask; echo to stdout; echo to stderr >&2; "
                      "readlink /proc/self/fd/0; ls /proc/self/fd; exit 94'")  # fmt: skip
    t.enable()
    raw = [line for line in t.log.splitlines() if not line.startswith("[ ")]
    assert raw[:4] == ["0022", "to stdout", "to stderr", "/dev/null"]
    assert raw[4:] == ["0", "1", "2", "3"]  # 3: the directory that ls reads


def test_22_refresh_is_a_success_without_a_method(world: World) -> None:
    t = world.service("site/p22")
    t.enable()
    pid, since = t.pid(), t.since
    world.svcadm("refresh", t.fmri)
    time.sleep(0.5)
    assert (t.pid(), t.state) == (pid, "online")
    assert t.since == since


def test_20_a_restart_is_stop_and_start_whatever_restart_method_there_is(world: World) -> None:
    file = world.scratch / "site-p20:default"
    t = Subject(world, "svc:/site/p20:default")
    mark = '<exec_method type="method" name="refresh"'
    text = service("site/p20", daemon(file), refresh=counted(file))
    world.bring(text.replace(mark, method("restart", counted(file)) + mark))
    world.svcadm("restart", t.fmri)  # not running: nothing, and no error
    assert t.state == "disabled"
    t.enable()
    pid = t.pid()
    world.svcadm("restart", t.fmri)
    t.has_restarted(pid)
    assert file.read_text().split() == ["start", "start"]


def test_restart_d_aborts(world: World) -> None:
    t = world.service("site/mdump", stop=counted(world.scratch / "site-mdump:default"))
    t.enable()
    pid = t.pid()
    world.svcadm("restart", "-d", t.fmri)
    t.has_restarted(pid)
    assert t.runs("stop") == 0
    world.svcadm("disable", t.fmri)


def test_methods_see_the_services_own_properties_after_refresh_only(world: World) -> None:
    out = world.scratch / "p09"
    t = world.service("site/p09", f"/bin/sh -c 'echo %{{config/a}} >> {out}; {SLEEPER}'",
                      groups=group("config", "application", ("a", "astring", "old")))  # fmt: skip
    t.enable()
    t.configure("setprop config/a = new", refresh=False)
    pid = t.pid()
    world.svcadm("restart", t.fmri)
    pid = t.has_restarted(pid)
    world.svcadm("refresh", t.fmri)
    world.svcadm("restart", t.fmri)
    t.has_restarted(pid)
    assert out.read_text().split() == ["old", "old", "new"]
