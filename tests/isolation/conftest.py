# SPDX-License-Identifier: MPL-2.0
"""A whole host, shared by the tests that attack it, and the attacks outside of its VMs."""

from collections.abc import Iterator

import pytest

# pytest finds fixtures by their names in here.
from tests.integration.conftest import base_image, debian_image, host
from tests.isolation.vm import Outside, outside_attacks

__all__ = ["base_image", "debian_image", "host"]


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    with outside_attacks() as made:
        yield made
