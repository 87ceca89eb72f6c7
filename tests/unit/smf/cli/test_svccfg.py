# SPDX-License-Identifier: MPL-2.0
"""svccfg's subcommands, as words, as a file and at the prompt."""

from pathlib import Path

import pytest

from smf.cli import svccfg, svccfg_complete
from smf.cli.options import Command
from smf.cli.svccfg_session import Session
from smf.notify_params import GLOBAL, PROBLEMS
from smf.places import Places
from tests.unit.smf.cli.run import Run

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
def a(run: Run) -> Run:
    """With an instance that has a property group config."""
    run.make(A)
    run.svccfg("-s", A, "addpg config application")
    return run


# -- services and instances ------------------------------------------------------------------------
def test_add_select_list_delete(run: Run) -> None:
    run.svccfg("add", "site/a")
    run.svccfg("-s", "site/a", "add default")
    run.svccfg("-s", "a", "add", "other")
    assert run.svccfg("list") == "site/a\n"
    assert run.svccfg("list", "*b*") == ""
    assert run.svccfg("-s", "a", "list") == ":properties\ndefault\nother\n"
    assert run.svccfg("-s", "a:other", "list") == ":properties\n"
    run.svccfg("-s", "a", "delete other")
    run.svccfg("delete", "site/a")
    assert run.local.entities() == []


def test_what_an_abbreviation_selects(run: Run) -> None:
    run.make("svc:/network/smtp:sendmail")
    run.make("svc:/site/x:one")
    run.make("svc:/site2/x:one")

    def selected(word: str, status: int = 0) -> str:
        return run.svccfg("-s", word, "list", status=status)

    assert selected("smtp") == ":properties\nsendmail\n"
    assert selected("network/smtp:sendmail") == selected("*sendmail") == ":properties\n"
    assert selected("svc:/network/smtp") == ":properties\nsendmail\n"
    for word in ("x", "*x", "x:one", "nosuch", "net", "svc:/a b", f"{A}/:properties/x"):
        selected(word, 1)


@pytest.mark.parametrize(
    "line", ["add site/a", "add", "add a b", "add -x", "add a*", "delete nosuch"]
)
def test_what_cannot_be_added_or_deleted(a: Run, line: str) -> None:
    assert a.svccfg(line, status=2 if line in ("add", "add a b", "add -x") else 1) == ""


def test_what_runs_is_not_deleted(a: Run) -> None:
    a.local.commit(a.in_state(A, "online"))
    a.svccfg("delete", "a", status=1)
    assert A in a.error
    a.svccfg("delete", "-f", "a")
    assert A not in a.local.entities()


def test_unselect(a: Run) -> None:
    out = a.svccfg("-f", str(script(a, "select a\nselect default\nunselect\nlist\nunselect\nlist")))
    assert out == ":properties\ndefault\nsite/a\n"
    a.svccfg("unselect", status=2)


def script(run: Run, text: str) -> Path:
    path = run.local.directory / "script"
    path.write_text(text)
    return path


