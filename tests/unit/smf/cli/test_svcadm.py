# SPDX-License-Identifier: MPL-2.0
"""svcadm: what it writes for startd, which instances it means, and when it stops to wait."""

import time

import pytest

from smf.cli import waiting
from smf.cli.options import take_options
from smf.fmri import MASTER
from smf.tree import Groups
from tests.unit.smf.cli.run import Run

A, B, C = "svc:/site/a:default", "svc:/site/b:default", "svc:/site/c:default"


# -- enable, disable -------------------------------------------------------------------------------
def test_enable_for_good_ends_what_was_said_for_now(run: Run) -> None:
    run.make(A, enabled=False)
    run.svcadm("disable", "-t", "-c", "why not", A)
    assert run.value(A, "general_ovr", "enabled") == ("false",)
    assert run.value(A, "general_ovr", "comment") == ("why not",)
    assert run.value(A, "general", "enabled") == ("false",)
    run.svcadm("enable", A)
    assert run.value(A, "general", "enabled") == ("true",)
    assert run.value(A, "general_ovr", "enabled") is None
    assert run.value(A, "general_ovr", "comment") is None


def test_temporarily_leaves_what_is_for_good(run: Run) -> None:
    run.make(A, enabled=True)
    assert run.svcadm("-v", "disable", "-t", "a") == f"{A}: temporarily disabled\n"
    assert run.value(A, "general", "enabled") == ("true",)
    assert not run.local.attached(A)["general_ovr"].persistent
    run.svcadm("disable", "a")
    assert run.value(A, "general", "enabled") == ("false",)
    assert run.value(A, "general_ovr", "enabled") is None


def test_enable_completes_an_instance_that_nobody_has_enabled(run: Run) -> None:
    run.make(A)
    run.svcadm("enable", A)
    assert run.value(A, "general", "enabled") == ("true",)


def test_enable_again_changes_nothing(run: Run) -> None:
    run.make(A, enabled=True)
    before = run.local.store.generation
    run.svcadm("enable", A)
    assert run.local.store.generation == before


# -- operands --------------------------------------------------------------------------------------
def test_an_abbreviation_of_several_is_listed_and_passed_over(run: Run) -> None:
    for fmri in (one := "svc:/site/dup/x:one", two := "svc:/site/dup2/x:one", A):
        run.make(fmri, enabled=False)
    run.svcadm("enable", "x", "a", status=1)
    assert one in run.error
    assert two in run.error
    assert run.value(one, "general", "enabled") == ("false",)
    assert run.value(A, "general", "enabled") == ("true",)
    run.svcadm("enable", "svc:/site/dup*/x:*")
    assert run.value(two, "general", "enabled") == ("true",)


def test_an_exact_service_is_all_its_instances(run: Run) -> None:
    run.make(one := "svc:/site/m:one", enabled=False)
    run.make(two := "svc:/site/m:two", enabled=False)
    run.svcadm("enable", "svc:/site/m")
    assert run.value(one, "general", "enabled") == run.value(two, "general", "enabled") == ("true",)


@pytest.mark.parametrize(
    "operand",
    ["nosuch", "svc:/nosuch", "*nosuch*", "lrc:/etc/rc2_d/S1", f"{A}/:properties/x", "sit"],
)
def test_what_means_nothing_is_said(run: Run, operand: str) -> None:
    run.make(A, enabled=False)
    run.svcadm("enable", operand, "a", status=1)
    assert operand.partition("/:")[0] in run.error
    assert run.value(A, "general", "enabled") == ("true",)


def test_by_state(run: Run) -> None:
    run.make(A, state="maintenance", enabled=True)
    run.make(B, state="online", enabled=True)
    run.svcadm("-S", "maintenance", "clear")
    assert run.value(A, "restarter_actions", "maint_off")
    assert run.value(B, "restarter_actions", "maint_off") is None
    run.svcadm("-S", "up", "restart", status=2)
    for words in (("restart", A), ("clear",), ("milestone", "all")):
        run.svcadm("-S", "online", *words, status=2)


