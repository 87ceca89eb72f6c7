# SPDX-License-Identifier: MPL-2.0
"""What every driver of the Pool port must do: the fake in unit, the real ones in integration.

A driver's test module subclasses PoolContract and gives it the fixture `pool`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from hull.errors import (
    Corrupt,
    Error,
    Exists,
    InUse,
    InvalidPayload,
    InvalidState,
    NotFound,
    Unsupported,
)
from hull.storage.pool import Dataset, Pool, Snapshot

A, B, C = "zones/a", "zones/b", "zones/c"
MIB = 1 << 20


def where(pool: Pool, name: str) -> Path:
    return Path(pool.datasets(name)[0].mountpoint)


def write(pool: Pool, name: str, file: str, text: str) -> None:
    (where(pool, name) / file).write_text(text)


def read(pool: Pool, name: str, file: str) -> str:
    return (where(pool, name) / file).read_text()


def files(pool: Pool, name: str) -> list[str]:
    return sorted(path.name for path in where(pool, name).iterdir())


def names(pool: Pool) -> list[str]:
    return [dataset.name for dataset in pool.datasets(usage=False)]


def short_names(pool: Pool, name: str) -> list[str]:
    return [snapshot.short_name for snapshot in pool.snapshots(name)]


def state(pool: Pool) -> list[tuple[Dataset, list[Snapshot]]]:
    """All that the port shows, but for numbers of bytes used: those lag behind."""
    return [
        (one, [replace(snapshot, used=0) for snapshot in pool.snapshots(one.name)])
        for one in pool.datasets(usage=False)
    ]


def refused(pool: Pool, error: type[Error], action: Callable[[], object]) -> Error:
    """The action raises this error, and nothing has changed."""
    before = state(pool)
    with pytest.raises(error) as caught:
        action()
    assert state(pool) == before
    return caught.value


def transfer(source: Pool, snapshot: str, target: Pool, name: str, base: str = "") -> Snapshot:
    """Send into one end of a pipe, receive from the other; the receiver's error counts."""
    reader, writer = os.pipe()
    failures: list[Exception] = []

    def send() -> None:
        try:
            source.send(snapshot, writer, base=base)
        except Exception as exc:  # noqa: BLE001  # handed to the test below
            failures.append(exc)
        finally:
            os.close(writer)

    thread = Thread(target=send)
    thread.start()
    try:
        made = target.receive(name, reader)
    finally:
        os.close(reader)
        thread.join()
    if failures:
        raise failures[0]
    return made


def stream_of(pool: Pool, snapshot: str, path: Path, base: str = "") -> bytes:
    with path.open("wb") as file:
        pool.send(snapshot, file.fileno(), base=base)
    return path.read_bytes()


def receive_bytes(pool: Pool, name: str, raw: bytes, path: Path) -> Snapshot:
    path.write_bytes(raw)
    with path.open("rb") as file:
        return pool.receive(name, file.fileno())


def eventually(
    look: Callable[[], Dataset], good: Callable[[Dataset], bool], timeout: float = 30
) -> Dataset:
    """Numbers of bytes lag behind: look until they are right."""
    deadline = time.monotonic() + timeout
    while not good(found := look()):
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.05)
    return found


