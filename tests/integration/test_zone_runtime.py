# SPDX-License-Identifier: MPL-2.0
"""crun and conmon keep the Runtime's contract, and what only real processes can show."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hull.brand.brand import exit_meaning
from hull.errors import Error, KernelError
from hull.linux import process
from hull.zone.filters import ANNOTATION
from hull.zone.runtime import Limits
from tests.integration.zone_fixtures import IDS, CrunWorld, crun_world, why_not
from tests.runtime_contract import TERM_STATUS, RuntimeContract, boot

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
MIB = 1 << 20


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CrunWorld]:
    with crun_world(tmp_path) as made:
        yield made


class TestCrun(RuntimeContract):
    pass


# -- who runs where -------------------------------------------------------------------------------
def test_init_is_an_unprivileged_process_of_the_host(world: CrunWorld) -> None:
    spec = world.spec()
    pid = world.manager().create(spec)
    status = Path(f"/proc/{pid}/status").read_text()
    world.manager().start(spec.uuid)
    world.wait_booted(spec.uuid)
    assert f"Uid:\t{spec.id_base}\t" in Path(f"/proc/{pid}/status").read_text(), status
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(spec.id_base), str(IDS)]
    for kind in ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_files_keep_their_owners_on_disk(world: CrunWorld) -> None:
    uuid = boot(world)
    assert world.login(uuid, "sh", "-c", "echo x >/root/mine; chown 5:6 /root/mine").returncode == 0
    found = (world.directory / "root1/root/mine").stat()
    assert (found.st_uid, found.st_gid) == (5, 6)
    assert (world.directory / "root1/.zonecontrol").stat().st_uid == 0  # made by crun


def test_the_hosts_mounts_and_devices_are_as_before(world: CrunWorld) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    null = os.stat("/dev/null")
    uuid = boot(world)
    assert world.login(uuid, "true").returncode == 0
    assert Path("/proc/self/mountinfo").read_text() == before
    after = os.stat("/dev/null")
    assert (after.st_uid, after.st_gid, after.st_mode) == (null.st_uid, null.st_gid, null.st_mode)
    world.manager().delete(uuid)
    assert Path("/proc/self/mountinfo").read_text() == before


# -- entering -------------------------------------------------------------------------------------
def test_a_command_in_a_zone(world: CrunWorld) -> None:
    uuid = boot(world)
    done = world.login(uuid, "sh", "-c", "cat; echo e >&2; hostname; exit 3", stdin="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\nzone1\n", "e\n")
    killed = world.login(uuid, "sh", "-c", "kill -9 $$")
    assert killed.returncode == 128 + signal.SIGKILL
    assert world.login(uuid, "no-such-command").returncode != 0


def test_a_command_is_within_the_limits(world: CrunWorld) -> None:
    uuid = boot(world)
    groups = [str(group / uuid) for group in world.groups()]
    assert len(groups) == len(world.groups()) > 0
    with subprocess.Popen(
        world.manager().login_argv(uuid, world.process("sh", "-c", "echo; exec sleep 60")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as login:
        assert login.stdout is not None
        login.stdout.readline()
        for group in groups:
            found = " ".join(path.read_text() for path in Path(group).rglob("cgroup.procs"))
            assert str(login.pid) in found.split()
        world.manager().delete(uuid)  # takes the session along
        assert login.wait(10) != 0


def test_a_standard_file_of_the_hosts_is_not_given_away(world: CrunWorld, tmp_path: Path) -> None:
    uuid = boot(world)
    argv = world.manager().login_argv(uuid, world.process("true"))
    with (tmp_path / "mine").open("w") as mine:
        done = subprocess.run(argv, stdin=mine, capture_output=True, check=False)
    assert done.returncode == 125
    assert (tmp_path / "mine").stat().st_uid == 0


def test_a_terminal_of_the_zones_own(world: CrunWorld, tmp_path: Path) -> None:
    uuid = boot(world)
    leader, follower = pty.openpty()
    path = tmp_path / "tty.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(20)
            command = world.process("sh", "-c", "tty; stty size; read x; exit $x", terminal=True)
            argv = world.manager().login_argv(uuid, command, tty_socket=str(path))
            login = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower)
            with listener.accept()[0] as connection:
                _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        said = _read_until(fds[0], b"/dev/pts/")
        os.write(fds[0], b"4\n")
        assert login.wait(10) == 4, said
        assert os.fstat(follower).st_uid == 0
        os.close(fds[0])
    finally:
        os.close(leader)
        os.close(follower)


def _read_until(fd: int, text: bytes) -> bytes:
    said = b""
    while text not in said:
        assert select.select([fd], [], [], 10)[0], said
        said += os.read(fd, 4096)
    return said


# -- the console ----------------------------------------------------------------------------------
def test_the_console_is_a_terminal_with_a_size(world: CrunWorld) -> None:
    script = "echo ready; read x; stty size; echo got $x; exec sleep 60"
    uuid = _boot_script(world, script)
    path = world.manager().console(uuid)
    assert len(os.fsencode(path)) < 108 or len(os.fsencode(world.directory)) > 40
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as console:
        directory = os.open(path.parent, os.O_PATH)
        console.connect(f"/proc/self/fd/{directory}/{path.name}")  # whatever its length
        os.close(directory)
        (path.with_name("ctl")).write_text("1 33 77\n")
        time.sleep(0.1)
        console.send(b"word\n")
        said = b""
        while b"got word" not in said:
            assert select.select([console], [], [], 10)[0], said
            packet = console.recv(65536)
            assert packet[:1] == b"\x02"
            said += packet[1:]
        assert b"33 77" in said


def test_a_flood_on_the_console_is_bounded(world: CrunWorld) -> None:
    uuid = _boot_script(world, "echo ready; yes 0123456789012345678901234567890 | head -c 9000000")
    assert world.manager().wait_exit(uuid, 60)
    assert world.log(uuid).stat().st_size <= 4 * MIB + 65536


def _boot_script(world: CrunWorld, script: str) -> str:
    spec = world.spec()
    (spec.root / "sbin/init").write_text(f"#!/bin/sh\n{script}\n")
    uuid = world.boot(spec)
    world.wait_logged(uuid, "ready")
    return uuid


# -- ends -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "meaning"), [("reboot -f", "reboot"), ("poweroff -f", "halt"), ("halt -f", "halt")]
)
def test_what_inits_end_means(world: CrunWorld, command: str, meaning: str) -> None:
    uuid = _boot_script(world, f"echo ready; busybox {command}; sleep 60")
    status = world.manager().wait_exit(uuid, 20)
    assert status is not None
    assert exit_meaning(status) == meaning


def test_without_conmon_the_zone_runs_on(world: CrunWorld) -> None:
    uuid = boot(world)
    runtime = world.manager()
    keeper = int((world.run / "zones" / uuid / "conmon.pid").read_text())
    os.kill(keeper, signal.SIGKILL)
    with process.opened(keeper, process.start_time(keeper)) as fd:
        assert fd is None or process.wait_end(fd, 10)
    assert runtime.wait_exit(uuid, 0.1) is None
    assert world.login(uuid, "true").returncode == 0
    runtime.kill(uuid, signal.SIGKILL)
    status = runtime.wait_exit(uuid, 10)
    assert status is not None
    assert status.code == -signal.SIGKILL
    runtime.delete(uuid)
    assert world.leftovers() == []


def test_a_zone_half_made_is_known_and_deleted(world: CrunWorld) -> None:
    """hulld was killed before it could write the record."""
    uuid = boot(world)
    (world.run / "zones" / uuid / "record.json").unlink()
    runtime = world.manager()
    assert runtime.zones() == [uuid]
    assert runtime.pid(uuid) == 0
    runtime.delete(uuid)
    assert (runtime.zones(), world.leftovers()) == ([], [])


def test_a_conmon_of_which_no_file_tells_is_ended(world: CrunWorld) -> None:
    """It was killed while it forked; here it is stopped, as it would else end with its init."""
    uuid = boot(world)
    run = world.run / "zones" / uuid
    keeper = int((run / "conmon.pid").read_text())
    os.kill(keeper, signal.SIGSTOP)
    (run / "record.json").unlink()
    (run / "conmon.pid").unlink()
    world.manager().delete(uuid)
    assert process.start_time(keeper) == 0
    assert world.leftovers() == []


def test_another_process_with_inits_pid_is_left_alone(world: CrunWorld) -> None:
    uuid = boot(world)
    runtime = world.manager()
    path = world.run / "zones" / uuid / "record.json"
    record = json.loads(path.read_text())
    with subprocess.Popen(["sleep", "60"]) as other:
        path.write_text(json.dumps(record | {"pid": other.pid}))
        assert runtime.pid(uuid) == 0
        runtime.kill(uuid, signal.SIGKILL)
        runtime.delete(uuid)
        assert other.poll() is None
        other.kill()
    assert world.leftovers() == []


# -- failures -------------------------------------------------------------------------------------
def test_what_the_kernel_says_goes_to_the_zones_own_directory(world: CrunWorld) -> None:
    """conmon leaves a note in its working directory when memory runs out."""
    uuid = world.boot(world.spec(limits=Limits(memory=48 * MIB)))
    world.wait_booted(uuid)
    world.login(uuid, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    deadline = time.monotonic() + 5
    while not (world.run / "zones" / uuid / "oom").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (world.run / "zones" / uuid / "oom").exists()
    assert not Path("/oom").exists()


@pytest.mark.parametrize("fault", ["root", "init", "log", "ids", "mount", "memory"])
def test_a_failed_create_leaves_nothing(world: CrunWorld, fault: str) -> None:
    spec = world.spec()
    match fault:
        case "root":
            spec = replace(spec, root=world.directory / "missing")
        case "init":
            (spec.root / "sbin/init").unlink()
        case "log":
            spec = replace(spec, console_log=world.directory / "missing/console.log")
        case "ids":
            spec = replace(spec, id_base=2**32 - 5)
        case "mount":
            spec = world.spec(init="/sbin/init")
            (world.directory / "native").rmdir()
        case _:
            spec = replace(spec, limits=Limits(memory=64 * 1024))
    with pytest.raises(Error):
        world.manager().create(spec)
    assert world.leftovers() == []
    assert world.manager().zones() == []


# -- limits ---------------------------------------------------------------------------------------
def test_processes_are_bounded_and_the_bound_moves(world: CrunWorld) -> None:
    uuid = world.boot(world.spec(limits=Limits(processes=12)))
    world.wait_booted(uuid)
    fork_20 = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1 & done; wait"
    assert world.login(uuid, "sh", "-c", fork_20).returncode != 0
    assert world.manager().usage(uuid).processes <= 12
    world.manager().set_limits(uuid, Limits(processes=60))
    assert world.login(uuid, "sh", "-c", fork_20).returncode == 0


def test_memory_is_bounded_and_the_bound_moves(world: CrunWorld) -> None:
    uuid = world.boot(world.spec(limits=Limits(memory=48 * MIB)))
    world.wait_booted(uuid)
    fill = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    assert world.login(uuid, *fill).returncode == 128 + signal.SIGKILL
    assert world.manager().wait_exit(uuid, 0) is None
    world.manager().set_limits(uuid, Limits(memory=128 * MIB))
    assert world.login(uuid, *fill).returncode == 0
    assert 0 < world.manager().usage(uuid).memory <= 128 * MIB


def bounded(world: CrunWorld, controller: str, uuid: str) -> Path:
    """The zone's cgroup that has the limits of a controller."""
    top = world.layout.v1.get(controller) or world.layout.unified
    assert top is not None
    return top / f"hull-{world.host_id}" / uuid


