# SPDX-License-Identifier: MPL-2.0
"""svccfg's subcommands, as words, as a file and at the prompt."""

from pathlib import Path

import pytest

from smf.cli import svccfg, svccfg_complete
from smf.cli.options import Command
from smf.cli.svccfg_session import Session
from smf.notify_params import GLOBAL, PROBLEMS
from smf.places import Places
from tests.unit.smf.cli.admin import Admin

SERVICE, A = "svc:/site/a", "svc:/site/a:default"


@pytest.fixture
def a(admin: Admin) -> Admin:
    """With an instance that has a property group config."""
    admin.make(A)
    admin.svccfg("-s", A, "addpg config application")
    return admin


# -- services and instances ------------------------------------------------------------------------
def test_add_select_list_delete(admin: Admin) -> None:
    admin.svccfg("add", "site/a")
    admin.svccfg("-s", "site/a", "add default")
    admin.svccfg("-s", "a", "add", "other")
    assert admin.svccfg("list") == "site/a\n"
    assert admin.svccfg("list", "*b*") == ""
    assert admin.svccfg("-s", "a", "list") == ":properties\ndefault\nother\n"
    assert admin.svccfg("-s", "a:other", "list") == ":properties\n"
    admin.svccfg("-s", "a", "delete other")
    admin.svccfg("delete", "site/a")
    assert admin.local.entities() == []


def test_what_an_abbreviation_selects(admin: Admin) -> None:
    admin.make("svc:/network/smtp:sendmail")
    admin.make("svc:/site/x:one")
    admin.make("svc:/site2/x:one")

    def selected(word: str, status: int = 0) -> str:
        return admin.svccfg("-s", word, "list", status=status)

    assert selected("smtp") == ":properties\nsendmail\n"
    assert selected("network/smtp:sendmail") == selected("*sendmail") == ":properties\n"
    assert selected("svc:/network/smtp") == ":properties\nsendmail\n"
    for word in ("x", "*x", "x:one", "nosuch", "net", "svc:/a b", f"{A}/:properties/x"):
        selected(word, 1)


@pytest.mark.parametrize(
    "line", ["add site/a", "add", "add a b", "add -x", "add a*", "delete nosuch"]
)
def test_what_cannot_be_added_or_deleted(a: Admin, line: str) -> None:
    assert a.svccfg(line, status=2 if line in ("add", "add a b", "add -x") else 1) == ""


def test_what_runs_is_not_deleted(a: Admin) -> None:
    a.local.commit(a.in_state(A, "online"))
    a.svccfg("delete", "a", status=1)
    assert A in a.error
    a.svccfg("delete", "-f", "a")
    assert A not in a.local.entities()


@pytest.mark.parametrize("word", ["default", ":default"])
def test_an_instance_of_the_selected_service(a: Admin, word: str) -> None:
    a.local.commit([["add", "svc:/site/b:default"]])
    commands = str(script(a, f"select a\nselect {word}\nlist\nunselect\nlist"))
    assert a.svccfg("-f", commands) == ":properties\n:properties\ndefault\n"


def test_unselect(a: Admin) -> None:
    out = a.svccfg("-f", str(script(a, "select a\nselect default\nunselect\nlist\nunselect\nlist")))
    assert out == ":properties\ndefault\nsite/a\n"
    a.svccfg("unselect", status=2)


def script(admin: Admin, text: str) -> Path:
    path = admin.local.directory / "script"
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
def test_setprop(a: Admin, line: str, listed: str) -> None:
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
def test_setprop_refuses(a: Admin, line: str, status: int, said: str) -> None:
    a.svccfg("-s", A, "setprop config/has = astring: a")
    before = a.local.store.generation
    a.svccfg("-s", A, f"setprop {line}", status=status)
    assert said in a.error
    assert a.local.store.generation == before


def test_a_property_that_is_there_needs_no_type(a: Admin) -> None:
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


