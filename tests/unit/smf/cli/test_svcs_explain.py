# SPDX-License-Identifier: MPL-2.0
"""svcs -x, letter by letter. What it finds is tested in ../test_explain.py."""

import pytest

from smf.cli.svcs import COMMAND
from smf.fmri import MASTER
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import group, instance, template

WEB, DB, NET = "svc:/site/web:default", "svc:/site/db:default", "svc:/site/net:default"
SINCE = "since November 15, 2023 at 12:00:00 PM UTC"
DB_BLOCK = f"""{DB} (the data base)
 State: maintenance {SINCE}
Reason: Its start method exited with status 1, again and again.
   See: http://illumos.org/msg/SMF-8000-KS
   See: postgres(1)
   See: https://example.org/db
   See: /var/svc/log/site-db:default.log
Impact: 2 dependent services are not running.  (Use -v for a list.)
"""
DB_BLOCK_LONG = f"""{DB} (the data base)
 State: maintenance {SINCE}
Reason: Its start method exited with status 1, again and again.
   See: http://illumos.org/msg/SMF-8000-KS
   See: man -M /opt/man -s 1 postgres
   See: https://example.org/db
   See: /var/svc/log/site-db:default.log
Impact: 2 dependent services are not running:
        {WEB}
        svc:/site/front:default
"""


@pytest.fixture
def down(local: Local) -> None:
    """The front needs the web, which needs the database and the network; the database fails."""
    instance(
        local, DB, "maintenance", auxiliary_state=["astring", "fault_threshold_reached"],
        start_method_waitstatus=["integer", "256"],
        auxiliary_text=["astring", "Its start method exited with status 1"],
        logfile=["astring", "/var/svc/log/site-db:default.log"],
    )  # fmt: skip
    man = {"title": "postgres", "section": "1", "manpath": "/opt/man"}
    document = {"name": "manual", "uri": "https://example.org/db"}
    template(local, DB, "the data base", tm_man_postgres1=man, tm_doc_manual=document)
    instance(local, NET)
    instance(local, WEB, "offline", needs=[("require_all", DB), ("require_all", NET)])
    instance(local, "svc:/site/front:default", "offline", needs=[("require_all", WEB)])


@pytest.mark.usefixtures("down")
def test_root_causes(run: Run) -> None:
    assert run(COMMAND, "-x") == (0, DB_BLOCK, "")
    assert run(COMMAND, "-xv") == (0, DB_BLOCK_LONG, "")


@pytest.mark.usefixtures("down")
def test_one_that_waits(run: Run) -> None:
    assert run(COMMAND, "-xv", "front") == (0, f"""svc:/site/front:default (?)
 State: offline {SINCE}
Reason: It needs {DB}, which is in maintenance.
   See: http://illumos.org/msg/SMF-8000-GE
  Path: svc:/site/front:default
          {WEB}
            {DB}
Impact: This service is not running.
""", "")  # fmt: skip
    assert "Path" not in run(COMMAND, "-x", "front")[1]
    assert run(COMMAND, "-x", "web")[1].endswith(
        "Impact: 1 dependent service is not running.  (Use -v for a list.)\n"
    )


@pytest.mark.usefixtures("down")
def test_one_that_runs_and_one_that_is_unknown(run: Run) -> None:
    expected = f"{NET} (?)\n State: online {SINCE}\nImpact: None.\n"
    status, out, errors = run(COMMAND, "-x", "net", "nosuch")
    assert (status, out) == (1, expected)
    assert '"nosuch"' in errors


@pytest.mark.usefixtures("down")
def test_blocks_have_a_line_between_them(run: Run) -> None:
    out = run(COMMAND, "-x", "db", "net")[1]
    assert out.split("\n\n")[0] + "\n" == DB_BLOCK
    assert len(out.split("\n\n")) == 2


def test_nothing_to_say(run: Run, local: Local) -> None:
    instance(local, WEB)
    instance(local, DB, "disabled", enabled=False)
    assert run(COMMAND, "-x") == (0, "", "")
    assert run(COMMAND, "-xv") == (0, "", "")


def test_a_restarter_that_is_down(run: Run, local: Local) -> None:
    instance(local, WEB, "uninitialized")
    instance(local, NET, "disabled", enabled=False)
    local.commit([["set", WEB, "general", "restarter", "fmri", [NET]]])
    out = run(COMMAND, "-x", "web")[1]
    assert f"Reason: Its restarter {NET} is disabled.\n" in out
    assert "SMF-8000-5H" in out


def test_where_messages_are(run: Run, local: Local) -> None:
    instance(local, DB, "maintenance")
    instance(local, MASTER)
    base = group("application", base=["astring", "https://example.org/"])
    local.commit([["put", MASTER, "msg", base], ["snapshot", MASTER, "running", ""]])
    assert "   See: https://example.org/SMF-8000-9C\n" in run(COMMAND, "-x")[1]


def test_in_a_zone_that_was_asked(run: Run, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    instance(local, DB, "maintenance")
    monkeypatch.setenv("SMF_ZONE", "web")
    assert f"{DB} (?)\n  Zone: web\n State: maintenance" in run(COMMAND, "-x")[1]
