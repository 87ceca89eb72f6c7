# SPDX-License-Identifier: MPL-2.0
"""The world of the use cases' tests."""

from pathlib import Path

import pytest

from tests.unit.vm.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
