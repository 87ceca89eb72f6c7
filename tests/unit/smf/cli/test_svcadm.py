# SPDX-License-Identifier: MPL-2.0
"""svcadm: what it writes for startd, which instances it means, and when it stops to wait."""

import time

import pytest

from smf.cli import waiting
from smf.cli.options import take_options
from smf.fmri import MASTER
from smf.tree import Groups
from tests.unit.smf.cli.admin import Admin

A, B, C = "svc:/site/a:default", "svc:/site/b:default", "svc:/site/c:default"


# -- enable, disable -------------------------------------------------------------------------------
def test_enable_for_good_ends_what_was_said_for_now(admin: Admin) -> None:
    admin.make(A, enabled=False)
    admin.svcadm("disable", "-t", "-c", "why not", A)
    assert admin.value(A, "general_ovr", "enabled") == ("false",)
    assert admin.value(A, "general_ovr", "comment") == ("why not",)
    assert admin.value(A, "general", "enabled") == ("false",)
    admin.svcadm("enable", A)
    assert admin.value(A, "general", "enabled") == ("true",)
    assert admin.value(A, "general_ovr", "enabled") is None
    assert admin.value(A, "general_ovr", "comment") is None


def test_temporarily_leaves_what_is_for_good(admin: Admin) -> None:
    admin.make(A, enabled=True)
    assert admin.svcadm("-v", "disable", "-t", "a") == f"{A}: temporarily disabled\n"
    assert admin.value(A, "general", "enabled") == ("true",)
    assert not admin.local.attached(A)["general_ovr"].persistent
    admin.svcadm("disable", "a")
    assert admin.value(A, "general", "enabled") == ("false",)
    assert admin.value(A, "general_ovr", "enabled") is None


def test_enable_completes_an_instance_that_nobody_has_enabled(admin: Admin) -> None:
    admin.make(A)
    admin.svcadm("enable", A)
    assert admin.value(A, "general", "enabled") == ("true",)


def test_enable_again_changes_nothing(admin: Admin) -> None:
    admin.make(A, enabled=True)
    before = admin.local.store.generation
    admin.svcadm("enable", A)
    assert admin.local.store.generation == before


# -- operands --------------------------------------------------------------------------------------
def test_an_abbreviation_of_several_is_listed_and_passed_over(admin: Admin) -> None:
    for fmri in (one := "svc:/site/dup/x:one", two := "svc:/site/dup2/x:one", A):
        admin.make(fmri, enabled=False)
    admin.svcadm("enable", "x", "a", status=1)
    assert one in admin.error
    assert two in admin.error
    assert admin.value(one, "general", "enabled") == ("false",)
    assert admin.value(A, "general", "enabled") == ("true",)
    admin.svcadm("enable", "svc:/site/dup*/x:*")
    assert admin.value(two, "general", "enabled") == ("true",)


def test_an_exact_service_is_all_its_instances(admin: Admin) -> None:
    admin.make(one := "svc:/site/m:one", enabled=False)
    admin.make(two := "svc:/site/m:two", enabled=False)
    admin.svcadm("enable", "svc:/site/m")
    assert (
        admin.value(one, "general", "enabled")
        == admin.value(two, "general", "enabled")
        == ("true",)
    )


@pytest.mark.parametrize(
    "operand",
    ["nosuch", "svc:/nosuch", "*nosuch*", "lrc:/etc/rc2_d/S1", f"{A}/:properties/x", "sit"],
)
def test_what_means_nothing_is_said(admin: Admin, operand: str) -> None:
    admin.make(A, enabled=False)
    admin.svcadm("enable", operand, "a", status=1)
    assert operand.partition("/:")[0] in admin.error
    assert admin.value(A, "general", "enabled") == ("true",)


def test_by_state(admin: Admin) -> None:
    admin.make(A, state="maintenance", enabled=True)
    admin.make(B, state="online", enabled=True)
    admin.svcadm("-S", "maintenance", "clear")
    assert admin.value(A, "restarter_actions", "maint_off")
    assert admin.value(B, "restarter_actions", "maint_off") is None
    admin.svcadm("-S", "up", "restart", status=2)
    for words in (("restart", A), ("clear",), ("milestone", "all")):
        admin.svcadm("-S", "online", *words, status=2)


