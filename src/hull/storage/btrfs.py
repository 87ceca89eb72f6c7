# SPDX-License-Identifier: MPL-2.0
"""The Pool port on btrfs. How it lies on the disk is in btrfs_area.py.

A dataset is durable with its first snapshot, or with the next fsync anywhere on the pool.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hull.errors import Corrupt, Exists, InUse, InvalidState, KernelError, NotFound, Unsupported
from hull.linux import btrfs
from hull.linux.rename import rename_exchange, rename_noreplace
from hull.linux.run import run
from hull.storage import btrfs_area as area
from hull.storage.btrfs_area import Catalogue, Head, named_errors
from hull.storage.btrfs_record import (
    COMPRESSIONS,
    Record,
    check_properties,
    new_record,
    read_record,
    write_compression,
    write_properties,
    write_record,
)
from hull.storage.btrfs_stream import StreamHead, read_head, receive_into
from hull.storage.btrfs_view import View
from hull.storage.name import check_dataset, check_snapshot
from hull.storage.pool import Dataset, Features, Snapshot

log = logging.getLogger("hull.storage")

_NEW = "new"
_INBOX = "in"


class BtrfsPool:
    """Datasets as subvolumes of the btrfs mounted at `mountpoint` (see import_pool).

    What the numbers of a dataset mean is in btrfs_view.py. Compression holds for files in
    directories made after it was set.
    """

    def __init__(self, name: str, mountpoint: Path) -> None:
        self.name = name
        self.mountpoint = mountpoint
        with ExitStack() as undo, named_errors(f"open pool {name}"):
            root = area.open_at(undo, mountpoint)
            area.open_at(undo, area.STAGING, root)
            self._fsid = btrfs.filesystem_id(root)
        self._simple = btrfs.quota_mode(self._fsid) == "squota"
        self._view = View(name, mountpoint, self._simple)
        self.features = Features(
            reservation=False,
            quota_includes_shared=not self._simple,
            compressions=tuple(COMPRESSIONS),
        )

    # -- making ----------------------------------------------------------------------------------

    def create(
        self, name: str, *, quota: int = 0, reservation: int = 0, compression: str = "on"
    ) -> Dataset:
        check_properties(reservation, compression)

        def build(stage: int, qgroup: int) -> None:
            btrfs.create_subvolume(stage, _NEW, qgroup=qgroup)
            os.chmod(_NEW, 0o755, dir_fd=stage)

        return self._make(name, new_record(quota=quota, compression=compression), build)

    def create_volume(self, name: str, size: int) -> Dataset:
        """The file `disk` in a subvolume of its own; checksums and copy on write stay on."""

        def build(stage: int, qgroup: int) -> None:
            btrfs.create_subvolume(stage, _NEW, qgroup=qgroup)
            os.chmod(_NEW, 0o700, dir_fd=stage)
            area.resize_volume(f"{_NEW}/{area.VOLUME_FILE}", size, stage)

        return self._make(name, new_record(volume=True), build)

    def clone(self, origin: str, name: str, *, quota: int = 0) -> Dataset:
        dataset, short = check_snapshot(origin, self.name)
        with self._opened(f"clone {origin}") as (undo, root):
            of = self._head(undo, root, dataset)
            source = area.open_snapshot(undo, root, of, short)
            record = new_record(
                quota=quota,
                origin=btrfs.subvolume_info(source).uuid,
                volume=of.record.volume,
                compression=of.record.compression,
            )

            def build(stage: int, qgroup: int) -> None:
                btrfs.snapshot(source, stage, _NEW, qgroup=qgroup)

            return self._make(name, record, build, origin, of.record)

    def snapshot(self, name: str) -> Snapshot:
        dataset, short = check_snapshot(name, self.name)
        with self._opened(f"snapshot {name}") as (undo, root):
            head = self._head(undo, root, dataset)
            area.refuse_if_full(self.mountpoint, name)
            directory = area.snapshot_directory(undo, root, head.record)
            btrfs.snapshot(head.fd, directory, short, read_only=True)
            made = btrfs.subvolume_info(area.open_at(undo, short, directory))
            return self._view.snapshot(name, head.record, made)

    def _make(
        self,
        name: str,
        record: Record,
        build: Callable[[int, int], None],
        origin: str = "",
        origin_record: Record | None = None,
    ) -> Dataset:
        """Build a subvolume in staging, complete it, and rename it to its name: the commit."""
        with self._opened(f"create {name}") as (undo, root), ExitStack() as failed:
            parent, leaf = self._vacant(undo, root, name)
            area.refuse_if_full(self.mountpoint, name)
            self._make_qgroup(root, record, failed)
            stage = undo.enter_context(area.staging(root))
            build(stage, record.qgroup)
            record, _ = self._complete(undo, stage, record)
            btrfs.limit_qgroup(root, record.qgroup, record.quota)
            with area.unlimited(root, parent.record):
                rename_noreplace(stage, _NEW, parent.fd, leaf)
            failed.pop_all()
            groups = [one.qgroup for one in (record, origin_record) if one]
            usage = btrfs.qgroup_usage(root, *groups)
        return self._view.dataset(name, record, origin, origin_record, usage)

    def _make_qgroup(self, root: int, record: Record, failed: ExitStack) -> None:
        btrfs.create_qgroup(root, record.qgroup)
        failed.callback(area.drop_qgroup, root, record.qgroup, simple=self._simple)

    def _complete(self, undo: ExitStack, stage: int, record: Record) -> tuple[Record, int]:
        """Give the subvolume in staging its record; returns that and a descriptor."""
        fd = area.open_at(undo, _NEW, stage)
        record = replace(record, uuid=btrfs.subvolume_info(fd).uuid)
        write_compression(fd, record.compression)
        write_record(fd, record)
        return record, fd

    # -- changing --------------------------------------------------------------------------------

    def rollback(self, snapshot: str) -> None:
        dataset, short = check_snapshot(snapshot, self.name)
        with self._opened(f"roll back to {snapshot}") as (undo, root):
            head = self._head(undo, root, dataset)
            source = area.open_snapshot(undo, root, head, short)
            wanted = btrfs.subvolume_info(source).id
            newer = [one for one in area.snapshots_of(root, head.record) if one.id > wanted]
            if newer:
                self._catalogue(root).refuse_if_cloned(dataset, newer)

            def land() -> None:
                for one in newer:
                    btrfs.destroy_subvolume(root, one.id)

            stage = undo.enter_context(area.staging(root))
            self._replace_head(undo, root, dataset, head, stage, source, short, land)

    def _replace_head(
        self,
        undo: ExitStack,
        root: int,
        name: str,
        head: Head,
        stage: int,
        source: int,
        short: str,
        land: Callable[[], None],
    ) -> None:
        """Put a clone of `source` (snapshot `short`, there when `land` is done) in a head's place.

        The intent is written into the old head's record, so that recover() can go on with it.
        """
        parent, leaf = self._parent(undo, root, name)
        with area.unlimited(root, head.record, parent.record), ExitStack() as failed:
            btrfs.snapshot(source, stage, _NEW, qgroup=head.record.qgroup)
            _, new = self._complete(undo, stage, replace(head.record, pending=""))
            children = area.children_of(root, head)
            for child in children:
                area.check_vacant(new, child, f"{name}/{child} in the snapshot")
            write_record(head.fd, replace(head.record, pending=short))
            failed.callback(write_record, head.fd, head.record)
            land()
            rename_exchange(stage, _NEW, parent.fd, leaf)
            failed.pop_all()
            for child in children:
                rename_noreplace(head.fd, child, new, child)
            with area.rest_of(f"replace {name}"):
                area.destroy_tree(root, head.id)

    def destroy(self, name: str, *, recursive: bool = False) -> None:
        with self._opened(f"destroy {name}") as (undo, root):
            if "@" in name:
                self._destroy_snapshot(undo, root, name)
            else:
                self._destroy_dataset(undo, root, name, recursive=recursive)

    def _destroy_snapshot(self, undo: ExitStack, root: int, name: str) -> None:
        dataset, short = check_snapshot(name, self.name)
        with suppress(NotFound):
            head = self._head(undo, root, dataset)
            snapshot = btrfs.subvolume_info(area.open_snapshot(undo, root, head, short))
            self._catalogue(root).refuse_if_cloned(dataset, [snapshot])
            btrfs.destroy_subvolume(root, snapshot.id)

    def _destroy_dataset(self, undo: ExitStack, root: int, name: str, *, recursive: bool) -> None:
        try:
            head = self._head(undo, root, name)
        except NotFound:
            return
        doomed = {name: head.record}
        if area.snapshots_of(root, head.record) or area.children_of(root, head):
            if not recursive:
                raise InUse(f"{name} has snapshots or children", hint="destroy it recursively")
            doomed = self._family(root, name)
        parent, leaf = self._parent(undo, root, name)
        try:
            stage = undo.enter_context(area.staging(root))
            with area.unlimited(root, parent.record):
                rename_noreplace(parent.fd, leaf, stage, _NEW)  # from here on it is gone
        except (KernelError, OSError) as exc:
            if exc.errno != errno.ENOSPC:
                raise
            area.destroy_tree(root, head.id)  # needs no room, where a new name does
        for record in doomed.values():
            with area.rest_of(f"destroy {name}"):
                area.destroy_snapshots(root, record)
                area.drop_qgroup(root, record.qgroup, simple=self._simple)

    def _family(self, root: int, name: str) -> dict[str, Record]:
        """A dataset and all below it; InUse if a snapshot of theirs has clones elsewhere."""
        catalogue = self._catalogue(root)
        family = catalogue.family(name)
        for one, record in family.items():
            snapshots = catalogue.snapshots.get(record.id, [])
            catalogue.refuse_if_cloned(one, snapshots, except_for=family)
        return family

    def rename(self, name: str, new_name: str) -> None:
        with self._opened(f"rename {name} to {new_name}") as (undo, root):
            if "@" in name:
                self._rename_snapshot(undo, root, name, new_name)
                return
            check_dataset(new_name, self.name)
            self._head(undo, root, name)
            if new_name.startswith(f"{name}/"):
                raise InvalidState(f"{new_name} would be inside itself")
            old, old_leaf = self._parent(undo, root, name)
            new, new_leaf = self._vacant(undo, root, new_name)
            with area.unlimited(root, old.record, new.record):
                rename_noreplace(old.fd, old_leaf, new.fd, new_leaf)

    def _rename_snapshot(self, undo: ExitStack, root: int, name: str, new_name: str) -> None:
        dataset, short = check_snapshot(name, self.name)
        new_dataset, new_short = check_snapshot(new_name, self.name)
        if new_dataset != dataset:
            raise InvalidState("a snapshot stays with its dataset")
        head = self._head(undo, root, dataset)
        area.open_snapshot(undo, root, head, short)
        directory = area.snapshot_directory(undo, root, head.record)
        rename_noreplace(directory, short, directory, new_short)

    def set(
        self,
        name: str,
        *,
        quota: int | None = None,
        reservation: int | None = None,
        compression: str | None = None,
        volsize: int | None = None,
    ) -> None:
        check_properties(reservation or 0, compression or "on")
        with self._opened(f"change {name}") as (undo, root):
            head = self._head(undo, root, name)
            record = replace(
                head.record,
                quota=head.record.quota if quota is None else quota,
                compression=compression or head.record.compression,
            )
            with ExitStack() as failed:
                with area.unlimited(root, head.record):
                    if volsize is not None:
                        area.check_growth(head, name, volsize)
                        area.resize_volume(area.VOLUME_FILE, volsize, head.fd)
                    if record != head.record:
                        failed.callback(write_properties, head.fd, head.record)
                        write_properties(head.fd, record)
                btrfs.limit_qgroup(root, record.qgroup, record.quota)
                failed.pop_all()

    # -- looking ---------------------------------------------------------------------------------

    def datasets(self, name: str = "", *, usage: bool = True) -> list[Dataset]:
        if name:
            check_dataset(name, self.name)
        with self._opened("list datasets") as (_, root):
            catalogue = self._catalogue(root)
            numbers = btrfs.qgroup_usage(root) if usage else None
        if name and name not in catalogue.heads:
            raise NotFound(f"dataset {name} does not exist")
        origins = catalogue.snapshot_names()
        found = []
        for one, record in catalogue.family(name).items():
            origin = origins.get(record.origin, "")
            of = catalogue.heads[origin.partition("@")[0]][0] if origin else None
            found.append(self._view.dataset(one, record, origin, of, numbers))
        return sorted(found, key=lambda dataset: dataset.name)

    def snapshots(self, name: str = "") -> list[Snapshot]:
        check_dataset(name or self.name, self.name)
        with self._opened("list snapshots") as (_, root):
            catalogue = self._catalogue(root)
            numbers = btrfs.qgroup_usage(root)
        if name and name not in catalogue.heads:
            raise NotFound(f"dataset {name} does not exist")
        clones, found = catalogue.all_clones(), []
        for of in (name,) if name else catalogue.heads:
            record = catalogue.heads[of][0]
            for one in catalogue.snapshots.get(record.id, []):
                used = numbers.get(one.id, btrfs.Usage()).exclusive
                cloned = clones.get(one.uuid, ())
                found.append(self._view.snapshot(f"{of}@{one.name}", record, one, cloned, used))
        return found

    # -- streams ---------------------------------------------------------------------------------

    def send(self, snapshot: str, fd: int, *, base: str = "") -> None:
        dataset, short = check_snapshot(snapshot, self.name)
        with self._opened(f"send {snapshot}") as (undo, root):
            head = self._head(undo, root, dataset)
            area.open_snapshot(undo, root, head, short)
            directory = self.mountpoint / area.SNAPSHOTS / head.record.directory
            parent: tuple[str, ...] = ()
            if base:
                base_dataset, base_short = check_snapshot(base, self.name)
                if base_dataset != dataset:
                    raise InvalidState(f"{base} is not a snapshot of {dataset}")
                area.open_snapshot(undo, root, head, base_short)
                parent = ("-p", str(directory / base_short))
        run("btrfs", "send", "--quiet", *parent, str(directory / short), stdout=fd, timeout=None)

    def receive(self, name: str, fd: int) -> Snapshot:
        """As `zfs receive -F`: what was written since the stream's base is lost."""
        check_dataset(name, self.name)
        stream = read_head(fd)
        snapshot = f"{name}@{stream.snapshot}"
        check_snapshot(snapshot, self.name)
        with self._opened(f"receive {name}") as (undo, root):
            area.refuse_if_full(self.mountpoint, name)
            if stream.base:
                record = self._receive_more(undo, root, name, stream, fd)
            else:
                record = self._receive_new(undo, root, name, stream, fd)
            made = next(s for s in area.snapshots_of(root, record) if s.name == stream.snapshot)
            return self._view.snapshot(snapshot, record, made)

    def _receive_new(
        self, undo: ExitStack, root: int, name: str, stream: StreamHead, fd: int
    ) -> Record:
        parent, leaf = self._vacant(undo, root, name)
        with ExitStack() as failed:
            record = new_record()
            self._make_qgroup(root, record, failed)
            stage = undo.enter_context(area.staging(root))
            source = self._unpack(undo, stage, record.qgroup, stream, fd)
            sent = read_record(source) or record
            record = replace(record, volume=sent.volume, compression=sent.compression)
            btrfs.snapshot(source, stage, _NEW, qgroup=record.qgroup)
            record, _ = self._complete(undo, stage, record)
            failed.callback(area.destroy_snapshots, root, record)
            directory = area.snapshot_directory(undo, root, record)
            btrfs.snapshot(source, directory, stream.snapshot, read_only=True)
            with area.unlimited(root, parent.record):
                rename_noreplace(stage, _NEW, parent.fd, leaf)
            failed.pop_all()
        return record

    def _receive_more(
        self, undo: ExitStack, root: int, name: str, stream: StreamHead, fd: int
    ) -> Record:
        head = self._head(undo, root, name)
        snapshots = area.snapshots_of(root, head.record)
        if any(one.name == stream.snapshot for one in snapshots):
            raise Exists(f"{name}@{stream.snapshot} exists already")
        if not any(stream.base in (one.uuid, one.received_uuid) for one in snapshots):
            raise NotFound(f"{name} has no snapshot that the stream starts from")
        if stream.base not in (snapshots[-1].uuid, snapshots[-1].received_uuid):
            raise InvalidState(
                f"the stream starts from an older snapshot than {name}@{snapshots[-1].name}",
                hint="roll back to the snapshot that it starts from",
            )
        stage = undo.enter_context(area.staging(root))
        source = self._unpack(undo, stage, head.record.qgroup, stream, fd)
        directory = area.snapshot_directory(undo, root, head.record)

        def land() -> None:
            btrfs.snapshot(source, directory, stream.snapshot, read_only=True)

        self._replace_head(undo, root, name, head, stage, source, stream.snapshot, land)
        return head.record

    def _unpack(self, undo: ExitStack, stage: int, qgroup: int, stream: StreamHead, fd: int) -> int:
        """Receive in staging, where what arrives counts for `qgroup`; returns a descriptor."""
        btrfs.create_subvolume(stage, _INBOX, qgroup=qgroup)
        inbox = area.open_at(undo, _INBOX, stage)
        receive_into(Path(f"/proc/self/fd/{inbox}").readlink(), stream, fd)
        source = area.open_at(undo, stream.snapshot, inbox)
        if not btrfs.subvolume_info(source).read_only:
            raise Corrupt("the stream ends too early")
        return source

    # -- after a crash ---------------------------------------------------------------------------

    def recover(self) -> None:
        """Finish or undo what a crash left half done; does nothing while somebody works.

        Destroys what is in staging (children of a replaced head move to the new one), snapshots
        and quota groups of datasets that are gone; puts lifted quotas back; goes on with rollbacks.
        """
        with self._opened("recover the pool") as (undo, root):
            lock = area.open_at(undo, area.STAGING, root)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("pool %s is being worked on: nothing to recover now", self.name)
                return
            area.clear_staging(root, lock, self._catalogue(root), self.mountpoint)
            catalogue = self._catalogue(root)
            area.clear_orphans(root, catalogue)
            area.restore_quotas(root, catalogue, simple=self._simple)
        for name, (record, _) in catalogue.heads.items():
            if record.pending:
                self._resume(name, record)

    def _resume(self, name: str, record: Record) -> None:
        log.warning("going on with the rollback of %s to %s", name, record.pending)
        try:
            self.rollback(f"{name}@{record.pending}")
        except NotFound:  # the crash came before the snapshot was received
            with self._opened(f"recover {name}") as (undo, root):
                head = self._head(undo, root, name)
                write_record(head.fd, replace(head.record, pending=""))

    # -- helpers ---------------------------------------------------------------------------------

    @contextmanager
    def _opened(self, what: str) -> Iterator[tuple[ExitStack, int]]:
        with named_errors(what), ExitStack() as undo:
            root = area.open_at(undo, self.mountpoint)
            yield undo, root
            if not self._simple:
                btrfs.recount(root, self._fsid)

    def _catalogue(self, root: int) -> Catalogue:
        return area.read_catalogue(root, self.mountpoint, self.name)

    def _head(self, undo: ExitStack, root: int, name: str) -> Head:
        """Open a dataset that is not the pool itself."""
        parts = check_dataset(name, self.name)
        if not parts:
            raise Unsupported(f"{name} is the pool itself")
        head = area.open_head(undo, root, parts)
        if head is None:
            raise NotFound(f"dataset {name} does not exist")
        return head

    def _parent(self, undo: ExitStack, root: int, name: str) -> tuple[Head, str]:
        *above, leaf = check_dataset(name, self.name) or ("",)
        if not leaf:
            raise Exists(f"{name} is the pool itself")
        parent = area.open_head(undo, root, tuple(above))
        if parent is None:
            raise NotFound(f"there is no dataset above {name}", hint="create it first")
        return parent, leaf

    def _vacant(self, undo: ExitStack, root: int, name: str) -> tuple[Head, str]:
        """The open parent and the last component of a name that is free. NotFound or Exists."""
        parent, leaf = self._parent(undo, root, name)
        area.check_vacant(parent.fd, leaf, name)
        return parent, leaf
