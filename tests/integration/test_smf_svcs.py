# SPDX-License-Identifier: MPL-2.0
"""bin/svcs and bin/svcprop as processes: a real svc.configd, real processes, Graphviz, and zones.

Zones are stand-ins: a zlogin that runs the command on this machine, with another root.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smf.client import Client
from tests.unit.smf.made import NOON, instance

TOP = Path(__file__).parents[2]
SERVE = """
import socket, sys
sys.path.insert(0, "src/native")
from smf.configd import Configd
from smf.places import Places
from smf.store import Store
places = Places(sys.argv[1])
Configd(Store(places.repository, places.nonpersistent), socket.socket(fileno=0)).serve()
"""
ZONEADM = """#!/bin/sh
zones() {
    echo '0:global:running:/::liveimg:shared:0'
    echo '2:web:running:/zones/web:u-2:joyent:excl:0'
    echo '1:db:running:/zones/db:u-1:joyent-minimal:excl:0'
    echo '3:ubuntu:running:/zones/ubuntu:u-3:lx:excl:0'
    echo '4:gone:shutting_down:/zones/gone:u-4:joyent:excl:0'
}
if [ "$1" = -z ]; then
    zones | grep "^[0-9]*:$2:" && exit 0
    echo "$2: No such zone configured" >&2
    exit 1
