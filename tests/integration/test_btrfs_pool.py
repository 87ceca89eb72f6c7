# SPDX-License-Identifier: MPL-2.0
"""What only a real pool can show: quotas that bite, shared blocks, streams, import, health."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hull.errors import Exists, HostError, InUse, InvalidState, NotFound
from hull.linux import btrfs, loop
from hull.linux.mount import bind, is_mounted, umount
from hull.linux.run import run
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import (
    MARKER,
    BtrfsHealth,
    create_pool,
    export_pool,
    import_pool,
)
from tests.integration.storage_fixtures import GIB, btrfs_pool, unmount_all
from tests.pool_contract import transfer

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]
A, B, C = "zones/a", "zones/b", "zones/c"
MIB = 1 << 20


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[BtrfsPool]:
    with btrfs_pool(tmp_path) as made:
        yield made


def fill(directory: Path, name: str, size: int) -> None:
    """Write what cannot be compressed, to the disk."""
    with (directory / name).open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())


def sync(pool: BtrfsPool) -> None:
    run("sync", "--file-system", str(pool.mountpoint))


def pool_used(pool: BtrfsPool) -> int:
    sync(pool)
    return pool.datasets("zones")[0].used


# -- quotas ---------------------------------------------------------------------------------------


def test_quota_is_enforced_and_live(pool: BtrfsPool) -> None:
    path = Path(pool.create(A, quota=20 * MIB).mountpoint)
    with pytest.raises(OSError, match="quota"):
        fill(path, "big", 30 * MIB)
    (path / "big").unlink()
    sync(pool)
    fill(path, "small", 15 * MIB)
    sync(pool)
    made = pool.datasets(A)[0]
    assert 15 * MIB <= made.used < 16 * MIB
    assert made.available == made.quota - made.used
    pool.set(A, quota=40 * MIB)
    fill(path, "more", 20 * MIB)
    pool.set(A, quota=0)
    fill(path, "most", 30 * MIB)


def test_a_full_dataset_can_be_worked_with(pool: BtrfsPool) -> None:
    path = Path(pool.create(A, quota=10 * MIB).mountpoint)
    pool.create("zones/a/old")
    with pytest.raises(OSError, match="quota"):
        fill(path, "big", 20 * MIB)
    pool.create("zones/a/new", quota=5 * MIB)
    pool.destroy("zones/a/old")
    pool.rename("zones/a/new", "zones/a/newer")
    pool.snapshot(f"{A}@s")
    pool.rollback(f"{A}@s")
    with pytest.raises(OSError, match="quota"):  # the quota was put back each time
        fill(path, "bigger", 20 * MIB)
    pool.set(A, quota=12 * MIB)
    pool.destroy(A, recursive=True)
    assert [one.name for one in pool.datasets()] == ["zones"]


def test_a_childs_data_is_its_own(pool: BtrfsPool) -> None:
    pool.create(A, quota=10 * MIB)
    child = Path(pool.create("zones/a/data").mountpoint)
    fill(child, "big", 20 * MIB)
    sync(pool)
    assert pool.datasets(A)[0].used < MIB
    assert pool.datasets("zones/a/data")[0].used >= 20 * MIB


def test_a_zones_own_subvolumes_do_not_escape_its_quota(pool: BtrfsPool) -> None:
    """Any user may make subvolumes; they count for the dataset, and go with it."""
    if pool.features.quota_includes_shared:
        pytest.skip("this kernel has no simple quotas")
    path = Path(pool.create(A, quota=10 * MIB).mountpoint)
    (path / "root").mkdir()
    run("btrfs", "subvolume", "create", str(path / "root/mine"))
    run("btrfs", "subvolume", "create", str(path / "root/mine/deeper"))
    with pytest.raises(OSError, match="quota"):
        fill(path / "root/mine/deeper", "big", 20 * MIB)
    assert [one.name for one in pool.datasets()] == ["zones", A]
    pool.snapshot(f"{A}@s")
    pool.rollback(f"{A}@s")
    pool.set(A, quota=100 * MIB)
    run("btrfs", "subvolume", "create", str(path / "root/again"))
    pool.destroy(A, recursive=True)
    assert not path.exists()


def test_a_copy_of_a_dataset_is_no_dataset(pool: BtrfsPool) -> None:
    """A delegated dataset's owner may snapshot it, record and all."""
    path = Path(pool.create(A).mountpoint)
    pool.snapshot(f"{A}@s")
    run("btrfs", "subvolume", "snapshot", str(path), str(path / "copy"))
    assert [one.name for one in pool.datasets()] == ["zones", A]
    pool.destroy("zones/a/copy", recursive=True)
    assert (path / "copy").is_dir()
    assert [one.short_name for one in pool.snapshots(A)] == ["s"]


