# SPDX-License-Identifier: MPL-2.0
"""The table of svcs, column by column and letter by letter."""

import pytest

from smf.cli.svcs import COMMAND
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import NOON, group, instance, template

DAY = 86400
FOO, OFF, BAR = "svc:/site/foo:a", "svc:/site/foo:b", "svc:/site/bar:default"


@pytest.fixture
def services(local: Local) -> None:
    """Four instances, and a script."""
    instance(local, OFF, "disabled", enabled=False, since=NOON - 10_000)
    instance(local, FOO, contract=["count", "117"])
    instance(local, BAR, "maintenance", since=NOON - 40 * DAY, contract=["count", "8", "9"])
    instance(
        local, "svc:/site/old/thing:default", "offline", next_state=["astring", "online"],
        since=NOON - 900 * DAY, needs=[("require_all", "svc:/site/foo svc:/site/bar:default")],
    )  # fmt: skip
    local.commit([
        ["add", "svc:/smf/legacy_run"],
        ["put", "svc:/smf/legacy_run", "rc2_d_S20setup", group(
            "framework", name=["astring", "/etc/rc2.d/S20setup"],
            state_timestamp=["time", f"{NOON}.0"],
        )],
    ])  # fmt: skip


def shown(run: Run, *words: str) -> list[str]:
    status, out, errors = run(COMMAND, *words)
    assert (status, errors) == (0, "")
    return out.splitlines()


@pytest.mark.usefixtures("services")
def test_what_is_enabled(run: Run) -> None:
    assert shown(run) == [
        "STATE          STIME    FMRI",
        "legacy_run     12:00:00 lrc:/etc/rc2_d/S20setup",
        "online         12:00:00 svc:/site/foo:a",
        "offline*       2021     svc:/site/old/thing:default",
        "maintenance    Oct_06   svc:/site/bar:default",
    ]


@pytest.mark.usefixtures("services")
def test_everything_and_more_columns(run: Run) -> None:
    assert shown(run, "-av") == [
        "STATE          NSTATE        STIME    CTID   FMRI",
        "legacy_run     -             12:00:00      - lrc:/etc/rc2_d/S20setup",
        "disabled       -              9:13:20      - svc:/site/foo:b",
        "online         -             12:00:00    117 svc:/site/foo:a",
        "offline        online        2021          - svc:/site/old/thing:default",
        "maintenance    -             Oct_06       8* svc:/site/bar:default",
    ]


@pytest.mark.usefixtures("services")
def test_every_column(run: Run, local: Local) -> None:
    template(local, FOO, "the foo")
    every = "state,nstate,STATE,sta,nsta,s,n,sn,ctid,stime,fmri,svc,inst,scope,desc,zone"
    header, line = shown(run, "-o", every, "thing")
    assert header == (
        "STATE          NSTATE        STATE          STA  NSTA S  N SN CTID   STIME    "
        f"{'FMRI':50} {'SVC':20} {'INST':20} {'SCOPE':20} {'DESC':100} ZONE"
    )
    assert line == (
        "offline        online        offline        OFF  ON   0  1 01      - 2021     "
        f"{'svc:/site/old/thing:default':50} {'site/old/thing':20} {'default':20} "
        f"{'localhost':20} {'-':100} global"
    )
    assert shown(run, "-Ho", "desc", FOO) == ["the foo"]
    assert shown(run, "-Ho", "svc,inst,scope", "lrc:/etc/rc2_d/S20setup") == [
        f"lrc:/etc/rc2_d/S20setup {'-':20} -"
    ]


@pytest.mark.usefixtures("services")
def test_a_star_where_the_next_state_is_not_shown(run: Run) -> None:
    assert shown(run, "-Ho", "sta,nsta,fmri", "thing") == ["OFF  ON   svc:/site/old/thing:default"]
    assert shown(run, "-Ho", "sta", "-o", "s,state", "thing") == ["OFF* 0* offline*"]


