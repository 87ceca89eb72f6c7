# SPDX-License-Identifier: MPL-2.0
"""The host's root enters a zone: what of the host's comes along, and who gets hold of it."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hosts import BIN, TestHost
from tests.integration.zone_fixtures import why_not
from tests.isolation.oracle import Oracle, new_oracle
from tests.isolation.stage import SECRET, new_stage
from tests.isolation.vm import Attacker, Outside, Running, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

PROGRAMS = [Path("/usr/bin") / name for name in ("crun", "conmon", "nsenter")]
ENTRIES = 30
SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def attacker(host: TestHost, base_image: str) -> Iterator[Attacker]:
    with attackers(host, base_image, "watcher") as (made,):
        yield made


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    with new_oracle() as made:
        yield made


def zlogin(attacker: Attacker, *words: str, files: tuple[int, ...] = ()) -> str:
    """As an operator with a secret in his environment and files open."""
    env = os.environ | {"HULL_ROOT": str(attacker.host.root), "SECRET": SECRET}
    done = subprocess.run(
        [str(BIN / "zlogin"), *words],
        input="", capture_output=True, text=True, env=env, pass_fds=files, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout


def test_no_file_of_the_hosts_is_open_in_a_zone(attacker: Attacker, oracle: Oracle) -> None:
    with (oracle.path / "passwd").open() as file:
        command = 'for f in /proc/self/fd/*; do readlink "$f"; done; true'
        seen = zlogin(attacker, attacker.uuid, command, files=(file.fileno(),))
        assert str(oracle.path) not in seen
        assert seen.count("pipe:") == 3
        # The control: who enters by nsenter(1) brings along what he has open.
        enter = attacker.enter("--user", "--mount", "--pid")
        argv = [*enter, "/bin/sh", "-c", command]
        careless = subprocess.check_output(argv, text=True, pass_fds=[file.fileno()])
    assert "passwd" in careless
    nothing = {"descriptors": "nothing", "descriptors_of_init": "nothing"}
    assert attacker("descriptors", "descriptors_of_init") == nothing


def watched(attacker: Attacker, running: Running, entries: list[list[str]]) -> str:
    """What an attack sees while the host enters."""
    env = os.environ | {"HULL_ROOT": str(attacker.host.root), "SECRET": SECRET}
    with running:
        running.begun()
        for argv in entries:
            subprocess.run(argv, env=env, input=b"", capture_output=True, check=False, timeout=60)
        running.end()
        return running.word()


def watching(attacker: Attacker) -> Running:
    return attacker.running("watch_entries", secret=SECRET, host=attacker.host.root)


def test_who_enters_is_the_hosts_until_he_is_the_zones(attacker: Attacker) -> None:
    """Neither traced, nor looked into, before it runs a program of the zone's."""
    entry = [str(BIN / "zlogin"), attacker.uuid, "sleep 0.02"]
    assert watched(attacker, watching(attacker), [entry] * ENTRIES) == "nothing"


CARELESS = """\
import ctypes, os, time
libc = ctypes.CDLL(None)
kept = open({kept!r})
for kind in ("user", "pid", "mnt"):
    fd = os.open(f"/proc/{pid}/ns/{{kind}}", os.O_RDONLY)
    libc.setns(fd, 0)
    os.close(fd)
if os.fork() == 0:
    os.setgid(0)
    os.setuid(0)
    libc.prctl(4, 1, 0, 0, 0)  # may be looked into
    time.sleep(0.3)
    os._exit(0)
os.wait()
"""


def test_control_a_careless_entry_is_seen_and_traced(attacker: Attacker) -> None:
    kept = attacker.host.root / "run/hull/hulld.pid"
    code = CARELESS.format(pid=attacker.pid(), kept=str(kept))
    seen = watched(attacker, watching(attacker), [["/usr/bin/python3", "-ISBc", code]])
    assert {"environment", "files", "traced"} <= set(seen.split())


def digests() -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in PROGRAMS]


def test_the_hosts_programs_are_not_overwritten(attacker: Attacker) -> None:
    before = digests()
    attacker.shell("mv /bin/su /bin/su.own; ln -s /proc/self/exe /bin/su")
    try:
        entry = [str(BIN / "zlogin"), "-l", "nobody", attacker.uuid, "true"]
        attack = attacker.running("overwrite_the_program")
        assert watched(attacker, attack, [entry] * 5) in ("nothing", "refused")
    finally:
        attacker.shell("rm /bin/su; mv /bin/su.own /bin/su")
    assert digests() == before


@pytest.mark.parametrize("user_namespace", [True, False])
def test_control_a_program_that_runs_itself_there_is_overwritten(
    attacker: Attacker, tmp_path: Path, *, user_namespace: bool
) -> None:
    """An entry by a program that is no copy of its own; where ids are mapped, it stays whole."""
    program = tmp_path / "enter"
    shutil.copy("/usr/bin/nsenter", program)
    shutil.copy("/usr/bin/nsenter", tmp_path / "other")
    attacker.shell("ln -sf /proc/self/exe /root/runs-itself")
    how = ["--user", "--mount", "--pid"] if user_namespace else ["--mount", "--pid"]
    entry = [str(program), *attacker.enter(*how)[1:], "/root/runs-itself", "--version"]
    attack = Outside(Path("/root/a")).running("overwrite_the_program", attacker.enter(*how))
    word = watched(attacker, attack, [entry] * 20)
    if user_namespace:
        assert word in ("nothing", "refused")
        assert program.read_bytes() == (tmp_path / "other").read_bytes()
    else:
        assert word == "done"
        assert program.read_bytes().startswith(b"#!/bin/sh")


KEY = """\
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
assert libc.syscall(250, 1, None) > 0
assert libc.syscall(248, b"user", sys.argv[1].encode(), b"x", 1, ctypes.c_long(-3)) > 0
os.execv(sys.argv[2], sys.argv[2:])
"""


ZLOGIN = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from hull.cli import terminal
sys.exit(terminal.command(sys.argv[1:]))
"""


def test_the_operators_keys_stay_outside(tmp_path: Path) -> None:
    """Two walls, each by itself: no zone asks for keys, and zlogin has none to find."""
    with_key = ["/usr/bin/python3", "-ISBc", KEY, SECRET]
    as_zlogin = ["/usr/bin/python3", "-ISBc", ZLOGIN, str(SRC)]
    careless = ["/usr/bin/env"]
    with new_stage(tmp_path) as stage:

        def found(removed: frozenset[str], *how: str) -> str:
            argv = stage.login_argv("joyent", removed, ["session_key"])
            done = subprocess.run(
                [*with_key, *how, *argv], input="", capture_output=True, text=True, check=True
            )
            return str(json.loads(done.stdout)["session_key"])

        no_filter = frozenset(["seccomp"])
        assert found(frozenset(), *careless) == "EPERM"
        assert found(no_filter, *as_zlogin) == "ENOKEY"
        assert found(no_filter, *careless) == "done"  # the control: neither