class PoolContract:
    # -- create -----------------------------------------------------------------------------------

    def test_a_pool_begins_with_itself(self, pool: Pool) -> None:
        (top,) = pool.datasets()
        assert (top.name, top.origin, top.quota) == ("zones", "", 0)
        assert Path(top.mountpoint).is_dir()
        assert top.available > 0

    def test_create(self, pool: Pool) -> None:
        made = pool.create(A, quota=100 * MIB, compression="lz4")
        assert made.name == A
        assert made.mountpoint == str(where(pool, "zones") / "a")
        assert (made.quota, made.compression, made.volsize, made.origin) == (
            100 * MIB, "lz4", 0, "",
        )  # fmt: skip
        assert 0 < made.available <= 100 * MIB
        assert abs(made.created - Path(made.mountpoint).stat().st_ctime) < 60
        assert files(pool, A) == []
        assert Path(made.mountpoint).stat().st_mode & 0o7777 == 0o755
        assert pool.datasets(A, usage=False)[0].created == made.created

    def test_create_needs_a_parent(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.create("zones/a/b"))
        pool.create(A)
        assert pool.create("zones/a/b").mountpoint == str(where(pool, A) / "b")

    def test_create_twice(self, pool: Pool) -> None:
        pool.create(A)
        write(pool, A, "file", "kept")
        refused(pool, Exists, lambda: pool.create(A))
        refused(pool, Exists, lambda: pool.create_volume(A, MIB))
        refused(pool, Exists, lambda: pool.create("zones"))
        assert read(pool, A, "file") == "kept"

    def test_create_does_not_take_the_place_of_a_directory(self, pool: Pool) -> None:
        pool.create(A)
        (where(pool, A) / "root").mkdir()
        refused(pool, Exists, lambda: pool.create("zones/a/root"))

    def test_compression_and_reservation_are_declared(self, pool: Pool) -> None:
        assert {"on", "off"} <= set(pool.features.compressions)
        for number, compression in enumerate(pool.features.compressions):
            name = f"zones/{number}"
            assert pool.create(name, compression=compression).compression == compression
            assert pool.datasets(name)[0].compression == compression
        refused(pool, Unsupported, lambda: pool.create(A, compression="magic"))
        refused(pool, Unsupported, lambda: pool.set("zones/0", compression="magic"))
        if pool.features.reservation:
            assert pool.create(A, reservation=MIB).reservation == MIB
        else:
            refused(pool, Unsupported, lambda: pool.create(A, reservation=MIB))
            refused(pool, Unsupported, lambda: pool.set("zones/0", reservation=MIB))

    @pytest.mark.parametrize(
        "name",
        [
            "", "/", "other/a", "zones/", "zones//a", "zones/..", "zones/../a", "zones/a/../../b",
            "zones/.snapshots", "zones/.", "zones/-a", "zones/a b", "zones/a\n", "zones/a@b@c",
            "zones/a%b", "/etc", "zones/a\0b", "zones/é", "zones/" + "a" * 260, "zonesx",
        ],
    )  # fmt: skip
    def test_no_name_leaves_the_pool(self, pool: Pool, name: str) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        refused(pool, InvalidPayload, lambda: pool.create(name))
        refused(pool, InvalidPayload, lambda: pool.create_volume(name, MIB))
        refused(pool, InvalidPayload, lambda: pool.clone(f"{A}@s", name))
        refused(pool, InvalidPayload, lambda: pool.rename(A, name))
        refused(pool, InvalidPayload, lambda: pool.destroy(name, recursive=True))
        refused(pool, InvalidPayload, lambda: pool.snapshot(f"{name}@s"))
        refused(pool, InvalidPayload, lambda: pool.set(name, quota=MIB))
        if name:
            refused(pool, InvalidPayload, lambda: pool.datasets(name))

    @pytest.mark.parametrize("short", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "@"])
    def test_no_snapshot_leaves_its_dataset(self, pool: Pool, short: str) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        refused(pool, InvalidPayload, lambda: pool.snapshot(f"{A}@{short}"))
        refused(pool, InvalidPayload, lambda: pool.rename(f"{A}@s", f"{A}@{short}"))
        refused(pool, InvalidPayload, lambda: pool.destroy(f"{A}@{short}"))

    def test_the_pool_itself_is_left_alone(self, pool: Pool) -> None:
        pool.create(A)
        refused(pool, Unsupported, lambda: pool.destroy("zones", recursive=True))
        refused(pool, Unsupported, lambda: pool.snapshot("zones@s"))
        refused(pool, Unsupported, lambda: pool.rename("zones", "zones/b"))
        refused(pool, Unsupported, lambda: pool.set("zones", quota=MIB))

    # -- volumes ----------------------------------------------------------------------------------

    def test_volume(self, pool: Pool, tmp_path: Path) -> None:
        made = pool.create_volume(A, 64 * MIB)
        disk = Path(made.mountpoint)
        assert made.volsize == 64 * MIB == pool.datasets(A)[0].volsize
        assert disk.stat().st_size == 64 * MIB
        assert disk.stat().st_blocks < 100
        with disk.open("r+b") as file:
            file.write(b"boot")
        pool.snapshot(f"{A}@s")
        clone = pool.clone(f"{A}@s", B)
        assert clone.volsize == 64 * MIB
        assert Path(clone.mountpoint).read_bytes()[:4] == b"boot"
        with disk.open("r+b") as file:
            file.write(b"BOOT")
        pool.set(A, volsize=65 * MIB)
        assert pool.datasets(A)[0].volsize == disk.stat().st_size == 65 * MIB
        pool.rollback(f"{A}@s")
        assert (disk.read_bytes()[:4], disk.stat().st_size) == (b"boot", 64 * MIB)
        transfer(pool, f"{A}@s", pool, C)
        assert pool.datasets(C)[0].volsize == 64 * MIB

    def test_volumes_do_not_shrink(self, pool: Pool) -> None:
        pool.create_volume(A, 2 * MIB)
        refused(pool, InvalidState, lambda: pool.set(A, volsize=MIB))
        pool.create(B)
        refused(pool, InvalidState, lambda: pool.set(B, volsize=MIB))

    # -- snapshots and clones ---------------------------------------------------------------------

    def test_snapshot_keeps_what_was(self, pool: Pool) -> None:
        pool.create(A)
        write(pool, A, "file", "old")
        made = pool.snapshot(f"{A}@one")
        write(pool, A, "file", "new")
        assert (made.name, made.dataset, made.short_name, made.clones) == (
            f"{A}@one", A, "one", (),
        )  # fmt: skip
        assert (Path(made.mountpoint) / "file").read_text() == "old"
        pool.snapshot(f"{A}@two")
        pool.snapshot(f"{A}@0")
        assert short_names(pool, A) == ["one", "two", "0"]
        times = [one.created for one in pool.snapshots() if one.dataset == A]
        assert (len(times), times) == (3, sorted(times))
        assert pool.snapshots(A)[0].mountpoint == made.mountpoint

    def test_snapshot_errors(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.snapshot(f"{A}@s"))
        refused(pool, NotFound, lambda: pool.snapshots(A))
        refused(pool, NotFound, lambda: pool.datasets(A))
        pool.create(A)
        pool.snapshot(f"{A}@s")
        refused(pool, Exists, lambda: pool.snapshot(f"{A}@s"))

    def test_clone(self, pool: Pool) -> None:
        pool.create(A, compression="off")
        write(pool, A, "file", "old")
        pool.snapshot(f"{A}@s")
        write(pool, A, "file", "new")
        made = pool.clone(f"{A}@s", B, quota=50 * MIB)
        assert (made.name, made.origin, made.quota) == (B, f"{A}@s", 50 * MIB)
        assert made.compression == "off"
        assert read(pool, B, "file") == "old"
        write(pool, B, "file", "mine")
        assert read(pool, A, "file") == "new"
        assert (Path(pool.snapshots(A)[0].mountpoint) / "file").read_text() == "old"
        assert pool.snapshots(A)[0].clones == (B,)
        assert pool.datasets(B)[0].origin == f"{A}@s"

    def test_clone_errors(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.clone(f"{A}@s", B))
        pool.create(A)
        refused(pool, NotFound, lambda: pool.clone(f"{A}@s", B))
        pool.snapshot(f"{A}@s")
        pool.clone(f"{A}@s", B)
        refused(pool, Exists, lambda: pool.clone(f"{A}@s", B))
        refused(pool, NotFound, lambda: pool.clone(f"{A}@s", "zones/x/y"))
        refused(pool, InvalidPayload, lambda: pool.clone(A, C))

    def test_clone_of_a_clone(self, pool: Pool) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        pool.clone(f"{A}@s", B)
        pool.snapshot(f"{B}@s")
        assert pool.clone(f"{B}@s", C).origin == f"{B}@s"
        assert pool.snapshots(A)[0].clones == (B,)

    # -- destroy ----------------------------------------------------------------------------------

    def test_destroy_is_idempotent(self, pool: Pool) -> None:
        pool.create(A)
        write(pool, A, "file", "x")
        pool.destroy(A)
        pool.destroy(A)
        pool.destroy(f"{A}@s")
        assert names(pool) == ["zones"]
        pool.create(A)
        pool.destroy(f"{A}@s")
        assert files(pool, A) == []

    def test_destroy_refuses_what_others_need(self, pool: Pool) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        refused(pool, InUse, lambda: pool.destroy(A))
        pool.clone(f"{A}@s", B)
        refused(pool, InUse, lambda: pool.destroy(f"{A}@s"))
        error = refused(pool, InUse, lambda: pool.destroy(A, recursive=True))
        assert B in error.message
        pool.destroy(B)
        pool.destroy(f"{A}@s")
        pool.destroy(A)
        pool.create(A)
        pool.create("zones/a/child")
        refused(pool, InUse, lambda: pool.destroy(A))

    def test_destroy_recursive(self, pool: Pool) -> None:
        pool.create(A)
        pool.create("zones/a/child")
        pool.create("zones/a/child/deep")
        pool.create("zones/ab")
        pool.snapshot(f"{A}@s")
        pool.snapshot("zones/a/child@s")
        pool.clone(f"{A}@s", "zones/a/clone")
        pool.destroy(A, recursive=True)
        assert names(pool) == ["zones", "zones/ab"]
        pool.create(A)
        assert pool.snapshots(A) == []

    # -- rollback ---------------------------------------------------------------------------------

    def test_rollback(self, pool: Pool) -> None:
        made = pool.create(A, quota=200 * MIB, compression="off")
        write(pool, A, "file", "one")
        pool.snapshot(f"{A}@one")
        write(pool, A, "file", "two")
        write(pool, A, "more", "two")
        pool.snapshot(f"{A}@two")
        pool.rollback(f"{A}@one")
        assert (read(pool, A, "file"), files(pool, A)) == ("one", ["file"])
        assert short_names(pool, A) == ["one"]
        after = pool.datasets(A, usage=False)[0]
        assert after == pool.datasets(A, usage=False)[0]
        assert (after.quota, after.compression, after.created) == (200 * MIB, "off", made.created)
        write(pool, A, "file", "three")
        pool.rollback(f"{A}@one")
        assert read(pool, A, "file") == "one"

    def test_rollback_errors(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.rollback(f"{A}@s"))
        pool.create(A)
        refused(pool, NotFound, lambda: pool.rollback(f"{A}@s"))
        pool.snapshot(f"{A}@old")
        pool.snapshot(f"{A}@new")
        write(pool, A, "file", "kept")
        pool.clone(f"{A}@new", B)
        refused(pool, InUse, lambda: pool.rollback(f"{A}@old"))
        assert read(pool, A, "file") == "kept"

    def test_rollback_keeps_origin_and_clones(self, pool: Pool) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        pool.clone(f"{A}@s", B)
        pool.snapshot(f"{B}@t")
        pool.clone(f"{B}@t", C)
        pool.rollback(f"{B}@t")
        assert pool.datasets(B)[0].origin == f"{A}@s"
        assert pool.snapshots(A)[0].clones == (B,)
        assert pool.snapshots(B)[0].clones == (C,)

    def test_rollback_leaves_children_alone(self, pool: Pool) -> None:
        pool.create(A)
        pool.create("zones/a/before")
        write(pool, "zones/a/before", "file", "old")
        write(pool, A, "file", "old")
        pool.snapshot(f"{A}@s")
        pool.snapshot("zones/a/before@s")
        pool.create("zones/a/after")
        for name in (A, "zones/a/before", "zones/a/after"):
            write(pool, name, "file", "new")
        pool.rollback(f"{A}@s")
        assert read(pool, A, "file") == "old"
        assert read(pool, "zones/a/before", "file") == "new"
        assert read(pool, "zones/a/after", "file") == "new"
        assert short_names(pool, "zones/a/before") == ["s"]
        assert names(pool) == ["zones", A, "zones/a/after", "zones/a/before"]

    def test_rollback_does_not_bury_a_child(self, pool: Pool) -> None:
        pool.create(A)
        (where(pool, A) / "data").mkdir()
        write(pool, A, "data/file", "dir")
        pool.snapshot(f"{A}@s")
        (where(pool, A) / "data/file").unlink()
        (where(pool, A) / "data").rmdir()
        pool.create("zones/a/data")
        write(pool, "zones/a/data", "file", "child")
        refused(pool, Exists, lambda: pool.rollback(f"{A}@s"))
        assert read(pool, "zones/a/data", "file") == "child"

    def test_children_are_not_in_snapshots_and_clones(self, pool: Pool) -> None:
        pool.create(A)
        pool.create("zones/a/data")
        write(pool, "zones/a/data", "file", "x")
        snapshot = pool.snapshot(f"{A}@s")
        pool.clone(f"{A}@s", B)
        assert not (Path(snapshot.mountpoint) / "data/file").exists()
        assert not (where(pool, B) / "data/file").exists()
        pool.create("zones/b/data")
        assert files(pool, "zones/b/data") == []

    # -- rename -----------------------------------------------------------------------------------

    def test_rename_carries_snapshots_children_and_clones(self, pool: Pool) -> None:
        pool.create(A, quota=100 * MIB)
        pool.create("zones/a/child")
        write(pool, "zones/a/child", "file", "x")
        pool.snapshot(f"{A}@s")
        pool.snapshot("zones/a/child@t")
        pool.clone(f"{A}@s", C)
        pool.rename(A, B)
        assert names(pool) == ["zones", B, "zones/b/child", C]
        assert read(pool, "zones/b/child", "file") == "x"
        assert short_names(pool, B) == ["s"]
        assert short_names(pool, "zones/b/child") == ["t"]
        assert pool.datasets(C)[0].origin == f"{B}@s"
        assert pool.datasets(B)[0].quota == 100 * MIB
        pool.rename("zones/b/child", "zones/d")
        assert read(pool, "zones/d", "file") == "x"

    def test_rename_errors(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.rename(A, B))
        pool.create(A)
        pool.create(B)
        pool.snapshot(f"{A}@s")
        pool.snapshot(f"{A}@t")
        refused(pool, Exists, lambda: pool.rename(A, B))
        refused(pool, NotFound, lambda: pool.rename(A, "zones/x/y"))
        refused(pool, InvalidState, lambda: pool.rename(A, "zones/a/b"))
        refused(pool, NotFound, lambda: pool.rename(f"{A}@x", f"{A}@y"))
        refused(pool, Exists, lambda: pool.rename(f"{A}@s", f"{A}@t"))
        refused(pool, InvalidState, lambda: pool.rename(f"{A}@s", f"{B}@s"))

    def test_rename_a_snapshot(self, pool: Pool) -> None:
        pool.create(A)
        pool.snapshot(f"{A}@s")
        pool.snapshot(f"{A}@t")
        pool.clone(f"{A}@s", B)
        pool.rename(f"{A}@s", f"{A}@z")
        assert short_names(pool, A) == ["z", "t"]
        assert pool.datasets(B)[0].origin == f"{A}@z"

    # -- set and datasets -------------------------------------------------------------------------

    def test_set(self, pool: Pool) -> None:
        refused(pool, NotFound, lambda: pool.set(A, quota=MIB))
        pool.create(A)
        pool.set(A, quota=20 * MIB)
        assert pool.datasets(A)[0].quota == 20 * MIB
        pool.set(A, compression="off")
        made = pool.datasets(A)[0]
        assert (made.quota, made.compression) == (20 * MIB, "off")
        assert made.available <= 20 * MIB
        pool.set(A, quota=0)
        assert pool.datasets(A)[0].quota == 0
        assert pool.datasets(A)[0].available > 20 * MIB

    def test_datasets(self, pool: Pool) -> None:
        for name in ("zones/b", "zones/a", "zones/a/y", "zones/a/x", "zones/a-b"):
            pool.create(name)
        assert [one.name for one in pool.datasets(A)] == [A, "zones/a/x", "zones/a/y"]
        assert sorted(names(pool)) == names(pool)
        assert len(names(pool)) == 6
        write(pool, A, "file", "x" * MIB)
        os.sync()
        quick = pool.datasets(A, usage=False)[0]
        assert (quick.used, quick.referenced, quick.available) == (0, 0, 0)
        full = eventually(lambda: pool.datasets(A)[0], lambda made: made.used > 0)
        assert full.referenced >= full.used
        assert full.available > 0

    # -- streams ----------------------------------------------------------------------------------

    def test_send_and_receive(self, pool: Pool, tmp_path: Path) -> None:
        pool.create(A, quota=100 * MIB)
        write(pool, A, "file", "one")
        pool.snapshot(f"{A}@one")
        write(pool, A, "file", "two")
        write(pool, A, "more", "two")
        pool.snapshot(f"{A}@two")
        made = transfer(pool, f"{A}@one", pool, B)
        assert made.name == f"{B}@one"
        assert (Path(made.mountpoint) / "file").read_text() == "one"
        assert (read(pool, B, "file"), files(pool, B)) == ("one", ["file"])
        assert pool.datasets(B)[0].origin == ""
        assert pool.datasets(B)[0].quota == 0
        write(pool, B, "file", "local changes are lost")
        assert transfer(pool, f"{A}@two", pool, B, base=f"{A}@one").name == f"{B}@two"
        assert (read(pool, B, "file"), files(pool, B)) == ("two", ["file", "more"])
        assert short_names(pool, B) == ["one", "two"]
        pool.rollback(f"{B}@one")
        assert read(pool, B, "file") == "one"
        write(pool, B, "file", "writable")

    def test_a_chain_of_streams(self, pool: Pool) -> None:
        """What was received can be sent on, and every further step still fits."""
        pool.create(A)
        pool.create("zones/backup")
        base = ""
        for number in range(4):
            write(pool, A, f"f{number}", str(number))
            pool.snapshot(f"{A}@{number}")
            transfer(pool, f"{A}@{number}", pool, "zones/backup/a", base=base)
            base = f"{A}@{number}"
        assert files(pool, "zones/backup/a") == ["f0", "f1", "f2", "f3"]
        transfer(pool, "zones/backup/a@2", pool, C)
        transfer(pool, "zones/backup/a@3", pool, C, base="zones/backup/a@2")
        assert files(pool, C) == ["f0", "f1", "f2", "f3"]

    def test_send_errors(self, pool: Pool, tmp_path: Path) -> None:
        pool.create(A)
        pool.create(B)
        pool.snapshot(f"{A}@s")
        pool.snapshot(f"{B}@s")
        out = tmp_path / "stream"
        refused(pool, NotFound, lambda: stream_of(pool, f"{A}@x", out))
        refused(pool, NotFound, lambda: stream_of(pool, f"{A}@s", out, base=f"{A}@x"))
        refused(pool, InvalidState, lambda: stream_of(pool, f"{A}@s", out, base=f"{B}@s"))

    def test_receive_errors(self, pool: Pool, tmp_path: Path) -> None:
        pool.create(A)
        write(pool, A, "file", "x" * 300_000)
        pool.snapshot(f"{A}@one")
        write(pool, A, "file", "y" * 300_000)
        pool.snapshot(f"{A}@two")
        path = tmp_path / "stream"
        full = stream_of(pool, f"{A}@one", path)
        more = stream_of(pool, f"{A}@two", path, base=f"{A}@one")

        def receive(name: str, raw: bytes) -> Callable[[], object]:
            return lambda: receive_bytes(pool, name, raw, path)

        refused(pool, Exists, receive(A, full))
        refused(pool, NotFound, receive("zones/x/y", full))
        refused(pool, NotFound, receive(B, more))
        refused(pool, Exists, receive(A, more))
        for cut in (0, 1, len(full) // 2, len(full) - 2):
            refused(pool, Error, receive(B, full[:cut]))
        refused(pool, Corrupt, receive(B, b"not a stream at all, whatever it is" * 20))
        receive_bytes(pool, B, full, path)
        refused(pool, Error, receive(B, more[: len(more) // 2]))
        assert read(pool, B, "file") == "x" * 300_000
        pool.snapshot(f"{B}@local")
        refused(pool, InvalidState, receive(B, more))
        pool.rollback(f"{B}@one")
        receive_bytes(pool, B, more, path)
        assert read(pool, B, "file") == "y" * 300_000
