# SPDX-License-Identifier: MPL-2.0
"""Configuration: refresh, composition, import and apply, names (facts 1, 2, 8, 9, 14)."""

import time

from smf import manifest_import
from tests.smf.manifests import (
    Needs,
    bundle,
    counted,
    daemon,
    group,
    instance,
    method,
    service,
)
from tests.smf.processes import read_process
from tests.smf.world import Subject, World, until


def config(*values: tuple[str, str], override: bool = False) -> str:
    rows = [(name, "astring", value) for name, value in values]
    return group("config", "application", *rows, override=override)


# -- refresh ---------------------------------------------------------------------------------------
def test_23_and_09_an_edit_is_seen_after_a_refresh(world: World) -> None:
    file = world.scratch / "site-c23:default"
    t = world.service("site/c23", daemon(file), refresh=counted(file))
    t.enable()
    world.svccfg("-s", t.fmri, "addpg config application")
    world.svccfg("-s", t.fmri, "setprop", "config/foo", "=", "astring:", "bar")
    assert world.run("svcprop", "-p", "config/foo", t.fmri, status=1).stdout == ""
    assert t.prop("config/foo", "-c") == "bar"
    world.svcadm("refresh", t.fmri)
    until(lambda: t.runs("refresh") == 1, "the refresh method has run")
    assert t.prop("config/foo") == "bar"
    time.sleep(0.3)
    assert (t.runs("refresh"), t.runs("start")) == (1, 1)


def test_09_enabled_needs_no_refresh(world: World) -> None:
    t = world.service("site/c09")
    world.svccfg("-s", t.fmri, "setprop general/enabled = true")
    t.becomes("online")
    world.svccfg("-s", t.fmri, "setprop general/enabled = false")
    t.becomes("disabled")


def test_the_restarter_needs_no_refresh_and_is_not_forgotten(own: World) -> None:
    """Neither that of an instance nor that of a service, which its instances have from it."""
    other = "svc:/site/crestarter-other:default"
    mine = own.service("site/crestarter")
    own.svccfg("-s", mine.fmri, f"setprop general/restarter = fmri: {other}")
    restarter = f"<restarter><service_fmri value='{other}'/></restarter>"
    text = service("site/crestarter-2", enabled=True)
    own.bring(text.replace("<exec_method", f"{restarter}<exec_method", 1))
    ours = Subject(own, "svc:/site/crestarter-2:default")
    own.svcadm("enable", mine.fmri)
    own.kill("svc.startd")
    last = own.service("site/crestarter-3")
    last.enable()  # all that happened before has been looked at
    assert (mine.state, ours.state) == ("disabled", "-")
    own.svccfg("-s", mine.fmri, "delprop general/restarter")
    mine.becomes("online")


def test_a_restarter_that_is_none_is_maintenance(world: World) -> None:
    t = world.service("site/cnorestarter")
    t.enable()
    world.svccfg("-s", t.fmri, "setprop general/restarter = fmri: svc:/site/no-instance")
    t.becomes("maintenance")
    assert (t.aux, t.pids) == ("invalid_restarter", [])
    assert "SMF-8000-2A" in world.svcs("-x", t.fmri)
    world.svccfg("-s", t.fmri, "delprop general/restarter")
    world.svcadm("clear", t.fmri)
    t.becomes("online")
    t.disable()


def test_a_new_dependency_counts_after_a_refresh(world: World) -> None:
    t = world.service("site/cdep")
    t.enable()
    s = "svc:/site/cdep"
    world.svccfg("-s", s, "addpg needs dependency")
    for line in (
        "setprop needs/grouping = astring: require_all",
        "setprop needs/restart_on = astring: restart",
        "setprop needs/type = astring: service",
        "setprop needs/entities = fmri: svc:/site/cdep-none",
    ):
        world.svccfg("-s", s, line)
    world.svcadm("restart", t.fmri)
    t.becomes("online")
    world.svcadm("refresh", t.fmri)
    world.svcadm("restart", t.fmri)
    until(lambda: t.state == "offline", "what it needs is not there")
    assert "SMF-8000-E2" in world.svcs("-x", t.fmri)
    world.svccfg("-s", s, "delpg needs")
    world.svcadm("refresh", t.fmri)
    t.becomes("online")


# -- composition -----------------------------------------------------------------------------------
def test_12_composition_is_per_property_and_listprop_has_none(world: World) -> None:
    world.bring(service(
        "site/c12", groups=config(("a", "service"), ("b", "service")), enabled=None,
        instances=instance("default", inside=config(("a", "instance"))),
    ))  # fmt: skip
    t = Subject(world, "svc:/site/c12:default")
    assert (t.prop("config/a"), t.prop("config/b")) == ("instance", "service")
    listed = world.svccfg("-s", t.fmri, "listprop config/*").stdout.split("\n")
    assert [line.split() for line in listed if line.startswith("config/")] == [
        ["config/a", "astring", "instance"]
    ]
    attached = world.svcprop("-C", "-p", "config", t.fmri).splitlines()
    assert attached == ["config/a astring instance"]
    world.run("svcprop", "-q", "-C", "-p", "config/b", t.fmri, status=1)
    world.run("svcprop", "-q", "-c", "-p", "config/b", t.fmri)
    assert world.svcprop("-p", "config/a", "svc:/site/c12") == "service"


