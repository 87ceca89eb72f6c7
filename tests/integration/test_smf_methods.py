# SPDX-License-Identifier: MPL-2.0
"""The methods and smf_include.sh, run by this machine's /bin/sh; what they write to is covered."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from smf.places import LIB
from tests.integration.smf_sinks import free_port

pytestmark = pytest.mark.needs_root

INCLUDE = f"{LIB}/share/smf_include.sh"
METHOD = f"{LIB}/method"
Done = subprocess.CompletedProcess[str]


def sh(script: str, **environment: str) -> Done:
    """Run a script that includes smf_include.sh."""
    return subprocess.run(
        ["/bin/sh", "-c", f". {shlex.quote(INCLUDE)}\n{script}"],
        env={"PATH": "/usr/sbin:/usr/bin:/bin"} | environment,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def method(words: str, covered: dict[str, Path], **environment: str) -> Done:
    """Run a method in a mount namespace where directories of the test's are over the machine's.

    Its output are files, as a service's is: what it leaves in the background may keep them open.
    """
    mounts = "".join(f"mount --bind {path} {target} && " for target, path in covered.items())
    argv = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
            f"{mounts} exec {METHOD}/{words}"]  # fmt: skip
    base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SMF_ZONENAME": "z1",
            "SMF_FMRI": "svc:/test:default"}  # fmt: skip
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        status = subprocess.run(
            argv, env=base | environment, stdout=output, stderr=errors, timeout=60, check=False
        ).returncode
        output.seek(0)
        errors.seek(0)
        return Done(argv, status, output.read(), errors.read())


@pytest.mark.parametrize("shell", ["dash", "bash --posix"])
def test_it_is_posix_shell(shell: str) -> None:
    done = subprocess.run(
        [*shell.split(), "-euc", f". {shlex.quote(INCLUDE)}; echo $SMF_EXIT_ERR_CONFIG"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "96\n", "")


def test_a_zone_is_told_from_the_host() -> None:
    script = "smf_zonename; smf_is_globalzone; echo $?; smf_is_nonglobalzone; echo $?"
    assert sh(script).stdout == "global\n0\n1\n"
    assert sh(script, SMF_ZONENAME="z1").stdout == "z1\n1\n0\n"
    assert sh("smf_configure_ip").returncode != 0


def test_smf_is_present_where_its_door_is(tmp_path: Path) -> None:
    assert sh("smf_present", HULL_ROOT=str(tmp_path)).returncode == 1
    (tmp_path / "run/svc").mkdir(parents=True)
    door = tmp_path / "run/svc/repository_door"
    bind = f"import socket; socket.socket(socket.AF_UNIX).bind({str(door)!r})"
    subprocess.run([sys.executable, "-c", bind], check=True)
    assert sh("smf_present", HULL_ROOT=str(tmp_path)).returncode == 0


def test_the_environment_is_cleared() -> None:
    done = sh("smf_clear_env; env", SMF_FMRI="x", SMF_METHOD="x", SMF_RESTARTER="x", OTHER="y")
    assert "OTHER=y" in done.stdout
    assert "SMF_" not in done.stdout


@pytest.mark.parametrize("there", [False, True], ids=["new", "again"])
def test_a_method_ends_with_a_reason(tmp_path: Path, *, there: bool) -> None:
    """svccfg is told the reason, quoted, and the status is the method's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib/svc").mkdir(parents=True)
    (tmp_path / "bin/svccfg").write_text(
        "import sys\n"
        "words = sys.stdin.read() if '-f' in sys.argv else ''\n"
        f"print(*sys.argv[1:], words, file=open({str(tmp_path / 'said')!r}, 'a'))\n"
        f"sys.exit({int(there)} and 'addpg' in words)\n"
    )
    done = sh(
        """smf_method_exit 101 token 'no "x" \\ here'""",
        SMF_FMRI="svc:/a:b", SMF_LIB=str(tmp_path / "lib/svc"),
    )  # fmt: skip
    assert done.returncode == 101
    assert done.stdout == 'token: no "x" \\ here\n'
    said = 'setprop general_ovr/comment = astring: "no \\"x\\" \\\\ here"'
    expected = f"-f - select svc:/a:b\naddpg general_ovr framework P\n{said}\n\n"
    if there:
        expected += f"-s svc:/a:b {said} \n"
    assert (tmp_path / "said").read_text() == expected


