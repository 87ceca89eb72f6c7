# SPDX-License-Identifier: MPL-2.0
"""Namespaces: private mount tables, threads in another one, a zone's ids, id-mapped mounts.

A namespace belongs to a thread, so whatever must happen in one happens in a fresh thread that is
never used again: the daemon's other threads, and the host's mount table, never notice.
"""

import ctypes
import errno
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hull.errors import HostError
from hull.linux import inroot, ready
from hull.linux.run import spawn, wait
from hull.linux.syscall import check, libc

T = TypeVar("T")

CLONE_FS, CLONE_NEWNS = 0x200, 0x20000

MS_REC, MS_SLAVE = 0x4000, 1 << 19

SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_IDMAP = 0x100000

ID_RANGE = 65536
MAKE_TIMEOUT = 10.0  # seconds for a user namespace to be made


def in_thread(function: Callable[[], T]) -> T:
    """Run a function in a thread of its own and pass on what it returns or raises."""
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
            failures.append(exc)

    thread = threading.Thread(target=work, name="hull-namespace")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def private_mount_namespace(setup: Callable[[], None]) -> int:
    """A copy of the mount table, changed by `setup`; returns its file descriptor.

    The host sees none of the changes; what the host unmounts later disappears from the copy too.
    The namespace is gone with the descriptor and the last process in it.
    """

    def work() -> int:
        check(libc.unshare(CLONE_NEWNS), "unshare mount namespace")
        check(libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None), "make mounts slaves")
        setup()
        return os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    return in_thread(work)


def in_mount_namespace(path: str, function: Callable[[], T]) -> T:
    """Run a function in the mount namespace at `path` (`/proc/PID/ns/mnt`), with its root."""

    def work() -> T:
        # A thread that shares its root and working directory with others may not move.
        check(libc.unshare(CLONE_FS), "have a root of one's own")
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(libc.setns(namespace, CLONE_NEWNS), "enter a mount namespace")
        finally:
            os.close(namespace)
        return function()

    return in_thread(work)


def clone_mount(path: str, attributes: int, userns: int | None, *, follow: bool = True) -> int:
    """A detached copy of the mount at `path`, with its ids mapped if a user namespace is given.

    With ids mapped owner 0 on disk is the zone's root. `attributes` (MOUNT_ATTR_*) are all that it
    has: set-uid programs may live in it where the host has disabled them for itself. The descriptor
    holds the mount; `attach_mount` puts it somewhere. Without `follow` no component of the path may
    be a symlink.
    """
    at = inroot.open_plain(path) if not follow else AT_FDCWD
    name, flags = (os.fsencode(path), 0) if follow else (b"", AT_EMPTY_PATH)
    flags |= OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
    try:
        fd = check(libc.syscall(SYS_OPEN_TREE, at, name, flags), f"open_tree {path}")
    finally:
        if not follow:
            os.close(at)
    try:
        wanted = attributes | (MOUNT_ATTR_IDMAP if userns is not None else 0)
        lifted = (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) & ~attributes
        attr = struct.pack("=QQQQ", wanted, lifted, 0, userns or 0)
        done = libc.syscall(SYS_MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, attr, len(attr))
        if done < 0 and userns is not None and ctypes.get_errno() == errno.EINVAL:
            raise HostError(
                f"{path} cannot be shown to a zone: its file system cannot map ids",
                hint="use a directory on ext4, xfs, btrfs or the host's pool",
            )
        check(done, f"set mount attributes of {path}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def attach_mount(mount: int, root: Path, path: str = "/") -> None:
    """Put a detached mount at `path` below `root`, in the calling thread's namespace.

    No symlink on the way leads out of `root`.
    """
    target = inroot.open_path(root, path)
    try:
        flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        moved = libc.syscall(SYS_MOVE_MOUNT, mount, b"", target, b"", flags)
        check(moved, f"mount on {path} of {root}")
    finally:
        os.close(target)


# What runs in the new namespaces until its ids are mapped: a line says that it is there, the next
# lets it end. There will be no user namespaces below this one, whatever its root tries.
MAKER = "echo 0 >/proc/sys/user/max_user_namespaces && echo && read -r _"


class Maker:
    """Programs that make a user and a network namespace while their caller does something else.

    The first maps 0..65535 to the host's ids from `base`, and owns the second. It belongs to id
    `base`: what the kernel counts by user (inotify instances, pending signals, bytes in message
    queues) it counts for a namespace's owner as well, and were that root, one zone could use up
    every other's and root's own. A fork of a threaded daemon may only exec, and
    unshare(CLONE_NEWUSER) is refused to a process with threads: so other programs do it. They keep
    CAP_SYS_ADMIN for machines where not everybody may make such namespaces.
    """

    def __init__(self, base: int) -> None:
        self._base = base
        owner = (f"--reuid={base}", f"--regid={base}", "--clear-groups")
        keep = ("--inh-caps=+sys_admin", "--ambient-caps=+sys_admin")
        unshare = ("unshare", "--user", "--net", "--keep-caps", "sh", "-c", MAKER)
        self._mine_in, its_out = os.pipe()
        its_in, self._mine_out = os.pipe()
        try:
            self._child = spawn("setpriv", *owner, *keep, *unshare, stdin=its_in, stdout=its_out)
        except BaseException:
            os.close(self._mine_in)
            os.close(self._mine_out)
            raise
        finally:
            os.close(its_in)
            os.close(its_out)

    def __enter__(self) -> "Maker":
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._mine_in)
        os.close(self._mine_out)
        wait(self._child, "unshare", MAKE_TIMEOUT)

    def made(self) -> tuple[int, int]:
        """Descriptors of both, which hold them, once they are there. Raises HostError."""
        try:
            answered = ready.readable(self._mine_in, MAKE_TIMEOUT)
            if not answered or os.read(self._mine_in, 1) != b"\n":
                raise ChildProcessError("unshare failed")
            for kind in ("uid", "gid"):
                with open(f"/proc/{self._child.pid}/{kind}_map", "w") as file:
                    file.write(f"0 {self._base} {ID_RANGE}\n")
            user = os.open(f"/proc/{self._child.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return user, os.open(f"/proc/{self._child.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except BaseException:
                os.close(user)
                raise
        except OSError as exc:
            raise HostError(
                f"no namespaces can be made for the ids from {self._base}: {exc.strerror or exc}",
                hint="user_namespaces(7) says what may be in the way",
            ) from exc