# -- actions ---------------------------------------------------------------------------------------
def test_an_action_says_when_and_who(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.make(A, state="online", enabled=True)
    monkeypatch.setenv("SMF_FMRI", B)
    before = time.time_ns()
    admin.svcadm("restart", A)
    (asked,) = admin.value(A, "restarter_actions", "restart") or ("0",)
    assert before <= int(asked) <= time.time_ns()
    assert admin.value(A, "restarter_actions", "auxiliary_fmri") == (B,)
    monkeypatch.delenv("SMF_FMRI")
    admin.svcadm("restart", "-d", A)
    assert admin.value(A, "restarter_actions", "dodump")
    assert admin.value(A, "restarter_actions", "auxiliary_fmri") == ()


def test_refresh_takes_a_snapshot(admin: Admin) -> None:
    admin.make(A, enabled=True)
    admin.local.commit([["group", A, "config", "application", ""]])
    assert "config" not in admin.local.composed(A, "running")
    admin.svcadm("refresh", A)
    assert "config" in admin.local.composed(A, "running")
    assert admin.value(A, "restarter_actions", "refresh")


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
def test_mark(admin: Admin, options: tuple[str, ...], action: str) -> None:
    admin.make(A, state="online", enabled=True)
    admin.svcadm("mark", *options, A)
    assert admin.value(A, "restarter_actions", action)


def test_mark_and_clear_refuse(admin: Admin) -> None:
    admin.make(A, state="offline", enabled=True)
    admin.svcadm("mark", "-t", "degraded", A, status=2)
    admin.svcadm("mark", "up", A, status=2)
    admin.svcadm("mark", status=2)
    admin.svcadm("mark", "degraded", A, status=1)
    admin.svcadm("clear", A, status=1)
    assert "restarter_actions" not in admin.local.attached(A)


def test_clear_by_what_it_is_in(admin: Admin) -> None:
    admin.make(A, state="degraded", enabled=True)
    admin.svcadm("clear", A)
    assert admin.value(A, "restarter_actions", "restore")


def test_milestone(admin: Admin) -> None:
    admin.make(MASTER)
    admin.make("svc:/milestone/multi-user:default")
    admin.svcadm("milestone", "multi-user")
    wanted = ("svc:/milestone/multi-user:default",)
    assert admin.value(MASTER, "options_ovr", "milestone") == wanted
    assert not admin.local.attached(MASTER)["options_ovr"].persistent
    admin.svcadm("milestone", "-d", "all")
    assert admin.value(MASTER, "options_ovr", "milestone") is None
    assert admin.value(MASTER, "options", "milestone") == ("all",)
    admin.svcadm("milestone", "single-user", status=1)  # it is not there
    admin.svcadm("milestone", "network", status=2)
    admin.svcadm("milestone", status=2)


# -- enable -r -------------------------------------------------------------------------------------
def test_what_is_required_is_enabled_too(admin: Admin) -> None:
    for fmri in (A, B, C):
        admin.make(fmri, enabled=False)
    admin.require(A, "needs", "svc:/site/b", "file:///nowhere")
    admin.require(B, "any", C, grouping="require_any")
    admin.svcadm("enable", "-r", A)
    assert [admin.value(each, "general", "enabled") for each in (A, B, C)] == [("true",)] * 3


def test_what_is_not_required_is_not(admin: Admin) -> None:
    for fmri in (A, B, C):
        admin.make(fmri, enabled=False)
    admin.require(A, "may", B, grouping="optional_all")
    admin.require(A, "never", C, grouping="exclude_all")
    admin.svcadm("enable", "-rt", A)
    assert admin.value(A, "general_ovr", "enabled") == ("true",)
    assert admin.value(B, "general_ovr", "enabled") is None
    assert admin.value(C, "general_ovr", "enabled") is None


def test_of_several_people_choose(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    for fmri in (A, B, C):
        admin.make(fmri, enabled=False)
    admin.require(A, "any", B, C, grouping="require_any")
    from smf.cli.svcadm import COMMAND

    assert COMMAND.main(["enable", "-r", A]) == 0
    said = capsys.readouterr().err
    assert B in said
    assert C in said
    assert admin.value(B, "general", "enabled") == ("false",)
    admin.svcadm("enable", C)
    admin.svcadm("enable", "-r", A)
    assert admin.value(B, "general", "enabled") == ("false",)


def test_a_circle_and_what_is_not_there_are_said(admin: Admin) -> None:
    for fmri in (A, B):
        admin.make(fmri, enabled=False)
    admin.require(A, "needs", B, "svc:/site/nosuch")
    admin.require(B, "needs", A)
    admin.svcadm("enable", "-r", A, status=1)
    assert "circle" in admin.error
    assert "svc:/site/nosuch" in admin.error


# -- waiting ---------------------------------------------------------------------------------------
def startd(admin: Admin, *steps: list[list[object]]) -> None:
    """Somebody who does these things, one after the other, whenever svcadm has looked."""
    left, look = list(steps), admin.local.attached

    def attached(fmri: str) -> Groups:
        found = look(fmri)
        if left:
            admin.local.commit(left.pop(0))
        return found

    admin.local.attached = attached  # type: ignore[method-assign]  # the same, and then a step


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.3)


def test_wait_until_online(admin: Admin) -> None:
    admin.make(A, state="disabled", enabled=False)
    startd(admin, admin.in_state(A, "offline", "2", "online"), admin.in_state(A, "online", "3"))
    admin.svcadm("enable", "-s", A)
    assert admin.value(A, "restarter", "state") == ("online",)


def test_wait_for_what_fails(admin: Admin) -> None:
    admin.make(A, state="disabled", enabled=False)
    startd(
        admin, admin.in_state(A, "offline", "2", "online"), admin.in_state(A, "maintenance", "3")
    )
    admin.svcadm("enable", "-s", A, status=3)
    assert "maintenance" in admin.error


def test_what_is_in_maintenance_stays_there_when_it_is_enabled(admin: Admin) -> None:
    admin.make(A, state="maintenance", enabled=True)
    admin.svcadm("enable", "-s", A, status=3)


def test_what_was_cleared_just_now_may_leave_maintenance(admin: Admin) -> None:
    admin.make(A, state="maintenance", enabled=True)
    admin.svcadm("clear", A)
    startd(admin, admin.in_state(A, "offline", "2", "online"), admin.in_state(A, "online", "3"))
    admin.svcadm("enable", "-s", A)
    later = str(time.time() + 100)[:14]
    admin.local.commit(admin.in_state(A, "maintenance", later))
    admin.svcadm("enable", "-s", A, status=3)  # what was cleared was another time


def test_somebody_else_disables_it(admin: Admin) -> None:
    admin.make(A, state="offline", enabled=True)
    startd(admin, [["set", A, "general", "enabled", "boolean", ["false"]]])
    admin.svcadm("enable", "-s", A, status=3)
    assert "somebody else" in admin.error


def test_dependencies_that_cannot_be_met(admin: Admin) -> None:
    admin.make(A, state="offline", enabled=False)
    admin.make(B, state="disabled", enabled=False)
    admin.require(A, "needs", B)
    admin.svcadm("enable", "-s", A, status=4)
    assert "dependencies" in admin.error


def test_a_milestone_that_leaves_it_out(admin: Admin) -> None:
    admin.make(MASTER, state="online", enabled=True)
    admin.make(A, state="disabled", enabled=False)
    admin.svcadm("milestone", "none")
    admin.svcadm("enable", "-s", A, status=4)
    assert "milestone none" in admin.error


def test_startd_itself_goes_on(admin: Admin) -> None:
    admin.make(MASTER, state="online", enabled=True)
    admin.svcadm("disable", "-s", MASTER, status=3)
    assert "svc.startd itself" in admin.error


def test_failed_has_precedence_over_blocked(admin: Admin) -> None:
    admin.make(A, state="offline", enabled=False)
    admin.make(B, state="disabled", enabled=False)
    admin.make(C, state="maintenance", enabled=True)
    admin.require(A, "needs", B)
    admin.svcadm("enable", "-s", A, C, status=3)


def test_disabled_out_of_maintenance(admin: Admin) -> None:
    admin.make(A, state="maintenance", enabled=True)
    startd(admin, admin.in_state(A, "disabled", "2"))
    admin.svcadm("disable", "-s", A)


def test_a_stop_that_fails(admin: Admin) -> None:
    admin.make(A, state="online", enabled=True)
    startd(
        admin, admin.in_state(A, "online", "1", "disabled"), admin.in_state(A, "maintenance", "2")
    )
    admin.svcadm("disable", "-s", A, status=3)


def test_a_restarter_that_does_not_run(admin: Admin) -> None:
    admin.make(A, state="online", enabled=True)
    admin.make(B, state="disabled", enabled=False)
    admin.local.commit(
        [["set", A, "general", "restarter", "fmri", [B]], ["snapshot", A, "running"]]
    )
    admin.svcadm("disable", "-s", A, status=4)
    assert B in admin.error


# -- the command -----------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [(), ("dance",), ("enable",), ("enable", "-x", "a"), ("-z",)])
def test_wrong_usage(admin: Admin, words: tuple[str, ...]) -> None:
    admin.svcadm(*words, status=2)


def test_only_root_may(admin: Admin) -> None:
    admin.make(A, enabled=False)
    admin.local.connection.uid = 12345
    admin.svcadm("enable", A, status=1)
    assert "root" in admin.error


def test_options_of_the_command_come_first() -> None:
    from smf.cli.svcadm import BEFORE

    assert take_options(BEFORE, ["-vS", "online", "restart", "-d"]) == (
        {"-v": [""], "-S": ["online"]},
        ["restart", "-d"],
    )
