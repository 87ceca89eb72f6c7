# SPDX-License-Identifier: MPL-2.0
"""The program that lays one layer over a root: a tar stream of OCI's with whiteouts, on stdin.

layer.py runs a copy of this file in a cage, so it imports nothing but the standard library. Every
path is resolved by the kernel as if the root were `/` (openat2): no link leads out, and absolute
ones mean what they mean in the zone. What a layer takes away is only what lower layers had.
"""

import ctypes
import errno
import hashlib
import os
import resource
import struct
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

CHUNK = 1 << 20
# A header may claim to be of any size, and tarfile believes it.
MEMORY = 2 << 30
SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10
ATTEMPTS = 100
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

WHITEOUT = ".wh."
WHITEOUT_META = ".wh..wh."  # aufs's own, but for the next
OPAQUE = ".wh..wh..opq"

XATTR = "SCHILY.xattr."
ACL = {
    "SCHILY.acl.access": "system.posix_acl_access",
    "SCHILY.acl.default": "system.posix_acl_default",
}
# Others (trusted.*, security.selinux) are the host's business.
XATTRS = ("user.", "security.capability", "system.posix_acl_")
ACL_TAGS = {"user": (1, 2), "group": (4, 8), "mask": (16, 16), "other": (32, 32)}
NO_ID = 0xFFFFFFFF

libc = ctypes.CDLL(None, use_errno=True)


class BadLayerError(Exception):
    """The layer is not what a layer may be; its text is for a person."""


def parts_of(name: str) -> tuple[str, ...]:
    """A path of the archive, from the root. Raises BadLayerError for one that climbs."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise BadLayerError(f"{name!r} leads out of the image")
    return parts


def whiteout_of(name: str) -> str:
    """The name that whiteout `name` takes away. Raises BadLayerError."""
    gone = name.removeprefix(WHITEOUT)
    if gone in ("", ".", ".."):
        raise BadLayerError(f"{name!r} takes away nothing that an image can have")
    return gone


def parse_acl(text: str) -> bytes:
    """A POSIX ACL in GNU tar's words (`user:1000:rw-`, comma or line separated) as the kernel's."""
    entries = []
    for line in text.replace(",", "\n").split("\n"):
        words = line.partition("#")[0].strip().split(":")
        if words == [""]:
            continue
        if len(words) < 3 or words[0] not in ACL_TAGS or not (words[1] or "0").isdigit():
            raise BadLayerError(f"{line!r} is no ACL entry by numbers")
        own, named = ACL_TAGS[words[0]]
        mode = sum(bit for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if letter in words[2])
        ident = int(words[1]) if words[1] else NO_ID
        entries.append((named if words[1] else own, ident, mode))
    packed = (struct.pack("<HHI", tag, mode, ident) for tag, ident, mode in sorted(entries))
    return struct.pack("<I", 2) + b"".join(packed)


def xattrs_of(member: tarfile.TarInfo) -> dict[str, bytes]:
    """The extended attributes that are kept of a member."""
    found = {}
    for key, value in member.pax_headers.items():
        if key in ACL and value:
            found[ACL[key]] = parse_acl(value)
        elif key.startswith(XATTR) and key[len(XATTR) :].startswith(XATTRS):
            found[key[len(XATTR) :]] = value.encode("utf-8", "surrogateescape")
    return found


def mtime_of(member: tarfile.TarInfo) -> int:
    """Nanoseconds; a float would lose some."""
    seconds, _, fraction = str(member.pax_headers.get("mtime", "")).partition(".")
    if seconds.isdigit() and (fraction or "0").isdigit():
        return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))
    return int(member.mtime) * 10**9


class Member(tarfile.TarInfo):
    """tarfile takes whatever it cannot read for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "Member":
        try:
            return super().fromtarfile(archive)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]  # typeshed has not got them
            raise
        except tarfile.HeaderError as exc:
            raise BadLayerError(f"the layer is no tar archive: {exc}") from exc


class Hashing:
    """A stream that hashes what is read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._sha256.update(data)
        return data

    def digest(self) -> str:
        """Of the whole stream: what follows the archive's end counts."""
        while self.read(CHUNK):
            pass
        return f"sha256:{self._sha256.hexdigest()}"