def test_rollback_goes_on_counting(pool: BtrfsPool) -> None:
    """Blocks of a former head that snapshots still hold are the dataset's own."""
    if pool.features.quota_includes_shared:
        pytest.skip("this kernel has no simple quotas")
    path = Path(pool.create(A, quota=30 * MIB).mountpoint)
    fill(path, "one", 20 * MIB)
    pool.snapshot(f"{A}@s")
    pool.rollback(f"{A}@s")
    assert pool.datasets(A)[0].used >= 20 * MIB
    with pytest.raises(OSError, match="quota"):
        fill(path, "two", 20 * MIB)


def test_what_is_received_counts(pool: BtrfsPool) -> None:
    path = Path(pool.create(A).mountpoint)
    fill(path, "one", 8 * MIB)
    pool.snapshot(f"{A}@s")
    transfer(pool, f"{A}@s", pool, B)
    sync(pool)
    assert 8 * MIB <= pool.datasets(B)[0].used < 9 * MIB


# -- sharing --------------------------------------------------------------------------------------


def test_clones_and_snapshots_copy_no_data(pool: BtrfsPool) -> None:
    path = Path(pool.create(A).mountpoint)
    fill(path, "image", 50 * MIB)
    before = pool_used(pool)
    pool.snapshot(f"{A}@s")
    for number in range(5):
        pool.clone(f"{A}@s", f"zones/clone{number}", quota=60 * MIB)
    assert pool_used(pool) - before < MIB
    assert (pool.mountpoint / "clone4/image").stat().st_size == 50 * MIB
    clone = pool.datasets("zones/clone4")[0]
    assert 50 * MIB <= clone.referenced < 52 * MIB
    if not pool.features.quota_includes_shared:
        assert clone.used < MIB
        fill(pool.mountpoint / "clone4", "more", 55 * MIB)


def test_checksums_and_compression_are_on(pool: BtrfsPool) -> None:
    on, off = (Path(pool.create(f"zones/{c}", compression=c).mountpoint) for c in ("on", "off"))
    for path in (on, off):
        (path / "zeros").write_bytes(b"hull" * (2 * MIB))
    sync(pool)
    assert pool.datasets("zones/on")[0].used < MIB
    assert pool.datasets("zones/off")[0].used >= 8 * MIB
    disk = pool.create_volume("zones/disk", 64 * MIB).mountpoint
    assert "C" not in run("lsattr", disk).split()[0]  # C: no copy on write, no checksums


# -- streams --------------------------------------------------------------------------------------


def make_tree(top: Path) -> None:
    (top / "dir/deep").mkdir(parents=True)
    (top / "dir/file").write_text("content")
    (top / "dir/file").chmod(0o4751)
    os.chown(top / "dir/file", 100_001, 100_002)
    os.link(top / "dir/file", top / "dir/deep/hard")
    (top / "link").symlink_to("/nowhere")
    os.lchown(top / "link", 5, 6)
    os.mkfifo(top / "fifo")
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    os.setxattr(top / "dir/file", "user.note", b"\0binary\xff")
    os.setxattr(top / "dir/file", "security.capability", b"\0\0\0\2" + bytes(16))
    with (top / "sparse").open("wb") as file:
        file.truncate(10 * MIB)
    os.utime(top / "dir/file", ns=(1_000_000_001, 2_000_000_003))


def describe_tree(top: Path) -> list[tuple[object, ...]]:
    inodes: dict[int, str] = {}
    found: list[tuple[object, ...]] = []
    for path in sorted(top.rglob("*")):
        stat = path.lstat()
        name = str(path.relative_to(top))
        same = inodes.setdefault(stat.st_ino, name)
        names = os.listxattr(path, follow_symlinks=False)
        attributes = [(one, os.getxattr(path, one, follow_symlinks=False)) for one in names]
        content: bytes | str = b""
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found.append(
            (name, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev, stat.st_nlink, same,
             stat.st_mtime_ns, sorted(attributes), content)
        )  # fmt: skip
    return found


def test_streams_are_exact(pool: BtrfsPool, tmp_path: Path) -> None:
    path = Path(pool.create(A).mountpoint)
    make_tree(path)
    pool.snapshot(f"{A}@one")
    one = describe_tree(path)
    (path / "dir/deep/hard").unlink()
    (path / "dir").rename(path / "moved")
    os.setxattr(path / "moved/file", "user.note", b"changed")
    fill(path, "data", 2 * MIB)
    pool.snapshot(f"{A}@two")
    two = describe_tree(path)
    with btrfs_pool(tmp_path / "other") as other:
        transfer(pool, f"{A}@one", other, "zones/copy")
        assert describe_tree(other.mountpoint / "copy") == one
        transfer(pool, f"{A}@two", other, "zones/copy", base=f"{A}@one")
        assert describe_tree(other.mountpoint / "copy") == two
        assert describe_tree(Path(other.snapshots("zones/copy")[0].mountpoint)) == one
        assert len(one) == 8
        assert one != two


