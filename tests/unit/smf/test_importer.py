# SPDX-License-Identifier: MPL-2.0
"""Import: what is made, what is merged, and what an import never touches."""

import pytest

from smf.bundle import Bundle
from smf.errors import NotFound, SmfError, Stale
from smf.importer import file_key, last_import
from tests.unit.smf.bundles import (
    XI,
    Importer,
    X,
    bundle,
    config,
    dependent,
    instance,
    load,
)
from tests.unit.smf.local import Local

B, BI = "svc:/site/b", "svc:/site/b:default"


@pytest.fixture
def do(local: Local) -> Importer:
    return Importer(local)


# -- what is new -----------------------------------------------------------------------------------
def test_a_new_service(do: Importer) -> None:
    do(config(foo="1") + instance(config(bar="2")))
    assert do.told == []
    assert do.changed == [XI]
    assert do.client.entities() == [X, XI]
    assert do.values(X, "config") == {"foo": ("1",)}
    assert do.values(XI, "config") == {"bar": ("2",)}
    assert do.values(XI, "general") == {"enabled": ("true",)}
    assert do.client.snapshots(XI) == ["initial", "last-import", "running"]
    assert do.client.composed(XI, "running")["config"].value("foo") == "1"
    assert not do.refreshed(XI)  # it starts by itself


def test_all_of_a_file_is_one_commit(do: Importer) -> None:
    before = do.client.store.generation  # type: ignore[attr-defined]  # Local's
    commits: list[int] = []
    commit = do.client.commit

    def counted(
        operations: list[list[object]], expected: list[tuple[str, str, int]] | None = None
    ) -> None:
        commits.append(len(operations))
        commit(operations, expected)

    do.client.commit = counted  # type: ignore[method-assign]  # to count
    do(load("all.xml"))
    assert len(commits) == 1
    assert do.client.store.generation > before  # type: ignore[attr-defined]  # Local's


def test_a_refused_commit_has_changed_nothing(do: Importer) -> None:
    do.client.connection.uid = 1000  # type: ignore[attr-defined]  # Local's
    with pytest.raises(SmfError, match="only root"):
        do(load("all.xml"))
    assert do.client.entities() == []


def test_a_profile_is_not_imported(do: Importer) -> None:
    with pytest.raises(SmfError, match="`svccfg apply` it"):
        do(load("profile.xml"))


def test_a_second_instance_of_a_service_that_is_there(do: Importer) -> None:
    do(config(foo="1") + instance())
    do(config(foo="1") + instance() + instance(name="other", enabled="false"))
    assert do.changed == ["svc:/site/x:other"]
    assert do.told == []


# -- the merge -------------------------------------------------------------------------------------
def test_as_the_acceptance_test_has_it(do: Importer) -> None:
    do(config(foo="1") + instance())
    do.set(X, "config", "foo", "2")
    do(config(foo="3", bar="new") + instance(enabled="false"))
    assert do.values(X, "config") == {"foo": ("2",), "bar": ("new",)}
    assert do.values(XI, "general") == {"enabled": ("true",)}
    assert do.told == [f'{X}: config/foo was changed here: it stays "2", not "3"']
    do(config("override='true'", foo="3", bar="new") + instance())
    assert do.values(X, "config") == {"foo": ("3",), "bar": ("new",)}
    assert do.told == []


def test_what_was_kept_is_kept_the_next_time_without_a_word(do: Importer) -> None:
    """last-import is what the manifest said, not what became of it."""
    do(config(foo="1") + instance())
    do.set(X, "config", "foo", "2")
    do(config(foo="3") + instance())
    do(config(foo="3") + instance())
    assert do.values(X, "config") == {"foo": ("2",)}
    assert do.told == []
    assert do.changed == []


def test_the_same_manifest_again_writes_nothing(do: Importer) -> None:
    do(load("shell.xml"))
    before = do.client.store.generation  # type: ignore[attr-defined]  # Local's
    do(load("shell.xml"))
    assert do.changed == []
    assert do.client.store.generation == before  # type: ignore[attr-defined]  # Local's


