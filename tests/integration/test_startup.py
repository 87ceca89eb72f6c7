# SPDX-License-Identifier: MPL-2.0
"""A command's start path imports what was agreed and no more (docs/style.md, "Start-up").

Guarded by what is imported, not by time: timings on a busy machine lie.
"""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PATHS = ["src", "src/native"]
ALLOWED = TOP / "tests/data/startup_modules.txt"
COMMANDS = ("vmadm", "imgadm", "zoneadm", "zlogin", "hull", "sysinfo", "vminfo")
SMF = ("svcs", "svcprop", "svcadm", "svccfg")
MODULES = {name: f"hull.cli.{name}" for name in COMMANDS} | {n: f"smf.cli.{n}" for n in SMF}
# What a command may have of its own.
OWN = {
    "imgadm": {
        f"hull.cli.image_{name}" for name in ("make", "progress", "sources", "table", "words")
    },
    "svcadm": {"smf.actions", "smf.cli.operands", "smf.states"},
    "svccfg": {
        "fnmatch",
        "smf.actions",
        "smf.cli.operands",
        "smf.notify_params",
        "smf.states",
        "smf.values",
        *(f"smf.cli.svccfg_{name}" for name in ("entity", "env", "file", "lang", "notify", "prop")),
        "smf.cli.svccfg_session",
    },
    "svcs": {"smf.cli.columns", "smf.states", "smf.view"},
}
TOO_DEAR = {
    *("argparse", "asyncio", "dataclasses", "logging", "pathlib"),
    *("socket", "subprocess", "typing", "uuid"),
}
TABLE = {
    "columns": [{"header": "UUID", "width": 36}, {"header": "ALIAS", "width": 10}],
    "rows": [["59aaecb6-467d-4116-92bd-f31842d44c90", "nsa-box"]],
}


def python(code: str, root: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run code as the launchers in bin/ run it."""
    return subprocess.run(
        ["/usr/bin/python3", "-ISB", "-c", f"import sys; sys.path[:0] = {PATHS}; {code}"],
        cwd=TOP,
        env={"HULL_ROOT": str(root)} if root else {},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def allowed() -> set[str]:
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_the_list_itself_is_cheap() -> None:
    assert not allowed() & TOO_DEAR


@pytest.mark.parametrize("name", MODULES)
def test_a_command_imports_no_more_than_agreed(name: str) -> None:
    done = python(f"import {MODULES[name]}; print(*sys.modules)")
    imported = set(done.stdout.split())
    assert not imported & TOO_DEAR
    more = imported - allowed() - {"__main__", MODULES[name]} - OWN.get(name, set())
    assert not more, f"measure what they cost, then add them to {ALLOWED.name}"


@contextmanager
def answering(path: Path, request: bytes, answer: bytes) -> Iterator[None]:
    """A socket that answers one request, which begins so."""
    path.parent.mkdir(parents=True)
    with ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(30)

        def serve() -> None:
            with listener.accept()[0] as connection:
                assert connection.recv(65536).startswith(request)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        held.callback(thread.join)
        yield


@pytest.fixture
def hulld(tmp_path: Path) -> Iterator[Path]:
    """The root of a host whose hulld answers one request, with a table of VMs."""
    body = json.dumps(TABLE).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(tmp_path / "run/hull/hulld.sock", b"GET /vms?", head + body):
        yield tmp_path


@pytest.fixture
def configd(tmp_path: Path) -> Iterator[Path]:
    """The root of an SMF whose svc.configd answers one request, with an instance."""
    enabled = {
        "type": "framework",
        "flags": "",
        "gen": 1,
        "props": {"enabled": ["boolean", "true"]},
    }
    found = {"svc:/site/a": {}, "svc:/site/a:default": {"general": enabled}}
    answer = json.dumps({"ok": found}).encode() + b"\n"
    with answering(tmp_path / "run/svc/repository_door", b'{"op":"dump"', answer):
        yield tmp_path


def test_a_whole_vmadm_list_imports_no_more(hulld: Path) -> None:
    code = "from hull.cli.vmadm import COMMAND; COMMAND.main(['list', '-o', 'uuid,alias'])"
    done = python(f"{code}; print(*sys.modules, file=sys.stderr)", hulld)
    assert done.stdout.splitlines() == [
        "UUID                                  ALIAS",
        "59aaecb6-467d-4116-92bd-f31842d44c90  nsa-box",
    ]
    imported = set(done.stderr.split())
    assert not imported - allowed() - {"__main__", "hull.cli.vmadm"}


def test_a_whole_svcs_imports_no_more(configd: Path) -> None:
    code = "from smf.cli.svcs import COMMAND; COMMAND.main(['a'])"
    done = python(f"{code}; print(*sys.modules, file=sys.stderr)", configd)
    assert done.stdout.splitlines() == [
        "STATE          STIME    FMRI",
        "-              -        svc:/site/a:default",
    ]
    imported = set(done.stderr.split())
    assert not imported - allowed() - {"__main__", "smf.cli.svcs"} - OWN["svcs"]
