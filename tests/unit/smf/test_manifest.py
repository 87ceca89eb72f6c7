# SPDX-License-Identifier: MPL-2.0
"""Manifests to bundles: what elements become, and what is said of those that are wrong."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf import dtd, manifest
from smf.bundle import Bundle
from smf.document import MOST_DEPTH, MOST_INCLUDES
from smf.errors import SmfError
from smf.states import GROUPINGS
from smf.tree import Group

DATA = Path(__file__).parents[2] / "data/smf"
GOOD = sorted(DATA.glob("*.xml"))
NO_ENCODING = b"<?xml version='1.0' encoding='none'?><a/>"
DISORDERLY = ("tunnels.xml",)  # as many are that are in use


def text(body: str, kind: str = "manifest") -> bytes:
    """A file with one service, `site/x`, that has this in it."""
    return (
        f"<service_bundle type='{kind}' name='x'><service name='site/x' type='service' version='1'>"
        f"{body}</service></service_bundle>"
    ).encode()


def groups(body: str) -> dict[str, Group]:
    return manifest.parse(text(body), "x").services[0].groups


def values(group: Group) -> dict[str, tuple[str, ...]]:
    return {name: (prop.kind, *prop.values) for name, prop in group.properties.items()}


def load(name: str) -> Bundle:
    return manifest.read(str(DATA / name))


def problems(name: str, *, strict: bool = True) -> list[str]:
    """What is wrong with a file: `LINE: text`."""
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.read(str(DATA / name), strict=strict)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith(f"{DATA}/") for problem in caught.value.problems)
    return [problem.partition(".xml:")[2] for problem in caught.value.problems]


# -- what is right ---------------------------------------------------------------------------------
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_manifests_as_they_are_in_use(path: Path) -> None:
    bundle = manifest.read(str(path), strict=path.name not in DISORDERLY)
    assert bundle.services


def test_a_service_and_its_instance() -> None:
    (service,) = load("postboot.xml").services
    assert (service.name, service.version, service.kind) == ("site/postboot", "1", "service")
    assert values(service.groups["general"]) == {
        "single_instance": ("boolean", "true"),
        "entity_stability": ("astring", "Unstable"),
    }
    (instance,) = service.instances
    assert (instance.name, instance.enabled) == ("default", True)
    assert values(instance.groups["general"]) == {"enabled": ("boolean", "true")}
    assert service.groups["tm_common_name"].value("C") == "settings of this machine"


def test_a_dependency() -> None:
    group = load("postboot.xml").services[0].groups["network"]
    assert group.kind == "dependency"
    assert values(group) == {
        "entities": ("fmri", "svc:/milestone/network:default"),
        "grouping": ("astring", "require_all"),
        "restart_on": ("astring", "error"),
        "type": ("astring", "service"),
    }
    path = load("metadata.xml").services[0].instances[0].groups["first-reboot"]
    assert path.value("entities") == "file://localhost/tmp/.FIRST_REBOOT_NOT_YET_COMPLETE"
    assert (path.value("grouping"), path.value("type")) == ("exclude_all", "path")


def test_an_fmri_is_canonical() -> None:
    found = groups(
        "<dependency name='a' grouping='require_all' restart_on='none' type='service'>"
        "<service_fmri value='svc://localhost/a/b:c'/></dependency>"
        "<restarter><service_fmri value='svc:/r:default'/></restarter>"
    )
    assert found["a"].value("entities") == "svc:/a/b:c"
    assert values(found["general"]) == {"restarter": ("fmri", "svc:/r:default")}


def test_a_dependent_is_a_group_for_another_service() -> None:
    service = load("shell.xml").services[0]
    dependent = service.dependents["shell_multi-user-server"]
    assert dependent.target == "svc:/milestone/multi-user-server"
    assert values(dependent.group) == {
        "entities": ("fmri", "svc:/network/shell"),
        "grouping": ("astring", "optional_all"),
        "restart_on": ("astring", "none"),
        "type": ("astring", "service"),
        "external": ("boolean", "true"),
    }
    assert values(service.groups["dependents"]) == {
        "shell_multi-user-server": ("fmri", "svc:/milestone/multi-user-server")
    }
    north = load("tunnels.xml").services[0].instances[0].dependents["tunnel-north"]
    assert north.group.value("entities") == "svc:/site/tunnel:north"


def test_a_method_and_its_context() -> None:
    service = load("database.xml").services[0]
    assert service.groups["start"].kind == "method"
    assert values(service.groups["start"]) == {
        "exec": ("astring", "/opt/local/lib/svc/method/database start"),
        "timeout_seconds": ("count", "300"),
        "type": ("astring", "method"),
        "working_directory": ("astring", "/var/db/database"),
        "project": ("astring", "database"),
        "resource_pool": ("astring", ":default"),
        "use_profile": ("boolean", "false"),
        "user": ("astring", "database"),
        "group": ("astring", "database"),
        "supp_groups": ("astring", ":default"),
        "privileges": ("astring", "basic,!proc_session"),
        "limit_privileges": ("astring", ":default"),
        "environment": ("astring", "LC_ALL=C", "DATADIR=/var/db/database/data=1"),
    }
    found = load("notified.xml").services[0].groups["start"]
    assert found.value("profile") == "Service Operator"
    assert found.value("use_profile") == "true"


def test_a_context_of_all_methods() -> None:
    group = load("web.xml").services[0].groups["method_context"]
    assert group.kind == "framework"
    assert group.value("user") == "web"
    assert len(group.values("environment")) == 2


def test_a_timeout_of_minus_one_is_the_largest_count() -> None:
    stop = load("web.xml").services[0].groups["stop"]
    assert stop.value("timeout_seconds") == str((1 << 64) - 1)


def test_values_are_canonical() -> None:
    north, south = load("tunnels.xml").services[0].instances
    assert values(north.groups["tunnel"])["keepalive"] == ("time", "1.500000000")
    assert values(south.groups["tunnel"])["cookie"] == ("opaque", "deadbeef")
    assert values(load("tunnels.xml").services[0].groups["tunnel"]) == {
        "options": ("astring",),
        "debug": ("boolean", "false"),
    }
    database = load("database.xml").services[0].instances[0].groups["database"]
    assert values(database)["listen"] == ("net_address", "127.0.0.1", "::1")
    assert database.value("password") == "a <secret> \"'"
    assert database.value("stability") == "Evolving"


def test_general_may_have_more() -> None:
    general = load("database.xml").services[0].groups["general"]
    assert general.value("action_authorization") == "solaris.smf.manage.database"
    assert general.value("entity_stability") == "Evolving"


def test_what_overrides_and_what_is_deleted() -> None:
    assert load("shell.xml").services[0].overrides == {("config", "keys")}
    (service,) = manifest.parse(
        text(
            "<dependency name='d' grouping='require_all' restart_on='none' type='service'"
            " delete='true'/>"
            "<dependent name='e' grouping='require_all' restart_on='none' delete='true'>"
            "<service_fmri value='svc:/b'/></dependent>"
            "<exec_method type='method' name='m' exec='' timeout_seconds='0' delete='true'/>"
            "<property_group name='p' type='application' delete='true'/>"
        ),
        "x",
    ).services
    assert service.deletes == {"d", "m", "p"}
    assert service.withdrawn == {"e"}
    assert not service.groups
    assert not service.dependents


def test_templates() -> None:
    found = load("shell.xml").services[0].groups
    assert found["tm_common_name"].value("C") == "remote shell"
    assert found["tm_description"].value("C") == "Lets people in & out."
    assert values(found["tm_man_sshd8"]) == {
        "title": ("astring", "sshd"),
        "section": ("astring", "8"),
        "manpath": ("astring", "/usr/share/man"),
    }
    assert found["tm_man_sshd_config5"].value("manpath") == ":default"
    assert load("web.xml").services[0].groups["tm_doc_web.example"].value("uri")
    pattern = found["tm_pgpatt_nt_config_application"]
    assert pattern.kind == "template_pg_pattern"
    assert values(pattern) == {
        "name": ("astring", "config"),
        "type": ("astring", "application"),
        "required": ("boolean", "true"),
        "target": ("astring", "this"),
        "common_name_C": ("ustring", "keys"),
    }
    assert values(found["tm_proppatt_nt_config_application_keys"]) == {
        "pg_pattern": ("astring", "tm_pgpatt_nt_config_application"),
        "name": ("astring", "keys"),
        "type": ("astring", "count"),
        "required": ("boolean", "true"),
        "description_C": ("ustring", "how many keys are made"),
        "units_C": ("ustring", "keys"),
        "visibility": ("astring", "readwrite"),
        "cardinality_min": ("count", "1"),
        "cardinality_max": ("count", "1"),
        "constraint_range": ("astring", "1,4"),
        "constraint_name": ("astring", "9"),
        "constraint_name_0_description_C": ("ustring", "many"),
        "choice_name": ("astring", "2"),
        "choice_include_values": ("astring", "constraints"),
    }
    assert found["tm_pgpatt_t_method"].value("target") == "instance"


def test_notification_parameters() -> None:
    service = load("notified.xml").services[0]
    for event in ("to-maintenance", "from-online"):
        assert service.groups[event].kind == "notify_params"
        assert values(service.groups[event]) == {
            "smtp,active": ("boolean", "true"),
            "smtp,to": ("astring", "root", "ops@example.com"),
            "smtp,reply-to": ("astring", "nobody@example.com"),
            "webhook,active": ("boolean", "false"),
            "webhook,url": ("astring", "https://hooks.example.com/?a=1&b=2"),
        }
    assert service.instances[0].name == "a,b"
    assert "problem-diagnosed" in service.instances[0].groups


def test_inventory() -> None:
    assert load("tunnels.xml").inventory() == [
        "svc:/site/tunnel:south",
        "svc:/site/tunnel:north",
        "svc:/site/tunnel",
    ]


def test_includes_and_bundles_in_bundles() -> None:
    assert [each.name for each in load("all.xml").services] == ["site/postboot", "site/metadata"]
    inner = text("").decode()
    archive = f"<service_bundle type='archive' name='a'>{inner}</service_bundle>"
    assert len(manifest.parse(archive.encode(), "a").services) == 1
    with pytest.raises(SmfError, match="a profile has only bundles of its own type"):
        manifest.parse(archive.replace("archive", "profile").encode(), "a")


# -- what is wrong ---------------------------------------------------------------------------------
WRONG = {
    "grammar": [
        "3: <service> needs the attribute version",
        "3: there is text in <service>: and more",
        '4: enabled="yes" in <create_default_instance>: it is one of true, false',
        "5: <exec_method> needs the attribute timeout_seconds",
        "6: <execmethod> is unknown; it stands in <service>",
        "7: <dependency> must stand before <exec_method>",
        "7: <dependency> has no attribute colour",
        f'7: grouping="all" in <dependency>: it is one of {", ".join(GROUPINGS)}',
        "9: <service> has a second <stability>",
        "10: <propval> is not allowed in <service>",
        "11: <method_context> must stand before <stability>",
        "11: <method_environment> needs <envvar>",
    ],
    "values": [
        '3: "-values" is no valid name: each part begins with a letter, a digit or _',
        '6: "restarter" is no FMRI of a service: svc:/...',
        '8: "file:///etc/passwd" is no FMRI of a service: svc:/...',
        '9: "svc:/a/b:c/:properties/d/e" names a property, not a service',
        '12: "svc:/a/b" is no path: file://localhost/...',
        '14: "soon" is no count: a number from 0 to 18446744073709551615',
        '15: "A=B" cannot be the name of an environment variable',
        "17: start is there twice",
        '19: "-4" is no count: a number from 0 to 18446744073709551615',
        "20: property workers is there twice",
        '21: "a b" is no valid name: letters, digits, and _ - . , are allowed',
        "23: a property of type astring has a <astring_list>",
        "26: property group restarter is svc.startd's",
        "27: instance default is there twice",
        "29: service site/values is there twice",
    ],
    "entity": ["3: entity passwd is declared; write out what it stands for"],
    "reference": ["6: there is no entity background; a plain & is written &amp;"],
    "unclosed": ["4: not well-formed XML: mismatched tag"],
    "include": [
        '3: "../postboot.xml" is not included: only files below the manifest\'s directory',
        '4: "/etc/passwd" is not included: only files below the manifest\'s directory',
        f"5: cannot be included: {DATA}/broken/absent.xml: No such file or directory",
        "7: include.xml includes itself",
        '8: "" is not included: only files below the manifest\'s directory',
        "4: not well-formed XML: mismatched tag",  # of unclosed.xml, on line 6
    ],
    "profile": ["4: a profile has no <template>: put it into the manifest"],
    "root": ["2: this is to be a <service_bundle>, and it is a <service>"],
}


@pytest.mark.parametrize("name", WRONG)
def test_all_that_is_wrong_is_told_at_once(name: str) -> None:
    assert problems(f"broken/{name}.xml") == WRONG[name]


def test_every_broken_file_is_in_the_table() -> None:
    assert {path.stem for path in (DATA / "broken").glob("*.xml")} == set(WRONG)


def test_only_a_strict_reader_minds_the_order() -> None:
    told = [line for line in WRONG["grammar"] if "must stand before" not in line]
    assert problems("broken/grammar.xml", strict=False) == told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "1: not well-formed XML: no element found"),
        (b"not XML", "1: not well-formed XML: syntax error"),
        ("<a/>".encode("utf-16"), "1: this is UTF-16; save it as UTF-8"),
        (
            b"<?xml version='1.0' encoding='none'?><a/>",
            "1: unknown encoding: none; save it as UTF-8",
        ),
        (b"<a>&b;</a>", "1: not well-formed XML: undefined entity"),
        (b"<a>" * (MOST_DEPTH + 1), f"1: elements are in one another more than {MOST_DEPTH} deep"),
    ],
    ids=lambda given: "" if isinstance(given, bytes) else given,
)
def test_what_is_no_document(given: bytes, said: str) -> None:
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(given, "f")
    assert caught.value.problems == [f"f:{said}"]


def test_entities_do_not_grow() -> None:
    laughs = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(10))
    bomb = f"<!DOCTYPE a [<!ENTITY e0 'ha'>{laughs}]><service_bundle name='&e10;'/>"
    with pytest.raises(manifest.ManifestError, match="entity e0 is declared"):
        manifest.parse(bomb.encode(), "f")


def test_a_doctype_of_its_own_adds_no_attributes() -> None:
    head = b"<!DOCTYPE service_bundle [<!ATTLIST service version CDATA '1'>]>"
    with pytest.raises(manifest.ManifestError, match="needs the attribute version"):
        manifest.parse(head + text("").replace(b" version='1'", b""), "f")


def test_problems_are_fit_for_a_terminal() -> None:
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(text("<a\u009b31m/>".replace("\u009b", "")), "f\x1b[31m")
    assert caught.value.problems == ["f?[31m:1: <a31m> is unknown; it stands in <service>"]
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(text("<stability value='&#x9b;31m&#10;'/>"), "f")
    assert '"?31m?"' in caught.value.problems[0]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SmfError, match="No such file"):
        manifest.read(str(tmp_path / "absent.xml"))
    with pytest.raises(SmfError, match="directory"):
        manifest.read(str(tmp_path))


def test_a_link_leads_out_of_no_directory(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outer.xml").write_bytes(text(""))
    (inner / "link.xml").symlink_to("../outer.xml")
    top = inner / "top.xml"
    top.write_text(
        "<service_bundle type='manifest' name='a'><xi:include href='link.xml'/></service_bundle>"
    )
    with pytest.raises(manifest.ManifestError, match="only files below"):
        manifest.read(str(top))


def test_includes_do_not_grow(tmp_path: Path) -> None:
    """Each file includes the next one twice."""
    for number in range(20):
        includes = f"<xi:include href='{number + 1}.xml'/>" * 2
        bundle = f"<service_bundle type='manifest' name='a'>{includes}</service_bundle>"
        (tmp_path / f"{number}.xml").write_text(bundle)
    (tmp_path / "20.xml").write_bytes(text(""))
    with pytest.raises(manifest.ManifestError, match=f"there are {MOST_INCLUDES} includes already"):
        manifest.read(str(tmp_path / "0.xml"))


# -- the table -------------------------------------------------------------------------------------
def test_the_table_names_only_what_is_in_it() -> None:
    named = {tag for each in dtd._PARTICLES.values() for place in each for tag in place.tags}
    assert named | {"service_bundle"} == set(dtd.ELEMENTS)


@given(st.data())
def test_no_text_is_a_bug(data: st.DataObject) -> None:
    """Whatever is in a file: it is a bundle, or there are problems."""
    whole = (DATA / data.draw(st.sampled_from([path.name for path in GOOD]))).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    broken = whole[:start] + data.draw(st.binary(max_size=8)) + whole[start + length :]
    with contextlib.suppress(manifest.ManifestError):
        assert manifest.parse(broken, "f").kind in ("manifest", "profile", "archive")
