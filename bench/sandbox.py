# SPDX-License-Identifier: MPL-2.0
"""A place for one peer: mount, network and PID namespaces of its own, gone with all that is in it.

Programs are started from a thread that has entered the namespaces, so that no `nsenter` adds its
own milliseconds to what a peer takes.
"""

import ctypes
import os
import secrets
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from hull.linux import ready

T = TypeVar("T")

TIMEOUT = 180
CLONE_FS, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x200, 0x20000, 0x20000000, 0x40000000

# $1: a directory for the cgroup tree while /sys changes; $2: "v1" to see only v1's controllers.
# /sys must be this network namespace's own: LXC and CNI look for their bridge in it.
SETUP = r"""
mount --make-rprivate /
mkdir -p "$1"
mount --rbind /sys/fs/cgroup "$1"
umount -R /sys
mount -t sysfs sysfs /sys
mount --rbind "$1" /sys/fs/cgroup
umount -R "$1"
if [ "$2" = v1 ] && [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi
for private in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$private"; done
ip link set lo up
ip link add br0 type bridge
ip addr add 10.77.0.1/16 dev br0
ip link set br0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
# lxcfs brings a hook that sleeps half a second after each stop: a packaging matter, not a peer's.
hook=/usr/share/lxcfs/lxc.reboot.hook
if [ -e "$hook" ]; then mount --bind /bin/true "$hook"; fi
echo ready
trap '' CHLD
exec sleep infinity
"""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A peer could not do what it was asked for; says which command and its last words."""


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(path: str, kind: int) -> None:
    """Take the calling thread into a namespace, from which it does not come back."""
    if kind == CLONE_NEWNS:  # which a thread cannot enter while it shares its root directory
        _check(_libc.unshare(CLONE_FS), "unshare")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, kind), f"enter {path}")
    finally:
        os.close(fd)


class Sandbox:
    """`with Sandbox("lxc") as box: box.run("lxc-ls")`."""

    def __init__(self, name: str, *, only_v1: bool = False) -> None:
        self.name = f"hb{name}{secrets.token_hex(3)}"
        self._only_v1 = only_v1
        self._spawned: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Sandbox":
        self._cgroups_before = cgroup_tops()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-ec", SETUP, "sh", f"/tmp/{self.name}", "v1" if self._only_v1 else ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"ready\n":
            self._holder.kill()
            self._holder.wait()
            raise Failed(f"no namespaces for {self.name}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.init = int(children.read_text().split()[0])
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._thread.submit(self._enter).result()
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.chown("/dev/null", 0, 0)  # crun gives a container's standard files to its root
        self._thread.shutdown()
        os.kill(self.init, signal.SIGKILL)  # and with it every process of its PID namespace
        for child in self._spawned:  # the namespace does not end while one is not waited for
            child.wait()
        self._holder.wait()
        Path(f"/tmp/{self.name}").rmdir()
        for top in cgroup_tops() - self._cgroups_before:
            if is_a_peers(top.name):
                remove_cgroup(top)

    def _enter(self) -> None:
        """Make the one thread work here; the process's other threads stay where they are."""
        for name, kind in (("net", CLONE_NEWNET), ("pid", CLONE_NEWPID), ("mnt", CLONE_NEWNS)):
            enter(f"/proc/{self.init}/ns/{name}", kind)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function inside."""
        return self._thread.submit(function).result()

    def run(self, *argv: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
        """Run a program inside to its end; returns its output. Raises Failed."""
        return self.call(lambda: run(*argv, stdin=stdin, env=env))

    def attempt(self, *argv: str, env: dict[str, str] | None = None) -> "Done":
        """Run a program inside to its end, whatever that is."""
        return self.call(lambda: attempt(*argv, env=env))

    def spawn(self, *argv: str, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Start a program inside. It ends with the sandbox at the latest."""
        child = self.call(
            lambda: subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=ENVIRONMENT | (env or {}), cwd="/", start_new_session=True,
            )
        )  # fmt: skip
        self._spawned.append(child)
        return child

    def pids(self) -> list[int]:
        """The processes of the sandbox's own PID namespace: managers, not what containers run."""
        mine = os.stat(f"/proc/{self.init}/ns/pid").st_ino
        return [pid for pid in all_pids() if pid_namespace(pid) == mine]


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it said."""

    status: int
    output: str
    words: str  # its last ones, from standard error


def attempt(*argv: str, stdin: str = "", env: dict[str, str] | None = None) -> Done:
    """Run a program to its end, whatever that is.

    Output goes to files and not to pipes: what a peer leaves running may hold them open.
    """
    with output_file() as out, output_file() as err, output_file() as source:
        source.write(stdin.encode())
        source.seek(0)
        child = subprocess.Popen(
            argv, stdin=source, stdout=out, stderr=err, cwd="/", env=ENVIRONMENT | (env or {})
        )
        wait(child, argv[0])
        out.seek(0)
        err.seek(0)
        return Done(
            child.returncode,
            out.read().decode(errors="replace"),
            err.read().decode(errors="replace").strip()[-600:],
        )


def wait(child: "subprocess.Popen[bytes]", name: str) -> None:
    """Until it ends, to the microsecond: Popen.wait with a timeout looks every 50 ms only."""
    pidfd = os.pidfd_open(child.pid)
    try:
        if not ready.readable(pidfd, TIMEOUT):
            raise Failed(f"{name} did not end in {TIMEOUT} s")
    except BaseException:
        child.kill()
        raise
    finally:
        os.close(pidfd)
        child.wait()


def run(*argv: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
    """Run a program to its end; returns its output. Raises Failed."""
    done = attempt(*argv, stdin=stdin, env=env)
    if done.status != 0:
        raise Failed(f"{' '.join(argv)[:160]}: {done.status}: {done.words or done.output[-300:]}")
    return done.output


def output_file() -> BinaryIO:
    return os.fdopen(os.memfd_create("output"), "w+b")


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def pid_namespace(pid: int) -> int:
    """0 if the process has gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0


def cgroup_tops() -> set[Path]:
    """The groups at the top of every hierarchy."""
    root = Path("/sys/fs/cgroup")
    hierarchies = [root] if (root / "cgroup.procs").exists() else list(root.iterdir())
    return {path for tree in hierarchies for path in tree.iterdir() if path.is_dir()}


def is_a_peers(name: str) -> bool:
    """Groups that the peers make at the top; Hull's have names of their own."""
    return name.startswith(("lxc.", "libpod_parent", "payload", "supervisor", "hb"))


def remove_cgroup(top: Path) -> None:
    """Remove a group and those below it; one that is in use, by somebody else then, stays."""
    for path, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            return
