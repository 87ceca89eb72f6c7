# SPDX-License-Identifier: MPL-2.0
"""Every driver keeps the Pool port's contract. A new driver is one more line in `_pools`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from hull.storage.fake import FakePool
from hull.storage.pool import Pool
from tests.integration.storage_fixtures import btrfs_pool, classic_pool
from tests.pool_contract import PoolContract

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]
DRIVERS = ("fake", "btrfs", "btrfs-classic-quotas")


def _open(driver: str, directory: Path) -> AbstractContextManager[Pool]:
    match driver:
        case "btrfs":
            return btrfs_pool(directory)
        case "btrfs-classic-quotas":
            return classic_pool(directory)
        case _:
            (directory / "zones").mkdir(parents=True)
            return nullcontext(FakePool("zones", directory / "zones"))


@contextmanager
def _emptied(pool: Pool) -> Iterator[Pool]:
    """One pool serves all tests of a driver; each leaves it empty for the next."""
    try:
        yield pool
    finally:
        # A clone lies after its origin, and holds it: youngest first.
        for dataset in sorted(pool.datasets(usage=False), key=lambda one: -one.created):
            if dataset.name != "zones":
                pool.destroy(dataset.name, recursive=True)


@pytest.fixture(scope="module", params=DRIVERS)
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pool]:
    with _open(request.param, tmp_path_factory.mktemp("pool") / request.param) as pool:
        yield pool


@pytest.fixture
def pool(driver: Pool) -> Iterator[Pool]:
    with _emptied(driver):
        yield driver


class TestConformance(PoolContract):
    """All of the contract, over every driver."""
