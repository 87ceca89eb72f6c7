# SPDX-License-Identifier: MPL-2.0
"""The world that most tests share: each has services of its own names in it."""

from collections.abc import Iterator

import pytest

from tests.smf.world import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with World() as made:
        yield made
        assert not made.said(), "svc.init prints nothing when all is well"


@pytest.fixture
def own() -> Iterator[World]:
    """A world that a test may kill parts of."""
    with World() as made:
        yield made
