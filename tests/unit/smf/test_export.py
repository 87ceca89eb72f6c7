# SPDX-License-Identifier: MPL-2.0
"""Export: what is written says the same again, whatever the repository has."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smf import manifest, profile
from smf.errors import NotFound, SmfError
from smf.export import archive, export
from smf.importer import import_bundle
from smf.tree import Group, Property, to_wire
from smf.values import TYPES
from tests.unit.smf.bundles import DATA, XI, Importer, X, config, dependent, instance, lasting, load
from tests.unit.smf.local import Local

FILES = sorted(path.name for path in DATA.glob("*.xml") if path.name != "profile.xml")
B = "svc:/site/b"


@pytest.fixture
def do(local: Local) -> Importer:
    return Importer(local)


def copied(text: str) -> dict[str, object]:
    """What an empty repository has after the import of an export, entity by entity."""
    with Local() as other:
        import_bundle(other, manifest.parse(text.encode(), "export", strict=True), print)
        return {fmri: lasting(groups) for fmri, groups in other.dump().items()}


def contents(client: Local) -> dict[str, object]:
    return {fmri: lasting(groups) for fmri, groups in client.dump().items()}


@pytest.mark.parametrize("name", FILES)
def test_a_manifest_comes_back_as_it_was(local: Local, name: str) -> None:
    Importer(local)(load(name))
    text = archive(local, everything=True)
    assert copied(text) == contents(local)
    assert "<property_group name='tm_" not in text


@pytest.mark.parametrize("name", [name for name in FILES if name != "all.xml"])
def test_every_element_is_used(local: Local, name: str) -> None:
    """What is a <property_group> now was one before."""
    Importer(local)(load(name))
    text = archive(local, everything=True)
    groups = (DATA / name).read_text().count("<property_group")
    assert text.count("<property_group") == groups


def test_an_export_looks_like_this(do: Importer) -> None:
    do(config(a="1 &amp; 2") + instance(config(b=""), enabled="false") + "<single_instance/>")
    assert export(do.client, X).splitlines()[2:] == [
        "<service_bundle type='manifest' name='export'>",
        "  <service name='site/x' type='service' version='0'>",
        "    <single_instance/>",
        "    <property_group name='config' type='application'>",
        "      <propval name='a' type='astring' value='1 &amp; 2'/>",
        "    </property_group>",
        "    <instance name='default' enabled='false'>",
        "      <property_group name='config' type='application'>",
        "        <propval name='b' type='astring' value=''/>",
        "      </property_group>",
        "    </instance>",
        "  </service>",
        "</service_bundle>",
    ]  # fmt: skip


def test_only_the_service_is_exported(do: Importer) -> None:
    do(instance())
    do(instance(), service="site/x2")
    assert list(copied(export(do.client, X))) == [X, XI]
    with pytest.raises(NotFound):
        export(do.client, "svc:/site/absent")


def test_what_others_have_put_there_is_theirs(do: Importer) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance(dependent("i_b", "svc:/site/b:default")))
    assert "x_b" not in export(do.client, B)
    text = export(do.client, X)
    assert "<dependent name='x_b' grouping='optional_all' restart_on='none'>" in text
    assert "<dependent name='i_b'" in text
    assert "property_group" not in text
    assert copied(archive(do.client)) == contents(do.client)  # type: ignore[arg-type]  # it is local


def test_a_dependent_whose_service_is_not_there(do: Importer) -> None:
    do(dependent() + instance(dependent("i_b", B)))
    text = export(do.client, X)
    assert text.count("<dependent ") == 2
    assert "property_group" not in text


def test_a_dependent_whose_dependency_is_gone(do: Importer) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance())
    do.client.commit([["ungroup", B, "x_b"]])
    text = export(do.client, X)
    assert "<dependent " not in text
    assert copied(text)[X] == {"dependents": ("framework", {"x_b": ("fmri", B)})}


@pytest.mark.parametrize(
    "change",
    [
        ["set", B, "x_b", "grouping", "", ["odd"]],
        ["set", B, "x_b", "external", "", ["false"]],
        ["set", B, "x_b", "entities", "", ["svc:/site/other"]],
        ["set", B, "x_b", "type", "", ["path"]],
    ],
    ids=lambda change: change[3],
)
def test_a_dependency_that_is_no_dependent_any_more(do: Importer, change: list[object]) -> None:
    do(instance(), service="site/b")
    do(dependent() + instance())
    do.client.commit([change])
    text = export(do.client, X)
    assert "<dependent " not in text
    assert copied(text)[X] == {"dependents": ("framework", {"x_b": ("fmri", B)})}


def test_what_cannot_be_written_of_a_shared_group(do: Importer) -> None:
    do(instance())
    do.set(XI, "general", "package", "\x01", "astring")
    with pytest.raises(SmfError, match="property group general cannot be written as XML"):
        export(do.client, X)


def test_the_context_of_a_method(do: Importer) -> None:
    """With everything that a context can be, and with what it can not."""
    do(load("notified.xml"))
    service = "svc:/site/notified"
    text = export(do.client, service)
    assert "<method_profile name='Service Operator'/>" in text
    do.client.commit([["unset", service, "start", "use_profile"]])
    text = export(do.client, service)
    assert "<propval name='profile' type='astring' value='Service Operator'/>" in text
    assert "<method_context security_flags='aslr'/>" in text


def test_what_few_may_read_is_left_out(do: Importer) -> None:
    do(load("database.xml"))
    service = "svc:/pkg/database"
    text = export(do.client, service)
    assert "secret" not in text
    assert "solaris.smf.read.database" in text
    assert "secret" in export(do.client, service, everything=True)
    assert "secret" not in archive(do.client)


def test_what_ends_with_the_run_is_left_out(do: Importer) -> None:
    do(instance(), "/lib/svc/manifest/x.xml")
    do.client.commit([
        ["group", XI, "general_ovr", "framework", "P"],
        ["group", XI, "own", "framework", "P"],
    ])  # fmt: skip
    text = export(do.client, X)
    assert "own" not in text
    assert "general_ovr" not in text
    assert "manifestfiles" not in text


def test_what_cannot_be_written_is_told(do: Importer) -> None:
    do(config(a="1") + instance())
    do.set(X, "config", "a", "\x01")
    with pytest.raises(SmfError, match="property group config cannot be written as XML"):
        export(do.client, X)


def test_an_archive_is_restored(do: Importer, tmp_path: Path) -> None:
    for name in FILES:
        do(load(name))
    do.set("svc:/site/postboot:default", "general", "enabled", "false")
    do.set("svc:/network/shell", "config", "keys", "3")
    before = contents(do.client)  # type: ignore[arg-type]  # it is local
    text = archive(do.client, everything=True)
    do.set("svc:/site/postboot:default", "general", "enabled", "true")
    do.set("svc:/network/shell", "config", "keys", "4")
    path = tmp_path / "archive.xml"
    path.write_text(text)
    found = manifest.read(str(path), strict=True)
    import_bundle(do.client, found, lambda _: None)
    profile.apply(do.client, found, print)
    assert contents(do.client) == before  # type: ignore[arg-type]  # it is local


# -- whatever a repository has ---------------------------------------------------------------------
# What XML can have: neither control characters nor surrogates.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\n\t\r'\"<>&= "),
    max_size=12,
)
NAMES = st.sampled_from([
    "a", "exec", "timeout_seconds", "type", "user", "use_profile", "environment", "profile",
    "entities", "grouping", "restart_on", "external", "enabled", "stability", "C", "name", "x,y",
    "entity_stability", "single_instance", "restarter", "smtp,active", "smtp,to", "target",
    "working_directory", "cardinality_min", "pg_pattern", "values_name", "common_name_C",
])  # fmt: skip
WORDS = {
    "boolean": ["true", "false"],
    "count": ["0", "60"],
    "integer": ["-1"],
    "time": ["1.500000000"],
    "opaque": ["00ff"],
    "uri": ["http://a/"],
    "fmri": ["svc:/a/b:c", "svc:/a", "file:///x", "svc:/odd:a:b"],
    "host": ["a.example"],
    "hostname": ["a.example"],
    "net_address": ["10.0.0.1"],
    "net_address_v4": ["10.0.0.1/8"],
    "net_address_v6": ["::1"],
}
STRINGS = TEXT | st.sampled_from([
    "require_all", "none", "service", "path", "method", "A=1", "=", "Stable", "true", "this",
])  # fmt: skip


def properties() -> st.SearchStrategy[Property]:
    def of(kind: str) -> st.SearchStrategy[Property]:
        values = st.sampled_from(WORDS[kind]) if kind in WORDS else STRINGS
        return st.lists(values, max_size=2).map(lambda found: Property(kind, found))

    return st.sampled_from(sorted(TYPES)).flatmap(of)


GROUPS = st.builds(
    Group,
    st.sampled_from([
        "application", "framework", "dependency", "method", "template", "notify_params",
        "template_pg_pattern", "template_prop_pattern",
    ]),
    st.dictionaries(NAMES, properties(), max_size=6),
)  # fmt: skip
GROUP_NAMES = st.sampled_from([
    "a", "start", "method_context", "tm_common_name", "tm_description", "tm_man_a1", "tm_doc_a",
    "tm_pgpatt_n_a", "tm_proppatt_n_a_b", "to-online", "startd",
])  # fmt: skip
LEVEL = st.dictionaries(GROUP_NAMES, GROUPS, max_size=4)
GENERAL = st.dictionaries(
    st.sampled_from(["entity_stability", "single_instance", "restarter", "package"]),
    properties(),
    max_size=3,
).map(lambda found: {"general": Group("framework", found)} if found else {})


@settings(max_examples=40)
@given(LEVEL, LEVEL, GENERAL)
def test_any_groups_come_back(
    service: dict[str, Group], inst: dict[str, Group], general: dict[str, Group]
) -> None:
    """Those of a shape that an element has, and those that only look like it."""
    with Local() as client:
        enabled = Group("framework", {"enabled": Property("boolean", ["true"])})
        levels = {X: {**service, **general}, XI: {**inst, "general": enabled}}
        client.commit([["add", XI]])
        for fmri, groups in levels.items():
            client.commit([["put", fmri, name, to_wire(each)] for name, each in groups.items()])
        text = archive(client, everything=True)
        expected = {
            # Others' dependencies come with the others.
            fmri: {name: each for name, each in groups.items() if not _is_others(each)}
            for fmri, groups in levels.items()
        }
        assert copied(text) == {fmri: lasting(groups) for fmri, groups in expected.items()}


def _is_others(group: Group) -> bool:
    return group.kind == "dependency" and group.value("external") == "true"
