# SPDX-License-Identifier: MPL-2.0
"""The services that come with the platform: each file is valid, and together they can come up."""

import os
import re
from pathlib import Path

import pytest

from smf import states
from smf.bundle import MANIFEST, PROFILE
from smf.fmri import service_of
from smf.importer import import_bundle
from smf.manifest import read
from smf.places import LIB
from smf.profile import apply
from smf.tree import Groups, compose, enabled, of_type, value
from tests.unit.smf.local import Local

TOP = Path(LIB)
MANIFESTS = sorted(TOP.glob("manifest*/**/*.xml"))
PROFILES = sorted(TOP.glob("profile/*.xml"))
KINDS = ("native", "global")
METHOD = re.compile(r'"\$SMF_LIB"/method/([a-z-]+)')


def name_of(path: Path) -> str:
    return str(path.relative_to(TOP))


def complain(text: str) -> None:
    pytest.fail(text)


def world(local: Local, kind: str) -> dict[str, Groups]:
    """The instances of a zone or a host after its first boot, composed."""
    for path in MANIFESTS:
        if name_of(path).startswith(("manifest/", f"manifest-{kind}/")):
            import_bundle(local, read(str(path)), complain, str(path))
    apply(local, read(f"{LIB}/profile/{kind}.xml"), complain)
    found = {fmri: local.composed(fmri) for fmri in local.entities() if ":" in fmri[5:]}
    return {fmri: groups for fmri, groups in found.items() if enabled(groups) is not None}


def needs(instance: str, world: dict[str, Groups]) -> set[str]:
    """The instances that an instance waits for."""
    found = set()
    for _, group in of_type(world[instance], "dependency"):
        for entity in group.values("entities"):
            found |= {each for each in world if entity in (each, service_of(each))}
    return found


def test_there_is_something_to_look_at() -> None:
    assert len(MANIFESTS) > 25
    assert len(PROFILES) == 2


@pytest.mark.parametrize("path", [*MANIFESTS, *PROFILES], ids=name_of)
def test_a_file_is_valid(path: Path) -> None:
    bundle = read(str(path))
    assert bundle.kind == (PROFILE if path in PROFILES else MANIFEST)
    assert "SPDX-License-Identifier: MPL-2.0" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_a_service_says_how_it_starts_and_what_it_is(path: Path) -> None:
    for service in read(str(path)).services:
        assert value(service.groups, "tm_common_name", "C")
        for instance in service.instances:
            view = compose(instance.groups, service.groups)
            if service.kind == "restarter":
                continue
            for method in ("start", "stop"):
                assert value(view, method, "exec"), f"{instance.name}: {method}"
            if value(view, "startd", "duration") == "transient":
                assert value(view, "stop", "exec") != ":kill"


@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_its_methods_are_there(path: Path) -> None:
    for name in METHOD.findall(path.read_text(encoding="utf-8")):
        assert os.access(TOP / "method" / name, os.X_OK), name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_needed_is_there(local: Local, kind: str) -> None:
    found = world(local, kind)
    for instance, groups in found.items():
        for name, group in of_type(groups, "dependency"):
            for entity in group.values("entities"):
                there = [each for each in found if entity in (each, service_of(each))]
                optional = group.value("grouping") == states.OPTIONAL_ALL
                assert there or optional, f"{instance}: {name}: {entity}"


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_enabled_comes_up(local: Local, kind: str) -> None:
    """As long as something whose needs are up can start; what is left is in a circle."""
    found = world(local, kind)
    wanted = {fmri for fmri, groups in found.items() if enabled(groups)}
    up: set[str] = set()
    while ready := {each for each in wanted - up if needs(each, found) & wanted <= up}:
        up |= ready
    assert wanted == up


@pytest.mark.parametrize(
    ("kind", "running", "idle"),
    [
        (
            "native",
            ["network/ssh:default", "smartdc/mdata:fetch", "smartdc/mdata:execute",
             "system/cron:default", "milestone/multi-user-server:default"],
            ["system/fm/smtp-notify:default"],
        ),
        (
            "global",
            ["hull/hulld:default", "system/fm/smtp-notify:default", "milestone/multi-user:default"],
            ["hull/imgapid:default"],
        ),
    ],
)  # fmt: skip
def test_what_runs_where(local: Local, kind: str, running: list[str], idle: list[str]) -> None:
    found = world(local, kind)
    assert [each for each in running if not enabled(found[f"svc:/{each}"])] == []
    assert [each for each in idle if enabled(found[f"svc:/{each}"])] == []


def test_a_host_does_not_see_what_is_a_zones(local: Local) -> None:
    found = world(local, "global")
    assert not {"svc:/network/ssh:default", "svc:/smartdc/mdata:execute"} & found.keys()


def test_methods_have_the_statuses_that_startd_knows() -> None:
    text = (TOP / "share/smf_include.sh").read_text(encoding="utf-8")
    found = {
        name: int(number) for name, number in re.findall(r"^SMF_(EXIT_\w+)=(\d+)$", text, re.M)
    }
    known = {name: each for name, each in vars(states).items() if name.startswith("EXIT_")}
    assert found == known


def test_our_shell_and_launchers_say_their_licence() -> None:
    for path in (TOP / "method").iterdir():
        first, second = path.read_text(encoding="utf-8").splitlines()[:2]
        assert first in ("#!/bin/sh", "#!/usr/bin/python3 -IS")
        assert second == "# SPDX-License-Identifier: MPL-2.0"
