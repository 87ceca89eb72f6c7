# SPDX-License-Identifier: MPL-2.0
"""How a pool lies on btrfs: heads (the datasets), snapshots and staging, found and opened.

MOUNTPOINT/UUID             the head of zones/UUID, a subvolume; zones/UUID/data is nested in it
MOUNTPOINT/.snapshots/ID/S  zones/UUID@S, read-only; ID is the dataset's, for life
MOUNTPOINT/.staging/*/      what is being made or destroyed: a rename out of it commits the one,
                            a rename into it the other; what a crash leaves there is nobody's
"""

import errno
import fcntl
import logging
import os
import secrets
from collections import defaultdict
from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hull.errors import Exists, HostError, InUse, InvalidState, KernelError, NotFound
from hull.linux import btrfs
from hull.linux.btrfs import Subvolume
from hull.linux.rename import rename_noreplace
from hull.storage.btrfs_record import ROOT_RECORD, Record, read_record

log = logging.getLogger("hull.storage")

SNAPSHOTS = ".snapshots"
STAGING = ".staging"
VOLUME_FILE = "disk"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SPACE_LEFT = 4 << 20  # below this a commit of the file system may already fail
FULL_HINT = "destroy snapshots or datasets that are no longer needed, or make the pool larger"


@dataclass(frozen=True)
class Head:
    """An open dataset. The descriptors live as long as the ExitStack that it was opened on."""

    fd: int
    record: Record
    id: int  # of the subvolume


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Say a system call's failure in the port's words."""
    try:
        yield
    except (KernelError, OSError) as exc:
        number = exc.errno or 0
        reason = os.strerror(number)
        if number == errno.ENOSPC:
            raise HostError(f"{what}: the pool is full", hint=FULL_HINT) from exc
        if number == errno.EDQUOT:
            raise HostError(f"{what}: over its quota", hint="raise the quota first") from exc
        if number == errno.EEXIST:
            raise Exists(f"{what}: the name is taken") from exc
        if number in (errno.EBUSY, errno.ETXTBSY):
            raise InUse(f"{what}: it is in use", hint="something is mounted on it") from exc
        if isinstance(exc, KernelError):
            raise
        raise KernelError(what, number, reason) from exc


def refuse_if_full(mountpoint: Path, name: str) -> None:
    """Raises HostError."""
    room = os.statvfs(mountpoint)
    if room.f_bavail * room.f_frsize < _NO_SPACE_LEFT:
        raise HostError(f"{name}: the pool is full", hint=FULL_HINT)


def open_at(undo: ExitStack, path: str | Path, directory: int | None = None) -> int:
    """A directory's descriptor; links are not followed in the last component."""
    fd = os.open(path, _DIRECTORY, dir_fd=directory)
    undo.callback(os.close, fd)
    return fd


def names_in(directory: int) -> list[str]:
    """What is in a directory now: btrfs shows a descriptor what was there when it was opened."""
    fresh = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(fresh)  # noqa: PTH208  # pathlib knows no descriptors
    finally:
        os.close(fresh)


def open_head(undo: ExitStack, root: int, parts: tuple[str, ...]) -> Head | None:
    """Walk to a dataset; None if there is none. Each step must be a dataset's own subvolume."""
    head = Head(root, ROOT_RECORD, btrfs.TOP_LEVEL)
    for part in parts:
        found = open_child(undo, head.fd, part)
        if found is None:
            return None
        head = found
    return head


def open_child(undo: ExitStack, parent: int, name: str) -> Head | None:
    """The dataset under this name, if that is what it is."""
    try:
        fd = open_at(undo, name, parent)
    except OSError:
        return None
    if os.fstat(fd).st_ino != btrfs.ROOT_INODE:
        return None
    subvolume = btrfs.subvolume_info(fd)
    record = read_record(fd)
    if record is None or record.uuid != subvolume.uuid:
        return None
    return Head(fd, record, subvolume.id)


