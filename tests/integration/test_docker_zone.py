# SPDX-License-Identifier: MPL-2.0
"""Docker-style zones, from `imgadm import` to `vmadm delete`: as an operator sees them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.wire import JsonObject
from tests.integration.hosts import Done, TestHost, wait_for
from tests.integration.image_fixtures import archive, member
from tests.integration.oci_fixtures import BUSYBOX, Push, registry

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

DIRECTORY, LINK = b"5", b"2"
TOOLS = ("sh", "cat", "id", "sleep", "env", "pwd", "echo", "kill", "hostname", "ls", "readlink")
CONFIG: JsonObject = {
    "Cmd": ["sh", "-c", "echo to stdout; echo to stderr >&2; exec sleep 1000"],
    "Env": ["GREETING=hello", "PATH=/bin:/tools"],
    "WorkingDir": "/srv/app",
    "User": "app",
    "StopSignal": "SIGINT",
}


def a_base() -> bytes:
    passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n"
    groups = b"root:x:0:\napp:x:1001:\nextra:x:2000:app\n"
    return archive(
        (member("bin/", type=DIRECTORY, mode=0o755), b""),
        (member("bin/busybox", mode=0o755), BUSYBOX.read_bytes()),
        *((member(f"bin/{tool}", type=LINK, linkname="busybox"), b"") for tool in TOOLS),
        (member("etc/", type=DIRECTORY, mode=0o755), b""),
        (member("etc/passwd", mode=0o644), passwd),
        (member("etc/group", mode=0o644), groups),
        (member("etc/gone", mode=0o644), b""),
        (member("tmp/", type=DIRECTORY, mode=0o1777), b""),
    )


@pytest.fixture(scope="module")
def served(host: TestHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry beside the host; images are pushed from outside first."""
    directory = tmp_path_factory.mktemp("registry")
    with registry(directory) as url:
        push = Push(url=url)
        push.image(
            "tests/box", "1", [a_base(), archive((member("etc/.wh.gone"), b""))], config=CONFIG
        )
        alone = archive((member("busybox", mode=0o755), BUSYBOX.read_bytes()))
        push.image(
            "tests/alone", "1", [alone], config={"Entrypoint": ["/busybox", "echo", "alone"]}
        )
        push.image("tests/box", "2", [a_base()], config=CONFIG | {"Cmd": ["echo", "two"]})
        push.image("tests/box", "next", [a_base()], config=CONFIG | {"Cmd": ["echo", "two"]})
    with registry(directory, netns=host.netns) as url:
        host("imgadm", "sources", "-a", url, "-t", "docker")
        yield url
        host("imgadm", "sources", "-d", url)


@pytest.fixture(scope="module")
def image(host: TestHost, served: str) -> str:
    host("imgadm", "import", "tests/box:1")
    shown = host.json("imgadm", "show", "tests/box:1")
    return str(shown["uuid"])


@pytest.fixture
def box(clean_host: TestHost, image: str) -> "Box":
    return Box(clean_host, image)


class Box:
    """Makes containers of the image."""

    def __init__(self, host: TestHost, image: str) -> None:
        self.host, self.image = host, image

    def create(self, **metadata: object) -> str:
        done = self.try_to_create(**metadata)
        assert done.returncode == 0, done.stderr
        return done.stderr.strip().rsplit(" ", 1)[1]

    def try_to_create(self, **metadata: object) -> Done:
        said = {
            f"docker:{key}": value if isinstance(value, str | bool) else json.dumps(value)
            for key, value in metadata.items()
        }
        payload = {
            "brand": "lx", "docker": True, "image_uuid": self.image, "kernel_version": "6.1.0",
            "max_physical_memory": 128, "internal_metadata": said,
        }  # fmt: skip
        return self.host("vmadm", "create", stdin=json.dumps(payload), check=False)

    def get(self, uuid: str) -> JsonObject:
        found: JsonObject = self.host.json("vmadm", "get", uuid)
        return found

    def log(self, uuid: str) -> list[str]:
        """`stdout TEXT`, line for line."""
        path = self.host.root / "zones" / uuid / "logs/stdio.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [f"{line.split(' ', 3)[1]} {line.split(' ', 3)[3]}" for line in lines]

    def ended(self, uuid: str) -> JsonObject:
        wait_for(lambda: self.get(uuid)["state"] == "stopped", what=f"the end of {uuid}")
        return self.get(uuid)

    def run(self, *command: str, **metadata: object) -> list[str]:
        """What a command printed, once it has ended."""
        uuid = self.create(cmd=list(command), **metadata)
        self.ended(uuid)
        return self.log(uuid)


