# SPDX-License-Identifier: MPL-2.0
"""The Pool port in memory, with plain directories to write into: it defines what drivers must do.

Nothing is shared and no quota is enforced; everything else, errors above all, is as on ZFS.
"""

import base64
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hull.errors import (
    Corrupt,
    Exists,
    InUse,
    InvalidState,
    NotFound,
    Unsupported,
)
from hull.storage.name import check_dataset, check_snapshot, parent_of
from hull.storage.pool import Dataset, Features, Snapshot

_DISK = "disk"
_COMPRESSIONS = ("on", "off", "gzip", "lz4", "lzjb", "zstd")


@dataclass(kw_only=True)
class _Snapshot:
    name: str  # the short one
    guid: str  # stays when it is sent elsewhere, even within the pool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)


@dataclass(kw_only=True)
class _Node:
    """A dataset. The name of its snapshots' directory stays when it is renamed."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)
    volume: bool = False
    origin: str = ""  # a snapshot's id
    quota: int = 0
    reservation: int = 0
    compression: str = "on"
    snapshots: list[_Snapshot] = field(default_factory=list)


class FakePool:
    def __init__(self, name: str, mountpoint: Path) -> None:
        self.name = name
        self.mountpoint = mountpoint
        self.features = Features(
            reservation=True, quota_includes_shared=False, compressions=_COMPRESSIONS
        )
        self._nodes = {name: _Node()}

    # -- making -----------------------------------------------------------------------------------

    def create(
        self, name: str, *, quota: int = 0, reservation: int = 0, compression: str = "on"
    ) -> Dataset:
        self._check_compression(compression)
        self._check_vacant(name)
        self._path(name).mkdir()
        self._nodes[name] = _Node(quota=quota, reservation=reservation, compression=compression)
        return self._describe(name)

    def create_volume(self, name: str, size: int) -> Dataset:
        self._check_vacant(name)
        self._path(name).mkdir(mode=0o700)
        _resize(self._path(name) / _DISK, size)
        self._nodes[name] = _Node(volume=True)
        return self._describe(name)

    def clone(self, origin: str, name: str, *, quota: int = 0) -> Dataset:
        source, snapshot = self._snapshot(origin)
        self._check_vacant(name)
        _copy(self._snapshot_path(source, snapshot.name), self._path(name))
        self._nodes[name] = _Node(
            volume=source.volume,
            origin=snapshot.id,
            quota=quota,
            compression=source.compression,
        )
        return self._describe(name)

    def snapshot(self, name: str) -> Snapshot:
        dataset, short = check_snapshot(name, self.name)
        node = self._node(dataset)
        if any(one.name == short for one in node.snapshots):
            raise Exists(f"{name} exists already")
        self._copy_head(dataset, self._snapshot_path(node, short))
        made = _Snapshot(name=short, guid=uuid.uuid4().hex)
        node.snapshots.append(made)
        return self._describe_snapshot(dataset, made)

    # -- changing ---------------------------------------------------------------------------------

    def rollback(self, snapshot: str) -> None:
        node, wanted = self._snapshot(snapshot)
        dataset = snapshot.partition("@")[0]
        newer = node.snapshots[node.snapshots.index(wanted) + 1 :]
        self._refuse_if_cloned(dataset, newer)
        self._replace_head(dataset, self._snapshot_path(node, wanted.name))
        for one in newer:
            self._drop_snapshot(node, one)

    def destroy(self, name: str, *, recursive: bool = False) -> None:
        if "@" in name:
            self._destroy_snapshot(name)
            return
        self._check_not_root(name)
        if name not in self._nodes:
            return
        family = self._family(name)
        if not recursive and (len(family) > 1 or self._nodes[name].snapshots):
            raise InUse(f"{name} has snapshots or children", hint="destroy it recursively")
        for one in family:
            self._refuse_if_cloned(one, self._nodes[one].snapshots, except_for=family)
        for one in family:
            node = self._nodes.pop(one)
            shutil.rmtree(self._snapshot_path(node, ""), ignore_errors=True)
        shutil.rmtree(self._path(name))

    def _destroy_snapshot(self, name: str) -> None:
        try:
            node, snapshot = self._snapshot(name)
        except NotFound:
            return
        self._refuse_if_cloned(name.partition("@")[0], [snapshot])
        self._drop_snapshot(node, snapshot)

    def rename(self, name: str, new_name: str) -> None:
        if "@" in name:
            self._rename_snapshot(name, new_name)
            return
        check_dataset(new_name, self.name)
        self._node(name)
        if new_name.startswith(f"{name}/"):
            raise InvalidState(f"{new_name} would be inside itself")
        self._check_vacant(new_name)
        family = self._family(name)
        self._path(name).rename(self._path(new_name))
        for one in family:
            self._nodes[new_name + one.removeprefix(name)] = self._nodes.pop(one)

    def _rename_snapshot(self, name: str, new_name: str) -> None:
        new_dataset, new_short = check_snapshot(new_name, self.name)
        node, snapshot = self._snapshot(name)
        if new_dataset != name.partition("@")[0]:
            raise InvalidState("a snapshot stays with its dataset")
        if any(one.name == new_short for one in node.snapshots):
            raise Exists(f"{new_name} exists already")
        self._snapshot_path(node, snapshot.name).rename(self._snapshot_path(node, new_short))
        snapshot.name = new_short

    def set(
        self,
        name: str,
        *,
        quota: int | None = None,
        reservation: int | None = None,
        compression: str | None = None,
        volsize: int | None = None,
    ) -> None:
        node = self._node(name)
        self._check_compression(compression or "on")
        if volsize is not None:
            if not node.volume:
                raise InvalidState(f"{name} is not a volume")
            disk = self._path(name) / _DISK
            if volsize < disk.stat().st_size:
                raise InvalidState(f"{name} cannot shrink", hint="make a smaller volume and copy")
            _resize(disk, volsize)
        node.quota = node.quota if quota is None else quota
        node.reservation = node.reservation if reservation is None else reservation
        node.compression = compression or node.compression

    # -- looking ----------------------------------------------------------------------------------

    def datasets(self, name: str = "", *, usage: bool = True) -> list[Dataset]:
        if name:
            check_dataset(name, self.name)
            if name not in self._nodes:
                raise NotFound(f"dataset {name} does not exist")
        return [self._describe(one, usage=usage) for one in self._family(name or self.name)]

    def snapshots(self, name: str = "") -> list[Snapshot]:
        check_dataset(name or self.name, self.name)
        if name and name not in self._nodes:
            raise NotFound(f"dataset {name} does not exist")
        return [
            self._describe_snapshot(of, one)
            for of in ([name] if name else self._nodes)
            for one in self._nodes[of].snapshots
        ]

    def _describe(self, name: str, *, usage: bool = True) -> Dataset:
        node, path = self._nodes[name], self._path(name)
        disk = path / _DISK
        origin = self._name_of(node.origin)
        shown, shared, free = 0, 0, 0
        if usage:
            shown = sum(size for _, size in self._files(name))
            if origin:
                source, snapshot = self._snapshot(origin)
                shared = _size(self._snapshot_path(source, snapshot.name))
            free = max(0, node.quota - shown) if node.quota else shutil.disk_usage(path).free
        return Dataset(
            name=name, mountpoint=str(disk if node.volume else path), origin=origin,
            volsize=disk.stat().st_size if node.volume else 0, used=max(0, shown - shared),
            referenced=shown, available=free, quota=node.quota, reservation=node.reservation,
            compression=node.compression, created=node.created,
        )  # fmt: skip

    def _describe_snapshot(self, dataset: str, one: _Snapshot) -> Snapshot:
        return Snapshot(
            name=f"{dataset}@{one.name}",
            created=one.created,
            mountpoint=str(self._snapshot_path(self._nodes[dataset], one.name)),
            clones=self._clones(one),
        )

    def _files(self, name: str) -> Iterator[tuple[Path, int]]:
        """The files of a dataset, not those of its children, with their sizes."""
        children = {self._path(one) for one in self._family(name)[1:]}
        for directory, below, files in os.walk(self._path(name)):
            below[:] = [one for one in below if Path(directory) / one not in children]
            for file in files:
                yield Path(directory) / file, (Path(directory) / file).lstat().st_blocks * 512

    # -- streams: a line of JSON for the snapshot, one for each file, one for the end -------------

    def send(self, snapshot: str, fd: int, *, base: str = "") -> None:
        node, one = self._snapshot(snapshot)
        start = self._snapshot(base)[1].guid if base else ""
        if base and base.partition("@")[0] != snapshot.partition("@")[0]:
            raise InvalidState(f"{base} is not a snapshot of {snapshot.partition('@')[0]}")
        head = {"snapshot": one.name, "guid": one.guid, "base": start, "volume": node.volume}
        top = self._snapshot_path(node, one.name)
        with os.fdopen(os.dup(fd), "w") as stream:
            for line in (head, *_pack(top), {"end": True}):
                print(json.dumps(line), file=stream)

    def receive(self, name: str, fd: int) -> Snapshot:
        """As `zfs receive -F`: what was written since the stream's base is lost."""
        check_dataset(name, self.name)
        with os.fdopen(os.dup(fd)) as stream:
            head, *entries = _parse_stream(stream.read())
            check_snapshot(f"{name}@{head['snapshot']}", self.name)
            if head["base"]:
                self._check_base(name, head)
            else:
                self._check_vacant(name)
        node = self._nodes.get(name) or _Node(volume=head["volume"])
        path = self._snapshot_path(node, head["snapshot"])
        _unpack(path, entries)
        if name in self._nodes:
            self._replace_head(name, path)
        else:
            _copy(path, self._path(name))
        self._nodes[name] = node
        node.snapshots.append(_Snapshot(name=head["snapshot"], guid=head["guid"]))
        return self._describe_snapshot(name, node.snapshots[-1])

    def _check_base(self, name: str, head: dict[str, Any]) -> None:
        snapshots = self._node(name).snapshots
        if any(one.name == head["snapshot"] for one in snapshots):
            raise Exists(f"{name}@{head['snapshot']} exists already")
        if not any(one.guid == head["base"] for one in snapshots):
            raise NotFound(f"{name} has no snapshot that the stream starts from")
        if snapshots[-1].guid != head["base"]:
            raise InvalidState(
                f"the stream starts from an older snapshot than {name}@{snapshots[-1].name}",
                hint="roll back to the snapshot that it starts from",
            )

    # -- helpers ----------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self.mountpoint.joinpath(*check_dataset(name, self.name))

    def _snapshot_path(self, node: _Node, short: str) -> Path:
        return self.mountpoint / ".snapshots" / node.id / short

    def _check_not_root(self, name: str) -> None:
        if not check_dataset(name, self.name):
            raise Unsupported(f"{name} is the pool itself")

    def _node(self, name: str) -> _Node:
        self._check_not_root(name)
        if name not in self._nodes:
            raise NotFound(f"dataset {name} does not exist")
        return self._nodes[name]

    def _snapshot(self, name: str) -> tuple[_Node, _Snapshot]:
        dataset, short = check_snapshot(name, self.name)
        node = self._node(dataset)
        for one in node.snapshots:
            if one.name == short:
                return node, one
        raise NotFound(f"snapshot {name} does not exist")

    def _family(self, name: str) -> list[str]:
        return sorted(one for one in self._nodes if one == name or one.startswith(f"{name}/"))

    def _check_vacant(self, name: str) -> None:
        if not check_dataset(name, self.name):
            raise Exists(f"{name} is the pool itself")
        if parent_of(name) not in self._nodes:
            raise NotFound(f"there is no dataset above {name}", hint="create it first")
        if os.path.lexists(self._path(name)):
            raise Exists(f"{name} exists already")

    def _check_compression(self, compression: str) -> None:
        if compression not in _COMPRESSIONS:
            raise Unsupported(f"compression {compression} is not known")

    def _name_of(self, snapshot_id: str) -> str:
        for name, node in self._nodes.items():
            for one in node.snapshots:
                if one.id == snapshot_id:
                    return f"{name}@{one.name}"
        return ""

    def _clones(self, snapshot: _Snapshot) -> tuple[str, ...]:
        return tuple(n for n in sorted(self._nodes) if self._nodes[n].origin == snapshot.id)

    def _refuse_if_cloned(
        self, dataset: str, snapshots: list[_Snapshot], except_for: list[str] | None = None
    ) -> None:
        for one in snapshots:
            clones = [name for name in self._clones(one) if name not in (except_for or ())]
            if clones:
                raise InUse(f"{dataset}@{one.name} has clones: {', '.join(clones)}")

    def _drop_snapshot(self, node: _Node, snapshot: _Snapshot) -> None:
        shutil.rmtree(self._snapshot_path(node, snapshot.name))
        node.snapshots.remove(snapshot)

    def _children(self, name: str) -> frozenset[str]:
        below = f"{name}/"
        return frozenset(one.removeprefix(below) for one in self._nodes if parent_of(one) == name)

    def _copy_head(self, name: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(self._path(name), target, without=self._children(name))

    def _replace_head(self, name: str, source: Path) -> None:
        """Make the head what a snapshot is, and leave its children where they are."""
        path, children = self._path(name), self._children(name)
        in_the_way = sorted(child for child in children if os.path.lexists(source / child))
        if in_the_way:
            raise Exists(f"{name}/{in_the_way[0]} in the snapshot exists already")
        for entry in path.iterdir():
            if entry.name not in children:
                shutil.rmtree(
                    entry
                ) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        _copy(source, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _copy(source: Path, target: Path, without: frozenset[str] = frozenset()) -> None:
    def ignore(directory: str, names: list[str]) -> set[str]:
        return set(without) & set(names) if directory == str(source) else set()

    shutil.copytree(
        source, target, symlinks=True, ignore=ignore, copy_function=_copy_sparse, dirs_exist_ok=True
    )


def _copy_sparse(source: str, target: str) -> None:
    """Copy a file without making its holes solid: volumes are mostly holes."""
    if Path(source).is_symlink():
        Path(target).symlink_to(Path(source).readlink())
        return
    with Path(source).open("rb") as old, Path(target).open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        position = 0
        while position < size:
            try:
                position = os.lseek(old.fileno(), position, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(old.fileno(), position, os.SEEK_HOLE)
            old.seek(position)
            new.seek(position)
            new.write(old.read(end - position))
            position = end
    shutil.copystat(source, target)


def _resize(file: Path, size: int) -> None:
    with file.open("ab") as disk:
        disk.truncate(size)


def _size(top: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in top.rglob("*") if not path.is_dir())


def _pack(top: Path) -> Iterator[dict[str, Any]]:
    for path in (top, *sorted(top.rglob("*"))):
        entry: dict[str, Any] = {"path": str(path.relative_to(top)), "mode": path.lstat().st_mode}
        if path.is_symlink():
            entry["target"] = str(path.readlink())
        elif path.is_file():
            entry["data"] = base64.b64encode(path.read_bytes()).decode()
        yield entry


def _parse_stream(text: str) -> list[dict[str, Any]]:
    """Raises Corrupt unless it is whole."""
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError as exc:
        raise Corrupt("this is not a stream, or it is cut short") from exc
    if len(lines) < 2 or lines[-1] != {"end": True} or "snapshot" not in lines[0]:
        raise Corrupt("the stream ends too early")
    return lines[:-1]


def _unpack(top: Path, entries: list[dict[str, Any]]) -> None:
    top.mkdir(parents=True)
    for entry in entries:
        path = top / entry["path"]
        if "target" in entry:
            path.symlink_to(entry["target"])
            continue
        if "data" in entry:
            path.write_bytes(base64.b64decode(entry["data"]))
        else:
            path.mkdir(exist_ok=True)
        path.chmod(entry["mode"] & 0o7777)
