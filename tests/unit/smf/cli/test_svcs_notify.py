# SPDX-License-Identifier: MPL-2.0
"""svcs -n."""

import pytest

from smf import notify_params
from smf.cli.svcs import COMMAND
from smf.tree import to_wire
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import instance

APP = "svc:/site/app:default"
MAIL = """    Event: {event}
        Notification Type: smtp
            Active: {active}
            reply-to: me@example.org
            to: root
"""


@pytest.fixture
def told(local: Local) -> None:
    for fmri, event, words in (
        (notify_params.GLOBAL, "to-maintenance", ["mailto:root?reply-to=me@example.org"]),
        (APP, "from-online", ["mailto:root?reply-to=me@example.org"]),
    ):
        made = notify_params.change(None, notify_params.parse(words))
        if fmri == APP:
            made = notify_params.change(made, notify_params.parse(["mailto:inactive"]))
        instance(local, fmri)
        local.commit([["put", fmri, event, to_wire(made)], ["snapshot", fmri, "running", ""]])
    instance(local, "svc:/site/other:default")


@pytest.mark.usefixtures("told")
def test_all(run: Run) -> None:
    assert run(COMMAND, "-n") == (0, (
        "Notification parameters for all services:\n"
        + MAIL.format(event="to-maintenance", active="true")
        + f"\n{APP}:\n" + MAIL.format(event="from-online", active="false")
    ), "")  # fmt: skip


@pytest.mark.usefixtures("told")
def test_some(run: Run) -> None:
    mine = f"{APP}:\n" + MAIL.format(event="from-online", active="false")
    assert run(COMMAND, "-n", "app", "other") == (0, mine + "\nsvc:/site/other:default:\n", "")
