# SPDX-License-Identifier: MPL-2.0
"""The fake keeps the contract that it defines."""

from pathlib import Path

import pytest

from hull.storage.fake import FakePool
from hull.storage.pool import Pool
from tests.pool_contract import PoolContract


class TestFakePool(PoolContract):
    @pytest.fixture
    def pool(self, tmp_path: Path) -> Pool:
        mountpoint = tmp_path / "zones"
        mountpoint.mkdir()
        return FakePool("zones", mountpoint)
