# SPDX-License-Identifier: MPL-2.0
"""The seed: what a new repository is a copy of."""

from pathlib import Path

import pytest

from smf import manifest_import
from smf.manifest_seed import make
from smf.seed import plant
from tests.unit.smf.bundles import config, instance
from tests.unit.smf.local import Local
from tests.unit.smf.test_manifest_import import Machine


@pytest.fixture
def machine(local: Local, tmp_path: Path) -> Machine:
    """A platform with a seed in which svc:/site/a and svc:/site/b are; `b` is enabled at first."""
    machine = Machine(local, tmp_path)
    machine.places.seed = str(tmp_path / "seed/nonglobal.db")
    machine.places.first_profile = machine.write(
        "first.xml", instance(enabled="true"), service="b", kind="profile"
    )
    for name in "ab":
        machine.write(f"lib/{name}.xml", instance(enabled="false"), service=name)
    make(machine.places)
    return machine


def planted(machine: Machine, tmp_path: Path) -> Local:
    """A zone's repository, by now."""
    machine.places.etc = str(tmp_path / "zone")
    machine.places.repository = f"{machine.places.etc}/lasting.db"  # as Local has it
    Path(machine.places.etc).mkdir(exist_ok=True)
    plant(machine.places)
    return Local(Path(machine.places.etc))


def test_it_is_what_a_first_boot_would_have_made(machine: Machine, tmp_path: Path) -> None:
    with planted(machine, tmp_path) as zone:
        manifest_import.boot(machine.client, machine.places)
        assert zone.entities() == machine.client.entities()
        mine, theirs = (
            {fmri: {name: group.properties for name, group in groups.items()}
             for fmri, groups in client.dump().items()}
            for client in (zone, machine.client)
        )  # fmt: skip
        assert mine == theirs
        assert mine["svc:/site/b:default"]["general"]["enabled"].values == ("true",)


def test_what_is_newer_than_it_is_imported(machine: Machine, tmp_path: Path) -> None:
    machine.write("lib/a.xml", config(port="22") + instance(enabled="false"), service="a")
    machine.write("lib/c.xml", service="c")
    (tmp_path / "lib/b.xml").unlink()
    with planted(machine, tmp_path) as zone:
        manifest_import.boot(zone, machine.places)
        assert {"svc:/site/a", "svc:/site/c"} < set(zone.entities())
        assert "svc:/site/b" not in zone.entities()
        assert zone.dump(["config"])["svc:/site/a"]["config"].value("port") == "22"


def test_a_repository_that_is_there_stays(machine: Machine, tmp_path: Path) -> None:
    with planted(machine, tmp_path) as zone:
        zone.commit([["delete", "svc:/site/a"]])
    with planted(machine, tmp_path) as zone:
        assert "svc:/site/a" not in zone.entities()


def test_nothing_is_planted_without_one(machine: Machine, tmp_path: Path) -> None:
    Path(machine.places.seed).unlink()
    with planted(machine, tmp_path) as zone:
        assert zone.entities() == []
