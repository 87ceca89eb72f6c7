# SPDX-License-Identifier: MPL-2.0
"""zlogin: which session it asks for, and what becomes of it. The relays: tests/integration."""

from pathlib import Path

import pytest

from hull.cli import terminal, zlogin
from hull.cli.terminal import Escape
from hull.cli.zlogin import COMMAND, parse_first
from hull.errors import InvalidState
from hull.wire import JsonObject
from tests.unit.cli.fake import Shell, make_shell

UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"


class Sessions:
    """What would have been run in the zone."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.logins: list[tuple[list[str], str]] = []
        self.consoles: list[tuple[str, str, bool, bool]] = []

    def command(self, argv: list[str]) -> int:
        self.commands.append(argv)
        return 3

    def login(self, argv: list[str], tty_socket: str, escape: Escape) -> int:
        self.logins.append((argv, f"{tty_socket} {escape}".strip()))
        return 4

    def watch_console(
        self,
        call: object,
        uuid: str,
        escape: Escape,
        *,
        changes: object,
        until_halt: bool,
        quiet: bool,
    ) -> int:
        del call, changes
        self.consoles.append((uuid, str(escape), until_halt, quiet))
        return 0


class NoChanges:
    def __init__(self, uuid: str, stream: object) -> None:
        del uuid, stream


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    made = Sessions()
    for name in ("command", "login", "watch_console"):
        monkeypatch.setattr(terminal, name, getattr(made, name))
    monkeypatch.setattr(terminal, "Changes", NoChanges)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return make_shell(COMMAND, monkeypatch, capsys)


@pytest.fixture
def plan(tmp_path: Path) -> JsonObject:
    (tmp_path / "process.json").write_text("{}")
    return {
        "argv": ["/usr/bin/crun", "exec"],
        "process": str(tmp_path / "process.json"),
        "tty_socket": "/run/x.sock",
    }


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: True)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: False)


def typed(*argv: str) -> list[str]:
    return parse_first(list(argv))


def asked(run: Shell) -> JsonObject:
    ((method, target, body),) = run.hulld.asked
    assert (method, target) == ("POST", "/vms/nsa-box?action=login")
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["z"], ["z", "--"]),
        (["z", "ls", "-l"], ["z", "--", "ls", "-l"]),
        (["-l", "root", "z", "-x"], ["-l", "root", "z", "--", "-x"]),
        (["-C", "-e", "@", "z"], ["-C", "-e", "@", "z", "--"]),
        (["-lroot", "z", "id"], ["-lroot", "z", "--", "id"]),
        (["--", "z", "id"], ["--", "z", "id"]),
        (["-l", "root"], ["-l", "root"]),
        (["-z", "z", "ls", "-l"], ["-z", "z", "--", "ls", "-l"]),
        (["-zz", "-C"], ["-zz", "-C"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_options_end_at_the_zones_name(argv: list[str], expected: list[str]) -> None:
    assert parse_first(argv) == expected


@pytest.mark.usefixtures("on_a_terminal")
def test_a_login_gets_a_pty(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    done = run(*typed("nsa-box"), answer=plan)
    assert (done.status, done.err) == (
        4,
        "[Connected to zone 'nsa-box' pts]\n\n[Connection to zone 'nsa-box' pts closed]\n",
    )
    assert sessions.logins == [(["/usr/bin/crun", "exec"], "/run/x.sock ~.")]
    body = asked(run)
    assert (body["user"], body["command"], body["terminal"]) == ("root", "", True)
    assert body["term"] == "xterm"
    assert not Path(str(plan["process"])).exists()


@pytest.mark.usefixtures("on_a_terminal")
def test_quietly(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    assert run(*typed("-Q", "nsa-box"), answer=plan).err == ""
    assert sessions.logins


@pytest.mark.usefixtures("on_a_terminal")
def test_a_command_gets_pipes(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    done = run(*typed("-l", "postgres", "nsa-box", "ls", "-l", "/a b"), answer=plan)
    assert (done.status, done.err) == (3, "")
    assert sessions.commands == [["/usr/bin/crun", "exec"]]
    body = asked(run)
    assert (body["user"], body["command"]) == ("postgres", "ls -l /a b")
    assert (body["terminal"], body["term"]) == (False, "")
    assert not Path(str(plan["process"])).exists()


@pytest.mark.usefixtures("on_a_terminal")
def test_a_command_with_a_terminal(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    assert run(*typed("-t", "nsa-box", "top"), answer=plan).status == 4
    assert sessions.logins
    assert asked(run)["command"] == "top"


@pytest.mark.usefixtures("without_a_terminal")
def test_a_script_on_standard_input(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    assert run(*typed("nsa-box"), answer=plan).status == 3
    assert sessions.commands
    assert asked(run)["command"] == "/bin/sh"


@pytest.mark.usefixtures("on_a_terminal")
def test_never_a_terminal(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    run(*typed("-i", "nsa-box"), answer=plan)
    assert sessions.commands
    assert (asked(run)["command"], asked(run)["terminal"]) == ("", False)


@pytest.mark.usefixtures("on_a_terminal")
def test_the_process_file_goes_whatever_happens(
    run: Shell, plan: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "command", fail)
    assert run(*typed("nsa-box", "id"), answer=plan).status == 130
    assert not Path(str(plan["process"])).exists()


@pytest.mark.usefixtures("on_a_terminal")
@pytest.mark.parametrize(
    ("options", "way"), [(["-E"], ""), (["-e", "%"], "%."), (["-e%"], "%."), ([], "~.")]
)
def test_ways_out(
    run: Shell, plan: JsonObject, sessions: Sessions, options: list[str], way: str
) -> None:
    run(*typed(*options, "nsa-box"), answer=plan)
    assert sessions.logins == [(["/usr/bin/crun", "exec"], f"/run/x.sock {way}".strip())]


@pytest.mark.usefixtures("on_a_terminal")
def test_safely(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    assert run(*typed("-S", "nsa-box", "id"), answer=plan).status == 3
    assert asked(run)["safe"] is True
    assert run(*typed("-S", "-l", "web", "nsa-box")).status == 2
    assert len(sessions.commands) == 1


@pytest.mark.usefixtures("on_a_terminal")
def test_the_zone_by_option(run: Shell, plan: JsonObject, sessions: Sessions) -> None:
    assert run(*typed("-z", "nsa-box", "ls", "-l"), answer=plan).status == 3
    assert asked(run)["command"] == "ls -l"
    assert sessions.commands


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-C"], ("~.", False, False)),
        (["-CQ"], ("~.", False, True)),
        (["-C", "-d"], ("~.", True, False)),
        (["-C", "-E"], ("", False, False)),
        (["-C", "-e", "@"], ("@.", False, False)),
        (["-I"], ("~.", True, False)),
    ],
)
def test_the_console(
    run: Shell, sessions: Sessions, options: list[str], expected: tuple[str, bool, bool]
) -> None:
    assert run(*typed(*options, "nsa box"), answer=[{"uuid": UUID}]).status == 0
    assert sessions.consoles == [(UUID, *expected)]
    assert run.hulld.asked == [("GET", "/zones?zone=nsa%20box", None)]


@pytest.mark.parametrize(
    "argv", [["-C", UUID, "id"], ["-d", UUID], ["-E", "-e", "@", UUID], ["-e", "ab", UUID]]
)
def test_what_does_not_go_together(run: Shell, sessions: Sessions, argv: list[str]) -> None:
    assert run(*typed(*argv)).status == 2
    assert sessions.consoles == []


@pytest.mark.usefixtures("without_a_terminal")
def test_a_zone_that_is_down(run: Shell, sessions: Sessions) -> None:
    done = run(*typed("nsa-box", "id"), answer=InvalidState("it is down", hint="start it"))
    assert (done.status, done.err) == (1, "zlogin: it is down\n        start it\n")
    assert not sessions.commands


def test_no_zone_is_wrong_usage(run: Shell) -> None:
    assert run(*typed("-l", "root")).status == 2


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ["--help"]),
        (["z", "id"], ["z", "--", "id"]),
        (["--here", "z", "id"], ["--here", "z", "--", "id"]),
    ],
)
def test_main(argv: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def fake_main(argv: list[str]) -> int:
        seen.append(argv)
        return 9

    monkeypatch.setattr("sys.argv", ["zlogin", *argv])
    monkeypatch.setattr(COMMAND, "main", fake_main)
    with pytest.raises(SystemExit) as ended:
        zlogin.main()
    assert (seen, ended.value.code) == ([expected], 9)
