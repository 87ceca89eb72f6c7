# SPDX-License-Identifier: MPL-2.0
"""svcs --graph, without Graphviz; with it in tests/integration/test_smf_svcs.py."""

from pathlib import Path

import pytest

from smf.cli import svcs_graph
from smf.cli.svcs import COMMAND
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import instance


@pytest.fixture(autouse=True)
def services(local: Local) -> None:
    instance(local, "svc:/site/a:default")
    instance(local, "svc:/site/b:default", "disabled", enabled=False)


def test_dot(run: Run, tmp_path: Path) -> None:
    status, out, _ = run(COMMAND, "--graph", "-")
    assert status == 0
    assert out.startswith("digraph smf {")
    assert "svc:/site/b" not in out
    path = tmp_path / "all.dot"
    assert run(COMMAND, "-a", "--graph", str(path)) == (0, "", "")
    assert "svc:/site/b" in path.read_text()
    assert run(COMMAND, "--graph", "-", "b", "nosuch")[0] == 1


def test_what_cannot_be_written(run: Run, tmp_path: Path) -> None:
    status, _, errors = run(COMMAND, "--graph", f"{tmp_path}/no/such.dot")
    assert (status, "no/such.dot: No such file" in errors) == (1, True)


def test_without_graphviz(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svcs_graph, "GRAPHVIZ", "/nonexistent/dot")
    status, _, errors = run(COMMAND, "--graph", f"{tmp_path}/all.svg")
    assert status == 1
    assert "install the package graphviz" in errors
    assert not list(tmp_path.glob("*.svg*"))