def test_a_sender_that_fails_is_told(pool: BtrfsPool) -> None:
    """Nobody reads the stream: send must not hang or pass for done."""
    path = Path(pool.create(A).mountpoint)
    fill(path, "data", 2 * MIB)
    pool.snapshot(f"{A}@s")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(HostError):
            pool.send(f"{A}@s", writer)
    finally:
        os.close(writer)


# -- the pool as a whole --------------------------------------------------------------------------


def test_two_pools_side_by_side(pool: BtrfsPool, tmp_path: Path) -> None:
    with btrfs_pool(tmp_path / "second") as second:
        pool.create(A)
        second.create(B)
        assert [one.name for one in pool.datasets()] == ["zones", A]
        assert [one.name for one in second.datasets()] == ["zones", B]
    assert [one.name for one in pool.datasets()] == ["zones", A]


def test_export_and_import_keep_everything(pool: BtrfsPool, tmp_path: Path) -> None:
    pool.create(A, quota=20 * MIB, compression="lz4")
    (pool.mountpoint / "a/file").write_text("kept")
    pool.snapshot(f"{A}@s")
    pool.clone(f"{A}@s", B)
    pool.create_volume(C, MIB)
    before = pool.datasets(usage=False), [one.name for one in pool.snapshots(A)]
    image = tmp_path / "pool.img"
    export_pool(pool.mountpoint)
    export_pool(pool.mountpoint)
    assert not is_mounted(pool.mountpoint)
    assert loop.devices_of(image) == []
    import_pool(image, pool.mountpoint)
    import_pool(image, pool.mountpoint)
    assert len(loop.devices_of(image)) == 1
    again = BtrfsPool("zones", pool.mountpoint)
    assert (again.datasets(usage=False), [one.name for one in again.snapshots(A)]) == before
    assert (pool.mountpoint / "a/file").read_text() == "kept"
    with pytest.raises(OSError, match="quota"):
        fill(pool.mountpoint / "a", "big", 30 * MIB)


def test_a_busy_pool_is_not_exported(pool: BtrfsPool) -> None:
    with (pool.mountpoint / "busy").open("w"), pytest.raises(InUse):
        export_pool(pool.mountpoint)
    assert is_mounted(pool.mountpoint)


def test_a_mounted_dataset_is_in_use(pool: BtrfsPool, tmp_path: Path) -> None:
    path = Path(pool.create(A).mountpoint)
    pool.snapshot(f"{A}@s")
    (path / "file").write_text("kept")
    bind(path, path)
    try:
        actions: tuple[Callable[[], None], ...] = (
            lambda: pool.rollback(f"{A}@s"),
            lambda: pool.rename(A, B),
            lambda: pool.destroy(A, recursive=True),
        )
        for action in actions:
            with pytest.raises(InUse):
                action()
            assert (path / "file").read_text() == "kept"
            assert [one.name for one in pool.datasets()] == ["zones", A]
    finally:
        umount(path)
    pool.destroy(A, recursive=True)


def test_create_refuses_what_is_there(tmp_path: Path) -> None:
    image, mountpoint = tmp_path / "image", tmp_path / "mnt"
    image.write_text("precious")
    with pytest.raises(Exists):
        create_pool(image, mountpoint, size=GIB)
    assert image.read_text() == "precious"
    image.unlink()
    with pytest.raises(InvalidState):
        create_pool(image, mountpoint, size=MIB)
    assert not image.exists()
    image.touch()
    os.truncate(image, GIB)
    run("mkfs.ext4", "-q", str(image))
    with loop.attached(image) as device, pytest.raises(Exists):
        create_pool(device, mountpoint, size=0)
    with pytest.raises(InvalidState):
        import_pool(image, mountpoint)
    with pytest.raises(NotFound):
        import_pool(tmp_path / "none", mountpoint)
    assert not mountpoint.exists()
    assert loop.devices_of(image) == []


def test_a_pool_on_a_device(tmp_path: Path) -> None:
    image, mountpoint = tmp_path / "image", tmp_path / "mnt"
    image.touch()
    os.truncate(image, GIB)
    try:
        with loop.attached(image) as device:
            create_pool(device, mountpoint, size=0)
            import_pool(device, mountpoint)
            with pytest.raises(InUse):
                create_pool(device, tmp_path / "other", size=0)
            export_pool(mountpoint)
            import_pool(device, mountpoint)
            BtrfsPool("zones", mountpoint).create(A)
    finally:
        unmount_all(mountpoint)


