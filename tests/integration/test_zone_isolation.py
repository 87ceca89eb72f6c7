# SPDX-License-Identifier: MPL-2.0
"""What a zone's root may not do: the rows of the isolation checklist, tried from inside."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.brand.brand import Bind
from tests.integration import zone_probe
from tests.integration.zone_fixtures import FIRST_ID, IDS, INIT, CrunWorld, crun_world, why_not

# The host's Python, seen by the zone read-only, makes the system calls.
USR_MERGED = Path("/bin").is_symlink() and Path("/usr/bin/python3").exists()
pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(not USR_MERGED, reason="needs a merged /usr with python3"),
]

REFUSED = {"EPERM", "EACCES", "EROFS"}
ABSENT = {"ENOENT", "ENODEV", "ENXIO"}
# Raised by the kernel for an x32 call where x32 is not built in.
NO_SYSCALL = {"ENOSYS"}


def make_host_root(root: Path) -> None:
    for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "root"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "root/init").write_text(INIT)
    (root / "root/init").chmod(0o755)
    (root / "root/suid").write_text("")
    (root / "root/suid").chmod(0o4755)
    # What a hostile image brings along.
    os.mknod(root / "root/image-disk", 0o666 | stat.S_IFBLK, os.stat("/").st_dev)
    (root / "root/image-disk").chmod(0o666)
    (root / "root/probe.py").write_text(Path(zone_probe.__file__).read_text())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrunWorld]:
    with crun_world(tmp_path_factory.mktemp("isolation")) as made:
        make_host_root(made.directory / "root1")
        shared = made.directory / "shared"
        shared.mkdir()
        os.mknod(shared / "disk", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (shared / "disk").chmod(0o666)
        yield made


@pytest.fixture(scope="module")
def found(world: CrunWorld) -> dict[str, str]:
    """What the probe saw."""
    filesystems = (
        Bind(source=Path("/usr"), target="/usr", options=("ro",)),
        Bind(source=world.directory / "shared", target="/shared"),
    )
    spec = world.spec(init="/root/init", filesystems=filesystems)
    uuid = world.boot(spec)
    world.wait_booted(uuid)
    done = world.login(uuid, "/usr/bin/python3", "-IS", "/root/probe.py")
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", zone_probe.SYSCALLS)
def test_a_denied_call(found: dict[str, str], name: str) -> None:
    expected = NO_SYSCALL if name == "clone3" else {"EPERM"}
    if name.endswith("_x32"):
        expected = expected | NO_SYSCALL
    assert found[f"syscall {name}"] in expected


@pytest.mark.parametrize("name", zone_probe.FAMILIES)
def test_a_blocked_socket_family(found: dict[str, str], name: str) -> None:
    assert found[f"socket {name}"] == "EAFNOSUPPORT"


@pytest.mark.parametrize("name", zone_probe.GOOD_FAMILIES)
def test_a_socket_family_of_the_zones_own(found: dict[str, str], name: str) -> None:
    assert found[f"socket {name}"] == "done"


def test_no_audit_socket(found: dict[str, str]) -> None:
    assert found["socket audit"] == "EPROTONOSUPPORT"


@pytest.mark.parametrize("name", zone_probe.WRITES)
def test_a_file_that_is_not_written(found: dict[str, str], name: str) -> None:
    assert found[f"write {name}"] in REFUSED | ABSENT


@pytest.mark.parametrize("path", zone_probe.READS)
def test_a_masked_path(found: dict[str, str], path: str) -> None:
    assert found[f"read {path}"] in {"0 bytes", "0 entries"} | REFUSED | ABSENT


@pytest.mark.parametrize(
    "name",
    [
        "mknod", "image device", "shared device",
        "mount disk", "mount devtmpfs", "mount debugfs",
        "remount root", "remount native", "remount usr", "remount shared",
        "core_pattern unmasked", "sysrq unmasked", "kcore unmasked",
    ],
)  # fmt: skip
def test_a_way_out_is_closed(found: dict[str, str], name: str) -> None:
    assert found[name] in REFUSED | ABSENT


def test_what_is_the_zones_own_works(found: dict[str, str]) -> None:
    assert found["mount tmpfs"] == "done"
    assert found["mount proc"] == "done"
    assert found["hostname"] == "done"
    assert found["set-uid"] == str(0o4000)


def test_nothing_of_the_host_is_seen(found: dict[str, str]) -> None:
    assert found["uid_map"] == f"0 {FIRST_ID + IDS} {IDS}"
    assert found["pids"].split()[0] == "1"
    assert len(found["pids"].split()) <= 5
    assert found["links"] == "lo"
    assert found["cgroups"] == "nothing"
    expected = (
        "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom"
    )
    assert found["devices"] == f"{expected} zero"


def test_the_hosts_files_are_as_before(found: dict[str, str], world: CrunWorld) -> None:
    del found
    assert Path("/proc/sys/kernel/core_pattern").read_text() != "1\n"
    assert not list((world.directory / "native").iterdir())
    assert not list((world.directory / "metadata").iterdir())
    null = os.stat("/dev/null")
    assert (null.st_uid, null.st_gid) == (0, 0)
