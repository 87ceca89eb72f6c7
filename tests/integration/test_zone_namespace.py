# SPDX-License-Identifier: MPL-2.0
"""Private mount namespaces, user namespaces and id-mapped mounts, and the cgroups of a zone."""

import fcntl
import os
import secrets
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.errors import HostError, KernelError
from hull.linux import cgroup, mount, namespace, process
from tests.integration.zone_fixtures import FIRST_ID, IDS

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(os.getuid() != 0, reason="needs root"),
]
BASE = FIRST_ID + 100 * IDS
NS_GET_USERNS, NS_GET_OWNER_UID = 0xB701, 0xB704


@pytest.fixture
def userns() -> Iterator[int]:
    with namespace.Maker(BASE) as maker:
        user, network = maker.made()
    os.close(network)
    yield user
    os.close(user)


def test_a_private_mount_is_seen_inside_only(tmp_path: Path) -> None:
    before = mount.mounts()
    fd = namespace.private_mount_namespace(lambda: mount.mount_tmpfs(tmp_path, size=1 << 20))
    try:
        assert mount.mounts() == before
        inside = subprocess.check_output(
            ["nsenter", f"--mount=/proc/{os.getpid()}/fd/{fd}", "cat", "/proc/self/mounts"],
            text=True,
        )
        assert f"tmpfs {tmp_path} tmpfs" in inside
    finally:
        os.close(fd)


def test_what_fails_inside_is_raised_outside(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="missing"):
        namespace.private_mount_namespace(
            lambda: mount.mount_tmpfs(tmp_path / "missing", size=1 << 20)
        )
    threads = [thread.name for thread in threading.enumerate()]
    assert "hull-namespace" not in threads


def test_an_id_mapped_mount(tmp_path: Path, userns: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").write_text("")
    os.chown(source / "file", 7, 8)
    tree = namespace.clone_mount(str(source), namespace.MOUNT_ATTR_NODEV, userns)
    seen: list[os.stat_result] = []

    def look() -> None:
        namespace.attach_mount(tree, target)
        seen.append((target / "file").stat())
        mine = mount.parse_mountinfo(Path("/proc/thread-self/mountinfo").read_text())
        assert [m.options >= {"nodev"} for m in mine if m.target == str(target)] == [True]

    os.close(namespace.private_mount_namespace(look))
    os.close(tree)
    assert (seen[0].st_uid, seen[0].st_gid) == (BASE + 7, BASE + 8)
    assert (source / "file").stat().st_uid == 7
    assert not any(target.iterdir())


def test_a_mount_does_not_follow_a_symlink_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for path in (root / "usr", outside):
        path.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (outside / "usr").mkdir()
    tree = namespace.clone_mount("/proc/self", 0, None)

    def attach() -> None:
        with pytest.raises(Exception, match="not in the zone"):
            namespace.attach_mount(tree, root, "/link/usr")

    os.close(namespace.private_mount_namespace(attach))
    os.close(tree)


def test_a_user_namespace_belongs_to_its_own_root(userns: int) -> None:
    owner = struct.pack("I", 0)
    assert struct.unpack("I", fcntl.ioctl(userns, NS_GET_OWNER_UID, owner)) == (BASE,)
    enter = ["nsenter", f"--user=/proc/{os.getpid()}/fd/{userns}"]
    seen = subprocess.check_output([*enter, "cat", "/proc/self/uid_map"], pass_fds=[userns])
    assert seen.split() == [b"0", str(BASE).encode(), b"65536"]
    nested = subprocess.run([*enter, "unshare", "--user", "true"], capture_output=True, check=False)
    assert b"No space left on device" in nested.stderr  # how the kernel says: no more of them


def test_a_network_namespace_belongs_to_the_user_namespace() -> None:
    with namespace.Maker(BASE) as maker:
        user, network = maker.made()
    owner = fcntl.ioctl(network, NS_GET_USERNS)
    assert os.path.sameopenfile(owner, user)
    for fd in (owner, network, user):
        os.close(fd)


@pytest.mark.parametrize("used", [True, False])
def test_the_maker_of_namespaces_is_gone(*, used: bool) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with namespace.Maker(BASE) as maker:
        for fd in maker.made() if used else ():
            os.close(fd)
    assert set(os.listdir("/proc/self/fd")) == before
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    assert not [pid for pid in children if process.start_time(int(pid))]


def test_ids_that_there_are_not_make_no_namespace() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with (
        pytest.raises(HostError, match="no namespaces"),
        namespace.Maker(2**32 - 5) as maker,
    ):
        maker.made()
    assert set(os.listdir("/proc/self/fd")) == before


# -- cgroups --------------------------------------------------------------------------------------
@pytest.fixture
def group() -> Iterator[cgroup.Group]:
    made = cgroup.Group(cgroup.host_layout(), f"hull-{secrets.token_hex(3)}", "zone1")
    yield made
    made.remove()
    cgroup.remove_parent(made.layout, made.parent)
    assert not [top for top in made.tops() if (top / made.parent).exists()]


def test_a_group_of_processes(group: cgroup.Group) -> None:
    group.create(cgroup.Values(processes=10), owner=None)
    group.create(cgroup.Values(processes=10), owner=None)  # a second time changes nothing
    with subprocess.Popen(["sleep", "60"]) as child:
        for entrance in group.entrances():
            entrance.write_text(f"{child.pid}\n")
        assert group.pids() == {child.pid}
        memory, processes, cpu = group.usage()
        assert (memory >= 0, processes, cpu >= 0) == (True, 1, True)
        group.kill()
        assert child.wait(10) == -9
    group.remove()
    assert group.pids() == set()
    group.remove()


def test_removal_ends_what_is_inside(group: cgroup.Group) -> None:
    group.create(cgroup.Values(), owner=BASE)
    if unified := group.v2_directory():
        assert (unified / "zone").stat().st_uid == BASE
        assert unified.stat().st_uid == 0
        (unified / "zone/deeper/still").mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as child:
        for entrance in group.entrances():
            entrance.write_text(f"{child.pid}\n")
        waiter = threading.Thread(target=child.wait)
        waiter.start()
        group.remove()
        waiter.join(10)
        assert child.returncode == -9


def test_devices_are_a_list(group: cgroup.Group) -> None:
    if "devices" not in group.layout.v1:
        pytest.skip("cgroup v2 has no devices controller")
    group.create(cgroup.Values(), owner=None)
    path = group.v1_directory("devices")
    assert path is not None
    assert (path / "devices.list").read_text().splitlines() == list(cgroup.DEVICES)
