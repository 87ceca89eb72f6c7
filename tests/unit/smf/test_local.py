# SPDX-License-Identifier: MPL-2.0
"""The in-process client is a client: what it is told is there, it watches, and it refuses."""

import json

import pytest

from smf.errors import Denied, NotFound, Stale
from tests.unit.smf.local import Local

FMRI = "svc:/site/a:default"


def test_what_is_committed_is_read(local: Local) -> None:
    local.commit([
        ["add", FMRI],
        ["group", FMRI, "general", "framework", ""],
        ["set", FMRI, "general", "enabled", "boolean", ["1"]],
        ["snapshot", FMRI, "running", ""],
    ])  # fmt: skip
    assert local.entities() == ["svc:/site/a", FMRI]
    assert local.composed(FMRI)["general"].value("enabled") == "true"
    assert local.composed(FMRI, "running")["general"].value("enabled") == "true"
    assert local.snapshots(FMRI) == ["running"]


def test_a_watcher_hears_of_it(local: Local) -> None:
    watching = local.watch()
    local.commit([["add", FMRI]])
    line = json.loads(watching.recv(4096))
    assert line == {"changed": [["svc:/site/a", ""], [FMRI, ""]]}


def test_errors_are_the_clients(local: Local) -> None:
    with pytest.raises(NotFound):
        local.read(FMRI)
    local.commit([["add", FMRI]])
    with pytest.raises(Stale):
        local.commit([["delete", FMRI]], [(FMRI, "general", 7)])
    local.connection.uid = 12345
    with pytest.raises(Denied):
        local.commit([["delete", FMRI]])