def test_a_bound_below_what_is_used_is_refused_as_a_whole(world: CrunWorld) -> None:
    uuid = world.boot(world.spec(limits=Limits(memory=64 * MIB, processes=20)))
    world.wait_booted(uuid)
    assert world.login(uuid, "dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=15").returncode == 0
    with pytest.raises(KernelError):
        world.manager().set_limits(uuid, Limits(memory=4 * MIB, processes=5))
    bounds = {"memory.limit_in_bytes": 64 * MIB, "memory.memsw.limit_in_bytes": 64 * MIB}
    if world.layout.v1.get("memory") is None:
        bounds = {"memory.max": 64 * MIB}
    group = bounded(world, "memory", uuid)
    assert {name: int((group / name).read_text()) for name in bounds} == bounds
    assert (bounded(world, "pids", uuid) / "pids.max").read_text() == "20\n"
    assert world.manager().wait_exit(uuid, 0) is None


def test_cpu_is_capped(world: CrunWorld) -> None:
    uuid = world.boot(world.spec(limits=Limits(cpu_cap=20)))
    world.wait_booted(uuid)
    before, started = world.manager().usage(uuid).cpu_seconds, time.monotonic()
    world.login(uuid, "timeout", "1", "sh", "-c", "while :; do :; done")
    used = world.manager().usage(uuid).cpu_seconds - before
    assert 0.05 < used < 0.2 * (time.monotonic() - started) + 0.1