# -- properties ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("config/x = count: 5", "count  5"),
        ("config/x=astring: a", "astring  a"),
        ('config/x = astring: "a b"', 'astring  "a b"'),
        ('config/x = astring: ""', 'astring  ""'),
        ('config/x = astring: (a "b c" "")', 'astring  a "b c" ""'),
        ("config/x = astring: ()", "astring"),
        (r'config/x = astring: "a\"b\\c"', r'astring  "a\"b\\c"'),
        ("config/x = astring: A=b", 'astring  "A=b"'),
        ("config/x = astring: (A=b C=)", 'astring  "A=b" "C="'),
        ("config/x = boolean: 1", "boolean  true"),
        ("config/x = time: 1.5", "time  1.500000000"),
        ("config/x = fmri: svc:/a/b:c", "fmri  svc:/a/b:c"),
        ('config/x = astring: "count:"', 'astring  "count:"'),
        ("config/x = ustring: grün", "ustring  grün"),
        ('config/x = astring: "(x)"', 'astring  "(x)"'),
    ],
)
def test_setprop(a: Run, line: str, listed: str) -> None:
    a.svccfg("-s", A, f"setprop {line}")
    assert a.svccfg("-s", A, "listprop config/x") == f"config/x  {listed}\n"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("config/x = 5", 1, "say its type"),
        ("config/x = nosuch: 5", 2, "no type"),
        ("config/x = count: five", 1, "no count"),
        ("config/x = count:", 1, "say its type"),
        ("config/x = astring: a b", 2, "column 31"),
        ("config/x = astring: (a b) c", 2, "column 35"),
        ("config/x = astring: (a (b))", 2, "no lists in a list"),
        ("config/x = (a", 2, "not closed"),
        ("config/x astring: a", 2, "= is missing"),
        ("config/x y = a", 2, "one property"),
        ("config = a", 2, "GROUP/PROPERTY"),
        ("config/ = a", 2, "GROUP/PROPERTY"),
        ("config/x =", 2, "missing"),
        ("nosuch/x = astring: a", 1, "addpg nosuch"),
        ("config/a*b = astring: a", 1, "no valid name"),
        ("config/has = count: 1", 1, "of type astring"),
    ],
)
def test_setprop_refuses(a: Run, line: str, status: int, said: str) -> None:
    a.svccfg("-s", A, "setprop config/has = astring: a")
    before = a.local.store.generation
    a.svccfg("-s", A, f"setprop {line}", status=status)
    assert said in a.error
    assert a.local.store.generation == before


def test_a_property_that_is_there_needs_no_type(a: Run) -> None:
    a.svccfg("-s", A, "setprop config/x = count: 5")
    a.svccfg("-s", A, "setprop config/x = 6")
    a.svccfg("-s", A, "addpropvalue config/x 7")
    a.svccfg("-s", A, "addpropvalue config/x count: 77")
    assert a.value(A, "config", "x") == ("6", "7", "77")
    a.svccfg("-s", A, "delpropvalue config/x 7*")
    assert a.value(A, "config", "x") == ("6",)
    a.svccfg("-s", A, "delpropvalue config/x 7*", status=1)
    a.svccfg("-s", A, "addpropvalue config/x (8 9)", status=2)
    a.svccfg("-s", A, "addpropvalue config/x", status=2)
    a.svccfg("-s", A, "delprop config/x")
    a.svccfg("-s", A, "delprop config/x", status=1)
    a.svccfg("-s", A, "delprop config")
    assert "config" not in a.local.attached(A)


def test_groups(a: Run) -> None:
    a.svccfg("-s", A, "addpg now application P")
    assert a.svccfg("-s", A, "listpg") == (
        "config  application\nnow     application  NONPERSISTENT\n"
    )
    for line, status in (
        ("addpg config application", 1), ("addpg config other", 1), ("addpg x", 2),
        ("addpg x y z", 2), ("addpg a/b y", 1), ("delpg nosuch", 1),
    ):  # fmt: skip
        a.svccfg("-s", A, line, status=status)
    a.svccfg("-s", A, "delpg now")
    a.svccfg("addpg x y", status=2)
    assert "select" in a.error


def test_nothing_is_composed(a: Run) -> None:
    a.svccfg("-s", SERVICE, "addpg above application")
    a.svccfg("-s", SERVICE, "setprop above/x = count: 1")
    assert "above" not in a.svccfg("-s", A, "listprop")
    assert a.svccfg("-s", SERVICE, "listprop") == "above    application\nabove/x  count        1\n"
    assert a.svccfg("-s", SERVICE, "listprop above") == "above  application\n"


def test_terminals_obey_nothing_that_is_listed(a: Run) -> None:
    a.svccfg("-s", A, 'setprop config/x = astring: "a\x1b[31m\tb"')
    assert a.svccfg("-s", A, "listprop config/x") == 'config/x  astring  "a?[31m\tb"\n'