def open_snapshot(undo: ExitStack, root: int, head: Head, name: str) -> int:
    """Raises NotFound."""
    try:
        return open_at(undo, f"{SNAPSHOTS}/{head.record.directory}/{name}", root)
    except FileNotFoundError:
        raise NotFound(f"snapshot {name} does not exist") from None


def snapshot_directory(undo: ExitStack, root: int, record: Record) -> int:
    """Where a dataset's snapshots are, made if need be."""
    path = f"{SNAPSHOTS}/{record.directory}"
    with suppress(FileExistsError):
        os.mkdir(path, 0o700, dir_fd=root)
    return open_at(undo, path, root)


def snapshots_of(root: int, record: Record) -> list[Subvolume]:
    """A dataset's snapshots, oldest first."""
    found = []
    with ExitStack() as undo:
        try:
            directory = open_at(undo, f"{SNAPSHOTS}/{record.directory}", root)
        except FileNotFoundError:
            return []
        for name in names_in(directory):
            with ExitStack() as one:
                found.append(btrfs.subvolume_info(open_at(one, name, directory)))
    return sorted(found, key=lambda snapshot: snapshot.id)


def destroy_snapshots(root: int, record: Record) -> None:
    """Destroy all snapshots of a dataset, and their directory."""
    with ExitStack() as undo:
        try:
            directory = open_at(undo, f"{SNAPSHOTS}/{record.directory}", root)
        except FileNotFoundError:
            return
        sweep(root, directory)
    os.rmdir(f"{SNAPSHOTS}/{record.directory}", dir_fd=root)


def children_of(root: int, head: Head) -> list[str]:
    """The names of the datasets right below one."""
    with ExitStack() as undo:
        return [
            nested.name
            for nested in btrfs.nested_subvolumes(root, head.id)
            if nested.directory == btrfs.ROOT_INODE and open_child(undo, head.fd, nested.name)
        ]


def check_vacant(parent: int, leaf: str, name: str) -> None:
    """Raises Exists if there is something; the empty stub of a subvolume is taken away."""
    try:
        found = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if found.st_ino != btrfs.STUB_INODE:
        raise Exists(f"{name} exists already")
    os.rmdir(leaf, dir_fd=parent)


def resize_volume(file: str, size: int, directory: int) -> None:
    """Make the volume's file this large, sparse; it is made if it is not there."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def check_growth(head: Head, name: str, size: int) -> None:
    """Raises InvalidState unless the dataset is a volume of at most `size` bytes."""
    if not head.record.volume:
        raise InvalidState(f"{name} is not a volume")
    if size < os.stat(VOLUME_FILE, dir_fd=head.fd).st_size:
        raise InvalidState(f"{name} cannot shrink", hint="make a smaller volume and copy")


# -- everything at once -------------------------------------------------------------------------


@dataclass(frozen=True)
class Catalogue:
    """All datasets by name, parents first; all snapshots by their dataset's id, oldest first."""

    heads: dict[str, tuple[Record, Subvolume | None]] = field(default_factory=dict)
    snapshots: dict[int, list[Subvolume]] = field(default_factory=dict)

    def snapshot_names(self) -> dict[str, str]:
        """The full name of each snapshot, by its uuid."""
        return {
            snapshot.uuid: f"{name}@{snapshot.name}"
            for name, (record, _) in self.heads.items()
            for snapshot in self.snapshots.get(record.id, ())
        }

    def clones(self, uuid: str) -> tuple[str, ...]:
        """The datasets whose origin is this snapshot."""
        return self.all_clones().get(uuid, ())

    def all_clones(self) -> dict[str, tuple[str, ...]]:
        """The datasets whose origin is a snapshot, by its uuid."""
        found: dict[str, list[str]] = {}
        for name, (record, _) in self.heads.items():
            if record.origin:
                found.setdefault(record.origin, []).append(name)
        return {uuid: tuple(names) for uuid, names in found.items()}

    def family(self, name: str) -> dict[str, Record]:
        """A dataset and all below it."""
        return {
            other: record
            for other, (record, _) in self.heads.items()
            if not name or other == name or other.startswith(f"{name}/")
        }

    def refuse_if_cloned(
        self, dataset: str, snapshots: list[Subvolume], except_for: Container[str] = ()
    ) -> None:
        """InUse if one of a dataset's snapshots has clones other than those."""
        for snapshot in snapshots:
            clones = [one for one in self.clones(snapshot.uuid) if one not in except_for]
            if clones:
                raise InUse(
                    f"{dataset}@{snapshot.name} has clones: {', '.join(clones)}",
                    hint="destroy the clones first",
                )


