# SPDX-License-Identifier: MPL-2.0
"""What btrfs cannot hold about a dataset: one extended attribute on its subvolume.

The attribute belongs to the same transaction log as the subvolume, so there is no file beside it
that could be lost or be older. `trusted.*` is neither seen nor written from inside a zone.
"""

import errno
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache

from hull.errors import Corrupt, Unsupported
from hull.linux.btrfs import qgroup_id

VERSION = 1
_ATTRIBUTE = "trusted.hull"
_COMPRESSION = "btrfs.compression"
# ZFS's names for what btrfs has; "on" is what the pool was mounted with.
COMPRESSIONS = {
    "on": b"", "off": b"none", "lz4": b"lzo", "lzjb": b"lzo", "gzip": b"zlib", "zstd": b"zstd",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    # The subvolume that this is about. A snapshot shows its source's attribute: the id tells.
    uuid: str
    id: int  # of the dataset, for life: its snapshots' directory and its quota group bear it
    created: float
    origin: str = ""  # the uuid of the snapshot that it was cloned from
    volume: bool = False
    compression: str = "on"
    quota: int = 0
    pending: str = ""  # the snapshot that a rollback was on its way to: recover() goes on with it
    v: int = VERSION

    @property
    def qgroup(self) -> int:
        """The group that counts the dataset: its head, former heads and what it received."""
        return qgroup_id(1, self.id) if self.id else 0

    @property
    def directory(self) -> str:
        """The name of its directory below `.snapshots`; renaming the dataset leaves it alone."""
        return f"{self.id:012x}"


# The pool's own dataset: no subvolume was made for it.
ROOT_RECORD = Record(uuid="", id=0, created=0.0)
_NAMES = frozenset(field.name for field in fields(Record))


def new_record(
    *, quota: int = 0, origin: str = "", volume: bool = False, compression: str = "on"
) -> Record:
    """For a dataset that is being made; its uuid is known when its subvolume is."""
    return Record(
        uuid="", id=secrets.randbits(47) or 1, created=time.time(), quota=quota, origin=origin,
        volume=volume, compression=compression,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def parse_record(raw: bytes) -> Record:
    """Raises Corrupt. A list of all datasets meets the same records again and again."""
    try:
        values = json.loads(raw.decode())
        if values["v"] > VERSION:
            raise Corrupt("a newer Hull wrote a dataset's record", hint="boot that one, or a newer")
        return Record(**{name: values[name] for name in values if name in _NAMES})
    except (KeyError, ValueError, TypeError) as exc:
        raise Corrupt(f"a dataset's record is not readable: {exc}") from exc


def check_properties(reservation: int, compression: str) -> None:
    """Raises Unsupported for what btrfs cannot do."""
    if reservation:
        raise Unsupported("btrfs cannot set space aside", hint="leave the reservation out")
    if compression not in COMPRESSIONS:
        known = ", ".join(COMPRESSIONS)
        raise Unsupported(f"compression {compression} is not known", hint=f"one of {known}")


def read_record(path: str | int) -> Record | None:
    """The record found on a path or descriptor; it may be about another subvolume (a snapshot)."""
    try:
        return parse_record(os.getxattr(path, _ATTRIBUTE))
    except OSError as exc:
        # Anything else must not pass for "no dataset": recover() destroys what has none.
        if exc.errno not in (errno.ENODATA, errno.ENOENT):
            raise
        return None


def write_record(fd: int, record: Record) -> None:
    values = {name: value for name, value in asdict(record).items() if value or name == "v"}
    os.setxattr(fd, _ATTRIBUTE, json.dumps(values, separators=(",", ":")).encode())


def write_properties(fd: int, record: Record) -> None:
    """The record, and what follows from it."""
    write_record(fd, record)
    write_compression(fd, record.compression)


def write_compression(fd: int, compression: str) -> None:
    """For files and directories made from now on, in this directory and in those new ones."""
    value = COMPRESSIONS[compression]
    if value:
        os.setxattr(fd, _COMPRESSION, value)
    else:
        with suppress(OSError):  # ENODATA: it was never set
            os.removexattr(fd, _COMPRESSION)