def test_the_snapshot_start_is_of_when_it_came_online(own: World) -> None:
    t = own.service("site/cstart", groups=config(("foo", "1")), refresh=":true")
    t.enable()
    t.configure("setprop config/foo = 2")
    t.becomes("online")
    assert (t.prop("config/foo"), t.prop("config/foo", "-s", "start")) == ("2", "1")
    for daemon_of_smf in ("svc.configd", "svc.startd"):
        own.kill(daemon_of_smf)
        own.wait("svc:/system/svc/restarter:default", "online")
        assert t.prop("config/foo", "-s", "start") == "1"
    pid = t.pid()
    own.svcadm("restart", t.fmri)
    t.has_restarted(pid)
    assert t.prop("config/foo", "-s", "start") == "2"


# -- temporary -------------------------------------------------------------------------------------
def test_10_and_22_temporary_is_said_only_if_it_differs(world: World) -> None:
    t = world.service("site/c10")

    def enabled() -> str:
        lines = world.svcs("-l", t.fmri).splitlines()
        return next(line for line in lines if line.startswith("enabled")).split(None, 1)[1]

    t.enable("-st")
    assert (enabled(), t.state) == ("true (temporary)", "online")
    assert t.prop("general/enabled", "-c") == "false"
    t.enable()
    assert enabled() == "true"
    world.run("svcprop", "-q", "-c", "-p", "general_ovr/enabled", t.fmri, status=1)
    t.disable("-st")
    assert (enabled(), t.state) == ("false (temporary)", "disabled")
    assert t.prop("general/enabled", "-c") == "true"
    t.disable()
    assert enabled() == "false"
    t.disable("-st")
    assert enabled() == "false"


def test_a_comment_is_shown_while_it_is_disabled(world: World) -> None:
    t = world.service("site/ccomment")
    t.enable()
    t.disable("-s", "-c", "for the holidays")
    assert "for the holidays" in world.svcs("-l", t.fmri)
    t.enable()
    assert "for the holidays" not in world.svcs("-l", t.fmri)


# -- import and apply ------------------------------------------------------------------------------
def test_27_and_11_a_three_way_import(world: World) -> None:
    name = "site/c27"
    t = Subject(world, f"svc:/{name}:default")
    world.bring(service(name, groups=config(("foo", "1")), enabled=True))
    t.becomes("online")
    t.configure("setprop config/foo = 2")
    second = service(name, groups=config(("foo", "3"), ("bar", "new")), enabled=False)
    said = world.bring(second).stderr
    assert "config/foo" in said
    assert (t.prop("config/foo"), t.prop("config/bar")) == ("2", "new")
    assert (t.prop("general/enabled", "-c"), t.state) == ("true", "online")
    third = service(name, groups=config(("foo", "3"), ("bar", "new"), override=True))
    assert world.bring(third).stderr == ""
    assert t.prop("config/foo") == "3"


def test_27b_import_twice_changes_nothing_and_unmodified_things_go(world: World) -> None:
    name = "site/c27b"
    t = Subject(world, f"svc:/{name}:default")
    world.bring(service(name, groups=config(("foo", "1"), ("gone", "1"), ("mine", "1"))))
    t.enable()
    pid, since = t.pid(), t.since
    world.bring(service(name, groups=config(("foo", "1"), ("gone", "1"), ("mine", "1"))))
    assert (t.pid(), t.since) == (pid, since)
    t.configure("setprop config/mine = 2")
    world.bring(service(name, groups=config(("foo", "1"))))
    assert t.prop("config/mine") == "2"
    world.run("svcprop", "-q", "-p", "config/gone", t.fmri, status=1)
    assert (t.pid(), t.state) == (pid, "online")


def test_27c_an_imported_and_enabled_instance_starts_by_itself(world: World) -> None:
    world.bring(service("site/c27c", enabled=True))
    Subject(world, "svc:/site/c27c:default").becomes("online")


def test_a_bad_manifest_changes_nothing(world: World) -> None:
    good = service("site/cbad")
    for bad in (
        good.replace(' version="1"', ""),
        good.replace("<exec_method", "<exec_methods", 1),
        good.replace("</service>", ""),
        good.replace('timeout_seconds="60"', 'timeout_seconds="soon"'),
        "",
        "not XML at all",
    ):
        said = world.bring(bad, status=1).stderr
        assert said.strip()
    world.svcs("site/cbad", status=1)