def read_catalogue(root: int, mountpoint: Path, pool: str) -> Catalogue:
    """One search of the tree of roots, and one attribute a dataset."""
    areas = {}
    with os.scandir(mountpoint / SNAPSHOTS) as entries:
        areas = {entry.inode(): int(entry.name, 16) for entry in entries}
    children: dict[int, list[Subvolume]] = defaultdict(list)
    snapshots: dict[int, list[Subvolume]] = defaultdict(list)
    for subvolume in btrfs.subvolumes(root).values():
        if subvolume.directory == btrfs.ROOT_INODE:
            children[subvolume.parent].append(subvolume)
        elif subvolume.parent == btrfs.TOP_LEVEL and subvolume.directory in areas:
            snapshots[areas[subvolume.directory]].append(subvolume)
    heads: dict[str, tuple[Record, Subvolume | None]] = {pool: (ROOT_RECORD, None)}

    def walk(parent: int, prefix: str, path: str) -> None:
        for subvolume in sorted(children.get(parent, ()), key=lambda child: child.name):
            below = f"{path}/{subvolume.name}"
            record = read_record(below)
            if record is not None and record.uuid == subvolume.uuid:
                heads[f"{prefix}/{subvolume.name}"] = record, subvolume
                walk(subvolume.id, f"{prefix}/{subvolume.name}", below)

    walk(btrfs.TOP_LEVEL, pool, str(mountpoint))
    return Catalogue(heads, dict(snapshots))


# -- staging ------------------------------------------------------------------------------------


@contextmanager
def staging(root: int) -> Iterator[int]:
    """A directory of one's own; whatever is in it in the end is destroyed, or left to `recover`."""
    with ExitStack() as undo:
        area = open_at(undo, STAGING, root)
        fcntl.flock(area, fcntl.LOCK_SH)  # recover() keeps away while somebody works
        name = secrets.token_hex(8)
        os.mkdir(name, 0o700, dir_fd=area)
        undo.callback(_discard, root, area, name)
        yield open_at(undo, name, area)


def _discard(root: int, area: int, name: str) -> None:
    with rest_of(f"staging {name}"):
        with ExitStack() as undo:
            sweep(root, open_at(undo, name, area))
        os.rmdir(name, dir_fd=area)


@contextmanager
def rest_of(what: str) -> Iterator[None]:
    """What is done is done: that something of it stays is no failure, `recover` removes it."""
    try:
        yield
    except (KernelError, OSError) as exc:
        log.warning("%s: something stays until hulld's next start: %s", what, exc)


def sweep(root: int, directory: int) -> None:
    """Destroy every subvolume whose name is in this directory, and those nested in them."""
    for name in names_in(directory):
        with ExitStack() as undo:
            subvolume = btrfs.subvolume_info(open_at(undo, name, directory))
        destroy_tree(root, subvolume.id)


def destroy_tree(root: int, subvolume: int) -> None:
    """Destroy a subvolume and all that are nested in it; the space comes back in the background."""
    try:
        btrfs.destroy_subvolume(root, subvolume)
    except KernelError as exc:
        if exc.errno != errno.ENOTEMPTY:
            raise
        for nested in btrfs.nested_subvolumes(root, subvolume):
            destroy_tree(root, nested.id)
        btrfs.destroy_subvolume(root, subvolume)


# -- quota groups -------------------------------------------------------------------------------