def test_groups(a: Admin) -> None:
    a.svccfg("-s", A, "addpg now application P")
    assert a.svccfg("-s", A, "listpg") == (
        "config  application\nnow     application  NONPERSISTENT\n"
    )
    for line, status in (
        ("addpg config application", 1), ("addpg config other", 1), ("addpg x", 2),
        ("addpg x y z", 2), ("addpg a/b y", 1), ("delpg nosuch", 1),
    ):  # fmt: skip
        a.svccfg("-s", A, line, status=status)
    a.svccfg("-s", A, "delpg config/foo", status=1)
    assert "`delprop config/foo`" in a.error
    a.svccfg("-s", A, "delpg now")
    a.svccfg("addpg x y", status=2)
    assert "select" in a.error


def test_nothing_is_composed(a: Admin) -> None:
    a.svccfg("-s", SERVICE, "addpg above application")
    a.svccfg("-s", SERVICE, "setprop above/x = count: 1")
    assert "above" not in a.svccfg("-s", A, "listprop")
    assert a.svccfg("-s", SERVICE, "listprop") == "above    application\nabove/x  count        1\n"
    assert a.svccfg("-s", SERVICE, "listprop above") == "above  application\n"


def test_terminals_obey_nothing_that_is_listed(a: Admin) -> None:
    a.svccfg("-s", A, 'setprop config/x = astring: "a\x1b[31m\tb"')
    assert a.svccfg("-s", A, "listprop config/x") == 'config/x  astring  "a?[31m\tb"\n'


# -- environment -----------------------------------------------------------------------------------
def test_setenv(a: Admin) -> None:
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


def test_editprop_lists_what_it_would_set(a: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_snapshots(a: Admin) -> None:
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


def test_a_service_is_refreshed_in_all_its_instances(a: Admin) -> None:
    a.make("svc:/site/a:other")
    a.svccfg("-s", SERVICE, "refresh")
    assert a.value("svc:/site/a:other", "restarter_actions", "refresh")


# -- notifications ---------------------------------------------------------------------------------
def test_notifications(a: Admin) -> None:
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


# -- the command itself ----------------------------------------------------------------------------
def test_help_names_them_all(admin: Admin) -> None:
    listed = admin.svccfg("help")
    for verb in svccfg.COMMAND.verbs:
        assert f"{verb.name} " in listed
        assert admin.svccfg("help", verb.name).startswith(verb.name)
        assert admin.svccfg(verb.name, "--help")
    admin.svccfg("help", "nosuch", status=2)


@pytest.mark.parametrize(
    "words", [("nosuch",), ("-x",), ("-f", "x", "list"), ("=",), ("-s",), ("list", "a", "b")]
)
def test_wrong_usage(admin: Admin, words: tuple[str, ...]) -> None:
    admin.svccfg(*words, status=2)


def test_a_file_ends_at_its_first_failure(a: Admin) -> None:
    text = f"select {A}\nsetprop config/x = count: 1\nnosuch\nsetprop config/x = 2\n"
    a.svccfg("-f", str(script(a, text)), status=2)
    assert a.error.startswith("svccfg: line 3: ")
    assert a.value(A, "config", "x") == ("1",)
    a.svccfg("-f", str(script(a, "list\nexit\nnosuch")))
    a.svccfg("-f", "/nowhere", status=1)
    assert a.svccfg("-f", str(script(a, "set\nset -v\nset\n"))) == "set -V\nset -v\n"
    a.svccfg("set", "-vV", status=2)


def test_another_repository(admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = str(tmp_path / "other.db")
    monkeypatch.setattr(Places, "__init__", _below(tmp_path, Places.__init__))
    out = admin.svccfg("-f", str(script(admin, f"add here\nrepository {other}\nadd there\nlist")))
    assert out == "there\n"
    assert admin.svccfg("list") == "here\n"
    monkeypatch.setenv(svccfg.REPOSITORY, other)
    assert admin.svccfg("list") == "there\n"


def _below(root: Path, original: object) -> object:
    def init(self: Places, below: str | None = None) -> None:
        original(self, below or str(root))  # type: ignore[operator]  # Places.__init__

    return init


def test_the_prompt(a: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_completion(a: Admin) -> None:
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