def test_a_change_refreshes_and_has_snapshots(do: Importer) -> None:
    do(config(foo="1") + instance() + instance(name="b"))
    do(config(foo="2") + instance() + instance(name="b"))
    assert do.changed == [XI, "svc:/site/x:b"]
    assert do.client.composed(XI, "previous")["config"].value("foo") == "1"
    assert do.client.composed(XI, "running")["config"].value("foo") == "2"
    assert do.client.composed(XI, "initial")["config"].value("foo") == "1"
    assert do.refreshed(XI)


def test_only_what_has_changed_is_refreshed(do: Importer) -> None:
    do(instance(config(foo="1")) + instance(config(foo="1"), name="b"))
    do(instance(config(foo="1")) + instance(config(foo="2"), name="b"))
    assert do.changed == ["svc:/site/x:b"]
    assert not do.refreshed(XI)


def test_enabled_and_restarter_of_what_is_there_are_never_changed(do: Importer) -> None:
    restarter = "<restarter><service_fmri value='svc:/site/r:default'/></restarter>"
    do(instance(enabled="false"))
    do(instance(restarter, enabled="true"))
    assert do.values(XI, "general") == {"enabled": ("false",)}
    assert do.told == []
    do.set(XI, "general", "restarter", "svc:/site/other:default", "fmri")
    do(instance(restarter.replace("/r:", "/s:"), enabled="true"))
    assert do.values(XI, "general")["restarter"] == ("svc:/site/other:default",)


def test_an_instance_that_nobody_has_enabled_takes_the_manifests_word(do: Importer) -> None:
    do.client.commit([["add", XI]])
    do(instance(enabled="true"))
    assert do.values(XI, "general") == {"enabled": ("true",)}


def test_the_rest_of_general_is_merged(do: Importer) -> None:
    do(instance() + "<stability value='Stable'/>")
    do(instance() + "<stability value='Evolving'/>")
    assert do.values(X, "general") == {"entity_stability": ("Evolving",)}


def test_what_the_manifest_does_not_have_any_more_goes(do: Importer) -> None:
    do(config(foo="1", bar="1") + instance())
    do.set(X, "config", "own", "1", "astring")
    do(instance())
    assert do.values(X, "config") == {"own": ("1",)}
    do(config(foo="1") + instance())
    do.client.commit([["unset", X, "config", "own"]])
    do(instance())
    assert "config" not in do.client.attached(X)


def test_what_was_changed_here_stays_though_it_is_gone_there(do: Importer) -> None:
    do(config(foo="1") + instance())
    do.set(X, "config", "foo", "2")
    do(instance())
    assert do.values(X, "config") == {"foo": ("2",)}
    assert do.told == [f'{X}: config/foo was changed here: it stays "2", not without it']


def test_what_was_deleted_here_stays_deleted(do: Importer) -> None:
    do(config(foo="1") + instance())
    do.client.commit([["ungroup", X, "config"]])
    do(config(foo="1") + instance())
    assert do.values(X, "config") == {}
    do(config(foo="1", bar="2") + instance())
    assert do.values(X, "config") == {"bar": ("2",)}


def test_delete_takes_it_away_whatever_it_is_here(do: Importer) -> None:
    do(config(foo="1") + instance())
    do.set(X, "config", "foo", "2")
    do("<property_group name='config' type='application' delete='true'/>" + instance())
    assert "config" not in do.client.attached(X)


def test_a_group_whose_type_differs_stays(do: Importer) -> None:
    do(instance())
    do.client.commit([["group", X, "config", "framework", ""]])
    do(config(foo="1") + instance())
    assert do.client.attached(X)["config"].kind == "framework"
    assert do.told == [f"{X}: property group config stays of type framework, not application"]


