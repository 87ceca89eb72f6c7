# SPDX-License-Identifier: MPL-2.0
"""The picture of all instances, as it is read from a repository."""

import pytest

from smf import view
from smf.fmri import MASTER
from tests.unit.smf.local import Local
from tests.unit.smf.made import NOON, group, instance, template

A, B = "svc:/site/a:default", "svc:/site/b:default"


def test_an_instance(local: Local) -> None:
    instance(local, A, contract=["count", "7"], transient_contract=["count", "8"])
    found = view.read(local).instances[A]
    assert (found.state, found.next_state, found.since) == ("online", "", NOON)
    assert (found.contracts, found.all_contracts) == (("7",), ("7", "8"))
    assert (found.enabled, found.for_good, found.for_now) == (True, True, None)
    assert found.restarter == MASTER


def test_an_instance_without_anything(local: Local) -> None:
    local.commit([["add", A]])
    found = view.read(local).instances[A]
    assert (found.state, found.since, found.contracts, found.enabled) == ("", None, (), None)
    assert not found.is_running


def test_what_runs_is_what_was_refreshed(local: Local) -> None:
    instance(local, A, needs=[("require_all/none", B)])
    local.commit([["set", A, "needs0", "grouping", "astring", ["optional_all"]]])
    found = view.read(local, kinds=("dependency",)).instances[A]
    (dependency,) = view.dependencies(found.running)
    assert (dependency.name, dependency.grouping, dependency.restart_on, dependency.entities) == (
        "needs0", "require_all", "none", (B,),
    )  # fmt: skip
    local.commit([["unsnapshot", A, "running"]])
    found = view.read(local, kinds=("dependency",)).instances[A]
    assert view.dependencies(found.running)[0].grouping == "optional_all"


def test_what_runs_is_composed_and_no_more_than_asked_for(local: Local) -> None:
    service = {**group("dependency", grouping=["astring", "require_any"])}
    local.commit([["add", A], ["put", "svc:/site/a", "below", service]])
    instance(local, A, needs=[("require_all", B)])
    template(local, A, "a")
    found = view.read(local, kinds=("dependency",)).instances[A]
    assert list(found.running) == ["needs0", "below"]
    assert view.read(local).instances[A].running == {}


def test_an_instance_may_have_its_restarter_from_its_service(local: Local) -> None:
    instance(local, A)
    local.commit([["put", "svc:/site/a", "general", group("framework", restarter=["fmri", B])]])
    assert view.read(local).instances[A].restarter == B


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"LANG": "C"}, "name"),
        ({"LANG": "de_DE.UTF-8"}, "Name"),
        ({"LANG": "es_MX.UTF-8"}, "nombre de allí"),
        ({"LANG": "es_ES.UTF-8"}, "nombre"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, "name"),
        ({}, "name"),
    ],
)
def test_a_name_in_ones_language(
    local: Local, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    for variable in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    instance(local, A)
    template(local, A, "name")
    for locale, text in (("de", "Name"), ("es_MX", "nombre de allí"), ("es", "nombre")):
        local.commit([["set", "svc:/site/a", "tm_common_name", locale, "ustring", [text]]])
    assert view.common_name({}) == ""
    local.commit([["snapshot", A, "running", ""]])
    found = view.read(local, groups=("tm_common_name",)).instances[A]
    assert view.common_name(found.running) == name


def test_members(local: Local) -> None:
    for fmri in ("svc:/site/two:a", "svc:/site/two:b"):
        instance(local, fmri)
    found = view.read(local)
    assert [each.fmri for each in found.members("svc:/site/two")] == [
        "svc:/site/two:a", "svc:/site/two:b",
    ]  # fmt: skip
    assert [each.fmri for each in found.members("svc://localhost/site/two:b")] == [
        "svc:/site/two:b"
    ]
    assert found.members("svc:/site/gone") == []
    assert found.services_of("file:///etc") == []
    assert found.services_of("svc:/-") == []
