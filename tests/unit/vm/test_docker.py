# SPDX-License-Identifier: MPL-2.0
"""Docker VMs over fakes: what is run, as whom, and when it is run again."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.brand.brand import ZoneConfig
from hull.brand.docker import Container, Docker
from hull.errors import InvalidPayload
from hull.model.prop import Flat
from hull.model.vm import VM
from hull.vm import create, docker, recover, stop
from hull.zone.index import Zone
from hull.zone.runtime import ExitStatus
from tests.unit.vm.world import LX_IMAGE, World

CONFIG: dict[str, Any] = {
    "Cmd": ["serve"],
    "Entrypoint": ["/init"],
    "Env": ["A=1", "B=2"],
    "User": "app",
}


def a_vm(**metadata: Any) -> VM:
    said = {f"docker:{key}": value for key, value in metadata.items()}
    return VM(brand="lx", image_uuid=LX_IMAGE, docker=True, internal_metadata=said)


def ended(code: int, policy: str, restarts: int = 0, lived: float = 0.0) -> float | None:
    zone = Zone(vm=a_vm(restartpolicy=policy), restarts=restarts)
    return docker.pause_before_restart(zone, ExitStatus(code=code, when=0.0), lived)


def test_what_an_image_says_becomes_metadata() -> None:
    found = docker.from_image(CONFIG)
    assert found == {
        "docker:cmd": '["serve"]',
        "docker:entrypoint": '["/init"]',
        "docker:env": '["A=1", "B=2"]',
        "docker:user": "app",
    }
    assert docker.arguments(replace(a_vm(), internal_metadata=found)) == ("/init", "serve")


def test_the_payload_comes_first() -> None:
    image = docker.from_image(CONFIG)
    given = {"docker:env": '["B=3", "C=4"]', "docker:cmd": '["other"]', "docker:user": "0"}
    merged = docker.merge(given, image)
    assert docker.environment(merged["docker:env"]) == {"A": "1", "B": "3", "C": "4"}
    assert docker.arguments(replace(a_vm(), internal_metadata=merged)) == ("/init", "other")
    assert merged["docker:user"] == "0"
    merged = docker.merge({"docker:entrypoint": '["/mine"]'}, image)
    assert docker.arguments(replace(a_vm(), internal_metadata=merged)) == ("/mine",)


def test_what_an_image_says_is_told_from_what_was_given() -> None:
    image: dict[str, Flat] = {
        "docker:cmd": '["old"]', "docker:user": "app", "docker:env": '["A=1", "B=2"]',
    }  # fmt: skip
    given: dict[str, Flat] = {"docker:env": '["B=3", "C=4"]', "docker:user": "root", "mine": "1"}
    own = docker.without(docker.merge(given, image), image)
    assert docker.environment(own.pop("docker:env")) == {"B": "3", "C": "4"}
    assert own == {"docker:user": "root", "mine": "1"}
    assert docker.without(docker.merge({}, image), image) == {}


def test_a_line_is_for_a_shell() -> None:
    assert docker.command("a | b") == ["/bin/sh", "-c", "a | b"]
    assert docker.command('["a", "| b"]') == ["a", "| b"]
    assert docker.command("") == []


@pytest.mark.parametrize("value", ["[1]", "[", '{"a": 1}'[1:], '["a\\u0000b"]', "[null]"])
def test_what_is_no_array(value: str) -> None:
    with pytest.raises(ValueError, match="must"):
        docker.strings(value)


@pytest.mark.parametrize(
    ("said", "signal_"),
    [
        ("", signal.SIGTERM), ("SIGINT", signal.SIGINT), ("quit", signal.SIGQUIT), ("9", 9),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3), ("RTMAX", signal.SIGRTMAX),
    ],
)  # fmt: skip
def test_stop_signals(said: str, signal_: int) -> None:
    assert docker.stop_signal(a_vm(stopsignal=said)) == signal_


def test_every_problem_is_named() -> None:
    vm = a_vm(cmd="[1]", env="[", restartpolicy="x", stopsignal="y", logdriver="z")
    assert [problem.path.rpartition(":")[2] for problem in docker.check_docker(vm)] == [
        "cmd", "env", "stopsignal", "restartpolicy", "logdriver",
    ]  # fmt: skip
    assert [problem.path for problem in docker.check_docker(a_vm())] == [
        "internal_metadata.docker:cmd"
    ]
    assert list(docker.check_docker(replace(vm, docker=False))) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "broken\nbad:x:-1:0::/:/bin/sh\nbig:x:99999999999:0::/:/bin/sh\n"
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:50:app,other\nextra:x:60:app\n")
    return tmp_path


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ("", (0, 0, "/root", ())),
        ("app", (1000, 1001, "/home/app", (50, 60))),
        ("1000", (1000, 1001, "/home/app", (50, 60))),
        ("app:staff", (1000, 50, "/home/app", ())),
        ("5", (5, 0, "/", ())),
        ("5:6", (5, 6, "/", ())),
    ],
)
def test_users(root: Path, user: str, who: tuple[int, int, str, tuple[int, ...]]) -> None:
    found = docker.container(a_vm(user=user, cmd='["x"]'), root)
    assert (found.uid, found.gid, found.home, found.groups) == who


@pytest.mark.parametrize("user", ["nobody", "app:nobody", "bad", "big", "../root"])
def test_users_that_the_image_has_not_got(root: Path, user: str) -> None:
    with pytest.raises(InvalidPayload, match="the image has no"):
        docker.container(a_vm(user=user, cmd='["x"]'), root)


def test_the_bundle_of_a_container() -> None:
    config = ZoneConfig(uuid="U", hostname="box", metadata=Path("/m"), native=Path("/n"))
    container = Container(args=("/x", "y"), env={"PATH": "/p"}, uid=7, gid=8, groups=(9,), cwd="/w")
    process: Any = Docker(container).bundle(config)["process"]
    assert process["args"] == ["/x", "y"]
    assert process["user"] == {"uid": 7, "gid": 8, "additionalGids": [9]}
    assert process["env"] == ["PATH=/p", "HOSTNAME=box", "HOME=/root"]
    assert process["terminal"] is False
    assert process["capabilities"]["effective"] == process["capabilities"]["permitted"] == []
    root: Any = Docker(replace(container, uid=0, tty=True)).bundle(config)["process"]
    assert root["capabilities"]["effective"] == root["capabilities"]["bounding"] != []
    assert "TERM=xterm" in root["env"]


def test_restart_policies() -> None:
    for policy in ("", "no"):
        assert ended(1, policy) is None
    for policy in ("always", "unless-stopped"):
        assert ended(0, policy) is not None
        assert ended(-9, policy, restarts=1000) == docker.LONGEST_PAUSE
    assert ended(0, "on-failure") is None
    assert ended(1, "on-failure", restarts=99) is not None
    assert ended(1, "on-failure:2", restarts=1) is not None
    assert ended(1, "on-failure:2", restarts=2) is None


@given(st.integers(0, 10_000))
def test_pauses_grow_and_end(restarts: int) -> None:
    pause, longer = ended(1, "always", restarts), ended(1, "always", restarts + 1)
    assert pause is not None
    assert longer is not None
    assert docker.FIRST_PAUSE <= pause <= longer <= docker.LONGEST_PAUSE
    assert ended(1, "always", restarts, lived=60.0) == docker.FIRST_PAUSE


@pytest.mark.parametrize(
    ("policy", "autoboot", "exit_status", "boots"),
    [
        ("always", False, 0, True),
        ("unless-stopped", True, 0, True),
        ("unless-stopped", False, 0, False),
        ("on-failure", True, 0, False),
        ("on-failure:3", True, 1, True),
        ("on-failure", False, 1, False),
        ("no", True, None, True),
        ("no", True, 0, False),
    ],
)
def test_what_boots_with_the_host(
    policy: str, autoboot: bool, exit_status: int | None, boots: bool
) -> None:
    vm = replace(a_vm(restartpolicy=policy), autoboot=autoboot)
    assert recover.wants_to_be_up(Zone(vm=vm, exit_status=exit_status)) is boots


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def payload(**metadata: str) -> Any:
    return {
        "brand": "lx",
        "docker": True,
        "image_uuid": LX_IMAGE,
        "internal_metadata": {f"docker:{key}": value for key, value in metadata.items()},
    }


def test_a_container_that_fails_is_started_again(world: World) -> None:
    host = world.host
    made = create.create(payload(cmd="exit 1", restartpolicy="on-failure:1"), host)
    uuid = str(made["uuid"])
    assert not host.index.get(uuid).provisioning
    spec = world.machine.zones[uuid].spec
    assert str(spec.console_log).endswith("logs/stdio.log")

    entry = host.boots.find(uuid)
    assert entry
    host.runtime.kill(uuid, signal.SIGKILL)
    stop.ended(uuid, entry.pid, host)
    assert world.watching.starts == [(uuid, docker.FIRST_PAUSE)]
    stop.start_again(uuid, host)
    again = host.boots.find(uuid)
    assert again
    assert host.index.get(uuid).restarts == 1
    host.runtime.kill(uuid, signal.SIGKILL)
    stop.ended(uuid, again.pid, host)
    assert len(world.watching.starts) == 1


def test_a_stop_during_the_pause_holds(world: World) -> None:
    host = world.host
    uuid = str(create.create(payload(cmd="x", restartpolicy="always"), host)["uuid"])
    entry = host.boots.find(uuid)
    assert entry
    host.runtime.kill(uuid, signal.SIGKILL)
    stop.ended(uuid, entry.pid, host)
    stop.stop(uuid, host)
    stop.start_again(uuid, host)
    assert host.boots.find(uuid) is None


def test_an_image_without_directories(world: World) -> None:
    root = Path(world.pool.datasets(f"zones/{LX_IMAGE}")[0].mountpoint) / "root"
    for name in ("var/svc", "var", "etc"):
        (root / name).rmdir()
    uuid = str(create.create(payload(cmd="x", workdir="/srv/app"), world.host)["uuid"])
    zone = world.paths.zones / uuid / "root"
    assert (zone / "etc/hosts").exists()
    assert (zone / "srv/app").is_dir()
    assert (
        json.loads(str(world.host.index.get(uuid).vm.internal_metadata.get("docker:env", "[]")))
        == []
    )