def test_a_group_that_ends_with_the_run_is_not_the_manifests(do: Importer) -> None:
    do(instance())
    do.client.commit([["group", X, "config", "application", "P"]])
    do(config(foo="1") + instance())
    assert do.told == [f"{X}: property group config is not the manifest's; kept"]


def test_files_that_say_different_things_of_a_service_leave_each_others_alone(do: Importer) -> None:
    do(config(a="1") + instance())
    do("<property_group name='more' type='application'/>" + instance(name="b"))
    assert do.values(X, "config") == {"a": ("1",)}
    do(config(a="2") + instance())
    assert do.values(X, "config") == {"a": ("2",)}
    assert "more" in do.client.attached(X)


def test_what_was_made_by_hand_is_kept_and_told(do: Importer) -> None:
    do.client.commit([["add", XI], ["group", X, "config", "application", ""]])
    do.set(X, "config", "foo", "mine", "astring")
    do(config(foo="1", bar="2") + instance())
    assert do.values(X, "config") == {"foo": ("mine",), "bar": ("2",)}
    assert len(do.told) == 1


def test_messages_are_fit_for_a_terminal(do: Importer) -> None:
    do(config(foo="1") + instance())
    do.set(X, "config", "foo", "\x1b[31m")
    do(config(foo="3") + instance())
    assert do.told == [f'{X}: config/foo was changed here: it stays "?[31m", not "3"']


def test_somebody_in_between_is_not_overwritten(
    do: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(config(foo="1") + instance())
    commit = do.client.commit
    once = [True]

    def intrude(
        operations: list[list[object]], expected: list[tuple[str, str, int]] | None = None
    ) -> None:
        if once.pop() if once else False:
            commit([["set", X, "config", "foo", "", ["9"]]])
        commit(operations, expected)

    monkeypatch.setattr(do.client, "commit", intrude)
    do(config(foo="2") + instance())
    assert do.values(X, "config") == {"foo": ("9",)}
    assert len(do.told) == 1

    def always(*_: object) -> None:
        raise Stale("again")

    monkeypatch.setattr(do.client, "commit", always)
    with pytest.raises(Stale, match="all the time"):
        do(config(foo="3") + instance())


# -- dependents ------------------------------------------------------------------------------------
def test_a_dependent_of_a_service_that_is_there(do: Importer) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance())
    assert do.changed == [BI, XI]
    assert do.refreshed(BI)
    group = do.client.attached(B)["x_b"]
    assert group.kind == "dependency"
    assert (group.value("entities"), group.value("external")) == (X, "true")
    assert do.client.composed(BI, "running")["x_b"].value("entities") == X
    assert do.values(X, "dependents") == {"x_b": (B,)}


def test_a_dependent_waits_for_a_service_to_come(do: Importer) -> None:
    do(dependent() + instance(dependent("i_b", BI)))
    assert do.client.entities() == [X, XI]
    assert do.told == []
    do(instance(), service="site/b")
    assert do.client.attached(B)["x_b"].value("entities") == X
    assert do.client.attached(BI)["i_b"].value("entities") == XI
    assert do.client.composed(BI, "running")["x_b"].value("entities") == X


def test_a_dependent_in_the_same_file(do: Importer) -> None:
    first, second = bundle(dependent() + instance()), bundle(instance(), service="site/b")
    both = Bundle("manifest", "both")
    both.services = [*first.services, *second.services]
    do(both)
    assert do.client.attached(B)["x_b"].value("external") == "true"


def test_nobody_could_make_the_dependency_later(do: Importer) -> None:
    do(dependent())
    assert do.told == [f"{B} is not there: {X} cannot be its dependency"]


def test_its_own_service_leaves_a_dependent_alone(do: Importer) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance())
    do(config(foo="1") + instance(), service="site/b")
    assert "x_b" in do.client.attached(B)
    assert do.told == []