def test_errors_name_the_cause(world: CrunWorld) -> None:
    spec = world.spec()
    (spec.root / "sbin/init").unlink()
    with pytest.raises(Error, match=r"/sbin/init"):
        world.manager().create(spec)


def test_a_second_boot_starts_afresh(world: CrunWorld) -> None:
    for _ in range(2):
        uuid = world.boot(world.spec())
        world.wait_booted(uuid)
        world.manager().kill(uuid, signal.SIGTERM)
        status = world.manager().wait_exit(uuid, 10)
        assert status is not None
        assert status.code == TERM_STATUS
        world.manager().delete(uuid)


def test_a_second_zone_has_the_filter_that_was_compiled_for_the_first(world: CrunWorld) -> None:
    runtime = world.manager()
    for number in (1, 2):
        spec = world.spec(number)
        runtime.create(spec)
        config = json.loads((world.run / "zones" / spec.uuid / "config.json").read_text())
        assert (ANNOTATION in config.get("annotations", {})) == (number == 2)
        runtime.start(spec.uuid)
        world.wait_booted(spec.uuid)
        status = Path(f"/proc/{runtime.pid(spec.uuid)}/status").read_text()
        assert "Seccomp:\t2" in status
        done = world.login(
            spec.uuid, "/bin/sh", "-c", "grep Seccomp: /proc/self/status; unshare -U true"
        )
        assert done.stdout == "Seccomp:\t2\n"
        assert "Operation not permitted" in done.stderr
        runtime.delete(spec.uuid)
