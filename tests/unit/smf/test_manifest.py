# SPDX-License-Identifier: MPL-2.0
"""Manifests to bundles: what elements become, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from smf import manifest
from smf.errors import SmfError
from smf.tree import Group
from tests.unit.smf.bundles import DATA, depends, load, xml

GOOD = sorted(DATA.glob("*.xml"))
DISORDERLY = ("tunnels.xml",)  # as many are that are in use


def groups(body: str) -> dict[str, Group]:
    return manifest.parse(xml(body), "x").services[0].groups


def values(group: Group) -> dict[str, tuple[str, ...]]:
    return {name: (prop.kind, *prop.values) for name, prop in group.properties.items()}


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
        depends("service", "svc://localhost/a/b:c")
        + "<restarter><service_fmri value='svc:/r:default'/></restarter>"
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
    (service,) = manifest.parse(
        xml(
            "<dependent name='d' grouping='require_all' restart_on='none'>"
            "<service_fmri value='svc:/b'/><stability value='Stable'/>"
            "<propval name='more' type='count' value='1'/></dependent>"
        ),
        "x",
    ).services
    assert service.dependents["d"].group.value("stability") == "Stable"
    assert service.dependents["d"].group.value("more") == "1"
    north = load("tunnels.xml").services[0].instances[0].dependents["tunnel-north"]
    assert north.group.value("entities") == "svc:/site/tunnel:north"


def test_a_method_and_its_conxml() -> None:
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
        xml(
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
    inner = xml("").decode()
    archive = f"<service_bundle type='archive' name='a'>{inner}</service_bundle>"
    assert len(manifest.parse(archive.encode(), "a").services) == 1
    with pytest.raises(SmfError, match="a profile has only bundles of its own type"):
        manifest.parse(archive.replace("archive", "profile").encode(), "a")


def test_includes_of_a_bundle_in_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(xml(""))
    inner = "<service_bundle type='manifest' name='b'><xi:include href='a.xml'/></service_bundle>"
    outer = f"<service_bundle type='archive' name='c'>{inner}</service_bundle>"
    (tmp_path / "outer.xml").write_text(outer)
    assert len(manifest.read(str(tmp_path / "outer.xml")).services) == 1


def test_general_of_an_instance_may_have_more() -> None:
    more = "<propval name='package' type='astring' value='p'/>"
    (service,) = manifest.parse(
        xml(
            "<instance name='a' enabled='true'>"
            f"<property_group name='general' type='framework'>{more}</property_group></instance>"
        ),
        "x",
    ).services
    assert values(service.instances[0].groups["general"]) == {
        "enabled": ("boolean", "true"),
        "package": ("astring", "p"),
    }


def test_a_locale_as_a_name() -> None:
    found = groups(
        "<template><common_name><loctext xml:lang='C'>a</loctext>"
        "<loctext xml:lang='sr@lätin'>b</loctext></common_name></template>"
    )
    assert found["tm_common_name"].properties.keys() == {"C", "sr_l_tin"}
