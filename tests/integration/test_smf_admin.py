# SPDX-License-Identifier: MPL-2.0
"""bin/svcadm and bin/svccfg as processes: a real svc.configd, a terminal, and zones.

Zones are stand-ins, as in test_smf_svcs. Nobody is svc.startd here: the tests say what it would.
"""

import os
import pty
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smf.client import Client
from tests.integration.test_smf_svcs import ZLOGIN, ZONEADM, serve

TOP = Path(__file__).parents[2]
A, B = "svc:/site/a:default", "svc:/site/b:default"
TAKES_INPUT = 'cat >"$HULL_ROOT/input"\n'
Done = subprocess.CompletedProcess[str]


class Host:
    """A global zone and two zones, each with a repository."""

    def __init__(self, top: Path, held: ExitStack) -> None:
        self.top = top
        self.held = held
        self.clients = {name: serve(top / name, held) for name in ("global", "web", "db")}
        for client in self.clients.values():
            client.commit([["add", A], ["add", B]])
        stand_ins = top / "bin"
        stand_ins.mkdir()
        for name, text in (("zoneadm", ZONEADM), ("zlogin", ZLOGIN.replace(TAKES_INPUT, ""))):
            (stand_ins / name).write_text(text)
            (stand_ins / name).chmod(0o755)
        self.environment = {
            "PATH": f"{stand_ins}:/usr/bin:/bin", "HULL_ROOT": str(top / "global"),
            "ZONES": str(top), "NATIVE": str(TOP / "src/native"), "TERM": "dumb",
        }  # fmt: skip

    def run(self, name: str, *words: str, text: str = "", status: int = 0) -> Done:
        done = subprocess.run(
            [str(TOP / "bin" / name), *words], env=self.environment, input=text,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def start(self, name: str, *words: str) -> "subprocess.Popen[str]":
        """A command that goes on beside the test; it ends with it."""
        process = subprocess.Popen(
            [str(TOP / "bin" / name), *words], env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.held.callback(process.communicate)
        self.held.callback(process.kill)
        return process

    def enabled(self, zone: str, fmri: str = A) -> str:
        groups = self.clients[zone].attached(fmri)
        return groups["general"].value("enabled") if "general" in groups else "-"

    def put(self, state: str, fmri: str = A) -> None:
        """What svc.startd would write."""
        self.clients["global"].commit([
            ["group", fmri, "restarter", "framework", "P"],
            ["set", fmri, "restarter", "state", "astring", [state]],
            ["set", fmri, "restarter", "next_state", "astring", ["none"]],
        ])  # fmt: skip

    def wait_for_request(self) -> None:
        deadline = time.monotonic() + 30
        while self.enabled("global") != "true":
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as held:
        yield Host(tmp_path, held)


# -- svcadm -s -------------------------------------------------------------------------------------
def test_a_wait_ends_with_the_change_and_sleeps_until_then(host: Host) -> None:
    process = host.start("svcadm", "-v", "enable", "-s", A)
    host.wait_for_request()
    host.put("offline")
    time.sleep(0.3)
    assert process.poll() is None
    before = _cpu(process.pid)
    time.sleep(0.5)
    assert _cpu(process.pid) == before
    host.put("online")
    assert process.wait(30) == 0
    assert process.stdout is not None
    assert process.stdout.read() == f"{A}: enabled\n"


def _cpu(pid: int) -> int:
    """Ticks that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_wait_survives_svc_configd(host: Host, tmp_path: Path) -> None:
    """The listening socket stays, as svc.init keeps it: the next configd is behind it."""
    import socket

    from tests.integration.test_smf_svcs import SERVE

    door = tmp_path / "lone/run/svc/repository_door"
    door.parent.mkdir(parents=True)
    listener = host.held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    listener.bind(str(door))
    listener.listen(16)
    argv = ["/usr/bin/python3", "-ISB", "-c", SERVE, str(tmp_path / "lone")]

    def configd() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(argv, cwd=TOP, stdin=listener.fileno())
        host.held.callback(process.wait)
        host.held.callback(process.kill)
        return process

    first = configd()
    host.clients["global"] = client = Client(str(door))
    host.held.callback(client.close)
    host.environment["HULL_ROOT"] = str(tmp_path / "lone")
    client.commit([["add", A]])
    process = host.start("svcadm", "enable", "-s", A)
    host.wait_for_request()
    host.put("offline")
    first.kill()
    first.wait()
    configd()
    host.put("online")
    assert process.wait(30) == 0


def test_a_wait_for_what_cannot_come(host: Host) -> None:
    host.clients["global"].commit([
        ["group", A, "needs", "dependency", ""],
        ["set", A, "needs", "grouping", "astring", ["require_all"]],
        ["set", A, "needs", "entities", "fmri", [B]],
    ])  # fmt: skip
    begun = time.monotonic()
    process = host.start("svcadm", "enable", "-s", A)
    host.wait_for_request()
    host.put("offline")
    assert process.wait(30) == 4
    assert time.monotonic() - begun > 2.5  # the first look is after three seconds


def test_a_wait_can_be_interrupted(host: Host) -> None:
    process = host.start("svcadm", "enable", "-s", A)
    host.wait_for_request()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""


# -- zones -----------------------------------------------------------------------------------------
def test_svcadm_in_zones(host: Host) -> None:
    host.run("svcadm", "-z", "web", "enable", "a")
    assert [host.enabled(zone) for zone in ("global", "web", "db")] == ["-", "true", "-"]
    host.run("svcadm", "-v", "-Z", "disable", "-c", "it's $HOME; `ls`", "*a*")
    assert [host.enabled(zone) for zone in ("global", "web", "db")] == ["false"] * 3
    for client in host.clients.values():
        assert client.attached(A)["general_ovr"].value("comment") == "it's $HOME; `ls`"
    host.run("svcadm", "-z", "web", "enable", "nosuch", status=1)
    host.run("svcadm", "-z", "ubuntu", "enable", "a", status=1)
    host.run("svcadm", "-z", "nosuch", "enable", "a", status=1)
    host.run("svcadm", "-Z", "-z", "web", "enable", "a", status=2)
    host.run("svcadm", "-z", "global", "enable", "a")
    assert host.enabled("global") == "true"


def test_svccfg_in_a_zone(host: Host, tmp_path: Path) -> None:
    host.run("svccfg", "-z", "web", "-s", A, "addpg", "config", "application")
    host.run("svccfg", "-z", "web", "-s", A, "setprop", "config/x", "=", "astring:", '"it\'s; $x"')
    assert host.clients["web"].attached(A)["config"].value("x") == "it's; $x"
    assert host.run("svccfg", "-z", "web", "-s", "a", "list").stdout == ":properties\ndefault\n"
    commands = tmp_path / "commands"
    commands.write_text("select a:default\nsetprop config/x = 2\nlistprop config/x\n")
    done = host.run("svccfg", "-z", "web", "-f", str(commands))
    assert done.stdout == "config/x  astring  2\n"
    done = host.run("svccfg", "-z", "web", text="select a:default\nlistpg\n")
    assert done.stdout == "config  application\n"
    host.run("svccfg", "-z", "web", "nosuch", status=2)
    host.run("svccfg", "-z", "web", "-f", "/nowhere", status=1)
    assert "config" not in host.clients["global"].attached(A)


def test_two_at_once_lose_nothing(host: Host, tmp_path: Path) -> None:
    host.clients["global"].commit([
        ["group", A, "config", "application", ""], ["set", A, "config", "x", "count", []],
    ])  # fmt: skip
    started = []
    for first in (0, 100):
        commands = tmp_path / f"commands{first}"
        lines = [f"addpropvalue config/x {number}\n" for number in range(first, first + 50)]
        commands.write_text("".join(lines))
        started.append(host.start("svccfg", "-s", A, "-f", str(commands)))
    assert [process.wait(60) for process in started] == [0, 0]
    found = host.clients["global"].attached(A)["config"].values("x")
    assert sorted(map(int, found)) == [*range(50), *range(100, 150)]


# -- the prompt ------------------------------------------------------------------------------------
class Terminal:
    """svccfg on a terminal of its own."""

    def __init__(self, host: Host) -> None:
        self.host = host
        pid, self.fd = pty.fork()
        if pid == 0:
            path = str(TOP / "bin/svccfg")
            os.execve(path, [path], host.environment)
        self.pid = pid
        self.status: int | None = None
        host.held.callback(self.end)

    def end(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, text: str) -> str:
        """All that it says until this comes."""
        said = ""
        while text not in said:
            assert select.select([self.fd], [], [], 30)[0], said
            try:
                said += os.read(self.fd, 4096).decode()
            except OSError:  # it has ended
                raise AssertionError(f"{text!r} did not come: {said!r}") from None
        return said

    def wait(self) -> int:
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


def test_the_prompt_on_a_terminal(host: Host) -> None:
    terminal = Terminal(host)
    terminal.until("svc:> ")
    terminal.type("select site/a\n")
    terminal.until("svc:/site/a> ")
    terminal.type("select de\t\n")
    terminal.until(f"{A}> ")
    terminal.type("bogus\n")
    assert "no subcommand" in terminal.until(f"{A}> ")
    terminal.type("addpg config application\n")
    terminal.until(f"{A}> ")
    terminal.type("setprop config/x = astring: (a\n")
    terminal.until("> ")
    terminal.type('"b c")\n')
    terminal.until(f"{A}> ")
    terminal.type("listprop conf\t/x\n")
    assert 'config/x  astring  a "b c"' in terminal.until(f"{A}> ").replace("\r", "")
    terminal.type("\x03")
    terminal.until(f"{A}> ")
    terminal.type("\x04")
    assert terminal.wait() == 0


def test_an_editor(host: Host, tmp_path: Path) -> None:
    client = host.clients["global"]
    client.commit([
        ["group", A, "config", "application", ""], ["set", A, "config", "x", "count", ["1"]],
    ])  # fmt: skip
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/^# \\(setprop config.x =\\).*/\\1 "7"/\' "$2"\n')
    editor.chmod(0o755)
    host.environment["EDITOR"] = f"{editor} -q"
    host.run("svccfg", "-s", A, "editprop")
    assert client.attached(A)["config"].value("x") == "7"
    host.environment["EDITOR"] = "/bin/false"
    host.run("svccfg", "-s", A, "editprop", status=1)
    host.environment["EDITOR"] = "/no/such/editor"
    host.run("svccfg", "-s", A, "editprop", status=1)


# -- without a repository --------------------------------------------------------------------------
def test_nobody_is_there(host: Host, tmp_path: Path) -> None:
    host.environment["HULL_ROOT"] = str(tmp_path / "empty")
    assert "not running" in host.run("svcadm", "enable", "a", status=1).stderr
    assert "not running" in host.run("svccfg", "list", status=1).stderr
    other = str(tmp_path / "other.db")
    host.environment["SVCCFG_REPOSITORY"] = other
    host.run("svccfg", "add", "site/x")
    assert host.run("svccfg", "list").stdout == "site/x\n"
    host.environment["HULL_ROOT"] = str(tmp_path / "global")
    host.environment["SVCCFG_REPOSITORY"] = str(tmp_path / "global/etc/svc/repository.db")
    assert "svc.configd has" in host.run("svccfg", "list", status=1).stderr


@pytest.mark.needs_root
def test_only_root_changes(host: Host) -> None:
    # pytest's own directories are nobody else's.
    top = Path(host.held.enter_context(tempfile.TemporaryDirectory(prefix="smf-")))
    top.chmod(0o755)
    client = serve(top, host.held)
    client.commit([["add", A]])
    (top / "run/svc/repository_door").chmod(0o666)
    done = subprocess.run(
        [str(TOP / "bin/svcadm"), "enable", "a"], env=host.environment | {"HULL_ROOT": str(top)},
        user=65534, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "only root" in done.stderr
