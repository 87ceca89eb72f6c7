# SPDX-License-Identifier: MPL-2.0
"""What the tests of SMF's commands share."""

import pytest

from tests.unit.smf.cli.run import Run
from tests.unit.smf.local import Local


@pytest.fixture
def run(local: Local, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The commands, over an empty repository."""
    return Run(local, capsys, monkeypatch)
