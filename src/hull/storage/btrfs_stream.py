# SPDX-License-Identifier: MPL-2.0
"""The stream of `btrfs send`: what its first command says, and its way into `btrfs receive`."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt
from hull.storage.stream import feed, read_exactly

_HEADER = struct.Struct("<13sI")
_COMMAND = struct.Struct("<IHI")  # length, command, checksum
_ATTRIBUTE = struct.Struct("<HH")  # type, length
_MAGIC = b"btrfs-stream\0"
_SUBVOL, _SNAPSHOT = 1, 2
_UUID, _PATH, _CLONE_UUID = 1, 15, 20
_MAX_FIRST = 4096


@dataclass(frozen=True, kw_only=True)
class StreamHead:
    snapshot: str  # its short name
    base: str  # the uuid of the snapshot that the stream starts from; empty: it is a full one
    raw: bytes  # what was read for it


def read_head(fd: int) -> StreamHead:
    """Read the first command, no byte more. Raises Corrupt."""
    raw = read_exactly(fd, _HEADER.size + _COMMAND.size)
    magic, _ = _HEADER.unpack_from(raw)
    length, command, _ = _COMMAND.unpack_from(raw, _HEADER.size)
    if magic != _MAGIC or command not in (_SUBVOL, _SNAPSHOT) or length > _MAX_FIRST:
        raise Corrupt("this is not a stream of btrfs send")
    body = read_exactly(fd, length)
    attributes = parse_attributes(body)
    return StreamHead(
        snapshot=os.fsdecode(attributes.get(_PATH, b"")),
        base=attributes.get(_CLONE_UUID, b"").hex() if command == _SNAPSHOT else "",
        raw=raw + body,
    )


def parse_attributes(body: bytes) -> dict[int, bytes]:
    """The attributes of one command, by type. Raises Corrupt."""
    found = {}
    position = 0
    while position < len(body):
        if position + _ATTRIBUTE.size > len(body):
            raise Corrupt("the stream's first command is cut short")
        kind, length = _ATTRIBUTE.unpack_from(body, position)
        position += _ATTRIBUTE.size
        found[kind] = body[position : position + length]
        position += length
    return found


def receive_into(directory: Path, head: StreamHead, fd: int) -> None:
    """Let `btrfs receive` unpack the stream into `directory`. Raises CommandFailed."""
    feed(("btrfs", "receive", "--quiet", "-e", str(directory)), head.raw, fd)
