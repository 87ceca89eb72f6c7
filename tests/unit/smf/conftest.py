# SPDX-License-Identifier: MPL-2.0
"""What the unit tests of SMF share."""

from collections.abc import Iterator

import pytest

from tests.unit.smf.local import Local


@pytest.fixture
def local() -> Iterator[Local]:
    """A client of an empty repository of its own."""
    with Local() as client:
        yield client