def test_the_images_are_listed(host: TestHost, image: str, served: str) -> None:
    table = host("imgadm", "list", "--docker").stdout.splitlines()
    assert table[0].split() == ["UUID", "REPOSITORY", "TAG", "IMAGE_ID", "CREATED"]
    line = next(line.split() for line in table if image in line)
    shown = host.json("imgadm", "get", image)["manifest"]
    assert line[1] == f"{served.removeprefix('http://')}/tests/box"
    assert line[2] == "1"
    assert line[3] == shown["version"]
    chain = host("imgadm", "ancestry", "-H", "-o", "uuid", image).stdout.split()
    assert chain == [image, shown["origin"]]


def test_it_runs_what_the_image_says(box: Box) -> None:
    uuid = box.create()
    got = box.get(uuid)
    assert (got["state"], got["docker"], got["zlog_mode"]) == ("running", True, "g--")
    wait_for(lambda: len(box.log(uuid)) == 2, what="its output")
    assert sorted(box.log(uuid)) == ["stderr to stderr", "stdout to stdout"]
    pid = got["pid"]
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x001000\0"
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    assert int(status["CapEff"], 16) == 0
    begun = time.monotonic()
    box.host("vmadm", "stop", uuid)
    assert time.monotonic() - begun > 9, "sleep, as pid 1, has no handler for SIGINT"
    assert box.get(uuid)["exit_status"] == -9


def test_who_and_where_it_is(box: Box) -> None:
    said = box.run("sh", "-c", "id; pwd; env; cat /etc/hosts; ls /etc")
    assert "stdout uid=1000(app) gid=1001(app) groups=2000(extra)" in said
    assert "stdout /srv/app" in said
    assert {"stdout GREETING=hello", "stdout PATH=/bin:/tools", "stdout HOME=/home/app"} <= {*said}
    assert "stdout gone" not in said
    assert "stdout resolv.conf" in said


def test_the_payload_overrides_the_image(box: Box) -> None:
    said = box.run(
        "sh", "-c", "id -u; id -g; pwd; echo $GREETING $MORE",
        user="7:8", workdir="/a/b", env=["MORE=yes", "GREETING=hi"],
    )  # fmt: skip
    assert said == ["stdout 7", "stdout 8", "stdout /a/b", "stdout hi yes"]
    uuid = box.create(entrypoint=["echo", "only"])
    box.ended(uuid)
    assert box.log(uuid) == ["stdout only"]
    uuid = box.create(cmd="echo through $0", entrypoint="")
    box.ended(uuid)
    assert box.log(uuid) == ["stdout through /bin/sh"]


def test_an_end_is_told_and_a_stopped_one_reboots(box: Box) -> None:
    uuid = box.create(cmd=["sh", "-c", "exit 3"])
    got = box.ended(uuid)
    assert got["exit_status"] == 3
    assert got["exit_timestamp"]
    box.host("vmadm", "reboot", uuid)
    assert box.ended(uuid)["exit_timestamp"] != got["exit_timestamp"]


def test_stop_with_a_time_of_ones_own(box: Box) -> None:
    uuid = box.create()
    begun = time.monotonic()
    box.host("vmadm", "stop", uuid, "-t", "1")
    assert time.monotonic() - begun < 8
    listening = box.create(cmd=["sh", "-c", 'trap "exit 5" INT; while :; do sleep 0.1; done'])
    box.host("vmadm", "stop", listening)
    assert box.get(listening)["exit_status"] == 5


def test_on_failure_it_is_tried_so_often(box: Box) -> None:
    uuid = box.create(cmd=["sh", "-c", "echo again; exit 1"], restartpolicy="on-failure:3")
    wait_for(lambda: len(box.log(uuid)) == 4, what="three restarts")
    time.sleep(2)
    assert len(box.log(uuid)) == 4
    assert box.ended(uuid)["exit_status"] == 1
    assert box.run("sh", "-c", "echo once", restartpolicy="on-failure:3") == ["stdout once"]


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_it_comes_back_until_it_is_stopped(box: Box, policy: str) -> None:
    uuid = box.create(cmd=["sh", "-c", "echo again; sleep 0.1"], restartpolicy=policy)
    wait_for(lambda: len(box.log(uuid)) >= 3, what="restarts")
    box.host("vmadm", "stop", "-F", uuid)
    count = len(box.log(uuid))
    time.sleep(2)
    assert len(box.log(uuid)) == count
    assert box.get(uuid)["state"] == "stopped"


def test_a_terminal_and_no_log(box: Box) -> None:
    uuid = box.create(cmd=["sh", "-c", "readlink /proc/self/fd/0; sleep 1000"], tty=True)
    wait_for(lambda: box.log(uuid), what="its output")
    assert box.log(uuid)[0].strip() in ("stdout /dev/console", "stdout /dev/pts/0")
    silent = box.create(logdriver="none")
    assert box.get(silent)["zlog_mode"] == "---"
    assert box.log(silent) == []


