# SPDX-License-Identifier: MPL-2.0
"""Hosts in trouble: what they need is full, read-only or gone, or a server behaves badly.

Each is told what is the matter, nothing is half done, and all goes on when the trouble is over.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration import hosts
from tests.integration.hosts import BIN, Done, TestHost, wait_for
from tests.integration.image_fixtures import (
    Serve,
    bad_server,
    manifest_for,
    reply,
    serve_file,
)
from tests.torture.invariants import strays
from tests.torture.world import World, install, small_root

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestHost, str]]:
    with hosts.new_host() as host:
        yield host, install(host, tmp_path_factory.mktemp("images"), "small")


def try_to_create(host: TestHost, image: str, **more: object) -> Done:
    payload = {"image_uuid": image, "nics": NICS, "max_physical_memory": 64, **more}
    return host("vmadm", "create", stdin=json.dumps(payload), check=False)


def refused(done: Done, *words: str) -> None:
    """It failed, in words of its own."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "should not have" not in done.stderr, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def in_order(host: TestHost, image: str, directory: Path) -> None:
    """Nobody's things, as the next hulld finds them."""
    host.end_hulld()
    assert World(host, image, image, "", directory).do(strays) == []
    host.up()


def delete_all(host: TestHost) -> None:
    for uuid in host("vmadm", "lookup").stdout.split():
        host("vmadm", "delete", uuid)


# -- the pool --------------------------------------------------------------------------------------
def test_a_pool_without_room_for_metadata(tmp_path: Path) -> None:
    """Many small files fill what btrfs keeps its trees in, long before the data's room is gone."""
    with hosts.new_host(pool_size="512M") as host:
        image = install(host, tmp_path, "small")
        uuid = host.create(image_uuid=image, nics=NICS, quota=0)
        top = host.zone_root(uuid) / "many"
        top.mkdir()
        with pytest.raises(OSError, match="No space"):
            fill_with_names(top)
        refused(try_to_create(host, image), "not needed")
        refused(host("vmadm", "stop", uuid, "-F", check=False), "is stopped, but will boot")
        assert host.json("vmadm", "get", uuid)["state"] == "stopped"

        def deleted() -> bool:
            done = host("vmadm", "delete", uuid, check=False)
            assert "Traceback" not in done.stderr
            return done.returncode == 0

        wait_for(deleted, 90, "the room that a deletion makes")
        wait_for(lambda: try_to_create(host, image).returncode == 0, 90, "space to come back")
        delete_all(host)
        in_order(host, image, tmp_path)


def fill_with_names(directory: Path) -> None:
    for number in range(2_000_000):
        (directory / f"{number:08}{'x' * 200}").symlink_to("y" * 3000)


