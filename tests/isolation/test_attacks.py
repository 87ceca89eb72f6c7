# SPDX-License-Identifier: MPL-2.0
"""The attack table, tried from inside zones as their root: of brand joyent, and lx for systemd.

For each attack: in a whole zone it is stopped; with any one of its walls alone it is stopped; in a
zone without them, its control, it works.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.linux import mount
from tests.integration.zone_fixtures import why_not
from tests.isolation import stage
from tests.isolation.stage import Stage, new_stage
from tests.isolation.table import OWN, TABLE, Case

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(bool(stage.why_not()), reason=stage.why_not()),
]

WHOLE: frozenset[str] = frozenset()
HAS_V1 = any(found.fstype == "cgroup" for found in mount.mounts())
ALL = [(case, name) for case in TABLE for name in case.names if HAS_V1 or case.only != "v1"]
# A developer's kernel may lack what an attack needs; a stock one, in the lab, lacks nothing.
STOCK = bool(os.environ.get("HULL_STOCK_KERNEL"))


def absent(case: Case) -> list[str]:
    """What may be seen where the kernel has no such thing."""
    return case.absent.split() if case.rare or not STOCK else []


@pytest.fixture(scope="module")
def a_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    before = host_settings()
    with new_stage(tmp_path_factory.mktemp("attacks")) as made:
        yield made
    assert host_settings() == before


def host_settings() -> dict[str, str]:
    """What attacks aim at."""
    names = ("core_pattern", "hostname", "panic")
    found = {name: (Path("/proc/sys/kernel") / name).read_text() for name in names}
    null = Path("/dev/null").stat()
    return found | {"/dev/null": f"{null.st_uid}:{null.st_gid}:{null.st_mode:o}"}


class Found:
    """What came of every attack, by brand and missing walls: one visit to each zone."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._known: dict[tuple[str, frozenset[str]], dict[str, str]] = {}

    def __call__(self, brand: str, removed: frozenset[str], name: str) -> str:
        removed &= self._stage.walls
        key = brand, removed
        if key not in self._known:
            self._known[key] = self._stage.attack(brand, removed, self._wanted(removed))
        return self._known[key][name]

    def _wanted(self, removed: frozenset[str]) -> list[str]:
        """The attacks that are tried from a zone without these walls."""
        if not removed:
            return [name for _, name in ALL] + [*OWN]
        return [name for case, name in ALL if removed in self.without(case)]

    def without(self, case: Case) -> list[frozenset[str]]:
        """Its control, and then with one of its walls alone."""
        walls = case.wall_names & self._stage.walls
        return [walls, *(walls - {wall} for wall in sorted(walls))]


@pytest.fixture(scope="module")
def found(a_stage: Stage) -> Found:
    return Found(a_stage)


@pytest.fixture(params=["joyent", "lx"])
def brand(request: pytest.FixtureRequest) -> str:
    return str(request.param)


attacks = pytest.mark.parametrize(("case", "name"), ALL, ids=[name for _, name in ALL])


@attacks
def test_it_is_stopped(found: Found, brand: str, case: Case, name: str) -> None:
    seen = found(brand, WHOLE, name)
    assert seen in case.defended.split() + absent(case)


@attacks
def test_each_wall_stops_it(found: Found, brand: str, case: Case, name: str) -> None:
    for removed in found.without(case)[1:]:
        seen = found(brand, removed, name)
        allowed = case.defended.split() + absent(case)
        assert seen in allowed, f"without {', '.join(sorted(removed)) or 'any'}"


@attacks
def test_control_without_its_walls_it_works(
    found: Found, brand: str, case: Case, name: str
) -> None:
    seen = found(brand, case.wall_names, name)
    assert seen in case.works.split() + absent(case)


@pytest.mark.parametrize("name", OWN)
def test_what_is_the_zones_own_works(found: Found, brand: str, name: str) -> None:
    assert found(brand, WHOLE, name) == "done"
