# SPDX-License-Identifier: MPL-2.0
"""The stream of `vmadm send`: records of a 512-byte header and padded data, as SmartOS frames it.

A header is MAGIC-VMBUNDLE, version, checksum, name, size and padded size, each ended by a NUL. The
first record is named JSON and says what follows. A stream of the pool, whose length nobody knows
beforehand, is a row of records of its name; an empty one ends it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from hull.errors import Corrupt, HostError
from hull.linux import ready

MAGIC = "MAGIC-VMBUNDLE"
VERSION = "1"
BLOCK = 512
CHUNK = 1 << 20  # data in one record of a stream
MAX_RECORD = 64 << 20  # what a reader takes; the JSON of a VM is the largest
JSON = "JSON"


@dataclass(frozen=True, kw_only=True)
class Header:
    name: str
    size: int  # bytes of data
    checksum: int  # CRC-32 of the data


def padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def encode_header(header: Header) -> bytes:
    fields = (
        MAGIC, VERSION, f"{header.checksum:08x}", header.name,
        str(header.size), str(padded(header.size)),
    )  # fmt: skip
    raw = b"".join(field.encode() + b"\0" for field in fields)
    assert len(raw) <= BLOCK
    return raw.ljust(BLOCK, b"\0")


def parse_header(raw: bytes) -> Header:
    """Raises Corrupt."""
    magic, *fields = raw.split(b"\0")[:6]
    if magic != MAGIC.encode():
        raise Corrupt("this is not a stream of vmadm send")
    try:
        version, checksum, name, size, padded_size = (field.decode() for field in fields)
        header = Header(name=name, size=int(size), checksum=int(checksum, 16))
    except ValueError as exc:
        raise Corrupt(f"the stream has a broken header: {exc}") from exc
    if version != VERSION:
        raise Corrupt(f"the stream is of version {version}", hint="a newer vmadm has sent it")
    if not 0 <= header.size <= MAX_RECORD or padded_size != str(padded(header.size)):
        raise Corrupt("the stream has a broken header")
    return header


def write_record(fd: int, name: str, data: bytes) -> None:
    """Raises HostError if nobody reads any more."""
    header = encode_header(Header(name=name, size=len(data), checksum=crc32(data)))
    try:
        write_all(fd, header)
        write_all(fd, data)
        write_all(fd, bytes(padded(len(data)) - len(data)))
    except OSError as exc:
        raise HostError(f"cannot write the stream: {exc.strerror}") from exc


def write_all(fd: int, data: bytes) -> None:
    """All of it, even where the caller of vmadm has made `fd` not wait."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            ready.writable(fd, None)


def read_record(fd: int) -> tuple[str, bytes]:
    """The next record's name and data. Raises Corrupt, also where the stream ends too early."""
    header = parse_header(read_exactly(fd, BLOCK))
    data = read_exactly(fd, padded(header.size))[: header.size]
    if crc32(data) != header.checksum:
        raise Corrupt(f"the stream is damaged in {header.name}")
    return header.name, data


def read_exactly(fd: int, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = os.read(fd, min(size, CHUNK))
        except BlockingIOError:
            ready.readable(fd, None)
            continue
        except OSError as exc:
            raise HostError(f"cannot read the stream: {exc.strerror}") from exc
        if not part:
            raise Corrupt("the stream ends too early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_stream(fd: int, name: str) -> Iterator[bytes]:
    """The data of one stream of the pool, up to its end. Raises Corrupt."""
    while True:
        found, data = read_record(fd)
        if found != name:
            raise Corrupt(f"the stream has {found} where {name} should be")
        if not data:
            return
        yield data
