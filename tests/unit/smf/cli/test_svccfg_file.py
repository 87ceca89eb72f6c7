# SPDX-License-Identifier: MPL-2.0
"""svccfg's manifests, profiles and archives; and what templates say of what is in them."""

from pathlib import Path

import pytest

from smf.cli import svccfg
from tests.unit.smf.cli.admin import Admin

SERVICE, A = "svc:/site/a", "svc:/site/a:default"
MANIFEST = """<?xml version='1.0'?>
<service_bundle type='manifest' name='a'>
  <service name='site/new' version='1' type='service'>
    <create_default_instance enabled='true'/>
    <dependent name='new' grouping='require_all' restart_on='none'>
      <service_fmri value='svc:/site/a'/>
    </dependent>
    <exec_method name='start' type='method' exec=':true' timeout_seconds='3'/>
    <property_group name='config' type='application'>
      <propval name='port' type='count' value='80'/>
    </property_group>
    <template>
      <common_name><loctext xml:lang='C'>A new one</loctext></common_name>
      <pg_pattern name='config' type='application' target='this' required='true'>
        <description><loctext xml:lang='C'>Where it listens.</loctext></description>
        <prop_pattern name='port' type='count' required='true'>
          <description><loctext xml:lang='C'>The port.</loctext></description>
          <cardinality min='1' max='1'/>
          <constraints><range min='1' max='65535'/></constraints>
        </prop_pattern>
      </pg_pattern>
    </template>
  </service>
</service_bundle>
"""
NEW = "svc:/site/new:default"


@pytest.fixture
def a(admin: Admin) -> Admin:
    """With an instance that has a property group config."""
    admin.make(A)
    admin.svccfg("-s", A, "addpg config application")
    return admin


@pytest.fixture
def imported(a: Admin, tmp_path: Path) -> Admin:
    path = tmp_path / "new.xml"
    path.write_text(MANIFEST)
    a.svccfg("import", str(path))
    return a


def test_import_and_what_comes_of_it(imported: Admin, tmp_path: Path) -> None:
    admin = imported
    assert admin.value(NEW, "general", "enabled") == ("true",)
    assert "new" in admin.local.attached(SERVICE)
    assert admin.svccfg("inventory", str(tmp_path / "new.xml")) == f"{NEW}\nsvc:/site/new\n"
    admin.svccfg("validate", str(tmp_path / "new.xml"))
    admin.svccfg("-s", NEW, "validate")
    exported = admin.svccfg("export", "site/new")
    assert "value='80'" in exported
    admin.svccfg("export", "site/new", ">", str(tmp_path / "out.xml"))
    assert (tmp_path / "out.xml").read_text() == exported
    admin.svccfg("delete", "site/new")
    assert "new" not in admin.local.attached(SERVICE)
    admin.svccfg("import", str(tmp_path / "out.xml"))
    assert admin.svccfg("export", "site/new") == exported


def test_an_instance_is_exported_with_its_service(
    imported: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert svccfg.COMMAND.main(["export", NEW]) == 0
    said = capsys.readouterr()
    assert "site/new" in said.out
    assert "is an instance" in said.err
    imported.svccfg("export", "new:default", status=1)


def test_an_archive_brings_back_what_was(imported: Admin, tmp_path: Path) -> None:
    admin = imported
    admin.svccfg("archive", ">", str(tmp_path / "all.xml"))
    admin.svcadm("disable", NEW)
    admin.svccfg("-s", "site/new", "setprop config/port = 90")
    admin.svccfg("restore", str(tmp_path / "all.xml"))
    assert admin.value(NEW, "general", "enabled") == ("true",)
    assert admin.value("svc:/site/new", "config", "port") == ("80",)
    admin.svccfg("restore", str(tmp_path / "new.xml"), status=1)


def test_profiles(imported: Admin, tmp_path: Path) -> None:
    admin = imported
    profile = admin.svccfg("extract")
    admin.svcadm("disable", NEW)
    path = tmp_path / "profile.xml"
    path.write_text(profile)
    assert NEW in admin.svccfg("apply", "-n", str(path))
    assert admin.value(NEW, "general", "enabled") == ("false",)
    admin.svccfg("apply", str(path))
    assert admin.value(NEW, "general", "enabled") == ("true",)
    admin.svccfg("import", str(path), status=1)
    assert "apply" in admin.error
    admin.svccfg("apply", str(tmp_path / "new.xml"), status=1)


def test_files_that_are_none(admin: Admin, tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<service_bundle>")
    (tmp_path / "good.xml").write_text(MANIFEST)
    admin.svccfg("import", str(tmp_path), status=1)
    assert "bad.xml:" in admin.error
    assert "1 of 2" in admin.error
    assert NEW in admin.local.entities()
    for line in ("import /nowhere", f"import {tmp_path}/bad.xml", "inventory /nowhere"):
        admin.svccfg(line, status=1)
    admin.svccfg("import", status=2)
    admin.svccfg(f"export site/new > {tmp_path}/no/such/file", status=1)
    admin.svccfg("export site/new >", status=2)
    admin.svccfg("list > x", status=2)


def test_templates_are_minded(
    admin: Admin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(MANIFEST.replace("value='80'", "value='99999'"))
    admin.svccfg("import", "-V", str(path), status=1)
    assert NEW not in admin.local.entities()
    assert svccfg.COMMAND.main(["import", "-p", str(tmp_path / "done"), str(path)]) == 0
    assert 'config/port may not be "99999"' in capsys.readouterr().err
    assert (tmp_path / "done").read_text() == f"1/1 {path}\n"
    admin.svccfg("validate", NEW, status=1)
    admin.svccfg("validate", "nosuch.xml", status=1)
    assert 'there is no file "nosuch.xml"' in admin.error


def test_describe(imported: Admin) -> None:
    admin = imported
    said = admin.svccfg("-s", "site/new", "describe", "-v", "config*")
    assert (
        said
        == """\
config  application
    Where it listens.
    required: true
    target: this
config/port  count  80
    The port.
    required: true
    values: 1 to 1
    allowed: 1 to 65535
"""
    )
    assert "A new one" in admin.svccfg("-s", "site/new", "describe")
    assert "The port." in admin.svccfg("-s", NEW, "describe", "-t")


def test_manifests_that_are_remembered(admin: Admin, tmp_path: Path) -> None:
    admin.svccfg("cleanup")
    admin.svccfg("delhash", "/nowhere", status=1)
    admin.svccfg("delhash", "-d", "/nowhere", status=1)
