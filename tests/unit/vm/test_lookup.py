# SPDX-License-Identifier: MPL-2.0
"""What a table of many VMs costs, counted: clocks lie on a busy machine."""

from dataclasses import replace
from typing import Any

import pytest

from hull.host.host import Host
from hull.model.vm import VM
from hull.vm import lookup, snapshot
from hull.vm.create import create
from tests.unit.vm.world import SEED, World, with_

COUNT = 40
FEW, WHOLE = 25, 100  # looks at one VM: for a table, and for a whole view, at least


class CountingPool:
    """A pool that counts what it is asked."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._real, name)


class CountingVM(VM):
    """A VM that counts how often a property of it is looked at."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        CountingVM.looks += 1
        return super().__getattribute__(name)


@pytest.fixture
def pool(world: World) -> CountingPool:
    return CountingPool(world.pool)


@pytest.fixture
def many(world: World, pool: CountingPool) -> Host:
    """A host with forty VMs that do not run; one of them has a snapshot."""
    uuid = str(create(with_(SEED, autoboot=False), world.host)["uuid"])
    snapshot.create_snapshot(uuid, "one", world.host)
    zone = world.host.index.get(uuid)
    for number in range(1, COUNT):
        other = f"{number:08}-1111-4222-8333-444444444444"
        vm = replace(zone.vm, uuid=other, zonename=other, alias=f"vm{number}")
        world.host.index.put(replace(zone, vm=vm))
    for zone in world.host.index.all():
        members = {name: getattr(zone.vm, name) for name in vars(zone.vm)}
        counting = replace(zone, vm=CountingVM(**members))
        world.host.index._real._zones[zone.uuid] = counting  # type: ignore[attr-defined]  # as it keeps what it read
    pool.asked.clear()
    CountingVM.looks = 0
    return replace(world.host, pool=pool)


def test_a_table_looks_at_what_it_shows(many: Host, pool: CountingPool) -> None:
    found = lookup.table(
        ["uuid", "type", "ram", "state", "alias"], ["state=stopped"], ["ram", "uuid"], many
    )
    assert isinstance(found["rows"], list)
    assert len(found["rows"]) == COUNT
    assert CountingVM.looks < COUNT * FEW
    assert pool.asked == []


def test_a_lookup_looks_at_its_filters(many: Host, pool: CountingPool) -> None:
    assert lookup.lookup(["alias=vm7"], many, fields=("uuid",)) == [
        {"uuid": "00000007-1111-4222-8333-444444444444"}
    ]
    assert CountingVM.looks < COUNT * FEW
    assert pool.asked == []


def test_only_what_is_found_is_looked_at_as_a_whole(many: Host, pool: CountingPool) -> None:
    (vm,) = lookup.lookup(["alias=vm7"], many, whole=True)
    assert len(vm) > 40
    assert CountingVM.looks < COUNT * FEW + 4 * WHOLE
    assert pool.asked.count("snapshots") == 1


def test_all_snapshots_are_one_question(many: Host, pool: CountingPool) -> None:
    found = lookup.lookup([], many, whole=True)
    assert CountingVM.looks > COUNT * WHOLE
    assert pool.asked.count("snapshots") == 1
    names = [one["name"] for vm in found for one in vm["snapshots"]]  # type: ignore[union-attr, index, call-overload]  # a list of objects
    assert names == ["one"]


def test_fields_that_there_are_not_are_left_out(many: Host) -> None:
    (vm,) = lookup.lookup(["alias=vm7"], many, fields=("alias", "nosuch", "type", "ram"))
    assert vm == {"alias": "vm7", "type": "OS", "ram": 256}


def test_a_partial_view_says_what_the_whole_one_says(many: Host) -> None:
    whole = lookup.lookup(["alias=vm7"], many, whole=True)[0]
    for name, value in whole.items():
        assert lookup.lookup(["alias=vm7"], many, fields=(name,)) == [{name: value}], name


# The keys of a zone that was made of nothing but an image (facts: SmartOS's test-defaults).
GET = """
    uuid zonename brand state zone_state autoboot owner_uuid billing_id create_timestamp
    boot_timestamp last_modified cpu_shares zfs_io_priority max_lwps max_msg_ids max_sem_ids
    max_shm_ids max_physical_memory max_locked_memory max_swap max_shm_memory tmpfs dns_domain
    limit_priv quota zfs_root_recsize v hvm firewall_enabled image_uuid zpool zfs_filesystem
    zonepath customer_metadata internal_metadata routes tags nics resolvers snapshots server_uuid
    platform_buildstamp init_restarts pid zoneid zonedid
"""


def test_get_has_exactly_these_keys(world: World) -> None:
    uuid = str(create({"image_uuid": SEED["image_uuid"], "nowait": True}, world.host)["uuid"])
    vm = lookup.get(uuid, world.host)
    assert sorted(vm) == sorted(GET.split())
    assert (vm["limit_priv"], vm["dns_domain"], vm["brand"]) == ("default", "local", "joyent")
    (listed,) = lookup.lookup([], world.host, whole=True)
    assert sorted(listed) == sorted([*GET.split(), "ram", "type"])
