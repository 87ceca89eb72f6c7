# SPDX-License-Identifier: MPL-2.0
"""What the commands say and how they end (facts 6, 7, 9, 14)."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.smf.manifests import Needs, counted
from tests.smf.processes import read_process
from tests.smf.world import BIN, World, until


def test_29_a_star_is_in_the_state_unless_the_next_one_is_shown(world: World) -> None:
    t = world.service("site/x29", "/bin/sh -c 'sleep 5; exit 94'")
    world.svcadm("enable", t.fmri)
    until(lambda: t.show("nstate") == ["online"], "it is being started")
    assert t.show("sta,nsta,fmri") == ["OFF", "ON", t.fmri]
    assert t.show("sta,fmri") == ["OFF*", t.fmri]
    assert t.show("state") == ["offline*"]
    assert t.show("s,fmri") == ["0*", t.fmri]
    assert t.show("sn,fmri") == ["01", t.fmri]
    t.becomes("online")


def test_svcs_of_nothing(world: World) -> None:
    done = world.run("svcs", "nosuch", status=1)
    assert done.stdout == "STATE          STIME    FMRI\n"
    assert "nosuch" in done.stderr
    assert world.run("svcs", "-H", "nosuch", status=1).stdout == ""


def test_23_without_operands_what_is_disabled_is_not_shown(world: World) -> None:
    t = world.service("site/x23")
    on = world.service("site/x23-on")
    on.enable()
    shown = world.svcs("-H", "-o", "fmri").split()
    assert t.fmri not in shown
    assert on.fmri in shown
    assert world.svcs("-H", "-o", "fmri", t.fmri).split() == [t.fmri]
    assert t.fmri in world.svcs("-H", "-a", "-o", "fmri").split()


def test_svcs_rows(world: World) -> None:
    t = world.service("site/xrow")
    t.enable()
    head, row = world.svcs(t.fmri).splitlines()
    assert head == "STATE          STIME    FMRI"
    assert re.fullmatch(rf"online         [ \d]\d:\d\d:\d\d {re.escape(t.fmri)}", row)
    head = world.svcs("-v", t.fmri).splitlines()[0]
    assert head.split() == ["STATE", "NSTATE", "STIME", "CTID", "FMRI"]
    assert world.run("svcs", "-o", "nosuchcolumn", status=1).stdout == ""


def test_svcs_l_labels(world: World) -> None:
    t = world.service("site/xl")
    t.enable()
    labels = [line[:13].strip() for line in world.svcs("-l", t.fmri).splitlines()]
    assert labels[:3] == ["fmri", "name", "enabled"] or labels[:2] == ["fmri", "enabled"]
    order = ["fmri", "enabled", "state", "next_state", "state_time", "logfile", "restarter",
             "contract_id"]  # fmt: skip
    assert [label for label in labels if label in order] == order


def test_24_svcs_x_is_silent_of_what_is_well(world: World) -> None:
    well = world.service("site/x24-well")
    alone = world.service("site/x24-disabled")
    well.enable()
    shown = world.svcs("-x")
    assert well.fmri not in shown
    assert alone.fmri not in shown
    assert well.fmri in world.svcs("-x", well.fmri)
    lines = world.svcs("-x", alone.fmri).splitlines()
    assert lines[0].startswith(f"{alone.fmri} (")
    assert [line[:7] for line in lines[1:3]] == [" State:", "Reason:"]
    assert "   See: http://illumos.org/msg/SMF-8000-05" in lines


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("clear",), 1),
        (("mark", "-t", "degraded"), 2),
        (("mark", "nostate"), 2),
        (("enable", "-x"), 2),
        (("dance",), 2),
        (("milestone",), 2),
    ],
)
def test_svcadm_refuses(world: World, words: tuple[str, ...], status: int) -> None:
    t = world.service("site/xrefuse")
    t.enable()
    operand = () if words == ("milestone",) else (t.fmri,)
    done = world.svcadm(*words, *operand, status=status)
    assert done.stderr.strip()
    assert t.state == "online"


def test_svcadm_without_words(world: World) -> None:
    world.svcadm(status=2)
    world.svcadm("enable", status=2)
    world.svcadm("milestone", "svc:/milestone/nosuch:default", status=2)


@pytest.mark.parametrize(
    ("command", "words"),
    [("svcs", ()), ("svcs", ("-x",)), ("svcprop", ()), ("svcadm", ("enable",)), ("svccfg", ())],
)
def test_a_zone_that_there_is_not(world: World, command: str, words: tuple[str, ...]) -> None:
    """Nor is there any inside a zone."""
    before = ("-z", "nosuchzone") if command in ("svcadm", "svccfg") else ()
    after = () if before else ("-z", "nosuchzone")
    operand = "list" if command == "svccfg" else "site/x"
    done = world.run(command, *before, *words, *after, operand, status=1)
    assert done.stderr.strip()


def test_01_enable_does_not_help_in_maintenance_and_disable_leaves_it(world: World) -> None:
    t = world.service("site/x01", counted(world.scratch / "site-x01:default", "exit 95"))
    t.enable(status=3)
    t.enable("-s", status=3)
    assert (t.state, t.runs()) == ("maintenance", 1)
    world.svcadm("restart", t.fmri)
    time.sleep(0.5)
    assert (t.state, t.runs()) == ("maintenance", 1)
    world.svcadm("clear", t.fmri)
    until(lambda: t.runs() == 2, "clear tries again")
    t.becomes("maintenance")
    t.disable()
    assert t.state == "disabled"


def test_mark_maintenance_stops_and_clear_starts(world: World) -> None:
    t = world.service("site/xmark")
    t.enable()
    world.svcadm("mark", "maintenance", t.fmri)
    t.becomes("maintenance")
    assert t.pids == []
    assert t.aux == "administrative_request"
    assert "SMF-8000-63" in world.svcs("-x", t.fmri)
    world.svcadm("clear", t.fmri)
    t.becomes("online")


def test_mark_immediately_leaves_the_processes(world: World) -> None:
    file = world.scratch / "site-xmarki:default"
    t = world.service("site/xmarki", stop=counted(file))
    t.enable()
    pid = t.pid()
    world.svcadm("mark", "-I", "maintenance", t.fmri)
    t.becomes("maintenance")
    assert t.runs("stop") == 0
    assert read_process(pid)
    os.kill(pid, signal.SIGKILL)
    t.disable()


def test_mark_immediately_waits_for_the_method_that_runs(world: World) -> None:
    file, gate = world.scratch / "site-xmarki2:default", world.scratch / "xmarki2"
    waits = f"/bin/sh -c 'until [ -e {gate} ]; do sleep 0.1; done; exec /bin/sleep 1000 &'"
    t = world.service("site/xmarki2", waits, counted(file))
    world.svcadm("enable", t.fmri)
    until(lambda: t.show("nstate") == ["online"], "it is being started")
    world.svcadm("mark", "-I", "maintenance", t.fmri)
    gate.touch()
    t.becomes("maintenance")
    assert (t.aux, t.runs("stop")) == ("administrative_request", 0)
    t.disable()


def test_a_service_that_asks_for_itself_is_told_apart(world: World) -> None:
    """No terminal, and inside a service: a service request, not an administrator's."""
    asked = f"{BIN}/svcadm mark maintenance svc:/site/xasked:default"
    t = world.service("site/xasked")
    t.enable()
    environment = f"HULL_ROOT={world.root}"
    asker = world.service("site/xasker", f"/bin/sh -c '{environment} {asked}; exit 94'")
    asker.enable()
    t.becomes("maintenance")
    assert t.aux == "service_request"
    assert "SMF-8000-R4" in world.svcs("-x", t.fmri)