@contextmanager
def small_disk(size: str) -> Iterator[tuple[TestHost, Callable[[str], None]]]:
    """A host whose pool is a sparse file on a disk of its own, and how to make that larger."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "t", directory], check=True)

        def enlarge(to: str) -> None:
            subprocess.run(["mount", "-o", f"remount,size={to}", directory], check=True)

        try:
            with hosts.new_host(pool=Path(directory) / "pool.img") as host:
                yield host, enlarge
        finally:
            subprocess.run(["umount", directory], check=True)


def test_a_pool_whose_disk_fails_and_comes_back(tmp_path: Path) -> None:
    """btrfs turns read-only; what was promised is there when the disk is."""
    with small_disk("128M") as (host, enlarge):
        image = install(host, tmp_path, "small")
        uuid = host.create(image_uuid=image, nics=NICS, alias="there", quota=0)
        host("vmadm", "update", uuid, "alias=still")
        fill = ["dd", "if=/dev/urandom", "of=/fill", "bs=1M", "count=500", "conv=fsync"]
        host("zlogin", uuid, "/bin/busybox", *fill, check=False)
        wait_for(lambda: try_to_create(host, image).returncode == 1, 60, "the disk's failure")
        assert host("vmadm", "list", "-p", "-o", "alias").stdout == "still\n"
        for argv in (
            ("update", uuid, "quota=3"), ("create-snapshot", uuid, "s"), ("delete", uuid),
        ):  # fmt: skip
            refused(host("vmadm", *argv, check=False))
        enlarge("1G")
        host.down()
        host.up()
        wait_for(lambda: host.json("vmadm", "get", uuid)["state"] == "running", what="autoboot")
        assert host.json("vmadm", "get", uuid)["alias"] == "still"
        delete_all(host)
        assert try_to_create(host, image).returncode == 0
        delete_all(host)
        in_order(host, image, tmp_path)


# -- /run, /var ------------------------------------------------------------------------------------
def test_a_full_run_directory(shared: tuple[TestHost, str], tmp_path: Path) -> None:
    host, image = shared
    fill = host.root / "run/fill"
    free = shutil.disk_usage(fill.parent).free
    with fill.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)
    try:
        refused(try_to_create(host, image), "No space left")
    finally:
        fill.unlink()
    assert try_to_create(host, image).returncode == 0
    delete_all(host)
    in_order(host, image, tmp_path)


def test_an_image_store_over_its_quota(tmp_path: Path) -> None:
    """Downloads are in /var: a quota on its dataset keeps them from filling the pool."""
    data = small_root() + os.urandom(40 << 20)
    manifest = manifest_for(data)
    with hosts.new_host() as host:
        host.end_hulld()
        world = World(host, "", "", "", tmp_path)
        world.do(lambda h: h.pool.set("zones/var", quota=16 << 20))
        host.up()

        def file(path: str, headers: dict[str, str], peer: socket.socket) -> None:
            del path, headers
            peer.sendall(reply(data))

        with serving(host, serve_file(manifest, file)):
            done = host("imgadm", "import", str(manifest["uuid"]), check=False)
            assert done.returncode == 1
            assert "quota" in done.stderr.lower()
            assert "Traceback" not in done.stderr
        assert host("vmadm", "list").returncode == 0
        host.end_hulld()
        world.do(lambda h: h.pool.set("zones/var", quota=0))
        assert world.do(strays) == []
        host.up()


# -- servers ---------------------------------------------------------------------------------------
@contextmanager
def serving(host: TestHost, serve: Serve) -> Iterator[str]:
    with bad_server(serve, netns=host.netns) as url:
        host("imgadm", "sources", "-f", "-a", url)
        try:
            yield url
        finally:
            host("imgadm", "sources", "-d", url)


def test_a_server_that_hangs_is_left(shared: tuple[TestHost, str], tmp_path: Path) -> None:
    """It answers, and sends a part, and then nothing; hulld serves others meanwhile."""
    host, image = shared
    data = small_root()
    manifest = manifest_for(data)
    hanging = threading.Event()

    def file(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        del path, headers
        peer.sendall(reply(data)[: len(data) // 2])
        hanging.wait(100)

    with serving(host, serve_file(manifest, file)):
        argv = [str(BIN / "imgadm"), "import", str(manifest["uuid"])]
        with subprocess.Popen(
            argv, env=os.environ | {"HULL_ROOT": str(host.root)}, stderr=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert try_to_create(host, image).returncode == 0
            delete_all(host)
            host.end_hulld()  # while it waits for the server
            assert process.wait(60) == 1
            said = process.communicate()[1]
            assert "Traceback" not in said
        hanging.set()
        host.up()
    in_order(host, image, tmp_path)


@pytest.mark.parametrize("layout", ["sparse", "bomb"])
def test_an_archive_that_is_larger_than_it_looks(tmp_path: Path, layout: str) -> None:
    """A file of holes takes no room; one that unpacks to more than there is is refused."""
    tree = tmp_path / "root"
    tree.mkdir()
    with (tree / "huge").open("wb") as file:
        if layout == "sparse":
            file.truncate(1 << 40)
        else:  # what a pool that compresses cannot make smaller, and zstd can
            file.writelines([os.urandom(256 << 10)] * (8 << 10))
    tar = ["tar", "-C", str(tree), *(["--sparse"] if layout == "sparse" else []), "-cf", "-", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packer:
        zstd = ["zstd", "-q", "-1", "-c"]
        done = subprocess.run(zstd, stdin=packer.stdout, capture_output=True, check=True)
    manifest = manifest_for(done.stdout, "zstd")
    (tmp_path / "image.json").write_text(json.dumps(manifest))
    (tmp_path / "image").write_bytes(done.stdout)
    files = ("-m", str(tmp_path / "image.json"), "-f", str(tmp_path / "image"))
    with hosts.new_host(pool_size="1G") as host:
        small = install(host, tmp_path, "small")
        said = host("imgadm", "install", *files, check=False)
        assert "Traceback" not in said.stderr
        assert said.returncode == (0 if layout == "sparse" else 1), said.stderr
        assert try_to_create(host, small).returncode == 0
        delete_all(host)
        in_order(host, small, tmp_path)


# -- hulld itself ----------------------------------------------------------------------------------
def test_two_hullds_at_once(shared: tuple[TestHost, str]) -> None:
    """The second one says so and goes; two `hull up` at once make one hulld."""
    host, _ = shared
    done = subprocess.run(
        [str(BIN / "hulld")], env=os.environ | {"HULL_ROOT": str(host.root)}, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "works on" in done.stderr
    host.end_hulld()
    ups = [
        subprocess.Popen(
            [str(BIN / "hull"), "up", "--netns", host.netns], stderr=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"HULL_ROOT": str(host.root)}, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in ups:
        said = process.communicate(timeout=60)
        assert "Traceback" not in said[1]
    assert host.json("hull", "status", "-j")
    argv = subprocess.run(
        ["pgrep", "-f", "bin/hulld$"], capture_output=True, text=True, check=False
    )
    ours = [pid for pid in argv.stdout.split() if environment_of(pid, host)]
    assert ours == [str(host.hulld_pid())]


def environment_of(pid: str, host: TestHost) -> bool:
    try:
        return f"HULL_ROOT={host.root}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
