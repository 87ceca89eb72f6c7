# SPDX-License-Identifier: MPL-2.0
"""Hosts that many tests share: making one takes seconds."""

from collections.abc import Iterator

import pytest

from tests.integration import hosts
from tests.integration.hosts import TestHost


@pytest.fixture(scope="session")
def host() -> Iterator[TestHost]:
    """A host with both images; tests leave no VM on it."""
    with hosts.new_host() as made:
        hosts.install_image(made, "base-64")
        hosts.install_image(made, "debian-13")
        yield made


@pytest.fixture
def clean_host(host: TestHost) -> Iterator[TestHost]:
    """The shared host; whatever VM a test leaves is deleted."""
    yield host
    for uuid in host("vmadm", "lookup").stdout.split():
        host("vmadm", "delete", uuid, check=False)


@pytest.fixture(scope="session")
def base_image(host: TestHost) -> str:
    del host
    return hosts.image("base-64")[2]


@pytest.fixture(scope="session")
def debian_image(host: TestHost) -> str:
    del host
    return hosts.image("debian-13")[2]