def test_what_is_sent_to_its_standard_input(box: Box) -> None:
    uuid = box.create(
        cmd=["sh", "-c", "read line; echo got $line; exec sleep 1000"], open_stdin=True
    )
    assert box.get(uuid)["state"] == "running"
    box.host("zlogin", "-I", uuid, stdin="a word\n")
    wait_for(lambda: box.log(uuid) == ["stdout got a word"], what="its answer")
    assert box.run("sh", "-c", "read line; echo end of file") == ["stdout end of file"]


def test_the_log_is_bounded(box: Box) -> None:
    payload = {
        "brand": "lx", "docker": True, "image_uuid": box.image, "zlog_max_size": 20_000,
        "kernel_version": "6.1.0", "max_physical_memory": 128,
        "internal_metadata": {
            "docker:cmd": 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i"; done',
            "docker:entrypoint": "[]",
        },
    }  # fmt: skip
    uuid = box.host.create(**payload)
    box.ended(uuid)
    path = box.host.root / "zones" / uuid / "logs/stdio.log"
    assert path.stat().st_size <= 20_000
    assert box.log(uuid)[-1] == "stdout line 3000"


def test_hulld_may_end_and_return(box: Box) -> None:
    forever = {
        policy: box.create(cmd=["sh", "-c", "echo up; exec sleep 1000"], restartpolicy=policy)
        for policy in ("unless-stopped", "always", "on-failure")
    }
    once = box.create(cmd=["sh", "-c", "echo once"], restartpolicy="on-failure")
    never = box.create(cmd=["sh", "-c", "echo once; exec sleep 1000"])
    stopped = box.create(restartpolicy="unless-stopped")
    box.ended(once)
    box.host("vmadm", "stop", "-F", stopped)
    pids = {uuid: box.get(uuid)["pid"] for uuid in forever.values()}
    box.host.down()
    box.host.up()
    wait_for(lambda: all(len(box.log(uuid)) == 2 for uuid in forever.values()), what="all up")
    assert all(box.get(uuid)["pid"] != pid for uuid, pid in pids.items())
    down = (once, never, stopped)
    assert [box.get(uuid)["state"] for uuid in down] == ["stopped"] * 3
    assert box.log(once) == box.log(never) == ["stdout once"]


def test_another_image_says_what_is_run_unless_the_payload_did(box: Box) -> None:
    box.host("imgadm", "import", "tests/box:2")
    other = str(box.host.json("imgadm", "show", "tests/box:2")["uuid"])
    uuid = box.create(user="7:8", env=["MORE=yes"])
    box.host("vmadm", "reprovision", uuid, stdin=json.dumps({"image_uuid": other}))
    wait_for(lambda: box.log(uuid)[-1:] == ["stdout two"], what="the new image's command")
    got = box.get(uuid)
    assert got["image_uuid"] == other
    said = got["internal_metadata"]
    assert isinstance(said, dict)
    assert said["docker:user"] == "7:8"
    assert set(json.loads(str(said["docker:env"]))) == {
        "GREETING=hello", "PATH=/bin:/tools", "MORE=yes",
    }  # fmt: skip


def test_a_second_tag_of_an_image_that_is_here(clean_host: TestHost, served: str) -> None:
    del served
    clean_host("imgadm", "import", "tests/box:2")
    said = clean_host("imgadm", "import", "tests/box:next").stdout
    assert "is already installed" in said
    assert "tests/box:next too" in said
    uuid = str(clean_host.json("imgadm", "show", "tests/box:2")["uuid"])
    table = clean_host("imgadm", "list", "--docker").stdout.splitlines()
    assert sorted(line.split()[2] for line in table if uuid in line) == ["2", "next"]


def test_an_image_that_is_one_program(clean_host: TestHost, served: str) -> None:
    clean_host("imgadm", "import", "tests/alone:1")
    box = Box(clean_host, str(clean_host.json("imgadm", "show", "tests/alone:1")["uuid"]))
    uuid = box.create(cmd=["and", "more"])
    assert box.ended(uuid)["exit_status"] == 0
    assert box.log(uuid) == ["stdout alone and more"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"cmd": "[1]"}, "must be a JSON array of strings"),
        ({"restartpolicy": "sometimes"}, "unknown: sometimes"),
        ({"user": "nobody-here"}, 'the image has no user "nobody-here"'),
        ({"stopsignal": "SIGNOTHING"}, "SIGNOTHING is no signal"),
        ({"cmd": [], "entrypoint": []}, "what to run"),
    ],
)
def test_what_cannot_run_is_refused(box: Box, metadata: dict[str, object], message: str) -> None:
    done = box.try_to_create(**metadata)
    assert done.returncode == 1
    assert message in done.stderr
    assert box.host("vmadm", "lookup").stdout == ""