class Root:
    """The file system that a layer is laid over."""

    def __init__(self, path: str) -> None:
        self._top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # What this layer has made: the inode of a directory, and a name in it.
        self._made: set[tuple[int, str]] = set()
        self._times: list[tuple[tuple[str, ...], int]] = []

    def _open(self, parts: tuple[str, ...]) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        how = struct.pack("=QQQ", flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        path = os.fsencode("/".join(("/", *parts)))
        for _ in range(ATTEMPTS):
            fd = int(libc.syscall(SYS_OPENAT2, self._top, path, how, len(how)))
            if fd >= 0:
                return fd
            if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
                break
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "/".join(parts))

    @contextmanager
    def parent(self, parts: tuple[str, ...], *, make: bool = True) -> Iterator[int]:
        """The directory that the last of `parts` is in; directories on the way are made."""
        above = parts[:-1]
        try:
            fd = self._open(above)
        except FileNotFoundError:
            if not make:
                raise
            with self.parent(above) as over:
                os.mkdir(above[-1], 0o755, dir_fd=over)
                self._made.add((os.fstat(over).st_ino, above[-1]))
            fd = self._open(above)
        try:
            yield fd
        finally:
            os.close(fd)

    # -- what lower layers had, goes --------------------------------------------------------------
    def clear(self, directory: int) -> bool:
        """Empty a directory of what this layer has not made; whether nothing is left in it."""
        inode, left = os.fstat(directory).st_ino, False
        for name in os.listdir(directory):
            left = not self._remove_lower(directory, inode, name) or left
        return not left

    def _remove_lower(self, directory: int, inode: int, name: str) -> bool:
        made = (inode, name) in self._made
        try:
            inner = os.open(name, DIRECTORY, dir_fd=directory)
        except NotADirectoryError:
            pass
        except OSError as exc:
            if exc.errno != errno.ELOOP:  # a symbolic link
                raise
        else:
            try:
                empty = self.clear(inner)
            finally:
                os.close(inner)
            if empty and not made:
                os.rmdir(name, dir_fd=directory)
            return empty and not made
        if not made:
            os.unlink(name, dir_fd=directory)
        return not made

    def take_away(self, parts: tuple[str, ...]) -> None:
        """A whiteout: `.wh.NAME` or `.wh..wh..opq` in its directory."""
        gone = (FileNotFoundError, NotADirectoryError)
        with suppress(*gone), self.parent(parts, make=False) as directory:
            if parts[-1] == OPAQUE:
                self.clear(directory)
            elif not parts[-1].startswith(WHITEOUT_META):
                name = whiteout_of(parts[-1])
                self._remove_lower(directory, os.fstat(directory).st_ino, name)

    def _remove(self, directory: int, name: str) -> None:
        """Whatever is there."""
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            inner = os.open(name, DIRECTORY, dir_fd=directory)
            try:
                for below in os.listdir(inner):  # noqa: PTH208  # of a descriptor
                    self._remove(inner, below)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=directory)

    # -- what the layer has, comes ----------------------------------------------------------------
    def add(self, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        """One member of the archive. Raises BadLayerError, OSError."""
        parts = parts_of(member.name)
        if parts[:1] == ("dev",) and len(parts) > 1:
            return  # a zone's devices are the host's business
        if parts and parts[-1].startswith(WHITEOUT):
            self.take_away(parts)
        elif not parts:
            self._set_root(member)
        else:
            with self.parent(parts) as directory:
                self._make(member, archive, directory, parts[-1])
                self._made.add((os.fstat(directory).st_ino, parts[-1]))
            if member.isdir():
                self._times.append((parts, mtime_of(member)))

    def _set_root(self, member: tarfile.TarInfo) -> None:
        if member.isdir():
            fd = self._open(())
            try:
                _set_fd(fd, member)
            finally:
                os.close(fd)
            self._times.append(((), mtime_of(member)))

    def _make(
        self, member: tarfile.TarInfo, archive: tarfile.TarFile, directory: int, name: str
    ) -> None:
        if member.isdir():
            self._make_directory(member, directory, name)
            return
        if member.islnk():
            self._make_link(member, directory, name)
            return
        self._remove(directory, name)
        if member.isreg():
            _write_file(member, archive, directory, name)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=directory)
            os.chown(name, member.uid, member.gid, dir_fd=directory, follow_symlinks=False)
            _set_time(directory, name, mtime_of(member))
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=directory)
            os.chown(name, member.uid, member.gid, dir_fd=directory, follow_symlinks=False)
            os.chmod(name, member.mode & 0o7777, dir_fd=directory)
            _set_time(directory, name, mtime_of(member))
        else:
            raise BadLayerError(f"{member.name!r} is a device, or what no image can have")

    def _make_directory(self, member: tarfile.TarInfo, directory: int, name: str) -> None:
        try:
            fd = os.open(name, DIRECTORY, dir_fd=directory)
        except OSError:
            self._remove(directory, name)
            os.mkdir(name, 0o700, dir_fd=directory)
            fd = os.open(name, DIRECTORY, dir_fd=directory)
        try:
            _set_fd(fd, member)
        finally:
            os.close(fd)

    def _make_link(self, member: tarfile.TarInfo, directory: int, name: str) -> None:
        target = parts_of(member.linkname)
        if not target:
            raise BadLayerError(f"{member.name!r} is a link to nothing")
        with self.parent(target, make=False) as source:
            same = os.fstat(source).st_ino == os.fstat(directory).st_ino and target[-1] == name
            if not same:
                # Looked at first: a link to what is not there must not take away what is.
                os.stat(target[-1], dir_fd=source, follow_symlinks=False)
                self._remove(directory, name)
                os.link(
                    target[-1], name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False
                )

    def finish(self) -> None:
        """The times of directories, which what came into them has changed."""
        for parts, when in reversed(self._times):
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self._open(parts)
                try:
                    os.utime(fd, ns=(when, when))
                finally:
                    os.close(fd)