def test_a_newer_manifest_changes_moves_and_undoes_a_dependent(do: Importer) -> None:
    do(instance(), service="site/b")
    do(instance(), service="site/c")
    do(dependent() + instance())
    do(dependent(restart_on="restart") + instance())
    assert do.client.attached(B)["x_b"].value("restart_on") == "restart"
    do(dependent(target="svc:/site/c") + instance())
    assert "x_b" not in do.client.attached(B)
    assert "x_b" in do.client.attached("svc:/site/c")
    assert do.changed == [BI, "svc:/site/c:default"]
    do(instance())
    assert "x_b" not in do.client.attached("svc:/site/c")
    assert "dependents" not in do.client.attached(X)


def test_a_dependent_that_was_changed_or_deleted_here_stays_so(do: Importer) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance())
    do.set(B, "x_b", "restart_on", "error")
    do(dependent() + instance())
    assert do.told == []
    do(dependent(restart_on="restart") + instance())
    assert do.client.attached(B)["x_b"].value("restart_on") == "error"
    assert do.told == [f"{X}: dependent x_b was changed here; it stays so"]
    do.client.commit([["ungroup", B, "x_b"]])
    do(dependent(restart_on="restart") + instance())
    assert "x_b" not in do.client.attached(B)
    do(dependent(restart_on="restart", rest="override='true'") + instance())
    assert do.client.attached(B)["x_b"].value("restart_on") == "restart"
    do(dependent(rest="delete='true'") + instance())
    assert "x_b" not in do.client.attached(B)


def test_a_dependency_of_the_same_name_is_not_overwritten(do: Importer) -> None:
    own = (
        "<dependency name='x_b' grouping='require_all' restart_on='none' type='service'>"
        "<service_fmri value='svc:/site/d'/></dependency>"
    )
    do(own + instance(), service="site/b")
    do(dependent() + instance())
    assert do.told == [f"{B} has another x_b: {X} is no dependency of it"]
    assert do.client.attached(B)["x_b"].value("entities") == "svc:/site/d"
    do(instance())
    assert "x_b" in do.client.attached(B)


def test_a_dependency_does_not_overwrite_a_dependent(do: Importer) -> None:
    do(dependent() + instance())
    do(instance(), service="site/b")
    own = (
        "<dependency name='x_b' grouping='require_all' restart_on='none' type='service'>"
        "<service_fmri value='svc:/site/d'/></dependency>"
    )
    do(own + instance(), service="site/b")
    assert do.told == [f"{B}: property group x_b is not the manifest's; kept"]
    assert do.client.attached(B)["x_b"].value("entities") == X


# -- files -----------------------------------------------------------------------------------------
def test_a_service_knows_its_files(do: Importer) -> None:
    do(instance(), "/var/svc/manifest/site/x.xml")
    assert do.values(X, "manifestfiles") == {
        "var_svc_manifest_site_x_xml": ("/var/svc/manifest/site/x.xml",)
    }
    do(instance(), "/opt/custom/smf/x.xml")
    assert len(do.values(X, "manifestfiles")) == 2
    assert do.changed == []


def test_a_path_as_a_name() -> None:
    assert file_key("/lib/svc/manifest/network/a b.xml") == "lib_svc_manifest_network_a_b_xml"
    long = "/a" * 100 + ".xml"
    assert len(file_key(long)) < 119
    assert file_key(long) != file_key("/b" + long)


def test_what_the_last_import_said(do: Importer) -> None:
    do(instance(dependent("i_b")) + dependent())
    levels = last_import(do.client, XI)
    assert levels["instance_dependents"]["i_b"].value("entities") == XI
    assert levels["service_dependents"]["x_b"].value("entities") == X
    assert last_import(do.client, B) == {}


def test_a_recorded_snapshot_is_checked(local: Local) -> None:
    with pytest.raises(NotFound):
        local.commit([["record", XI, "last-import", {}]])
    local.commit([["add", XI]])
    with pytest.raises(SmfError):
        local.commit([["record", XI, "last-import", {"instance": {"general": 1}}]])