def test_import_refuses_a_strange_btrfs(tmp_path: Path) -> None:
    image, mountpoint = tmp_path / "pool.img", tmp_path / "mnt"
    with image.open("wb") as file:
        file.truncate(GIB)
    run("mkfs.btrfs", "--quiet", str(image))
    with pytest.raises(InvalidState):
        import_pool(image, mountpoint)
    assert not mountpoint.exists()
    assert loop.devices_of(image) == []


def test_import_where_something_else_is_mounted(pool: BtrfsPool, tmp_path: Path) -> None:
    with btrfs_pool(tmp_path / "second"), pytest.raises(InUse):
        import_pool(tmp_path / "second/pool.img", pool.mountpoint)
    assert (pool.mountpoint / MARKER).exists()


def test_a_full_pool_says_so(tmp_path: Path) -> None:
    with btrfs_pool(tmp_path, size=300 * MIB) as pool:
        path = Path(pool.create(A).mountpoint)
        with pytest.raises(OSError, match="No space"):
            fill(path, "big", 400 * MIB)
        with pytest.raises(HostError, match="full") as caught:
            pool.create(B)
        assert caught.value.hint
        with pytest.raises(HostError, match="full"):
            pool.snapshot(f"{A}@s")
        assert [one.name for one in pool.datasets()] == ["zones", A]
        (path / "big").unlink()
        sync(pool)
        pool.create(B)


def test_health(pool: BtrfsPool, tmp_path: Path) -> None:
    health = BtrfsHealth("zones", pool.mountpoint)
    fill(Path(pool.create(A).mountpoint), "data", 4 * MIB)
    sync(pool)
    first = health.status()
    assert (first.name, first.driver, first.state, first.errors) == ("zones", "btrfs", "ONLINE", 0)
    assert first.scan == "none requested"
    assert first.devices == (str(loop.devices_of(tmp_path / "pool.img")[0]),)
    assert first.size == 4 * GIB
    assert 4 * MIB <= first.allocated < first.size
    assert first.free > 3 * GIB
    health.scrub()
    health.scrub(wait=True)
    assert health.status().scan.startswith("finished, started ")
    assert health.status().scan.endswith(": no errors found")


def test_a_scrub_finds_rot(pool: BtrfsPool, tmp_path: Path) -> None:
    path = Path(pool.create(A, compression="off").mountpoint)
    (path / "file").write_bytes(b"HULLDATA" * (MIB // 8))
    sync(pool)
    export_pool(pool.mountpoint)
    image = tmp_path / "pool.img"
    with image.open("r+b") as file:
        position = _find(image, b"HULLDATA" * 512)
        file.seek(position)
        file.write(b"rot")
    import_pool(image, pool.mountpoint)
    health = BtrfsHealth("zones", pool.mountpoint)
    health.scrub(wait=True)
    assert health.status().errors > 0
    assert "no errors" not in health.status().scan
    with pytest.raises(OSError, match="Input/output"):
        (path / "file").read_bytes()


def _find(image: Path, wanted: bytes) -> int:
    """Look through the data of a sparse file, not its holes."""
    with image.open("rb") as file:
        position = 0
        while True:
            position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            end = os.lseek(file.fileno(), position, os.SEEK_HOLE)
            found = os.pread(file.fileno(), end - position, position).find(wanted)
            if found >= 0:
                return position + found
            position = end


def test_nothing_is_left_of_what_is_destroyed(pool: BtrfsPool) -> None:
    """No descriptor, no quota group."""
    Path(pool.create(A).mountpoint, "file").write_text("x")
    pool.snapshot(f"{A}@s")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        pool.clone(f"{A}@s", f"zones/{number}")
        pool.destroy(f"zones/{number}")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    root = os.open(pool.mountpoint, os.O_RDONLY)
    try:
        groups = [one for one in btrfs.qgroup_limits(root) if one >> 48]
    finally:
        os.close(root)
    assert len(groups) == 1


def test_many_at_once(pool: BtrfsPool) -> None:
    """Of those who want the same name one wins; the others are refused, and leave nothing."""
    pool.create(A)
    pool.snapshot(f"{A}@s")

    def work(number: int) -> int:
        pool.clone(f"{A}@s", f"zones/own{number}", quota=MIB)
        try:
            pool.clone(f"{A}@s", B)
        except Exists:
            won = 0
        else:
            won = 1
        pool.snapshot(f"zones/own{number}@x")
        pool.rollback(f"zones/own{number}@x")
        pool.destroy(f"zones/own{number}", recursive=True)
        return won

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(16))) == 1
    assert [one.name for one in pool.datasets()] == ["zones", A, B]
    assert list((pool.mountpoint / ".staging").iterdir()) == []
