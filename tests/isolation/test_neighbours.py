# SPDX-License-Identifier: MPL-2.0
"""Two VMs of one image and their host: nobody reaches, hears or holds up another."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.hosts import TestHost
from tests.integration.zone_fixtures import why_not
from tests.isolation.vm import Attacker, Outside, Running, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

MACHINE = Path("/proc/sys/kernel/random/boot_id")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the host's that both VMs see."""
    made = tmp_path_factory.mktemp("shared")
    (made / "file").write_text("shared\n")
    (made / "file").chmod(0o666)
    return made


@pytest.fixture(scope="module")
def both(host: TestHost, base_image: str, shared: Path) -> Iterator[list[Attacker]]:
    lofs = [{"source": str(shared), "target": "/shared", "type": "lofs"}]
    with attackers(host, base_image, "one", "two", filesystems=lofs) as made:
        yield made


@pytest.fixture
def one(both: list[Attacker]) -> Attacker:
    return both[0]


@pytest.fixture
def two(both: list[Attacker]) -> Attacker:
    return both[1]


# -- who they are ----------------------------------------------------------------------------------
def test_their_ids_are_apart(one: Attacker, two: Attacker) -> None:
    ranges = []
    for each in (one, two):
        inside, outside, size = Path(f"/proc/{each.pid()}/uid_map").read_text().split()
        assert (inside, size) == ("0", "65536")
        ranges.append(range(int(outside), int(outside) + int(size)))
    assert not set(ranges[0]) & set(ranges[1])
    assert 0 not in ranges[0]


def test_each_boot_has_an_id_of_its_own(one: Attacker, two: Attacker) -> None:
    first, other = one("boot_id")["boot_id"], two("boot_id")["boot_id"]
    one.host("vmadm", "reboot", one.uuid)
    again = one("boot_id")["boot_id"]
    assert len({first, other, again, MACHINE.read_text().strip()}) == 4


def test_control_below_it_is_the_machines(one: Attacker) -> None:
    """A known limit: it is a name, no secret (docs/security.md)."""
    assert one("boot_id_below") == {"boot_id_below": MACHINE.read_text().strip()}


def test_an_lx_zone_is_a_machine_of_its_own(host: TestHost, debian_image: str) -> None:
    with attackers(host, debian_image, "lx", brand="lx", max_physical_memory=512) as (lx,):
        machine_id = lx.shell("cat /etc/machine-id").strip()
        boots = lx.shell("cat /proc/sys/kernel/random/boot_id").strip()
        serials = lx.shell("cat /sys/class/dmi/id/*_serial 2>/dev/null; true")
    assert machine_id == lx.uuid.replace("-", "")
    assert boots != MACHINE.read_text().strip()
    assert serials == ""


# -- what others have ------------------------------------------------------------------------------
@pytest.mark.parametrize("whose", ["hulld's", "its neighbour's"])
def test_sockets_of_others_are_out_of_reach(
    one: Attacker, two: Attacker, outside: Outside, whose: str
) -> None:
    run = one.host.root / "run/hull"
    path = run / ("hulld.sock" if whose == "hulld's" else f"metadata/{two.uuid}/metadata.sock")
    attack = "connect_to_a_socket"
    assert one(attack, path=path) == {attack: "ENOENT"}
    # Each wall by itself: the mount namespace above, the user namespace here. Then neither.
    assert outside(attack, one.enter("--user", "--pid"), path=path) == "EACCES"
    assert outside(attack, one.enter("--pid"), path=path) == "done"


def test_sockets_without_a_file_are_each_zones_own(
    one: Attacker, two: Attacker, outside: Outside
) -> None:
    with one.holding("listen_by_a_name", name="hull-test") as word:
        assert word == "done"
        assert two("abstract_socket", name="hull-test") == {"abstract_socket": "ECONNREFUSED"}
        assert outside("abstract_socket", one.enter("--net"), name="hull-test") == "done"


