# SPDX-License-Identifier: MPL-2.0
"""The one host of all facts."""

from collections.abc import Iterator

import pytest

from tests.acceptance.population import Population, populated


@pytest.fixture(scope="session")
def population(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Population]:
    with populated(tmp_path_factory.mktemp("facts")) as made:
        yield made