# -- environment -----------------------------------------------------------------------------------
def test_setenv(a: Run) -> None:
    a.svccfg("-s", A, "setenv X 1", status=1)
    a.svccfg("-s", SERVICE, "addpg start method")
    a.svccfg("-s", A, "setenv X 1")
    a.svccfg("-s", A, 'setenv Y "a b"')
    a.svccfg("-s", A, "setenv X=2")
    assert a.value(SERVICE, "start", "environment") == ("Y=a b", "X=2")
    a.svccfg("-s", A, "setenv -i X 1")
    assert a.value(A, "method_context", "environment") == ("X=1",)
    a.svccfg("-s", A, "setenv -s X 1")
    assert a.value(SERVICE, "method_context", "environment") == ("X=1",)
    a.svccfg("-s", A, "setenv -m stop X 1", status=1)
    a.svccfg("-s", A, "unsetenv Y")
    assert a.value(SERVICE, "start", "environment") == ("X=2",)
    a.svccfg("-s", A, "unsetenv Y", status=1)
    for line in ("setenv X", "setenv -is X 1", "setenv X Y Z", "unsetenv"):
        a.svccfg("-s", A, line, status=2)
    a.svccfg("-s", SERVICE, "setenv -i X 1", status=2)


def test_editprop_lists_what_it_would_set(a: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    a.svccfg("-s", A, 'setprop config/x = astring: ("a b" c)')
    a.svccfg("-s", A, 'setprop config/y = astring: "two\nlines"')
    a.svccfg("-s", A, "setprop config/z = count: 1")

    def edit(path: str) -> None:
        text = Path(path).read_text()
        assert '# setprop config/x = astring: ("a b" c)\n' in text
        Path(path).write_text(text.replace("# setprop config/z = count: 1", "setprop config/z = 2"))

    from smf.cli import svccfg_env

    monkeypatch.setattr(svccfg_env, "_edit", edit)
    a.svccfg("-s", A, "editprop")
    assert a.value(A, "config", "z") == ("2",)
    assert a.value(A, "config", "y") == ("two\nlines",)


# -- snapshots -------------------------------------------------------------------------------------
def test_snapshots(a: Run) -> None:
    a.svccfg("-s", A, "setprop config/x = count: 1")
    a.svccfg("-s", A, "refresh")
    assert a.value(A, "restarter_actions", "refresh")
    a.svcadm("enable", A)
    text = """select a:default
setprop config/x = 2
addpg more application
selectsnap running
listprop config/x
revert
listprop config/x
"""
    assert a.svccfg("-f", str(script(a, text))) == "config/x  count  1\n" * 2
    assert "more" not in a.local.attached(A)
    assert a.value(A, "general", "enabled") == ("true",)
    assert a.svccfg("-s", A, "listsnap") == "running\n"
    for line, status in (
        ("revert", 2), ("revert nosuch", 1), ("selectsnap nosuch", 1), ("refresh x", 2),
    ):  # fmt: skip
        a.svccfg("-s", A, line, status=status)
    a.svccfg("-s", SERVICE, "listsnap", status=2)
    a.svccfg("-f", str(script(a, "select a:default\nselectsnap running\ndelpg config")), status=1)
    assert a.error.startswith("svccfg: line 3: a snapshot cannot be changed")


def test_a_service_is_refreshed_in_all_its_instances(a: Run) -> None:
    a.make("svc:/site/a:other")
    a.svccfg("-s", SERVICE, "refresh")
    assert a.value("svc:/site/a:other", "restarter_actions", "refresh")


# -- notifications ---------------------------------------------------------------------------------
def test_notifications(a: Run) -> None:
    a.svccfg("-s", A, "setnotify", "to-maintenance", "mailto:root?reply-to=a@x")
    a.svccfg("setnotify", "-g", "to-maintenance,from-online", "https://h/?a=b")
    a.svccfg("setnotify", "problem-diagnosed", "mailto:a@x")
    assert "to-maintenance" in a.local.composed(A, "running")
    assert "from-online" in a.local.composed(GLOBAL, "running")
    assert "problem-diagnosed" in a.local.composed(PROBLEMS, "running")
    assert (
        a.svccfg("-s", A, "listnotify")
        == f"""\
    Event: to-maintenance
        Notification Type: smtp
            Active: true
            reply-to: a@x
            to: root
    Event: from-online (source: {GLOBAL})
        Notification Type: webhook
            Active: true
            url: https://h/?a=b
"""
    )
    assert a.svccfg("listnotify", "-g", "from-online").splitlines()[0] == "    Event: from-online"
    a.svccfg("-s", A, "setnotify to-maintenance mailto:inactive")
    assert "Active: false" in a.svccfg("-s", A, "listnotify to-maintenance")
    a.svccfg("-s", A, "delnotify to-maintenance")
    a.svccfg("-s", A, "delnotify to-maintenance", status=1)
    assert "https" in a.svccfg("-s", A, "listnotify to-maintenance")
    for line, status in (
        ("setnotify to-online mailto:a@x", 2), ("setnotify -g to-online", 2), ("delnotify", 2),
        ("setnotify -g to-up mailto:a@x", 1), ("setnotify -g to-online mailto:x", 1),
        ("setnotify -g to-online snmp:active", 1), ("setnotify -g to-online mailto:active", 1),
    ):  # fmt: skip
        a.svccfg(line, status=status)


# -- files -----------------------------------------------------------------------------------------
@pytest.fixture
def imported(a: Run, tmp_path: Path) -> Run:
    path = tmp_path / "new.xml"
    path.write_text(MANIFEST)
    a.svccfg("import", str(path))
    return a


def test_import_and_what_comes_of_it(imported: Run, tmp_path: Path) -> None:
    run = imported
    assert run.value(NEW, "general", "enabled") == ("true",)
    assert "new" in run.local.attached(SERVICE)
    assert run.svccfg("inventory", str(tmp_path / "new.xml")) == f"{NEW}\nsvc:/site/new\n"
    run.svccfg("validate", str(tmp_path / "new.xml"))
    run.svccfg("-s", NEW, "validate")
    exported = run.svccfg("export", "site/new")
    assert "value='80'" in exported
    run.svccfg("export", "site/new", ">", str(tmp_path / "out.xml"))
    assert (tmp_path / "out.xml").read_text() == exported
    run.svccfg("delete", "site/new")
    assert "new" not in run.local.attached(SERVICE)
    run.svccfg("import", str(tmp_path / "out.xml"))
    assert run.svccfg("export", "site/new") == exported


def test_an_instance_is_exported_with_its_service(
    imported: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert svccfg.COMMAND.main(["export", NEW]) == 0
    said = capsys.readouterr()
    assert "site/new" in said.out
    assert "is an instance" in said.err
    imported.svccfg("export", "new:default", status=1)


def test_an_archive_brings_back_what_was(imported: Run, tmp_path: Path) -> None:
    run = imported
    run.svccfg("archive", ">", str(tmp_path / "all.xml"))
    run.svcadm("disable", NEW)
    run.svccfg("-s", "site/new", "setprop config/port = 90")
    run.svccfg("restore", str(tmp_path / "all.xml"))
    assert run.value(NEW, "general", "enabled") == ("true",)
    assert run.value("svc:/site/new", "config", "port") == ("80",)
    run.svccfg("restore", str(tmp_path / "new.xml"), status=1)


def test_profiles(imported: Run, tmp_path: Path) -> None:
    run = imported
    profile = run.svccfg("extract")
    run.svcadm("disable", NEW)
    path = tmp_path / "profile.xml"
    path.write_text(profile)
    assert NEW in run.svccfg("apply", "-n", str(path))
    assert run.value(NEW, "general", "enabled") == ("false",)
    run.svccfg("apply", str(path))
    assert run.value(NEW, "general", "enabled") == ("true",)
    run.svccfg("import", str(path), status=1)
    assert "apply" in run.error
    run.svccfg("apply", str(tmp_path / "new.xml"), status=1)


def test_files_that_are_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<service_bundle>")
    (tmp_path / "good.xml").write_text(MANIFEST)
    run.svccfg("import", str(tmp_path), status=1)
    assert "bad.xml:" in run.error
    assert "1 of 2" in run.error
    assert NEW in run.local.entities()
    for line in ("import /nowhere", f"import {tmp_path}/bad.xml", "inventory /nowhere"):
        run.svccfg(line, status=1)
    run.svccfg("import", status=2)
    run.svccfg(f"export site/new > {tmp_path}/no/such/file", status=1)
    run.svccfg("export site/new >", status=2)
    run.svccfg("list > x", status=2)


def test_templates_are_minded(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(MANIFEST.replace("value='80'", "value='99999'"))
    run.svccfg("import", "-V", str(path), status=1)
    assert NEW not in run.local.entities()
    assert svccfg.COMMAND.main(["import", "-p", str(tmp_path / "done"), str(path)]) == 0
    assert 'config/port may not be "99999"' in capsys.readouterr().err
    assert (tmp_path / "done").read_text() == f"1/1 {path}\n"
    run.svccfg("validate", NEW, status=1)


def test_describe(imported: Run) -> None:
    run = imported
    said = run.svccfg("-s", "site/new", "describe", "-v", "config*")
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
    assert "A new one" in run.svccfg("-s", "site/new", "describe")
    assert "The port." in run.svccfg("-s", NEW, "describe", "-t")


def test_manifests_that_are_remembered(run: Run, tmp_path: Path) -> None:
    run.svccfg("cleanup")
    run.svccfg("delhash", "/nowhere", status=1)
    run.svccfg("delhash", "-d", "/nowhere", status=1)


# -- the command itself ----------------------------------------------------------------------------
def test_help_names_them_all(run: Run) -> None:
    listed = run.svccfg("help")
    for verb in svccfg.COMMAND.verbs:
        assert f"{verb.name} " in listed
        assert run.svccfg("help", verb.name).startswith(verb.name)
        assert run.svccfg(verb.name, "--help")
    run.svccfg("help", "nosuch", status=2)


@pytest.mark.parametrize(
    "words", [("nosuch",), ("-x",), ("-f", "x", "list"), ("=",), ("-s",), ("list", "a", "b")]
)
def test_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    run.svccfg(*words, status=2)


def test_a_file_ends_at_its_first_failure(a: Run) -> None:
    text = f"select {A}\nsetprop config/x = count: 1\nnosuch\nsetprop config/x = 2\n"
    a.svccfg("-f", str(script(a, text)), status=2)
    assert a.error.startswith("svccfg: line 3: ")
    assert a.value(A, "config", "x") == ("1",)
    a.svccfg("-f", str(script(a, "list\nexit\nnosuch")))
    a.svccfg("-f", "/nowhere", status=1)
    assert a.svccfg("-f", str(script(a, "set\nset -v\nset\n"))) == "set -V\nset -v\n"
    a.svccfg("set", "-vV", status=2)


def test_another_repository(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = str(tmp_path / "other.db")
    monkeypatch.setattr(Places, "__init__", _below(tmp_path, Places.__init__))
    out = run.svccfg("-f", str(script(run, f"add here\nrepository {other}\nadd there\nlist")))
    assert out == "there\n"
    assert run.svccfg("list") == "here\n"
    monkeypatch.setenv(svccfg.REPOSITORY, other)
    assert run.svccfg("list") == "there\n"


def _below(root: Path, original: object) -> object:
    def init(self: Places, below: str | None = None) -> None:
        original(self, below or str(root))  # type: ignore[operator]  # Places.__init__

    return init


def test_the_prompt(a: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([
        "nosuch", "select a:default", "setprop config/x = astring: (a", "b)", 'listprop "config/x"',
        ")", "selectsnap running", "exit",
    ])  # fmt: skip
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    session = Session(a.local, Places("/nonexistent"), interactive=True)
    assert svccfg.interactive(session) == 0
    assert prompts == [
        "svc:> ", "svc:> ", f"{A}> ", "> ", f"{A}> ", f"{A}> ", f"{A}> ", f"{A}[running]> "
    ]  # fmt: skip
    said = a.capsys.readouterr()
    assert said.out == "config/x  astring  a b\n"
    assert said.err.count("svccfg: ") == 2


def test_completion(a: Run) -> None:
    session = Session(a.local, Places("/nonexistent"))
    names = [verb.name for verb in svccfg.COMMAND.verbs]

    def offered(*words: str) -> list[str]:
        return svccfg_complete.candidates(session, names, list(words[:-1]), words[-1])

    assert offered("setp") == ["setprop "]
    assert offered("select", "site") == ["site/a "]
    assert offered("listprop", "") == []  # nothing is selected
    session.fmri = A
    a.svccfg("-s", A, "setprop config/x = count: 1")
    assert offered("setprop", "config") == ["config/x "]
    assert offered("setprop", "config/x", "=", "bool") == ["boolean: "]
    assert offered("revert", "") == ["running "]
    assert isinstance(svccfg.COMMAND, Command)
