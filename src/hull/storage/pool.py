# SPDX-License-Identifier: MPL-2.0
"""The Pool port: storage in ZFS's words. Drivers: btrfs, fake (which defines the semantics).

Names are ZFS's: `zones` is the pool, `zones/UUID` a dataset, `zones/UUID@final` a snapshot. A child
dataset is a dataset of its own: snapshots, rollback and quota of its parent leave it alone.

Contract of every method: one that raises has changed nothing; destroying what is not there is not
an error; sizes are bytes; times are seconds since the epoch. Errors: NotFound, Exists, InUse (a
snapshot with clones, a dataset with children or snapshots), HostError (the pool is full or gone).
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A file system or volume. `mountpoint` is where it is (a volume: its device or file)."""

    name: str
    mountpoint: str
    volsize: int = 0  # 0: a file system
    origin: str = ""  # the snapshot it was cloned from
    used: int = 0  # what destroying it and its snapshots would free, as far as the driver knows
    referenced: int = 0  # what it shows, shared or not
    available: int = 0  # what may still be written to it
    quota: int = 0  # 0: none
    reservation: int = 0  # 0: none
    compression: str = "off"
    created: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    name: str  # zones/UUID@NAME
    created: float
    mountpoint: str  # read-only, for reading files out of it
    clones: tuple[str, ...] = ()
    used: int = 0  # what only this snapshot holds, as far as the driver knows

    @property
    def dataset(self) -> str:
        return self.name.partition("@")[0]

    @property
    def short_name(self) -> str:
        return self.name.partition("@")[2]


@dataclass(frozen=True, kw_only=True)
class PoolStatus:
    """What `zpool status` and `zpool list` say."""

    name: str
    driver: str  # btrfs, zfs
    state: str  # ONLINE, DEGRADED or SUSPENDED
    size: int
    allocated: int
    free: int
    errors: int  # checksum, read and write errors counted since the pool was made
    scan: str  # the last or running scrub, in one line; "none requested"
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Features:
    """What only some drivers have: declared, never emulated badly."""

    reservation: bool  # space can be set aside
    quota_includes_shared: bool  # a clone's quota counts the blocks it shares with its origin
    compressions: tuple[str, ...]  # accepted values of `compression`, "off" and "on" among them


class Pool(Protocol):
    """Datasets by name."""

    name: str
    features: Features

    def create(
        self, name: str, *, quota: int = 0, reservation: int = 0, compression: str = "on"
    ) -> Dataset:
        """Make an empty file system; its parent must exist."""
        ...

    def create_volume(self, name: str, size: int) -> Dataset:
        """Make a block device (or file) of `size` bytes, sparse; grown by `set(volsize=)`."""
        ...

    def clone(self, origin: str, name: str, *, quota: int = 0) -> Dataset:
        """Make a writable dataset that shares every block with snapshot `origin`."""
        ...

    def snapshot(self, name: str) -> Snapshot:
        """Make the read-only snapshot `DATASET@NAME`; copies no data."""
        ...

    def rollback(self, snapshot: str) -> None:
        """Make the dataset what the snapshot is; destroys newer snapshots (InUse if cloned).

        The dataset must not be in use; child datasets are left alone.
        """
        ...

    def destroy(self, name: str, *, recursive: bool = False) -> None:
        """Destroy a dataset or snapshot; `recursive` takes its children and snapshots along."""
        ...

    def rename(self, name: str, new_name: str) -> None:
        """Give a dataset (with its snapshots and children) or a snapshot another name."""
        ...

    def datasets(self, name: str = "", *, usage: bool = True) -> list[Dataset]:
        """The dataset `name` and all below it, by name; all datasets without one.

        NotFound if `name` is given and does not exist. `usage=False` leaves used, referenced and
        available at 0 and is quick.
        """
        ...

    def snapshots(self, name: str = "") -> list[Snapshot]:
        """The snapshots of one dataset, oldest first; without a name those of every dataset."""
        ...

    def set(
        self,
        name: str,
        *,
        quota: int | None = None,
        reservation: int | None = None,
        compression: str | None = None,
        volsize: int | None = None,
    ) -> None:
        """Change properties of a live dataset; they hold at once. 0 takes a limit away."""
        ...

    def send(self, snapshot: str, fd: int, *, base: str = "") -> None:
        """Write a snapshot as a stream to `fd`, from snapshot `base` of the same dataset on."""
        ...

    def receive(self, name: str, fd: int) -> Snapshot:
        """Make or extend dataset `name` from a stream; returns the snapshot that it brought."""
        ...


class PoolHealth(Protocol):
    """What an operator asks of a pool as a whole."""

    def status(self) -> PoolStatus: ...

    def scrub(self, *, wait: bool = False) -> None:
        """Start checking every block against its checksum."""
        ...
