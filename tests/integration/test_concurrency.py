# SPDX-License-Identifier: MPL-2.0
"""Many at once: 50 creates, 8 at a time, while others list, update and delete."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

COUNT, AT_ONCE = 50, 8
COLUMNS = "uuid,alias,state,ram"
STATES = {"incomplete", "provisioning", "running", "stopped", "shutting_down", "ready"}


@contextmanager
def meanwhile(*works: Callable[[], None]) -> Iterator[None]:
    """Each over and over, in a thread of its own; what one raises is raised in the end."""
    over = threading.Event()

    def again(work: Callable[[], None]) -> int:
        times = 0
        while not over.is_set():
            work()
            times += 1
        return times

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(again, work) for work in works]
        try:
            yield
        finally:
            over.set()
        assert all(each.result() > 3 for each in running)


def life(host: TestHost, image: str, number: int) -> str:
    """Create a VM and change it; delete every second one. The uuid of one that stays, else ""."""
    uuid = host.create(
        alias=f"vm{number}", image_uuid=image, max_physical_memory=64 + number,
        nics=[{"nic_tag": "admin", "ip": "dhcp"}],
    )  # fmt: skip
    host("vmadm", "update", uuid, stdin=json.dumps({"set_tags": {"n": number}, "quota": 3}))
    assert host("zlogin", uuid, "cat /etc/hostname").stdout.strip() == uuid
    if number % 2:
        return uuid
    host("vmadm", "delete", uuid)
    assert host("vmadm", "get", uuid, check=False).returncode == 1
    return ""


def lists(host: TestHost) -> None:
    lines = host("vmadm", "list", "-p", "-o", COLUMNS).stdout.splitlines()
    rows = [line.split(":") for line in lines]
    assert all(len(row) == 4 for row in rows)
    assert max(Counter(row[0] for row in rows).values(), default=1) == 1
    assert {row[2] for row in rows} <= STATES
    # A VM is made as a whole: its RAM goes with its alias, always.
    assert all(int(row[3]) == 64 + int(row[1].removeprefix("vm")) for row in rows)


def looks(host: TestHost) -> None:
    for view in host.json("vmadm", "lookup", "-j", "alias=~^vm"):
        assert view["tags"] in ({}, {"n": int(view["alias"].removeprefix("vm"))})
        assert (view["quota"] == 3) == bool(view["tags"])


def test_fifty_at_once(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    links = link_names(host)
    with (
        meanwhile(lambda: lists(host), lambda: looks(host)),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        left = {
            uuid for uuid in pool.map(lambda n: life(host, base_image, n), range(COUNT)) if uuid
        }

    views = {view["uuid"]: view for view in host.json("vmadm", "lookup", "-j")}
    assert views.keys() == left
    assert sorted(view["tags"]["n"] for view in views.values()) == list(range(1, COUNT, 2))
    assert len({view["zoneid"] for view in views.values()}) == COUNT // 2
    addresses = {address_of(host, uuid) for uuid in left}
    assert len(addresses) == COUNT // 2
    for address in addresses:
        assert host.in_netns("ping", "-c1", "-W2", address).returncode == 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda uuid: host("vmadm", "delete", uuid), left))
    assert link_names(host) == links
    assert traces(host, left) == []


def address_of(host: TestHost, uuid: str) -> str:
    return host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3].partition("/")[0]


def link_names(host: TestHost) -> set[str]:
    return {line.split()[0] for line in host.in_netns("ip", "-br", "link").stdout.splitlines()}


def traces(host: TestHost, uuids: set[str]) -> list[str]:
    """What is left of VMs anywhere on the machine."""
    places = [host.root / place for place in ("zones", "etc/zones", "run/hull/zones")]
    places += Path("/sys/fs/cgroup").glob("**/hull-*")
    return [
        str(path)
        for place in places
        for path in place.iterdir()
        if path.name.split(".")[0] in uuids
    ]
