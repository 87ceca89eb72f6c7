# SPDX-License-Identifier: MPL-2.0
"""What an image is to hold of a root: all of it, or what differs from another root.

Both roots are read-only snapshots, so nothing changes while they are looked at, and symbolic links
are never followed. All names are relative, bytes, and begin with `./`.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from hull.errors import HostError, KernelError, Refused

CHUNK = 1 << 20
WHITEOUT = b".wh."
# Kept by tar (build.tar_argv and here); others are the host's business.
ATTRIBUTES = ("user.", "security.capability", "system.posix_acl_")


@dataclass(frozen=True)
class Entry:
    """One name in a root. `links` are all names of the same file, sorted."""

    path: bytes  # of the file itself, on the host
    status: os.stat_result
    links: tuple[bytes, ...] = ()


Tree = dict[bytes, Entry]


@dataclass(frozen=True)
class Contents:
    """What goes into an archive, in its order; of `removed` it gets the whiteouts."""

    names: list[bytes] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)


def scan(root: bytes) -> Tree:
    """All that an image may hold: no device, no socket, nothing below ./dev.

    Raises KernelError for what cannot be read, such as a path that is too long.
    """
    found: Tree = {}
    links: dict[int, list[bytes]] = {}
    try:
        found[b"."] = Entry(root, os.lstat(root))
        for name, path, status in _walk(root, b"."):
            found[name] = Entry(path, status)
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                links.setdefault(status.st_ino, []).append(name)
    except OSError as exc:
        raise KernelError("read the zone's root", exc.errno or 0, exc.strerror or "") from exc
    for names in links.values():
        for name in names:
            found[name] = Entry(found[name].path, found[name].status, tuple(sorted(names)))
    return found


def _walk(path: bytes, name: bytes) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
    pending = [(path, name)]
    while pending:
        above, prefix = pending.pop()
        with os.scandir(above) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                inner = prefix + b"/" + entry.name
                if not _is_kept(status.st_mode):
                    continue
                yield inner, entry.path, status
                if stat.S_ISDIR(status.st_mode) and inner != b"./dev":
                    pending.append((entry.path, inner))


def _is_kept(mode: int) -> bool:
    return not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode))


def whole(tree: Tree) -> Contents:
    """A whole root."""
    return Contents(sorted(tree))


def difference(new: Tree, old: Tree) -> Contents:
    """What makes `new` of `old`. Raises Refused for a name that would be taken for a whiteout."""
    _refuse_whiteouts(new)
    changed = {name for name, entry in new.items() if _differs(entry, old.get(name))}
    # All names of a file come together, or the others would be of another file.
    changed |= {link for name in list(changed) for link in new[name].links}
    removed = _removed(new, old)
    # Directories that something changes in: unpacking would change their times.
    for name in [*changed, *removed]:
        changed |= set(_above(name))
    changed.add(b".")  # an archive has at least one name
    return Contents(sorted(changed), removed)


def _refuse_whiteouts(new: Tree) -> None:
    for name in new:
        if name.rpartition(b"/")[2].startswith(WHITEOUT):
            raise Refused(
                f"{os.fsdecode(name)} would be taken for a whiteout",
                hint="rename it, or make an image that is whole",
            )


def _above(name: bytes) -> Iterator[bytes]:
    while name != b".":
        name = name.rpartition(b"/")[0]
        yield name


def _removed(new: Tree, old: Tree) -> list[bytes]:
    """What is gone, or of another kind by now; of a directory that is gone only itself."""
    gone = []
    for name, entry in old.items():
        above = name.rpartition(b"/")[0]
        if name == b"." or not _is_directory(new.get(above)):
            continue
        now = new.get(name)
        if now is None or _is_directory(now) != _is_directory(entry):
            gone.append(name)
    return sorted(gone)


def _is_directory(entry: Entry | None) -> bool:
    return entry is not None and stat.S_ISDIR(entry.status.st_mode)


def _differs(new: Entry, old: Entry | None) -> bool:
    if old is None or new.links != old.links:
        return True
    a, b = new.status, old.status
    if _stamp(a) != _stamp(b):
        return True
    # A clone keeps inode numbers, and nobody can set the time of the last change.
    if (a.st_ino, a.st_ctime_ns) == (b.st_ino, b.st_ctime_ns):
        return False
    return _attributes(new.path) != _attributes(old.path) or not _same_content(new, old)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns


def _attributes(path: bytes) -> dict[str, bytes]:
    try:
        names = [str(name) for name in os.listxattr(path, follow_symlinks=False)]
        kept = [name for name in names if name.startswith(ATTRIBUTES)]
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in kept}
    except OSError as exc:
        raise HostError(f"cannot read {os.fsdecode(path)}: {exc.strerror}") from exc


def target_of(path: bytes) -> bytes:
    return os.readlink(path)  # noqa: PTH115  # the name is bytes


def _same_content(new: Entry, old: Entry) -> bool:
    mode = new.status.st_mode
    try:
        if stat.S_ISLNK(mode):
            return target_of(new.path) == target_of(old.path)
        if not stat.S_ISREG(mode):
            return True
        with open(new.path, "rb") as one, open(old.path, "rb") as other:
            while chunk := one.read(CHUNK):
                if chunk != other.read(CHUNK):
                    return False
    except OSError as exc:
        raise HostError(f"cannot read {os.fsdecode(new.path)}: {exc.strerror}") from exc
    return True