def test_locks_on_an_images_files_are_each_zones_own(one: Attacker, two: Attacker) -> None:
    lock = "lock_a_file"
    with one.holding(lock, path="/etc/passwd") as word:
        assert word == "done"
        assert two(lock, path="/etc/passwd") == {lock: "done"}
    with one.holding(lock, path="/shared/file") as word:  # the control: what they share
        assert word == "done"
        assert two(lock, path="/shared/file") == {lock: "EAGAIN"}


def heard(running: Running, what: str) -> str:
    """What an attack hears while something is done on the host, by a shell."""
    with running:
        running.begun()
        subprocess.run(["sh", "-c", what], check=True)
        return running.word()


def test_nobody_sees_what_others_do_to_an_images_files(
    one: Attacker, two: Attacker, shared: Path
) -> None:
    touched = f"echo >>{two.host.zone_root(two.uuid)}/etc/motd"
    attack = one.running("watch_a_file", path="/etc/motd", seconds=1)
    assert heard(attack, touched) == "nothing"
    control = one.running("watch_a_file", path="/shared/file", seconds=30)
    assert heard(control, f"echo >>{shared}/file") == "something"


UEVENT = "echo change >/sys/devices/virtual/mem/null/uevent"


def test_no_zone_hears_of_devices(one: Attacker, outside: Outside) -> None:
    attack = "hear_of_devices"
    assert heard(one.running(attack, seconds=1), UEVENT) == "nothing"
    # The control: a network namespace that is the machine's root's.
    assert heard(outside.running(attack, seconds=30), UEVENT) == "something"


# -- the pool and its files ------------------------------------------------------------------------
def test_the_pools_own_trees_are_the_hosts(one: Attacker, outside: Outside) -> None:
    attack = "search_the_pool"
    assert one(attack) == {attack: "EPERM"}
    assert outside(attack, path=one.host.root / "zones") == "done"


# setpriv keeps capabilities until the next program; a shell has none then.
SOMEBODY = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c"]
# As other file systems are mounted.
SUID = 'mount -o remount,bind,suid "$1" && shift && exec "$@"'


def says(*before: str, script: str) -> str:
    """What somebody with an account on the machine sees."""
    argv = [*before, *SOMEBODY, script]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@contextmanager
def opened(attacker: Attacker) -> Iterator[None]:
    """Let everybody on the machine go where the zone's files are."""
    path = attacker.host.root / "zones" / attacker.uuid
    before = path.stat().st_mode & 0o7777
    path.chmod(0o755)
    try:
        yield
    finally:
        path.chmod(before)


def test_a_set_user_id_program_of_a_zone_is_none_outside(one: Attacker) -> None:
    """On disk it belongs to id 0."""
    program = one.host.zone_root(one.uuid) / "suid-id"
    shutil.copy("/usr/bin/id", program)  # the machine's own: it must run there
    one.shell("chown root /suid-id; chmod 4755 /suid-id")
    assert (program.stat().st_uid, program.stat().st_mode & 0o7777) == (0, 0o4755)
    suid = ["unshare", "--mount", "sh", "-c", SUID, "sh", str(one.host.root / "zones")]
    run = f"{program} -u"
    assert says(script=run) == says(*suid, script=run) == ""  # nobody gets there
    with opened(one):
        assert says(script=run) == "1000\n"  # and there it would give nothing
        assert says(*suid, script=run) == "0\n"  # the control: neither wall


def test_a_zones_users_files_are_out_of_reach_of_the_machines(one: Attacker) -> None:
    """User 1000 of a zone is nobody outside, but on disk the number is the same."""
    one.shell("echo secret > /home/letter; chown 1000 /home/letter; chmod 600 /home/letter")
    read = f"cat {one.host.zone_root(one.uuid)}/home/letter"
    assert says(script=read) == ""
    with opened(one):
        assert says(script=read) == "secret\n"  # the control


def test_a_core_stays_in_the_zone(one: Attacker) -> None:
    """Where the machine's core_pattern is a path; a pipe's program is the machine's (a limit)."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    before = set(os.listdir("/")) | set(os.listdir("/root"))
    seen = one("crash")
    assert set(os.listdir("/")) | set(os.listdir("/root")) == before
    assert seen == {"crash": "in the zone"} or pattern.startswith(("|", "/"))
