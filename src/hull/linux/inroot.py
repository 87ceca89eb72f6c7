# SPDX-License-Identifier: MPL-2.0
"""Files inside a zone's root, handled from outside, without ever following a path out of it.

The zone's own root user is hostile: any component may be a symlink to the host's /etc, and may
become one while we look. So the kernel resolves each path as if the zone's root were the root
(openat2, RESOLVE_IN_ROOT), the last component is never followed, and only regular files are read.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from hull.errors import Exists, HostError, KernelError, NotFound
from hull.linux.syscall import check, libc

SYS_OPENAT2 = 437
AT_FDCWD = -100
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT = 0x02, 0x04, 0x10
# The kernel answers EAGAIN when something was renamed while it resolved a path with `..`.
ATTEMPTS = 100


def write_file(root: Path, path: str, data: bytes, mode: int = 0o644) -> None:
    """Put a file, owned by the zone's root, at `path` in the zone; its directory must exist.

    The file is replaced as a whole, unless it is the same already: blocks that are not written stay
    shared with the image. Whatever was at `path`, a symlink too, is gone; NotFound if there is no
    such directory, Exists if `path` is a directory.
    """
    with _parent(root, path) as (parent, name):
        if _is_the_same(parent, name, data, mode):
            return
        temporary = f".{name[:200]}.{os.urandom(6).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _translated(path):
            fd = os.open(temporary, flags, mode, dir_fd=parent)
        try:
            with open(fd, "wb") as file, _translated(path):
                os.fchmod(fd, mode)  # whatever the umask is
                file.write(data)
                file.flush()
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise


def _is_the_same(parent: int, name: str, data: bytes, mode: int) -> bool:
    with suppress(OSError):
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = os.fstat(fd)
            mine = (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
            kind = (found.st_mode, found.st_nlink, found.st_size)
            if mine and kind == (stat.S_IFREG | mode, 1, len(data)):
                with _reopened(fd) as file:
                    return file.read(len(data) + 1) == data
        finally:
            os.close(fd)
    return False


def _reopened(fd: int) -> BinaryIO:
    """A regular file that was opened with O_PATH, to be read. Whoever holds a lease on it, which
    the kernel would wait for, gets an OSError for us."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    return open(os.open(f"/proc/self/fd/{fd}", flags), "rb")


def read_file(root: Path, path: str, limit: int) -> bytes:
    """The first `limit` bytes of a regular file in the zone; a symlink is followed inside it.

    NotFound if there is none, HostError if it is anything else: a fifo would hang its reader.
    """
    # First found, then looked at, only then opened: opening a device may already do something.
    fd = open_path(root, path)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise HostError(f"{path} in the zone is not a regular file")
        with _translated(path), _reopened(fd) as file:
            return file.read(limit)
    finally:
        os.close(fd)


def make_dirs(root: Path, path: str, mode: int = 0o755) -> None:
    """Make a directory and those above it, as far as they are missing."""
    done = PurePosixPath("/")
    for name in _parts(path):
        with _parent(root, str(done / name)) as (parent, last), _translated(path):
            try:
                os.mkdir(last, mode, dir_fd=parent)
            except FileExistsError:
                os.close(_open_in(root, str(done / name), os.O_PATH | os.O_DIRECTORY))
        done = done / name


def remove(root: Path, path: str) -> None:
    """Remove a file, symlink, fifo or empty directory; not an error if it is not there."""
    try:
        with _parent(root, path) as (parent, name), _translated(path):
            try:
                os.unlink(name, dir_fd=parent)
            except IsADirectoryError:
                os.rmdir(name, dir_fd=parent)
    except NotFound:
        return


def exists(root: Path, path: str) -> bool:
    """Whether the zone has something at `path`, symlinks followed inside the zone."""
    try:
        os.close(open_path(root, path))
    except NotFound:
        return False
    return True


def open_path(root: Path, path: str) -> int:
    """An O_PATH descriptor, which the caller closes, of what is at `path` in the zone."""
    return _open_in(root, path, os.O_PATH)


def open_plain(path: str) -> int:
    """An O_PATH descriptor, which the caller closes, of a path of the host's without any symlink.

    For what a zone may have written to: NotFound if there is nothing, KernelError for a symlink.
    """
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS)
    fd = libc.syscall(SYS_OPENAT2, AT_FDCWD, os.fsencode(path), how, len(how))
    if fd < 0 and ctypes.get_errno() == errno.ENOENT:
        raise NotFound(f"{path} does not exist on this host")
    return check(fd, f"open {path}")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(path).parts if part not in ("/", "."))


@contextmanager
def _parent(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """The directory that a path's last component is in, opened, and that component."""
    *above, name = _parts(path) or ("..",)
    if name == "..":
        raise HostError(f"{path!r} names no file in a zone")
    fd = _open_in(root, f"/{'/'.join(above)}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd, name
    finally:
        os.close(fd)


def _open_in(root: Path, path: str, flags: int) -> int:
    """Open a path as a process would whose root is `root`."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    with _translated(str(root)):
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        number = errno.EAGAIN
        for _ in range(ATTEMPTS):
            fd = int(libc.syscall(SYS_OPENAT2, top, os.fsencode(path), how, len(how)))
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number not in (errno.EAGAIN, errno.EINTR):
                break
        with _translated(path):
            raise OSError(number, os.strerror(number))
    finally:
        os.close(top)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """OSError as Hull's errors."""
    try:
        yield
    except OSError as exc:
        missing = exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        if missing:
            raise NotFound(f"{path} is not in the zone") from exc
        if exc.errno in (errno.EISDIR, errno.EEXIST):
            raise Exists(f"{path} in the zone is a directory") from exc
        raise KernelError(f"open {path} in a zone", exc.errno or 0, exc.strerror or "") from exc
