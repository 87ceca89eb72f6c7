# SPDX-License-Identifier: MPL-2.0
"""kill -9 before every single change that an operation makes: recover() leaves the old or the new.

The operation runs in a child that kills itself before its Nth change to the file system, for
N = 1, 2, ... until it gets through.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hull.linux import btrfs as btrfs_calls
from hull.linux.files import write_file
from hull.linux.run import run
from hull.storage import btrfs, btrfs_area
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import export_pool, import_pool
from tests.integration.storage_fixtures import btrfs_pool
from tests.pool_contract import receive_bytes, stream_of

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]
A, B, C = "zones/a", "zones/b", "zones/c"
MIB = 1 << 20
# Whatever changes the disk, by the module that the driver calls it through.
CHANGES = (
    (btrfs_calls, ("create_subvolume", "snapshot", "destroy_subvolume", "create_qgroup",
                   "destroy_qgroup", "assign_qgroup", "limit_qgroup")),
    (btrfs, ("write_record", "rename_noreplace", "rename_exchange", "receive_into")),
    (btrfs_area, ("rename_noreplace",)),
    (os, ("mkdir", "rmdir")),
)  # fmt: skip


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BtrfsPool]:
    with btrfs_pool(tmp_path_factory.mktemp("crash")) as made:
        yield made


def killed_before(number: int, action: Callable[[], object]) -> bool:
    """Run it in a child that is killed before its Nth change; False if it got through."""
    pid = os.fork()
    if pid == 0:
        left = number

        def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        try:
            for module, names in CHANGES:
                for name in names:
                    setattr(module, name, deadly(getattr(module, name)))
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), "the operation failed of itself"
    return status == signal.SIGKILL


def every_crash(
    pool: BtrfsPool,
    prepare: Callable[[], None],
    action: Callable[[], object],
    old: Callable[[], bool],
    new: Callable[[], bool],
) -> None:
    """Old or new after each crash, never back to the old; nothing is left over."""
    number, has_been_new = 0, False
    while True:
        number += 1
        clear(pool)
        prepare()
        killed = killed_before(number, action)
        pool.recover()
        if new():
            has_been_new = True
        else:
            assert old(), f"neither old nor new when killed before change {number}"
            assert not has_been_new, f"old again when killed before change {number}"
        check_clean(pool)
        if not killed:
            break
    assert has_been_new
    assert number > 5
    clear(pool)


def clear(pool: BtrfsPool) -> None:
    for dataset in sorted(pool.datasets(usage=False), key=lambda one: -one.created):
        if dataset.name != "zones":
            pool.destroy(dataset.name, recursive=True)


def check_clean(pool: BtrfsPool) -> None:
    """Nothing in staging, no snapshots without a dataset, a group with its quota for each."""
    assert list((pool.mountpoint / ".staging").iterdir()) == []
    datasets = pool.datasets(usage=False)[1:]
    directories = {Path(s.mountpoint).parent for d in datasets for s in pool.snapshots(d.name)}
    assert {one for one in (pool.mountpoint / ".snapshots").iterdir() if any(one.iterdir())} == (
        directories
    )
    root = os.open(pool.mountpoint, os.O_RDONLY)
    try:
        limits = btrfs_calls.qgroup_limits(root)
    finally:
        os.close(root)
    assert sorted(limit for group, limit in limits.items() if group >> 48) == sorted(
        one.quota for one in datasets
    )


def content(pool: BtrfsPool, name: str) -> str:
    with suppress(FileNotFoundError):
        return (pool.mountpoint / name / "file").read_text()
    return ""


def names(pool: BtrfsPool) -> list[str]:
    return [one.name for one in pool.datasets(usage=False)][1:]


def snapshots(pool: BtrfsPool) -> list[str]:
    return [one.short_name for one in pool.snapshots(A)]


def make(pool: BtrfsPool, *, child: bool = False) -> None:
    """zones/a with snapshots one, two and three, and the content four."""
    pool.create(A, quota=50 * MIB)
    if child:
        pool.create("zones/a/child", quota=40 * MIB)
        (pool.mountpoint / "a/child/file").write_text("child")
    for text in ("one", "two", "three", "four"):
        (pool.mountpoint / "a/file").write_text(text)
        if text != "four":
            pool.snapshot(f"{A}@{text}")


def test_create(pool: BtrfsPool) -> None:
    every_crash(
        pool,
        lambda: None,
        lambda: pool.create(A, quota=10 * MIB),
        old=lambda: names(pool) == [],
        new=lambda: [(one.name, one.quota) for one in pool.datasets()][1:] == [(A, 10 * MIB)],
    )


def test_clone(pool: BtrfsPool) -> None:
    every_crash(
        pool,
        lambda: make(pool),
        lambda: pool.clone(f"{A}@one", B, quota=10 * MIB),
        old=lambda: names(pool) == [A],
        new=lambda: (
            names(pool) == [A, B]
            and content(pool, "b") == "one"
            and pool.datasets(B)[0].quota == 10 * MIB
            and pool.datasets(B)[0].origin == f"{A}@one"
        ),
    )


def test_destroy(pool: BtrfsPool) -> None:
    every_crash(
        pool,
        lambda: make(pool, child=True),
        lambda: pool.destroy(A, recursive=True),
        old=lambda: names(pool) == [A, "zones/a/child"] and len(snapshots(pool)) == 3,
        new=lambda: names(pool) == [],
    )


def test_rollback(pool: BtrfsPool) -> None:
    every_crash(
        pool,
        lambda: make(pool, child=True),
        lambda: pool.rollback(f"{A}@one"),
        old=lambda: (
            content(pool, "a") == "four"
            and snapshots(pool) == ["one", "two", "three"]
            and content(pool, "a/child") == "child"
        ),
        new=lambda: (
            content(pool, "a") == "one"
            and snapshots(pool) == ["one"]
            and content(pool, "a/child") == "child"
        ),
    )


def test_set(pool: BtrfsPool) -> None:
    def prepare() -> None:
        pool.create(A, quota=50 * MIB)
        pool.create(B)
        pool.rename(B, "zones/a/b")

    def act() -> None:
        pool.set(A, quota=20 * MIB)
        pool.rename("zones/a/b", B)

    every_crash(
        pool,
        prepare,
        act,
        old=lambda: names(pool) == [A, "zones/a/b"],
        new=lambda: names(pool) == [A, B] and pool.datasets(A)[0].quota == 20 * MIB,
    )


def test_receive(pool: BtrfsPool, tmp_path: Path) -> None:
    make(pool)
    raw = stream_of(pool, f"{A}@one", tmp_path / "stream")
    every_crash(
        pool,
        lambda: None,
        lambda: receive_bytes(pool, A, raw, tmp_path / "stream"),
        old=lambda: names(pool) == [],
        new=lambda: (
            names(pool) == [A] and snapshots(pool) == ["one"] and content(pool, "a") == "one"
        ),
    )


def test_receive_more(pool: BtrfsPool, tmp_path: Path) -> None:
    make(pool)
    full = stream_of(pool, f"{A}@one", tmp_path / "stream")
    more = stream_of(pool, f"{A}@two", tmp_path / "stream", base=f"{A}@one")

    def prepare() -> None:
        receive_bytes(pool, A, full, tmp_path / "full")
        pool.create("zones/a/child")
        (pool.mountpoint / "a/child/file").write_text("child")

    every_crash(
        pool,
        prepare,
        lambda: receive_bytes(pool, A, more, tmp_path / "more"),
        old=lambda: (
            snapshots(pool) == ["one"]
            and content(pool, "a") == "one"
            and content(pool, "a/child") == "child"
        ),
        new=lambda: (
            snapshots(pool) == ["one", "two"]
            and content(pool, "a") == "two"
            and content(pool, "a/child") == "child"
        ),
    )


def test_killed_while_a_stream_arrives(pool: BtrfsPool, tmp_path: Path) -> None:
    """Half of a stream is there, `btrfs receive` at work, the sender still connected."""
    pool.create(A)
    (pool.mountpoint / "a/file").write_bytes(os.urandom(8 * MIB))
    pool.snapshot(f"{A}@s")
    raw = stream_of(pool, f"{A}@s", tmp_path / "stream")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        with suppress(BaseException):
            pool.receive(B, reader)
        os._exit(1)
    try:
        os.close(reader)
        _write_all(writer, raw[: 4 * MIB])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(writer)
    deadline = time.monotonic() + 10
    while True:  # btrfs receive ends by itself, its input gone
        pool.recover()
        with suppress(AssertionError):
            check_clean(pool)
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert names(pool) == [A]
    clear(pool)


def _write_all(fd: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(fd, left) :]


def test_recover_keeps_away_from_those_who_work(pool: BtrfsPool) -> None:
    root = os.open(pool.mountpoint, os.O_RDONLY)
    try:
        with btrfs_area.staging(root) as stage:
            btrfs_calls.create_subvolume(stage, "new")
            pool.recover()
            assert os.listdir(f"/proc/self/fd/{stage}") == ["new"]
        assert list((pool.mountpoint / ".staging").iterdir()) == []
    finally:
        os.close(root)


def test_power_loss(tmp_path: Path) -> None:
    """What was made before an fsync anywhere on the pool is there when the power comes back."""
    image, copy = tmp_path / "pool.img", tmp_path / "copy.img"
    with btrfs_pool(tmp_path, size=1 << 30) as made:
        run("sync", "--file-system", str(made.mountpoint))
        made.create("zones/config")
        made.create(A, quota=20 * MIB, compression="lz4")
        made.create(B)
        made.rename(B, C)
        before = made.datasets(usage=False)
        write_file(made.mountpoint / "config/zone.json", "{}")
        run("cp", "--sparse=always", str(image), str(copy))  # the disk as it is at this moment
        export_pool(made.mountpoint)
        import_pool(copy, made.mountpoint)
        assert (made.mountpoint / "config/zone.json").read_text() == "{}"
        made.recover()
        assert made.datasets(usage=False) == before
        check_clean(made)