def _set_time(directory: int, name: str, when: int) -> None:
    os.utime(name, ns=(when, when), dir_fd=directory, follow_symlinks=False)


def _set_fd(fd: int, member: tarfile.TarInfo) -> None:
    """Owner, then mode (chown takes set-user-id away), then attributes, which may change it."""
    os.fchown(fd, member.uid, member.gid)
    os.fchmod(fd, member.mode & 0o7777)
    attributes = xattrs_of(member)
    for name in os.listxattr(fd):
        if name.startswith(XATTRS) and name not in attributes:
            os.removexattr(fd, name)
    for name, value in attributes.items():
        os.setxattr(fd, name, value)


def _write_file(
    member: tarfile.TarInfo, archive: tarfile.TarFile, directory: int, name: str
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    with open(fd, "wb", buffering=0) as file:
        source = archive.extractfile(member)
        assert source is not None
        left = member.size
        while left:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise BadLayerError("the archive ends in the middle of a file")
            left -= len(chunk)
            # Zeros become a hole: a sparse file stays one, whatever way it was packed.
            if chunk.strip(b"\0"):
                _write_all(file.fileno(), chunk)
            else:
                file.seek(len(chunk), os.SEEK_CUR)
        file.truncate(member.size)
        _set_fd(fd, member)
        when = mtime_of(member)
        os.utime(fd, ns=(when, when))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def apply(stream: BinaryIO, root: str, digest: str = "") -> None:
    """Lay a layer over `root`. Raises BadLayerError, OSError, tarfile.TarError.

    `digest` (sha256:HEX) is what the uncompressed archive must be, if it is known.
    """
    hashing = Hashing(stream)
    target = Root(root)
    if first := _first_block(hashing):
        # tarfile calls an empty archive an error; an empty layer is none.
        with tarfile.open(fileobj=cast(BinaryIO, first), mode="r|", tarinfo=Member) as archive:
            for member in archive:
                target.add(member, archive)
                archive.members.clear()  # type: ignore[attr-defined]  # typeshed has not got it
    target.finish()
    if digest and (have := hashing.digest()) != digest:
        raise BadLayerError(f"the layer's diff_id is {have}, the image says {digest}")


class _Again:
    """A stream whose first bytes have been read already."""

    def __init__(self, first: bytes, rest: Hashing) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._first:
            head, self._first = self._first[:size], self._first[size:]
            return head + (self._rest.read(size - len(head)) if len(head) < size else b"")
        return self._rest.read(size)


def _first_block(stream: Hashing) -> "_Again | None":
    block = stream.read(tarfile.BLOCKSIZE)
    return _Again(block, stream) if block.strip(b"\0") else None


def main(root: str, digest: str = "") -> str:
    """What went wrong, or nothing."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.umask(0)
    try:
        apply(sys.stdin.buffer, root, digest)
    except BadLayerError as exc:
        return str(exc)
    except tarfile.TarError as exc:
        return f"the layer is no tar archive: {exc}"
    except OSError as exc:
        return f"{exc.filename or 'a file of the layer'}: {exc.strerror}"
    except (MemoryError, OverflowError, RecursionError, ValueError) as exc:
        return f"the layer cannot be read: {type(exc).__name__} {exc}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
