# SPDX-License-Identifier: MPL-2.0
"""svccfg editprop: what becomes of what an editor has written."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smf.cli.svccfg import batch
from smf.cli.svccfg_session import Session
from smf.errors import SmfError
from smf.places import Places
from smf.tree import value
from tests.unit.smf.local import Local

A = "svc:/site/a:default"


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Have the editor replace what it is given."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def writes(text: str) -> None:
        monkeypatch.setattr("smf.cli.svccfg_env._edit", lambda path: Path(path).write_text(text))

    return writes


def test_what_was_edited_is_done(
    local: Local, editor: Callable[[str], None], tmp_path: Path
) -> None:
    local.commit([["add", A], ["group", A, "a", "application", ""]])
    session = Session(local, Places("/nonexistent"))
    session.fmri = A
    editor("setprop a/n = count: 1\n# setprop a/n = count: 2\n")
    batch(session, "editprop")
    assert value(local.attached(A), "a", "n") == "1"
    assert list(tmp_path.iterdir()) == []


def test_an_edit_that_cannot_be_done_is_kept(
    local: Local, editor: Callable[[str], None], tmp_path: Path
) -> None:
    local.commit([["add", A], ["group", A, "a", "application", ""]])
    session = Session(local, Places("/nonexistent"))
    session.fmri = A
    text = "setprop a/n = count: 1\nsetprop a/m = count: many\nsetprop a/l = count: 3\n"
    editor(text)
    with pytest.raises(SmfError, match=r'^line 2: a/m: "many" is no count') as caught:
        batch(session, "editprop")
    (kept,) = tmp_path.iterdir()
    assert f"svccfg -s {A} -f {kept}" in str(caught.value)
    assert kept.read_text() == text
    assert list(local.attached(A)["a"].properties) == ["n"]


def test_a_file_that_the_editor_has_removed(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    local.commit([["add", A]])
    session = Session(local, Places("/nonexistent"))
    session.fmri = A
    monkeypatch.setattr("smf.cli.svccfg_env._edit", lambda path: Path(path).unlink())
    with pytest.raises(SmfError, match="No such file or directory; nothing has changed"):
        batch(session, "editprop")