fi
zones
"""
# As the real one it joins its words, and a shell takes them apart.
ZLOGIN = """#!/bin/sh
[ "$1" = -i ] || exit 3
export HULL_ROOT="$ZONES/$2"
shift 2
cat >"$HULL_ROOT/input"
exec /bin/sh -c "$(printf %s "$*" | sed "s|/native/|$NATIVE/|")"
"""
A, B = "svc:/site/a:default", "svc:/site/b:default"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def serve(root: Path, held: ExitStack) -> Client:
    """An empty repository below a root, until the stack ends."""
    door = root / "run/svc/repository_door"
    door.parent.mkdir(parents=True)
    listener = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    listener.bind(str(door))
    listener.listen(16)
    argv = ["/usr/bin/python3", "-ISB", "-c", SERVE, str(root)]
    process = held.enter_context(subprocess.Popen(argv, cwd=TOP, stdin=listener.fileno()))
    held.callback(process.terminate)
    client = Client(str(door))
    held.callback(client.close)
    assert client.entities() == []
    return client


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def client(tmp_path: Path, held: ExitStack) -> Client:
    return serve(tmp_path / "global", held)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for name, text in (("zoneadm", ZONEADM), ("zlogin", ZLOGIN)):
        (stand_ins / name).write_text(text)
        (stand_ins / name).chmod(0o755)
    environment = {
        "PATH": f"{stand_ins}:/usr/bin:/bin",
        "HULL_ROOT": str(tmp_path / "global"),
        "TZ": "UTC",
        "ZONES": str(tmp_path),
        "NATIVE": str(TOP / "src/native"),
    }

    def run(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(TOP / "bin" / name), *words],
            env=environment, input="not for it", capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    return run


def test_as_a_process(client: Client, run: Run) -> None:
    instance(client, A)
    done = run("svcs")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == "STATE          STIME    FMRI\nonline         2023     svc:/site/a:default\n"
    )
    done = run("svcs", "nosuch")
    assert (done.returncode, done.stdout) == (1, "STATE          STIME    FMRI\n")
    assert "nosuch" in done.stderr
    assert run("svcprop", "-p", "restarter/state", "a").stdout == "online\n"
    assert run("svcs", "-x").stdout == ""


def test_nobody_answers(run: Run, tmp_path: Path) -> None:
    done = run("svcs")
    assert (done.returncode, done.stdout) == (1, "")
    door = tmp_path / "global/run/svc/repository_door"
    said = f"svcs: cannot reach svc.configd at {door}: it is not running; "
    assert done.stderr.startswith(said)
    assert "`hull up`" in done.stderr


def test_a_reader_that_has_seen_enough(client: Client, run: Run, tmp_path: Path) -> None:
    for number in range(300):
        instance(client, f"svc:/site/s{number}:default")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{TOP}/bin/svcs -v | head -1"], capture_output=True, text=True,
        env={"HULL_ROOT": str(tmp_path / "global"), "PATH": "/usr/bin:/bin"},
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout.split()[0], done.stderr) == ("STATE", "")


def test_processes(client: Client, run: Run, tmp_path: Path, held: ExitStack) -> None:
    sleeper = held.enter_context(subprocess.Popen(["/usr/bin/sleep", "1000"]))
    held.callback(sleeper.kill)
    (tmp_path / "cgroups/117").mkdir(parents=True)
    (tmp_path / "cgroups/117/cgroup.procs").write_text(f"{sleeper.pid}\n")
    (tmp_path / "global/run/svc/contracts").write_text(f"{tmp_path}/cgroups\n")
    instance(client, A, contract=["count", "117"])
    before = time.time()
    line = run("svcs", "-Hp", "a").stdout.splitlines()[1]
    started = time.strptime(line[15:23].strip(), "%H:%M:%S")
    wanted = time.gmtime(before)
    late = (wanted.tm_hour - started.tm_hour) * 3600 + (wanted.tm_min - started.tm_min) * 60
    assert abs(late + wanted.tm_sec - started.tm_sec) % 86400 < 60
    assert line[23:] == f"   {sleeper.pid:>6} sleep"
    assert f"process      {sleeper.pid} /usr/bin/sleep 1000\n" in run("svcs", "-lp", "a").stdout


def test_svcprop_waits(client: Client, run: Run, tmp_path: Path) -> None:
    instance(client, A)
    waiting = subprocess.Popen(
        [str(TOP / "bin/svcprop"), "-w", "-p", "general/enabled", A],
        env={"HULL_ROOT": str(tmp_path / "global")}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with waiting:
        try:
            deadline = time.monotonic() + 30
            flag = True
            while waiting.poll() is None and time.monotonic() < deadline:
                flag = not flag  # it may not watch yet
                value = [str(flag).lower()]
                client.commit([["set", A, "general", "enabled", "boolean", value]])
                time.sleep(0.1)
            assert waiting.wait(1) == 0
            assert waiting.stdout is not None
            assert waiting.stdout.read() in ("true\n", "false\n")
        finally:
            waiting.kill()


def test_a_picture(client: Client, run: Run, tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed")
    instance(client, A)
    instance(client, B, needs=[(f"{kind}/{on}", f'{A} svc:/gone file:///a"<&>\\')
             for kind in ("require_all", "require_any", "optional_all", "exclude_all")
             for on in ("none", "error", "restart", "refresh")])  # fmt: skip
    path = tmp_path / "picture.svg"
    done = run("svcs", "--graph", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = path.read_text()
    assert text.rstrip().endswith("</svg>")
    for word in ("gone", "a&quot;&lt;&amp;&gt;\\", "require_any", "site"):
        assert word in text
    assert sorted(each.name for each in tmp_path.glob("picture*")) == ["picture.svg"]


# -- zones -----------------------------------------------------------------------------------------
@pytest.fixture
def zones(client: Client, held: ExitStack, tmp_path: Path) -> None:
    """The global zone has A; web has A, in maintenance; db has B."""
    instance(client, A)
    web, db = serve(tmp_path / "web", held), serve(tmp_path / "db", held)
    log = ["astring", "/var/svc/log/site-a:default.log"]
    instance(web, A, "maintenance", logfile=log)
    instance(db, B, since=NOON + 5)


@pytest.mark.usefixtures("zones")
def test_all_zones_in_one_table(run: Run) -> None:
    done = run("svcs", "-Z")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ZONE             STATE          STIME    FMRI",
        "db               online         2023     svc:/site/b:default",
        "global           online         2023     svc:/site/a:default",
        "web              maintenance    2023     svc:/site/a:default",
    ]
    assert run("svcs", "-ZHo", "zone,sta").stdout.split() == [
        "db",
        "ON",
        "global",
        "ON",
        "web",
        "MNT",
    ]


@pytest.mark.usefixtures("zones")
def test_a_pattern_that_only_one_zone_knows(run: Run) -> None:
    done = run("svcs", "-ZH", "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["db", "online", "2023", B]
    done = run("svcs", "-Z", "b", "nosuch")
    assert done.returncode == 1
    assert done.stderr == 'svcs: no instance matches the pattern "nosuch"\n'


@pytest.mark.usefixtures("zones")
def test_one_zone(run: Run, tmp_path: Path) -> None:
    done = run("svcs", "-z", "web", "-xv")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{A} (?)\n  Zone: web\n State: maintenance since " in done.stdout
    assert "   See: /zones/web/root/var/svc/log/site-a:default.log\n" in done.stdout
    assert run("svcs", "-Lz", "web", "a").stdout == (
        "/zones/web/root/var/svc/log/site-a:default.log\n"
    )
    assert run("svcs", "-Hz", "global", "-o", "zone,svc").stdout.split() == ["global", "site/a"]
    assert run("svcprop", "-z", "web", "-p", "restarter/state", "a").stdout == "maintenance\n"
    assert run("svcs", "-Hz", "web", "-o", "svc", "*/[a-b]:*").stdout == "site/a\n"
    assert (tmp_path / "web/input").read_text() == ""


@pytest.mark.usefixtures("zones")
def test_blocks_of_zones_have_a_line_between_them(run: Run) -> None:
    blocks = run("svcs", "-Zl").stdout.split("\n\n")
    assert [block.splitlines()[1] for block in blocks] == [
        "zone         db", "zone         global", "zone         web",
    ]  # fmt: skip


@pytest.mark.usefixtures("zones")
def test_zones_that_cannot_be_asked(run: Run) -> None:
    done = run("svcs", "-z", "nosuch")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nosuch: No such zone configured" in done.stderr
    assert "is of brand lx, which has no SMF" in run("svcs", "-z", "ubuntu").stderr
    assert "no running zone" in run("svcs", "-z", "gone").stderr


@pytest.mark.usefixtures("zones")
def test_a_zone_that_does_not_answer(run: Run, tmp_path: Path) -> None:
    os.unlink(tmp_path / "db/run/svc/repository_door")
    done = run("svcs", "-ZH")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["global", "web"]
    assert done.stderr.startswith("db: svcs: cannot reach svc.configd")


@pytest.mark.usefixtures("zones")
def test_a_zone_that_sends_control_characters(run: Run, tmp_path: Path) -> None:
    evil = tmp_path / "bin/zlogin"
    evil.write_text(
        "#!/bin/sh\nprintf 'one\\033]0;x\\007\\nlast'\nprintf 'e\\033[2J' >&2\nexit 1\n"
    )
    done = run("svcs", "-z", "web")
    assert (done.returncode, done.stdout, done.stderr) == (1, "one?]0;x?\nlast\n", "e?[2J\n")
    done = run("svcs", "-ZH")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