def test_svcs_p_shows_processes_in_columns(world: World) -> None:
    t = world.service("site/xp")
    t.enable()
    line = world.svcs("-H", "-p", t.fmri).splitlines()[1]
    assert re.fullmatch(r" {15}[ \d]\d:\d\d:\d\d {3} *\d+ sleep", line)


def test_svcprop_forms(world: World) -> None:
    t = world.service("site/xprop")
    assert t.prop("start/exec") == "/bin/sleep\\ 1000\\ \\&"
    both = world.svcprop("-p", "start/type", "-p", "start/timeout_seconds", t.fmri).splitlines()
    assert both == ["start/type astring method", "start/timeout_seconds count 60"]
    full = world.svcprop("-f", "-p", "start/type", t.fmri)
    assert full == f"{t.fmri}/:properties/start/type astring method"
    world.run("svcprop", "-p", "no/such", t.fmri, status=1)
    world.run("svcprop", "nosuch", status=1)


def test_svcprop_w_waits_for_a_change(world: World) -> None:
    t = world.service("site/xw", groups="")
    waiting = subprocess.Popen(
        [str(BIN / "svcprop"), "-w", "-p", "restarter/state", t.fmri],
        env=world.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with waiting:
        time.sleep(0.7)
        assert waiting.poll() is None
        t.enable()
        said, _ = waiting.communicate(timeout=20)
    assert said.split()[-1] in ("online", "offline")


def test_25_abbreviations(world: World) -> None:
    world.service("site/x25/smtp")
    fmri = "svc:/site/x25/smtp:default"
    for good in ("x25/smtp", "x25/smtp:default", "site/x25/smtp", "*25/sm*", "site/x25*"):
        assert world.svcs("-H", "-o", "fmri", good).split() == [fmri]
    for bad in ("x25", "x25/smt", "25/smtp", "x25/smtp:def", "smtp*"):
        world.svcs(bad, status=1)


def test_output_has_no_control_characters(world: World) -> None:
    """A name that somebody else has given it does not steer a terminal."""
    t = world.service("site/xescape", template="<template><common_name><loctext xml:lang='C'>"
                      "a red&#x85; name</loctext></common_name></template>")  # fmt: skip
    world.svccfg("-s", t.fmri, "addpg config application")
    world.svccfg("-s", t.fmri, 'setprop config/x = astring: "a\x1b[31mb"', status=None)
    world.svcadm("refresh", t.fmri)
    for words in (["-o", "desc,fmri"], ["-l"], ["-x"]):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", world.svcs(*words, t.fmri))
    assert "\x1b" not in world.svccfg("-s", t.fmri, "listprop config").stdout


def test_everybody_may_look_and_only_root_may_touch(world: World) -> None:
    t = world.service("site/xuser")
    for path in (world.root / "run", world.root / "run/svc"):
        assert path.stat().st_mode & 0o005 == 0o005

    def nobody(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]], env=world.environment, user=65534, group=65534,
            extra_groups=[], capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    looked = nobody("svcs", "-H", "-o", "state", t.fmri)
    assert (looked.returncode, looked.stdout.strip()) == (0, "disabled"), looked.stderr
    touched = nobody("svcadm", "enable", t.fmri)
    assert touched.returncode == 1
    assert touched.stderr.strip()
    assert "Traceback" not in touched.stderr
    assert t.state == "disabled"


def test_the_dependency_graph_is_drawn(world: World) -> None:
    world.service("site/xgraph-b")
    world.service("site/xgraph-a", needs=[Needs("site/xgraph-b")])
    dot = world.svcs("--graph", "-", "site/xgraph-a", "site/xgraph-b")
    assert dot.lstrip().startswith("digraph")
    assert "xgraph-a" in dot
    assert "->" in dot


def test_the_logs_path_is_where_the_log_is(world: World) -> None:
    t = world.service("site/x/log")
    t.enable()
    path = Path(world.svcs("-L", t.fmri).strip())
    assert path == world.root / "var/svc/log/site-x-log:default.log"
    assert path.stat().st_mode & 0o777 == 0o644
