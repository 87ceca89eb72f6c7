# SPDX-License-Identifier: MPL-2.0
"""Datasets and snapshots of a btrfs pool as the port shows them: records and quota groups in words.

With simple quotas (Linux 6.7 and newer) every extent is counted on the dataset that wrote it, for
as long as anybody shares it. `used` and `quota` are about those: the data of the dataset and of its
snapshots, not what a clone shares with its origin. `referenced` adds what the origin used, so it is
an upper bound. With classic quota groups `quota` counts what the dataset shows, shared or not,
without its snapshots, and `used` what it alone shows. Both are as of
the last commit, which is at most 30 seconds ago.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hull.linux.btrfs import Subvolume, Usage
from hull.storage import btrfs_area as area
from hull.storage.btrfs_record import Record
from hull.storage.pool import Dataset, Snapshot


@dataclass(frozen=True)
class View:
    pool: str
    mountpoint: Path
    simple: bool  # quotas

    def dataset(
        self,
        name: str,
        record: Record,
        origin: str,
        origin_record: Record | None,
        usage: dict[int, Usage] | None,
    ) -> Dataset:
        """`usage` has the groups of the dataset and of its origin; None: leave the numbers out."""
        mountpoint = str(self.mountpoint) + name.removeprefix(self.pool)
        size = 0
        if record.volume:
            mountpoint = f"{mountpoint}/{area.VOLUME_FILE}"
            with suppress(FileNotFoundError):  # destroyed since the catalogue was read
                size = Path(mountpoint).stat().st_size
        used, referenced, available = 0, 0, 0
        if usage is not None:
            used, referenced, available = self._numbers(record, origin_record, usage)
        return Dataset(
            name=name, mountpoint=mountpoint, volsize=size, origin=origin, used=used,
            referenced=referenced, available=available, quota=record.quota,
            compression=record.compression, created=record.created,
        )  # fmt: skip

    def _numbers(
        self, record: Record, origin: Record | None, usage: dict[int, Usage]
    ) -> tuple[int, int, int]:
        """Used, referenced and available."""
        room = os.statvfs(self.mountpoint)
        free = room.f_bavail * room.f_frsize
        if not record.qgroup:  # the pool itself
            used = (room.f_blocks - room.f_bfree) * room.f_frsize
            return used, used, free
        counted = usage.get(record.qgroup, Usage())
        left = min(free, max(0, record.quota - counted.referenced)) if record.quota else free
        if not self.simple:
            return counted.exclusive, counted.referenced, left
        shared = usage.get(origin.qgroup, Usage()).referenced if origin else 0
        return counted.referenced, counted.referenced + shared, left

    def snapshot(
        self, name: str, record: Record, one: Subvolume, clones: tuple[str, ...] = (), used: int = 0
    ) -> Snapshot:
        directory = self.mountpoint / area.SNAPSHOTS / record.directory
        return Snapshot(
            name=name,
            created=one.created,
            mountpoint=str(directory / name.partition("@")[2]),
            clones=clones,
            used=used,
        )