def test_11_apply_changes_enabled_and_ignores_whom_it_does_not_know(world: World) -> None:
    t = world.service("site/c11", groups=config(("foo", "1")))
    profile = bundle(
        '<service name="site/c11" type="service" version="1">'
        + instance("default", enabled=True, inside=config(("foo", "9")))
        + "</service>",
        '<service name="site/unknown" type="service" version="1">'
        + instance("default", enabled=True)
        + "</service>",
        kind="profile",
    )
    world.bring(profile, verb="apply")
    t.becomes("online")
    assert t.prop("config/foo") == "9"
    world.svcs("site/unknown", status=1)


def test_export_and_import_are_inverse(world: World) -> None:
    t = world.service("site/cexport", refresh=":true", groups=config(("foo", "a b<c")),
                      needs=[Needs("site/other", "optional_all")])  # fmt: skip
    before = world.svcprop("-c", t.fmri)
    text = world.svccfg("export", "site/cexport").stdout
    world.svccfg("delete", "svc:/site/cexport")
    world.svcs(t.fmri, status=1)
    world.bring(text)
    after = world.svcprop("-c", t.fmri)

    def lasting(shown: str) -> set[str]:
        """Neither what startd says of it nor which file it is of."""
        lines = set(shown.splitlines())
        return {x for x in lines if not x.startswith(("restarter", "general_ovr", "manifestf"))}

    assert lasting(after) == lasting(before)


def test_a_deleted_instance_is_stopped_and_forgotten(world: World) -> None:
    t = world.service("site/cdelete")
    t.enable()
    pid = t.pid()
    world.svccfg("delete", t.fmri, status=1)  # it runs
    assert t.state == "online"
    world.svccfg("delete", "-f", t.fmri)
    until(lambda: world.svcs(t.fmri, status=None).count("\n") == 1, "it is not there any more")
    until(lambda: read_process(pid) is None, "its daemon has ended")


def test_revert_needs_a_refresh(world: World) -> None:
    t = world.service("site/crevert", groups=config(("foo", "1")))
    t.configure("setprop config/foo = 2")
    assert t.prop("config/foo") == "2"
    world.svccfg("-s", t.fmri, "revert last-import")
    assert (t.prop("config/foo"), t.prop("config/foo", "-c")) == ("2", "1")
    world.svcadm("refresh", t.fmri)
    assert t.prop("config/foo") == "1"


def test_what_an_upgrade_has_left_is_run_once(world: World) -> None:
    script = world.root / "var/svc/profile/upgrade"
    script.parent.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    manifest_import.upgrade(str(script), said.append)
    script.write_text(f"echo run >> {world.scratch}/cupgrade\nexit 3\n")
    for _ in range(2):
        manifest_import.upgrade(str(script), said.append)
    assert (world.scratch / "cupgrade").read_text() == "run\n"
    assert said == [f"{script}: exit status 3"]
    assert [each.name[:12] for each in script.parent.iterdir()] == ["upgrade.app."]


# -- names -----------------------------------------------------------------------------------------
def test_28_an_abbreviation_of_two_is_an_error_of_svcadm(world: World) -> None:
    fmris = ["svc:/site/dup/x28:one", "svc:/site/dup2/x28:one"]
    for name in ("site/dup/x28", "site/dup2/x28"):
        world.bring(service(name, enabled=None, instances=instance("one")))
    said = world.svcadm("enable", "x28", status=1).stderr
    assert all(fmri in said for fmri in fmris)
    assert sorted(world.svcs("-H", "-o", "state,fmri", "x28").split()) == sorted(
        ["disabled", *fmris, "disabled"]
    )
    world.svcadm("enable", "svc:/site/dup*/x28:*")
    for fmri in fmris:
        world.wait(fmri, "online")


def test_28b_an_exact_service_is_all_its_instances(world: World) -> None:
    world.bring(service("site/c28b", enabled=None, instances=instance("one") + instance("two")))
    world.svcadm("enable", "-s", "svc:/site/c28b")
    assert world.svcs("-H", "-o", "state", "svc:/site/c28b").split() == ["online"] * 2


def test_a_bad_operand_does_not_keep_the_good_ones_from_being_done(world: World) -> None:
    t = world.service("site/cgood")
    said = world.svcadm("enable", "nosuchthing", t.fmri, status=1).stderr
    assert "nosuchthing" in said
    t.becomes("online")


def test_methods_of_an_instance_win(world: World) -> None:
    file = world.scratch / "site-cwin:default"
    inside = method("start", counted(file, "exit 94"))
    world.bring(service("site/cwin", "/bin/false", enabled=None,
                        instances=instance("default", inside=inside)))  # fmt: skip
    t = Subject(world, "svc:/site/cwin:default")
    t.enable()
    assert t.runs() == 1
