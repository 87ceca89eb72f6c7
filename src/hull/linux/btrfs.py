# SPDX-License-Identifier: MPL-2.0
"""btrfs by its ioctls: subvolumes, snapshots, quota groups, tree search, devices.

Every function takes a file descriptor of a directory on the file system. Failures are KernelError.
Numbers and structures are those of <linux/btrfs.h> and <linux/btrfs_tree.h>.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hull.errors import KernelError
from hull.linux.ioctl import ioctl, request

_MAGIC = 0x94
_VOL_ARGS = struct.Struct("=qQQ32s4040s")  # fd, transid, flags, union, name or subvolume id
_SNAP_CREATE_V2 = request("w", _MAGIC, 23, _VOL_ARGS.size)
_SUBVOL_CREATE_V2 = request("w", _MAGIC, 24, _VOL_ARGS.size)
_SNAP_DESTROY_V2 = request("w", _MAGIC, 63, _VOL_ARGS.size)
_RDONLY = 1 << 1
_QGROUP_INHERIT = 1 << 2
_SPEC_BY_ID = 1 << 4

_SUBVOL_INFO = struct.Struct("=Q256sQQQQ16s16s16s4Q4Q4Q8Q")
_GET_SUBVOL_INFO = request("r", _MAGIC, 60, _SUBVOL_INFO.size)
_FS_INFO = request("r", _MAGIC, 31, 1024)
_DEV_INFO = request("wr", _MAGIC, 30, 4096)
_DEV_STATS = struct.Struct("=3Q5Q121Q")
_GET_DEV_STATS = request("wr", _MAGIC, 52, _DEV_STATS.size)

_QUOTA_CTL = request("wr", _MAGIC, 40, 16)
_QGROUP_ASSIGN = request("w", _MAGIC, 41, 24)
_QGROUP_CREATE = request("w", _MAGIC, 42, 16)
_QGROUP_LIMIT = request("r", _MAGIC, 43, 48)
_QUOTA_RESCAN = request("w", _MAGIC, 44, 64)
_ENABLE_QUOTA = 1
_ENABLE_SIMPLE_QUOTA = 4  # since Linux 6.7
_LIMIT_MAX_RFER = 1
_NO_LIMIT = 2**64 - 1

_SEARCH_KEY = struct.Struct("=7Q4I4QQ")
_SEARCH_HEADER = struct.Struct("=QQQII")
_TREE_SEARCH_V2 = request("wr", _MAGIC, 17, _SEARCH_KEY.size)
_SEARCH_BUFFER = 1 << 20
_ROOT_TREE, _QUOTA_TREE = 1, 8
_ROOT_ITEM, _ROOT_BACKREF, _ROOT_REF = 132, 144, 156
_QGROUP_INFO_ITEM, _QGROUP_LIMIT_ITEM, _QGROUP_RELATION = 242, 244, 246

TOP_LEVEL = 5  # the id of the subvolume that every file system begins with
ROOT_INODE = 256  # the inode of every subvolume's root directory
STUB_INODE = 2  # what a snapshot shows in place of a subvolume that was nested in its source
_LAST_ID = 2**64 - 256


@dataclass(frozen=True, slots=True)
class Subvolume:
    id: int
    parent: int  # the id of the subvolume that its name is in; 0 once it is destroyed
    directory: int  # the inode, in `parent`, of the directory that its name is in
    name: str
    uuid: str
    parent_uuid: str  # what it is a snapshot of
    received_uuid: str
    read_only: bool
    created: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Nested:
    """Where a subvolume hangs in its parent."""

    id: int
    directory: int  # inode
    name: str


# -- subvolumes ---------------------------------------------------------------------------------


def create_subvolume(directory: int, name: str, *, qgroup: int = 0) -> None:
    """An empty subvolume in `directory`, from birth a member of `qgroup`; waits for no disk."""
    _create(_SUBVOL_CREATE_V2, directory, name, qgroup=qgroup, what=f"create subvolume {name}")


def snapshot(
    source: int, directory: int, name: str, *, read_only: bool = False, qgroup: int = 0
) -> None:
    """A snapshot of subvolume `source`. Takes as long as a commit of the file system."""
    flags = _RDONLY if read_only else 0
    what = f"make snapshot {name}"
    _create(_SNAP_CREATE_V2, directory, name, source=source, flags=flags, qgroup=qgroup, what=what)


def _create(
    number: int,
    directory: int,
    name: str,
    *,
    what: str,
    source: int = 0,
    flags: int = 0,
    qgroup: int = 0,
) -> None:
    union = b""
    # struct btrfs_qgroup_inherit with one group; it must outlive the call.
    inherit = ctypes.create_string_buffer(struct.pack("=4Q5QQ", 0, 1, 0, 0, 0, 0, 0, 0, 0, qgroup))
    if qgroup:
        flags |= _QGROUP_INHERIT
        union = struct.pack("=QQ", ctypes.sizeof(inherit) - 1, ctypes.addressof(inherit))
    argument = bytearray(_VOL_ARGS.pack(source, 0, flags, union, os.fsencode(name)))
    ioctl(directory, number, argument, name=what)


def destroy_subvolume(fd: int, subvolume: int) -> None:
    """Destroy by id. The space comes back later. ENOTEMPTY if others are nested in it."""
    argument = bytearray(_VOL_ARGS.pack(0, 0, _SPEC_BY_ID, b"", struct.pack("=Q", subvolume)))
    ioctl(fd, _SNAP_DESTROY_V2, argument, name=f"destroy subvolume {subvolume}")


def subvolume_info(fd: int) -> Subvolume:
    """The subvolume that the descriptor is in."""
    argument = bytearray(_SUBVOL_INFO.size)
    ioctl(fd, _GET_SUBVOL_INFO, argument, name="ask for the subvolume")
    number, name, parent, directory, _, flags, uuid, parent_uuid, received, *times = (
        _SUBVOL_INFO.unpack(argument)
    )
    return Subvolume(
        id=number,
        parent=parent,
        directory=directory,
        name=os.fsdecode(name.rstrip(b"\0")),
        uuid=uuid.hex(),
        parent_uuid=parent_uuid.hex(),
        received_uuid=received.hex(),
        read_only=bool(flags & 1),
        created=times[6] + (times[7] & 0xFFFFFFFF) / 1e9,
    )


def subvolumes(fd: int) -> dict[int, Subvolume]:
    """All live subvolumes of the file system by id, read in one go; the top level is left out."""
    items: dict[int, bytes] = {}
    found: dict[int, Subvolume] = {}
    low, high = (ROOT_INODE, _ROOT_ITEM, 0), (_LAST_ID, _ROOT_BACKREF, _NO_LIMIT)
    for number, kind, offset, data in _search(fd, _ROOT_TREE, low, high):
        if kind == _ROOT_ITEM:
            items[number] = data
        elif kind == _ROOT_BACKREF:
            found[number] = parse_root(number, offset, items[number], data)
    return found


def parse_root(number: int, parent: int, item: bytes, backref: bytes) -> Subvolume:
    """A Subvolume from its ROOT_ITEM and ROOT_BACKREF."""
    (flags,) = struct.unpack_from("=Q", item, 208)
    uuid, parent_uuid, received_uuid = struct.unpack_from("=16s16s16s", item, 247)
    seconds, nanoseconds = struct.unpack_from("=QI", item, 339)
    directory, _, length = struct.unpack_from("=QQH", backref)
    return Subvolume(
        id=number,
        parent=parent,
        directory=directory,
        name=os.fsdecode(backref[18 : 18 + length]),
        uuid=uuid.hex(),
        parent_uuid=parent_uuid.hex(),
        received_uuid=received_uuid.hex(),
        read_only=bool(flags & 1),
        created=seconds + nanoseconds / 1e9,
    )


def nested_subvolumes(fd: int, subvolume: int) -> list[Nested]:
    """The subvolumes whose names are in this one, not those further below."""
    low, high = (subvolume, _ROOT_REF, 0), (subvolume, _ROOT_REF, _NO_LIMIT)
    found = []
    for _, _, number, data in _search(fd, _ROOT_TREE, low, high):
        directory, _, length = struct.unpack_from("=QQH", data)
        found.append(Nested(number, directory, os.fsdecode(data[18 : 18 + length])))
    return found


def _search(
    fd: int, tree: int, low: tuple[int, int, int], high: tuple[int, int, int]
) -> Iterator[tuple[int, int, int, bytes]]:
    """The items from key `low` to key `high`, both (objectid, type, offset), both included."""
    buffer = bytearray(_SEARCH_KEY.size + _SEARCH_BUFFER)
    view = memoryview(buffer)
    while low <= high:
        _SEARCH_KEY.pack_into(
            buffer, 0, tree, low[0], high[0], low[2], high[2], 0, _NO_LIMIT,
            low[1], high[1], 0xFFFFFFFF, 0, 0, 0, 0, 0, _SEARCH_BUFFER,
        )  # fmt: skip
        ioctl(fd, _TREE_SEARCH_V2, buffer, name=f"search tree {tree}")
        count = _SEARCH_KEY.unpack_from(buffer)[9]
        if not count:
            return
        position = _SEARCH_KEY.size
        number = offset = kind = 0
        for _ in range(count):
            _, number, offset, kind, length = _SEARCH_HEADER.unpack_from(buffer, position)
            start = position + _SEARCH_HEADER.size
            position = start + length
            yield number, kind, offset, bytes(view[start:position])
        low = (number, kind, offset + 1) if offset < _NO_LIMIT else (number, kind + 1, 0)


# -- quotas -------------------------------------------------------------------------------------


def qgroup_id(level: int, number: int) -> int:
    return level << 48 | number


def enable_quotas(fd: int, *, simple: bool) -> None:
    """Count who owns what, by simple quotas (EINVAL before Linux 6.7) or by classic groups."""
    command = _ENABLE_SIMPLE_QUOTA if simple else _ENABLE_QUOTA
    ioctl(fd, _QUOTA_CTL, bytearray(struct.pack("=QQ", command, 0)), name="turn quotas on")


def quota_mode(fsid: str) -> str:
    """`squota`, `qgroup`, or nothing if quotas are off."""
    directory = Path(f"/sys/fs/btrfs/{fsid}/qgroups")
    try:
        return (directory / "mode").read_text().strip()
    except FileNotFoundError:  # before Linux 6.7 there was only one mode
        return "qgroup" if directory.is_dir() else ""


def recount(fd: int, fsid: str) -> None:
    """Count anew, in the background, if classic groups have lost count: clones make them do so."""
    try:
        lost = Path(f"/sys/fs/btrfs/{fsid}/qgroups/inconsistent").read_text().strip() == "1"
    except FileNotFoundError:
        return
    if lost:
        with suppress(KernelError):  # it is being done
            ioctl(fd, _QUOTA_RESCAN, bytearray(64), name="count quotas anew")


def create_qgroup(fd: int, qgroup: int) -> None:
    argument = bytearray(struct.pack("=QQ", 1, qgroup))
    ioctl(fd, _QGROUP_CREATE, argument, name="create quota group")


def destroy_qgroup(fd: int, qgroup: int) -> None:
    """EBUSY while it has members."""
    argument = bytearray(struct.pack("=QQ", 0, qgroup))
    ioctl(fd, _QGROUP_CREATE, argument, name="destroy quota group")


def assign_qgroup(fd: int, member: int, qgroup: int, *, assign: bool = True) -> None:
    """Make group `member` (a subvolume: its id) a member of `qgroup`, or no longer one."""
    argument = bytearray(struct.pack("=QQQ", assign, member, qgroup))
    ioctl(fd, _QGROUP_ASSIGN, argument, name="assign quota group")


def limit_qgroup(fd: int, qgroup: int, size: int) -> None:
    """At most `size` bytes from now on; 0 takes the limit away."""
    limit = (_LIMIT_MAX_RFER, size or _NO_LIMIT, 0, 0, 0)
    argument = bytearray(struct.pack("=QQQQQQ", qgroup, *limit))
    ioctl(fd, _QGROUP_LIMIT, argument, name="limit quota group")


def qgroup_limits(fd: int) -> dict[int, int]:
    """Every group that there is, with its limit in bytes (0: none)."""
    limits = {}
    low, high = (0, _QGROUP_LIMIT_ITEM, 0), (0, _QGROUP_LIMIT_ITEM, _NO_LIMIT)
    for _, _, qgroup, data in _search(fd, _QUOTA_TREE, low, high):
        flags, size = struct.unpack_from("=QQ", data)
        limits[qgroup] = size if flags & _LIMIT_MAX_RFER and size != _NO_LIMIT else 0
    return limits


def qgroup_members(fd: int, qgroup: int) -> list[int]:
    """The groups that are members of this one: ids of subvolumes, some of them dead."""
    low, high = (qgroup, _QGROUP_RELATION, 0), (qgroup, _QGROUP_RELATION, _NO_LIMIT)
    return [member for _, _, member, _ in _search(fd, _QUOTA_TREE, low, high)]


@dataclass(frozen=True, slots=True)
class Usage:
    referenced: int = 0
    exclusive: int = 0


def qgroup_usage(fd: int, *qgroups: int) -> dict[int, Usage]:
    """What these groups use, or all of them, as of the last commit (every 30 seconds)."""
    found = {}
    for first, last in [(one, one) for one in qgroups] or [(0, _NO_LIMIT)]:
        low, high = (0, _QGROUP_INFO_ITEM, first), (0, _QGROUP_INFO_ITEM, last)
        for _, _, qgroup, data in _search(fd, _QUOTA_TREE, low, high):
            _, referenced, _, exclusive = struct.unpack_from("=4Q", data)
            found[qgroup] = Usage(referenced, exclusive)
    return found


# -- the file system and its devices ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Device:
    id: int
    path: str  # empty: missing
    errors: int  # of all kinds since they were last reset


def filesystem_id(fd: int) -> str:
    """As in /sys/fs/btrfs."""
    argument = bytearray(1024)
    ioctl(fd, _FS_INFO, argument, name="ask for the file system")
    text = argument[16:32].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def devices(fd: int) -> list[Device]:
    """The devices that the file system is on, with the errors counted on each."""
    highest = bytearray(1024)
    ioctl(fd, _FS_INFO, highest, name="ask for the file system")
    found = []
    for number in range(1, struct.unpack_from("=Q", highest)[0] + 1):
        info = bytearray(4096)
        struct.pack_into("=Q", info, 0, number)
        try:
            ioctl(fd, _DEV_INFO, info, name=f"ask for device {number}")
        except KernelError as exc:
            if exc.errno != errno.ENODEV:  # numbers of removed devices stay free
                raise
            continue
        path = os.fsdecode(bytes(info[3072:]).split(b"\0", 1)[0])
        found.append(Device(number, path, _errors(fd, number)))
    return found


def _errors(fd: int, number: int) -> int:
    argument = bytearray(_DEV_STATS.size)
    struct.pack_into("=QQ", argument, 0, number, 5)
    ioctl(fd, _GET_DEV_STATS, argument, name=f"ask for errors of device {number}")
    return sum(_DEV_STATS.unpack(argument)[3:8])
