# SPDX-License-Identifier: MPL-2.0
"""The machine's clock jumps, decades back (a dead battery) and far ahead, while zones work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration import hosts
from tests.torture.invariants import strays
from tests.torture.world import World, install

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]
YEAR = 365 * 86400


@contextmanager
def jumped(seconds: float) -> Iterator[None]:
    """The clock is elsewhere, and then where it would be without."""
    before, since = time.time(), time.monotonic()
    time.clock_settime(time.CLOCK_REALTIME, before + seconds)
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, before + time.monotonic() - since)


def test_all_goes_on_whatever_the_time_is(tmp_path: Path) -> None:
    with hosts.new_host() as host:
        image = install(host, tmp_path, "small")
        old = host.create(image_uuid=image, nics=NICS, max_physical_memory=64)
        for years in (-45, 70):
            with jumped(years * YEAR):
                host("vmadm", "create-snapshot", old, f"at{abs(years)}")
                assert host("vmadm", "stop", old).returncode == 0
                host("vmadm", "start", old)
                new = host.create(image_uuid=image, nics=NICS, max_physical_memory=64)
                assert host.json("vmadm", "get", new)["state"] == "running"
                host.end_hulld()
                host.up()
                assert host("vmadm", "list", "-p", "-o", "state").stdout == "running\nrunning\n"
            host("vmadm", "reboot", new)
            host("vmadm", "delete", new)
        names = [each["name"] for each in host.json("vmadm", "get", old)["snapshots"]]
        assert names == ["at70", "at45"]  # in the order in which they were made
        host("vmadm", "rollback-snapshot", old, "at45")
        assert [each["name"] for each in host.json("vmadm", "get", old)["snapshots"]] == ["at45"]
        host("vmadm", "delete", old)
        host.end_hulld()
        assert World(host, image, image, "", tmp_path).do(strays) == []