@contextmanager
def unlimited(root: int, *records: Record) -> Iterator[None]:
    """Lift quotas for a change that must go through even if they are used up.

    The records keep them: recover() puts back what a crash in here leaves lifted.
    """
    limited = [record for record in records if record.quota and record.qgroup]
    try:
        for record in limited:
            btrfs.limit_qgroup(root, record.qgroup, 0)
        yield
    finally:
        for record in limited:
            with suppress(KernelError):  # it was destroyed within
                btrfs.limit_qgroup(root, record.qgroup, record.quota)


def drop_qgroup(root: int, qgroup: int, *, simple: bool) -> None:
    """Destroy a dataset's group; what clones still share stays counted on dead subvolumes.

    Classic groups cannot lose a member without counting all again: those are left to recover().
    """
    with suppress(KernelError):
        btrfs.limit_qgroup(root, qgroup, 0)
    if simple:
        for member in btrfs.qgroup_members(root, qgroup):
            with suppress(KernelError):  # the kernel was faster
                btrfs.assign_qgroup(root, member, qgroup, assign=False)
    with suppress(KernelError):
        btrfs.destroy_qgroup(root, qgroup)


# -- after a crash ------------------------------------------------------------------------------


def clear_staging(root: int, area: int, catalogue: Catalogue, mountpoint: Path) -> None:
    """Destroy what is in staging; children of a head that was being replaced go to the new one."""
    live = {record.id: name for name, (record, _) in catalogue.heads.items()}
    for name in names_in(area):
        with ExitStack() as undo:
            directory = open_at(undo, name, area)
            for entry in names_in(directory):
                old = open_child(undo, directory, entry)
                if old is None:
                    continue
                with suppress(KernelError):  # its group is gone
                    btrfs.limit_qgroup(root, old.record.qgroup, 0)  # see restore_quotas
                if old.record.id in live:
                    parts = tuple(live[old.record.id].split("/")[1:])
                    _move_children(root, old, parts)
            sweep(root, directory)
        os.rmdir(name, dir_fd=area)


def _move_children(root: int, old: Head, parts: tuple[str, ...]) -> None:
    with ExitStack() as undo:
        new = open_head(undo, root, parts)
        if new is None:
            return
        with unlimited(root, new.record):
            for child in children_of(root, old):
                check_vacant(new.fd, child, child)
                rename_noreplace(old.fd, child, new.fd, child)


def clear_orphans(root: int, catalogue: Catalogue) -> None:
    """Destroy the snapshots of datasets that are gone."""
    live = {record.directory for record, _ in catalogue.heads.values()}
    with ExitStack() as undo:
        names = names_in(open_at(undo, SNAPSHOTS, root))
    for name in names:
        if name not in live:
            destroy_snapshots(root, Record(uuid="", id=int(name, 16), created=0.0))


def restore_quotas(root: int, catalogue: Catalogue, *, simple: bool) -> None:
    """Make the groups what the records say, and destroy those that are nobody's."""
    limits = btrfs.qgroup_limits(root)
    alive = {one.id for snapshots in catalogue.snapshots.values() for one in snapshots}
    for record, subvolume in catalogue.heads.values():
        if subvolume is None:
            continue
        alive |= {subvolume.id, record.qgroup}
        if record.qgroup not in limits:
            btrfs.create_qgroup(root, record.qgroup)
            btrfs.assign_qgroup(root, subvolume.id, record.qgroup)
        if limits.get(record.qgroup, 0) != record.quota:
            btrfs.limit_qgroup(root, record.qgroup, record.quota)
    for qgroup in sorted(limits, reverse=simple):
        if qgroup not in alive and qgroup >> 48 == 1:
            drop_qgroup(root, qgroup, simple=simple)
        elif qgroup not in alive and btrfs.TOP_LEVEL < qgroup < 1 << 48 and not simple:
            with suppress(KernelError):  # still being dropped
                btrfs.destroy_qgroup(root, qgroup)