# -- actions ---------------------------------------------------------------------------------------
def test_an_action_says_when_and_who(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.make(A, state="online", enabled=True)
    monkeypatch.setenv("SMF_FMRI", B)
    before = time.time_ns()
    run.svcadm("restart", A)
    (asked,) = run.value(A, "restarter_actions", "restart") or ("0",)
    assert before <= int(asked) <= time.time_ns()
    assert run.value(A, "restarter_actions", "auxiliary_fmri") == (B,)
    monkeypatch.delenv("SMF_FMRI")
    run.svcadm("restart", "-d", A)
    assert run.value(A, "restarter_actions", "dodump")
    assert run.value(A, "restarter_actions", "auxiliary_fmri") == ()


def test_refresh_takes_a_snapshot(run: Run) -> None:
    run.make(A, enabled=True)
    run.local.commit([["group", A, "config", "application", ""]])
    assert "config" not in run.local.composed(A, "running")
    run.svcadm("refresh", A)
    assert "config" in run.local.composed(A, "running")
    assert run.value(A, "restarter_actions", "refresh")


@pytest.mark.parametrize(
    ("options", "action"),
    [
        (("maintenance",), "maint_on"),
        (("-I", "maintenance"), "maint_on_immediate"),
        (("-t", "maintenance"), "maint_on_temporary"),
        (("-It", "maintenance"), "maint_on_immtemp"),
        (("degraded",), "degraded"),
        (("-I", "degraded"), "degrade_immediate"),
    ],
)
def test_mark(run: Run, options: tuple[str, ...], action: str) -> None:
    run.make(A, state="online", enabled=True)
    run.svcadm("mark", *options, A)
    assert run.value(A, "restarter_actions", action)


def test_mark_and_clear_refuse(run: Run) -> None:
    run.make(A, state="offline", enabled=True)
    run.svcadm("mark", "-t", "degraded", A, status=2)
    run.svcadm("mark", "up", A, status=2)
    run.svcadm("mark", status=2)
    run.svcadm("mark", "degraded", A, status=1)
    run.svcadm("clear", A, status=1)
    assert "restarter_actions" not in run.local.attached(A)


def test_clear_by_what_it_is_in(run: Run) -> None:
    run.make(A, state="degraded", enabled=True)
    run.svcadm("clear", A)
    assert run.value(A, "restarter_actions", "restore")


def test_milestone(run: Run) -> None:
    run.make(MASTER)
    run.make("svc:/milestone/multi-user:default")
    run.svcadm("milestone", "multi-user")
    wanted = ("svc:/milestone/multi-user:default",)
    assert run.value(MASTER, "options_ovr", "milestone") == wanted
    assert not run.local.attached(MASTER)["options_ovr"].persistent
    run.svcadm("milestone", "-d", "all")
    assert run.value(MASTER, "options_ovr", "milestone") is None
    assert run.value(MASTER, "options", "milestone") == ("all",)
    run.svcadm("milestone", "single-user", status=1)  # it is not there
    run.svcadm("milestone", "network", status=2)
    run.svcadm("milestone", status=2)


# -- enable -r -------------------------------------------------------------------------------------
def test_what_is_required_is_enabled_too(run: Run) -> None:
    for fmri in (A, B, C):
        run.make(fmri, enabled=False)
    run.require(A, "needs", "svc:/site/b", "file:///nowhere")
    run.require(B, "any", C, grouping="require_any")
    run.svcadm("enable", "-r", A)
    assert [run.value(each, "general", "enabled") for each in (A, B, C)] == [("true",)] * 3


def test_what_is_not_required_is_not(run: Run) -> None:
    for fmri in (A, B, C):
        run.make(fmri, enabled=False)
    run.require(A, "may", B, grouping="optional_all")
    run.require(A, "never", C, grouping="exclude_all")
    run.svcadm("enable", "-rt", A)
    assert run.value(A, "general_ovr", "enabled") == ("true",)
    assert run.value(B, "general_ovr", "enabled") is None
    assert run.value(C, "general_ovr", "enabled") is None


def test_of_several_people_choose(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for fmri in (A, B, C):
        run.make(fmri, enabled=False)
    run.require(A, "any", B, C, grouping="require_any")
    from smf.cli.svcadm import COMMAND

    assert COMMAND.main(["enable", "-r", A]) == 0
    said = capsys.readouterr().err
    assert B in said
    assert C in said
    assert run.value(B, "general", "enabled") == ("false",)
    run.svcadm("enable", C)
    run.svcadm("enable", "-r", A)
    assert run.value(B, "general", "enabled") == ("false",)


def test_a_circle_and_what_is_not_there_are_said(run: Run) -> None:
    for fmri in (A, B):
        run.make(fmri, enabled=False)
    run.require(A, "needs", B, "svc:/site/nosuch")
    run.require(B, "needs", A)
    run.svcadm("enable", "-r", A, status=1)
    assert "circle" in run.error
    assert "svc:/site/nosuch" in run.error


# -- waiting ---------------------------------------------------------------------------------------
def startd(run: Run, *steps: list[list[object]]) -> None:
    """Somebody who does these things, one after the other, whenever svcadm has looked."""
    left, look = list(steps), run.local.attached

    def attached(fmri: str) -> Groups:
        found = look(fmri)
        if left:
            run.local.commit(left.pop(0))
        return found

    run.local.attached = attached  # type: ignore[method-assign]  # the same, and then a step


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.3)


def test_wait_until_online(run: Run) -> None:
    run.make(A, state="disabled", enabled=False)
    startd(run, run.in_state(A, "offline", "2", "online"), run.in_state(A, "online", "3"))
    run.svcadm("enable", "-s", A)
    assert run.value(A, "restarter", "state") == ("online",)


def test_wait_for_what_fails(run: Run) -> None:
    run.make(A, state="disabled", enabled=False)
    startd(run, run.in_state(A, "offline", "2", "online"), run.in_state(A, "maintenance", "3"))
    run.svcadm("enable", "-s", A, status=3)
    assert "maintenance" in run.error


def test_what_is_in_maintenance_stays_there_when_it_is_enabled(run: Run) -> None:
    run.make(A, state="maintenance", enabled=True)
    run.svcadm("enable", "-s", A, status=3)


def test_somebody_else_disables_it(run: Run) -> None:
    run.make(A, state="offline", enabled=True)
    startd(run, [["set", A, "general", "enabled", "boolean", ["false"]]])
    run.svcadm("enable", "-s", A, status=3)
    assert "somebody else" in run.error


def test_dependencies_that_cannot_be_met(run: Run) -> None:
    run.make(A, state="offline", enabled=False)
    run.make(B, state="disabled", enabled=False)
    run.require(A, "needs", B)
    run.svcadm("enable", "-s", A, status=4)
    assert "dependencies" in run.error


def test_failed_has_precedence_over_blocked(run: Run) -> None:
    run.make(A, state="offline", enabled=False)
    run.make(B, state="disabled", enabled=False)
    run.make(C, state="maintenance", enabled=True)
    run.require(A, "needs", B)
    run.svcadm("enable", "-s", A, C, status=3)


def test_disabled_out_of_maintenance(run: Run) -> None:
    run.make(A, state="maintenance", enabled=True)
    startd(run, run.in_state(A, "disabled", "2"))
    run.svcadm("disable", "-s", A)


def test_a_stop_that_fails(run: Run) -> None:
    run.make(A, state="online", enabled=True)
    startd(run, run.in_state(A, "online", "1", "disabled"), run.in_state(A, "maintenance", "2"))
    run.svcadm("disable", "-s", A, status=3)


def test_a_restarter_that_does_not_run(run: Run) -> None:
    run.make(A, state="online", enabled=True)
    run.make(B, state="disabled", enabled=False)
    run.local.commit([["set", A, "general", "restarter", "fmri", [B]], ["snapshot", A, "running"]])
    run.svcadm("disable", "-s", A, status=4)
    assert B in run.error


# -- the command -----------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [(), ("dance",), ("enable",), ("enable", "-x", "a"), ("-z",)])
def test_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    run.svcadm(*words, status=2)


def test_only_root_may(run: Run) -> None:
    run.make(A, enabled=False)
    run.local.connection.uid = 12345
    run.svcadm("enable", A, status=1)
    assert "root" in run.error


def test_options_of_the_command_come_first() -> None:
    from smf.cli.svcadm import BEFORE

    assert take_options(BEFORE, ["-vS", "online", "restart", "-d"]) == (
        {"-v": [""], "-S": ["online"]},
        ["restart", "-d"],
    )
