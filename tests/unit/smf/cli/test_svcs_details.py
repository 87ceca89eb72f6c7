# SPDX-License-Identifier: MPL-2.0
"""svcs -l and -L, letter by letter."""

from pathlib import Path

import pytest

from smf import processes
from smf.cli.svcs import COMMAND
from smf.processes import Process
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import NOON, group, instance, template

FMRI = "svc:/site/app:default"
LOG = ["astring", "/var/svc/log/site-app:default.log"]


@pytest.fixture
def app(local: Local, tmp_path: Path) -> None:
    """With a dependency of each kind."""
    instance(local, "svc:/site/one:a")
    instance(local, "svc:/site/two:a")
    instance(local, "svc:/site/two:b")
    (tmp_path / "there").touch()
    instance(
        local, FMRI, contract=["count", "117", "118"], logfile=LOG,
        needs=[
            ("require_all/none", "svc:/site/one svc:/site/two"),
            ("require_any/error", "svc:/site/two:b svc:/site/gone"),
            ("optional_all/restart", "svc:/-bad"),
            ("exclude_all/refresh", f"file://localhost{tmp_path}/there file:///nonexistent/file"),
        ],
    )  # fmt: skip
    template(local, FMRI, "an application")


@pytest.mark.usefixtures("app")
def test_everything(run: Run, tmp_path: Path) -> None:
    assert run(COMMAND, "-l", "app") == (0, (
        "fmri         svc:/site/app:default\n"
        "name         an application\n"
        "enabled      true\n"
        "state        online\n"
        "next_state   none\n"
        "state_time   November 15, 2023 at 12:00:00 PM UTC\n"
        "logfile      /var/svc/log/site-app:default.log\n"
        "restarter    svc:/system/svc/restarter:default\n"
        "contract_id  117 118 \n"
        "dependency   require_all/none svc:/site/one (online) svc:/site/two (multiple)\n"
        "dependency   require_any/error svc:/site/two:b (online) svc:/site/gone (absent)\n"
        "dependency   optional_all/restart svc:/-bad (invalid)\n"
        f"dependency   exclude_all/refresh file://localhost{tmp_path}/there (online) "
        "file:///nonexistent/file (absent)\n"
    ), "")  # fmt: skip


@pytest.mark.usefixtures("app")
def test_blocks_have_a_line_between_them(run: Run) -> None:
    status, out, _ = run(COMMAND, "-l", "two", "nosuch")
    first, second = out.split("\n\n")
    assert status == 1
    assert first.startswith("fmri         svc:/site/two:a\n")
    assert second.startswith("fmri         svc:/site/two:b\n")


def test_what_has_no_contract_and_what_has_none_now(run: Run, local: Local) -> None:
    instance(local, "svc:/site/a:a")
    instance(local, "svc:/site/b:b", contract=["count"])
    assert "contract_id" not in run(COMMAND, "-l", "a:a")[1]
    assert "contract_id  \n" in run(COMMAND, "-l", "b:b")[1]


@pytest.mark.parametrize(
    ("enabled", "override", "expected"),
    [
        (True, None, "true"),
        (False, None, "false"),
        (True, False, "false (temporary)"),
        (False, True, "true (temporary)"),
        (True, True, "true"),
    ],
)
def test_what_the_next_boot_undoes(
    run: Run, local: Local, enabled: bool, override: bool | None, expected: str
) -> None:
    instance(local, FMRI, enabled=enabled, override=override)
    assert f"enabled      {expected}\n" in run(COMMAND, "-l", "app")[1]


def test_why_somebody_disabled_it(run: Run, local: Local) -> None:
    instance(local, FMRI, "disabled", override=False)
    local.commit([["set", FMRI, "general_ovr", "comment", "astring", ["until\tMonday"]]])
    assert "enabled      false (temporary)\ncomment      until?Monday\n" in run(
        COMMAND, "-l", "app"
    )[1]  # fmt: skip


@pytest.mark.usefixtures("app")
def test_its_application_groups(run: Run, local: Local) -> None:
    config = group("application", port=["count", "80"], hosts=["astring", "a", "b"])
    local.commit([["put", FMRI, "config", config], ["snapshot", FMRI, "running", ""]])
    assert run(COMMAND, "-lv", "app")[1].endswith(
        "config (application)\n"
        "config/port (count) = 80\n"
        "config/hosts (astring) = a b\n"
    )  # fmt: skip
    assert "config" not in run(COMMAND, "-l", "app")[1]


@pytest.mark.usefixtures("app")
def test_its_processes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Process(42, "food", NOON, "/usr/bin/food -x"), Process(4242, "bar", NOON - 9, "bar")]
    asked: list[tuple[str, ...]] = []

    def of_contracts(_: object, numbers: tuple[str, ...]) -> list[Process]:
        asked.append(numbers)
        return found

    monkeypatch.setattr(processes, "of_contracts", of_contracts)
    assert run(COMMAND, "-lp", "app")[1].endswith(
        "process      42 /usr/bin/food -x\nprocess      4242 bar\n"
    )
    assert run(COMMAND, "-Hp", "app")[1] == (
        "online         12:00:00 svc:/site/app:default\n"
        "               12:00:00       42 food\n"
        "               11:59:51     4242 bar\n"
    )
    assert asked == [("117", "118")] * 2


def test_logs(run: Run, local: Local, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    instance(local, FMRI, logfile=LOG)
    instance(local, "svc:/site/new:a", "", enabled=None)
    assert run(COMMAND, "-L", "app", "new") == (
        0,
        f"/var/svc/log/site-app:default.log\n{tmp_path}/var/svc/log/site-new:a.log\n",
        "",
    )
    monkeypatch.setenv("SMF_ZONE_ROOT", "/zones/z/root")
    assert run(COMMAND, "-L", "app")[1] == "/zones/z/root/var/svc/log/site-app:default.log\n"


@pytest.mark.usefixtures("app")
def test_inside_a_zone_that_was_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMF_ZONE", "web")
    monkeypatch.setenv("SMF_ZONE_ROOT", "/zones/web/root")
    out = run(COMMAND, "-l", "app")[1]
    assert "name         an application\nzone         web\nenabled " in out
    assert "logfile      /zones/web/root/var/svc/log/site-app:default.log\n" in out


def test_before_the_first_refresh_what_is_there_now_is_shown(run: Run, local: Local) -> None:
    instance(local, FMRI, needs=[("require_all", "svc:/site/x")])
    local.commit([["unsnapshot", FMRI, "running"]])
    assert "dependency   require_all/none svc:/site/x (absent)\n" in run(COMMAND, "-l", "app")[1]