@pytest.fixture
def contract(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A directory that looks like contracts with number 7 in it, and the process that is in it."""
    process = subprocess.Popen(["sleep", "60"])
    (tmp_path / "run/svc").mkdir(parents=True)
    (tmp_path / "run/svc/contracts").write_text(str(tmp_path / "cgroups"))
    (tmp_path / "cgroups/7/below").mkdir(parents=True)
    (tmp_path / "cgroups/7/cgroup.procs").write_text("")
    (tmp_path / "cgroups/7/below/cgroup.procs").write_text(f"{process.pid}\n")
    yield str(tmp_path), process
    process.kill()
    process.wait()


def test_a_contract_is_killed(contract: tuple[str, subprocess.Popen[bytes]]) -> None:
    root, process = contract
    assert sh("smf_kill_contract 7 TERM", HULL_ROOT=root).returncode == 0
    assert process.wait(10) == -15


def test_a_contract_that_does_not_end_is_told(
    contract: tuple[str, subprocess.Popen[bytes]],
) -> None:
    root, process = contract
    started = time.monotonic()
    assert sh("smf_kill_contract 7 CONT 1 1", HULL_ROOT=root).returncode == 2
    assert time.monotonic() - started >= 1
    assert process.poll() is None


@pytest.mark.parametrize("words", ["", "x TERM", "7", "7 'x y'", "7 TERM x", "7 TERM 1 -1"])
def test_wrong_words_kill_nobody(contract: tuple[str, subprocess.Popen[bytes]], words: str) -> None:
    root, process = contract
    assert sh(f"smf_kill_contract {words}", HULL_ROOT=root).returncode == 1
    assert process.poll() is None


# -- methods ---------------------------------------------------------------------------------------
@pytest.fixture
def covered(tmp_path: Path) -> dict[str, Path]:
    """What the metadata's methods write to."""
    made = {"/var": tmp_path / "var", "/root": tmp_path / "root"}
    for path in made.values():
        path.mkdir()
    (tmp_path / "var/svc").mkdir()
    return made


def script(state: Path, name: str, text: str) -> None:
    (state / name).write_text(f"#!/bin/sh\n{text}\n")
    (state / name).chmod(0o700)


def test_scripts_run_and_the_zone_is_provisioned(covered: dict[str, Path]) -> None:
    state = covered["/var"] / "svc"
    (state / "provisioning").touch()
    script(state, "mdata-operator-script", 'echo "operator $PWD $HOME" >order')
    script(state, "mdata-user-script", "echo user >>order; test -e /var/svc/provisioning")
    done = method("mdata-execute", covered)
    assert (done.returncode, done.stderr) == (0, "")
    assert (covered["/root"] / "order").read_text() == "operator /root /root\nuser\n"
    assert not (state / "provisioning").exists()
    assert (state / "provision_success").exists()


def test_a_script_that_fails_is_maintenance_in_a_provisioned_zone(
    covered: dict[str, Path],
) -> None:
    state = covered["/var"] / "svc"
    (state / "provisioning").touch()
    script(state, "mdata-user-script", "exit 3")
    done = method("mdata-execute", covered)
    assert done.returncode == 95
    assert "mdata-user-script (status 3)" in done.stdout
    assert (state / "provision_success").exists()


def test_without_scripts_all_is_well(covered: dict[str, Path]) -> None:
    assert method("mdata-execute", covered).returncode == 0
    assert not (covered["/var"] / "svc/provision_success").exists()


def test_on_a_host_it_does_nothing(covered: dict[str, Path]) -> None:
    script(covered["/var"] / "svc", "mdata-user-script", "exit 3")
    assert method("mdata-execute", covered, SMF_ZONENAME="global").returncode == 0


def test_a_program_that_is_not_there_disables_its_service() -> None:
    done = method("daemon /nonexistent/crond", {})
    assert done.returncode == 101
    assert "/nonexistent/crond" in done.stdout


def test_a_program_that_is_there_is_run_without_smfs_environment() -> None:
    done = method("daemon /usr/bin/env", {}, SMF_LIB=LIB)
    assert done.returncode == 0
    assert "SMF_" not in done.stdout


def test_the_first_directories_are_made(covered: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert method("fs-minimal", {**covered, "/run": tmp_path / "run"}).returncode == 0
    assert (tmp_path / "run/lock").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "var/tmp").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "run/utmp").exists()


def test_sshd_makes_its_keys_once_and_listens(tmp_path: Path) -> None:
    covered = {"/etc/ssh": tmp_path / "ssh", "/run": tmp_path / "run"}
    for path in covered.values():
        path.mkdir()
    config, key = (covered["/etc/ssh"] / name for name in ("sshd_config", "ssh_host_ed25519_key"))
    config.write_text("NoSuchWord yes\n")
    assert method("sshd start", covered).returncode == 96
    first = key.read_text()
    config.write_text(f"ListenAddress 127.0.0.1:{free_port()}\nUsePAM no\n")
    done = method("sshd start", covered)
    assert done.returncode == 0, done.stderr
    # Held before it is asked to read its configuration: the file goes and comes then.
    pid = int((covered["/run"] / "sshd.pid").read_text())
    try:
        assert "Server listening" in done.stderr
        assert key.read_text() == first
        assert sorted(path.name for path in key.parent.glob("*.pub")) == [
            "ssh_host_ecdsa_key.pub", "ssh_host_ed25519_key.pub",
        ]  # fmt: skip
        assert method("sshd refresh", covered).returncode == 0
    finally:
        os.kill(pid, signal.SIGKILL)


def test_hulls_programs_are_found() -> None:
    done = method("hull hulld --help", {})
    assert done.returncode == 0, done.stderr
    assert "the daemon of the host" in done.stdout


@pytest.mark.parametrize("words", ["--listen=127.0.0.1:0 --", "--listen=127.0.0.1:0 -- /no/such"])
def test_an_image_server_without_images_is_a_wrong_configuration(words: str) -> None:
    done = method(f"imgapid {words}", {})
    assert done.returncode == 96
    assert "config/directory" in done.stdout


def test_an_image_server_starts(tmp_path: Path) -> None:
    done = method(f"imgapid --help -- {tmp_path}", {})
    assert done.returncode == 0
    assert "Serve the images" in done.stdout


@pytest.mark.parametrize("name", ["manifest-import", "notify", "mdata-fetch"])
def test_a_python_method_finds_its_package(name: str) -> None:
    """It is compiled and its imports are made, without being run."""
    text = (
        Path(METHOD, name).read_text().replace("sys.exit(main(", "(lambda *_: 0)((lambda *_: 0)(")
    )
    text = text.replace("__file__", repr(f"{METHOD}/{name}"))
    subprocess.run(["/usr/bin/python3", "-IS", "-c", text], check=True, timeout=30)
