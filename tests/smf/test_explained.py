# SPDX-License-Identifier: MPL-2.0
"""svcs -x of what has gone wrong: in words, with where the log is and what waits for it."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smf.manifests import Needs, service
from tests.smf.world import Subject, World

STUBBORN = "/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done' &"
NOWHERE = '<method_context working_directory="/nonexistent"/>'
BAD_USER = '<method_context><method_credential user="nosuch"/></method_context>'
AGAIN = ", again and again"


def explained(t: Subject, text: str, code: str) -> None:
    lines = t.world.svcs("-x", t.fmri).splitlines()
    assert lines[2] == f"Reason: {text}."
    assert lines[3].endswith(f"SMF-8000-{code}")
    assert f"   See: {t.world.svcs('-L', t.fmri).strip()}" in lines


@pytest.mark.parametrize(
    ("name", "start", "context", "text", "code"),
    [
        ("gone", "/nonexistent/program", "",
         f"Its start method exited with status 127 (its program was not found){AGAIN}", "KS"),
        ("text", "/etc/passwd", "",
         f"Its start method exited with status 126 (its program cannot be executed){AGAIN}", "KS"),
        ("user", "/bin/true", BAD_USER,
         'Its start method was not run: there is no user "nosuch"', "8Q"),
        ("prop", "/bin/true %{config/nope}", "",
         "Its start method was not run: there is no property config/nope", "8Q"),
        ("core", "/bin/sh -c 'kill -SEGV $$'", "",
         f"Its start method was ended by SIGSEGV{AGAIN}", "KS"),
    ],
)  # fmt: skip
def test_a_start_that_fails(
    world: World, name: str, start: str, context: str, text: str, code: str
) -> None:
    t = world.service(f"site/e-{name}", start, context=context)
    t.enable(status=3)
    explained(t, text.replace("SEGV,", _core("SEGV,", t)), code)


def test_a_directory_that_is_not_there(world: World) -> None:
    t = world.service("site/e-nowhere", "/bin/true", context=NOWHERE)
    t.enable(status=3)
    explained(t, "Its start method exited with status 96 (SMF_EXIT_ERR_CONFIG)", "KS")
    assert "cannot start the method: /nonexistent: No such file or directory\n" in t.log


def _core(word: str, t: Subject) -> str:
    """Whether a core was dumped is the machine's setting."""
    return word + " and dumped core," if "dumped core" in t.log else word


@pytest.mark.parametrize(
    ("name", "start", "stop", "text"),
    [
        ("hang", STUBBORN, ":kill", "Its stop method timed out: the service had not ended"),
        ("sleep", "/bin/sleep 1000 &", "/bin/sleep 1000",
         "Its stop method timed out, and was killed"),
        ("false", "/bin/sleep 1000 &", "/bin/false",
         f"Its stop method exited with status 1{AGAIN}"),
    ],
)  # fmt: skip
def test_a_stop_that_hangs_or_fails(
    world: World, name: str, start: str, stop: str, text: str
) -> None:
    t = world.service(f"site/e-stop-{name}", start, stop, stop_timeout=1)
    above = world.service(f"site/e-above-{name}", needs=[Needs(f"site/e-stop-{name}")])
    t.enable()
    above.enable()
    t.disable(status=3)
    explained(t, text, "7Y" if AGAIN in text else "8Q")
    above.disable()
    above.enable(status=4)
    assert f"Impact: 1 dependent service is not running:\n        {above.fmri}\n" in world.svcs(
        "-xv", t.fmri
    )
    world.svcadm("clear", t.fmri)
    t.becomes("disabled")
    assert "method" not in world.svcs("-x", t.fmri)


def test_a_cycle_is_named_in_full(world: World) -> None:
    a, b, c = (f"svc:/site/e-cycle-{name}:default" for name in "abc")
    for name, other in zip("abc", "bca", strict=True):
        needs = [Needs(f"site/e-cycle-{other}")]
        world.bring(service(f"site/e-cycle-{name}", needs=needs, enabled=True))
    world.wait(c, "maintenance")
    explained(
        Subject(world, c), f"Its dependencies lead back to itself: {c} -> {a} -> {b} -> {c}", "HP"
    )


# -- a full disk -----------------------------------------------------------------------------------
@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on a small disk of its own, but for what is volatile."""
    mounts = [tmp_path]
    mount(tmp_path, "size=3m")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        world = World()
        mounts.append(world.root / "run")
        mounts[-1].mkdir()
        mount(mounts[-1])
        with world:
            yield world
    finally:
        for each in reversed(mounts):
            subprocess.run(["/bin/umount", "-l", str(each)], check=False)


def mount(where: Path, options: str = "size=8m") -> None:
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", options, "none", str(where)], check=True)


def fill(directory: Path) -> Path:
    """A file that takes all there is, to the last byte."""
    path = directory / "fill"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return path


def test_a_full_disk(disk: World) -> None:
    t = disk.service("site/e-full")
    failing = disk.service("site/e-failing", f"/bin/sh -c 'echo word > {disk.root}/word'")
    t.enable()
    pid = t.pid()
    filled = fill(disk.root)
    said = disk.svcadm("enable", failing.fmri, status=1).stderr
    assert f"{disk.root}/etc/svc/repository.db cannot be written: database or disk is full" in said
    # What is volatile goes on, so that services can be restarted and explained.
    disk.svcadm("restart", t.fmri)
    t.has_restarted(pid)
    failing.enable("-st", status=3)
    explained(failing, f"Its start method exited with status 1{AGAIN}", "KS")
    full = f"  Disk: The file system of {disk.root}/var/svc/log is full: the log may lack its end."
    assert full in disk.svcs("-x", failing.fmri).splitlines()
    said = disk.svccfg("archive", ">", str(disk.root / "archive.xml"), status=1).stderr
    assert "archive.xml: No space left on device" in said
    filled.unlink()
    disk.svcadm("enable", "-s", t.fmri)
    assert t.prop("general/enabled", "-c") == "true"
    assert full not in disk.svcs("-x", failing.fmri).splitlines()


@pytest.mark.parametrize("command", ["svcs -a", "svcprop -p start x", "svccfg list", "svcs --help"])
def test_output_that_cannot_be_written(world: World, command: str) -> None:
    world.service("site/x")
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {command} > /dev/full"],
        env=world.environment | {"PATH": f"{Path(__file__).parents[2]}/src/native/smf/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    name = command.split()[0]
    assert done.stderr == f"{name}: cannot write standard output: No space left on device\n"
    assert done.returncode == 1