@pytest.mark.usefixtures("services")
def test_order(run: Run) -> None:
    assert shown(run, "-Hao", "fmri") == [  # as they were made
        "lrc:/etc/rc2_d/S20setup", OFF, FOO, BAR, "svc:/site/old/thing:default",
    ]  # fmt: skip
    assert shown(run, "-Ho", "inst", "-s", "svc", "-S", "inst", "*site*") == [
        "default", "b", "a", "default",
    ]  # fmt: skip
    assert shown(run, "-Ho", "ctid", "-S", "ctid", "foo", "bar") == ["   117", "    8*", "     -"]


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("foo", [OFF, FOO]),
        ("foo:a", [FOO]),
        (":a", [FOO]),
        ("a", [FOO]),
        ("svc:/site/foo", [OFF, FOO]),
        ("svc://localhost/site/foo:b", [OFF]),
        ("*oo*", [OFF, FOO]),
        ("site/f?o:[ab]", [OFF, FOO]),
        ("lrc:*", ["lrc:/etc/rc2_d/S20setup"]),
    ],
)
def test_patterns(run: Run, pattern: str, found: list[str]) -> None:
    assert shown(run, "-Ho", "fmri", pattern) == found


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("pattern", ["nosuch", "oo", "site", "foo*", "svc:/site/f", "svc:/-"])
def test_what_matches_nothing_is_named(run: Run, pattern: str) -> None:
    status, out, errors = run(COMMAND, pattern, "bar")
    assert status == 1
    assert out.splitlines()[0] == "STATE          STIME    FMRI"
    assert "svc:/site/bar:default" in out
    assert pattern in errors


def test_nothing_at_all(run: Run) -> None:
    assert run(COMMAND) == (0, "STATE          STIME    FMRI\n", "")
    assert run(COMMAND, "-H") == (0, "", "")


def test_control_characters_stay_out_of_the_terminal(run: Run, local: Local) -> None:
    instance(local, FOO, "on\x1b[2Jline")
    template(local, FOO, "red \x1b[31m alert\n")
    status, out, errors = run(COMMAND, "-Ho", "state,desc", "foo", "no\x1b]0;such")
    assert (status, out) == (1, "on?[2Jline     red ?[31m alert?\n")
    assert "\x1b" not in errors


@pytest.mark.usefixtures("services")
def test_dependencies_and_dependents(run: Run) -> None:
    assert shown(run, "-Hdo", "fmri", "thing") == [OFF, FOO, BAR]
    assert shown(run, "-HDo", "fmri", FOO) == ["svc:/site/old/thing:default"]
    assert shown(run, "-D", "thing") == ["STATE          STIME    FMRI"]


def test_what_is_excluded_is_no_dependency(run: Run, local: Local) -> None:
    instance(local, BAR)
    instance(local, FOO, needs=[("exclude_all", BAR), ("require_all", "file:///etc")])
    assert shown(run, "-Hd", FOO) == []
    assert shown(run, "-HD", BAR) == []


@pytest.mark.usefixtures("services")
def test_by_restarter(run: Run, local: Local) -> None:
    master = "svc:/system/svc/restarter:default"
    assert shown(run, "-HR", master, "-o", "fmri") == [OFF, FOO, BAR, "svc:/site/old/thing:default"]
    local.commit([["put", "svc:/site/bar", "general", group("framework", restarter=["fmri", FOO])]])
    assert shown(run, "-HR", FOO, "-o", "fmri") == [BAR]
    status, _, errors = run(COMMAND, "-R", "svc:/site/bar")
    assert status == 1
    assert "-R takes the FMRI of one instance" in errors


@pytest.mark.usefixtures("services")
def test_what_holds_for_now_counts_as_enabled(run: Run, local: Local) -> None:
    instance(local, OFF, "disabled", enabled=False, override=True)
    instance(local, FOO, "disabled", enabled=True, override=False)
    assert {OFF, FOO} <= set(shown(run, "-Ho", "fmri"))


def test_an_instance_that_nobody_has_enabled(run: Run, local: Local) -> None:
    instance(local, FOO, "", enabled=None)
    assert shown(run, "-H") == []
    assert shown(run, "-Ha") == ["-              -        svc:/site/foo:a"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["-l", "-x"], 2, "-l and -x exclude each other"),
        (["-q"], 2, "there is no option -q"),
        (["-o"], 2, "option -o needs a value"),
        (["-o", "state,colour"], 1, 'there is no column "colour"; there are STATE, NSTATE'),
        (["-s", "size"], 1, 'there is no column "size"'),
        (["--graph", "picture.png"], 2, "--graph makes FILE.dot or FILE.svg"),
    ],
)
def test_wrong_usage(run: Run, words: list[str], status: int, message: str) -> None:
    found, out, errors = run(COMMAND, *words)
    assert (found, out) == (status, "")
    assert message in errors


@pytest.mark.usefixtures("services")
def test_a_beside_a_pattern_is_only_a_remark(run: Run) -> None:
    status, out, errors = run(COMMAND, "-aH", "foo:a")
    assert (status, out) == (0, "online         12:00:00 svc:/site/foo:a\n")
    assert errors.startswith("svcs: -a ")


def test_help(run: Run) -> None:
    status, out, _ = run(COMMAND, "-?")
    assert status == 0
    assert out.startswith("svcs: show the states of services\n")
