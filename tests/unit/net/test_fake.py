# SPDX-License-Identifier: MPL-2.0
"""The fake keeps the port's contract."""

from collections.abc import Callable

import pytest

from hull.net.fake import FakeDatalinks
from hull.net.nictag import admin
from tests.datalink_contract import DatalinksContract


class TestFake(DatalinksContract):
    @pytest.fixture
    def host_id(self) -> str:
        return "3fa2"

    @pytest.fixture
    def links(self, host_id: str) -> FakeDatalinks:
        return FakeDatalinks(networks=(admin(host_id),))

    @pytest.fixture
    def netns(self) -> Callable[[], str]:
        return lambda: "/proc/1/ns/net"
