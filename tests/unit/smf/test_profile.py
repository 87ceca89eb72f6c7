# SPDX-License-Identifier: MPL-2.0
"""Profiles: applied over what is there; extracted of it."""

import pytest

from smf import manifest, profile
from smf.errors import SmfError
from tests.unit.smf.bundles import XI, Importer, X, bundle, config, dependent, instance, load
from tests.unit.smf.local import Local


class Applier(Importer):
    """Applies, too."""

    def apply(self, body: str, *, dry_run: bool = False) -> None:
        self.told = []
        found = bundle(body, kind="profile")
        self.changed = profile.apply(self.client, found, self.told.append, dry_run=dry_run)


@pytest.fixture
def do(local: Local) -> Applier:
    return Applier(local)


def test_a_profile_overwrites(do: Applier) -> None:
    do(config(foo="1", kept="1") + instance(enabled="false"))
    do.set(X, "config", "foo", "mine")
    do.apply(config(foo="2", new="3") + instance(config(deep="4"), enabled="true"))
    assert do.values(X, "config") == {"foo": ("2",), "kept": ("1",), "new": ("3",)}
    assert do.values(XI, "config") == {"deep": ("4",)}
    assert do.values(XI, "general") == {"enabled": ("true",)}
    assert do.changed == [XI]
    assert do.told == []
    assert do.refreshed(XI)
    assert do.client.composed(XI, "running")["config"].value("foo") == "2"


def test_whether_it_is_enabled_waits_for_no_refresh(do: Applier) -> None:
    do(instance(enabled="false"))
    do.apply(instance(enabled="true"))
    assert do.changed == [XI]
    assert not do.refreshed(XI)


def test_what_is_not_there_is_passed_over(do: Applier) -> None:
    for name in ("web.xml", "metadata.xml"):
        do(load(name))
    do.client.commit([])
    changed = profile.apply(do.client, load("profile.xml"), do.told.append)
    assert changed == ["svc:/pkg/web:default", "svc:/site/metadata:execute"]
    assert do.told == []
    assert "svc:/site/absent" not in do.client.entities()
    assert "svc:/site/metadata:absent" not in do.client.entities()
    workers = do.client.attached("svc:/pkg/web")["application"].properties["workers"]
    assert (workers.kind, workers.values) == ("integer", ("16",))  # a type may change


def test_a_groups_type_does_not_change(do: Applier) -> None:
    do(instance())
    do.client.commit([["group", X, "config", "framework", ""]])
    do.apply(config(foo="1") + instance(enabled="false"))
    assert do.told == [
        f"{X}: property group config stays of type framework, not application: nothing in it is set"
    ]
    assert do.values(X, "config") == {}
    assert do.values(XI, "general") == {"enabled": ("false",)}


def test_a_dry_run_only_tells(do: Applier) -> None:
    do(config(foo="1") + instance(enabled="false"))
    do.apply(config(foo="2") + instance(enabled="true"), dry_run=True)
    assert do.told == [
        f"{X}: config/foo = astring: 2",
        f"{XI}: general/enabled = boolean: true",
    ]
    assert do.changed == [XI]
    assert do.values(X, "config") == {"foo": ("1",)}


def test_what_is_so_already_changes_nothing(do: Applier) -> None:
    do(config(foo="1") + instance())
    do.apply(config(foo="1") + instance())
    assert do.changed == []
    assert not do.refreshed(XI)


def test_groups_and_dependents_are_deleted_and_made(do: Applier) -> None:
    do(config(foo="1") + instance())
    do(instance(), service="site/b")
    do.apply(dependent(rest="delete='true'") + instance())
    assert do.changed == []
    do.apply(dependent() + instance())
    assert do.client.attached("svc:/site/b")["x_b"].value("entities") == X
    delete = "<property_group name='config' type='application' delete='true'/>"
    do.apply(dependent(rest="delete='true'") + delete + instance(), dry_run=True)
    assert do.told == [
        f"{X}: property group config is deleted",
        f"{X}: dependent x_b is deleted",
    ]
    do.apply(dependent(rest="delete='true'") + delete + instance())
    assert "config" not in do.client.attached(X)
    assert "x_b" not in do.client.attached("svc:/site/b")
    assert do.values(X, "dependents") == {}
    do.apply(dependent(rest="delete='true'") + delete + instance())
    assert do.changed == []


def test_a_dependent_of_what_is_not_there_is_deleted(do: Applier) -> None:
    do(dependent() + instance())
    do.apply(dependent(rest="delete='true'") + instance())
    assert do.values(X, "dependents") == {}


def test_a_dependency_of_the_same_name_is_not_overwritten(do: Applier) -> None:
    do(config(foo="1") + instance(), service="site/b")
    do(instance())
    do.apply(dependent("config") + instance())
    assert do.told == ["svc:/site/b has another config: svc:/site/x is no dependency of it"]


def test_a_manifest_is_not_applied(do: Applier) -> None:
    with pytest.raises(SmfError, match="`svccfg import` it"):
        profile.apply(do.client, load("web.xml"), do.told.append)


def test_extract(do: Applier) -> None:
    do(instance(enabled="false") + instance(name="b"))
    do.client.commit([["add", "svc:/site/incomplete:default"]])
    text = profile.extract(do.client)
    found = manifest.parse(text.encode(), "extract", strict=True)
    assert found.kind == "profile"
    assert found.inventory() == ["svc:/site/x:b", XI, X]
    do.set(XI, "general", "enabled", "true")
    profile.apply(do.client, found, do.told.append)
    assert do.values(XI, "general") == {"enabled": ("false",)}
    assert profile.extract(do.client) == text
