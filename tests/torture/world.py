# SPDX-License-Identifier: MPL-2.0
"""A real host whose hulld is played by children of the test: each does one thing, or dies of it.

The host is up as `hull up` makes it; only the daemon's process is a fork of the test, which has all
of Hull loaded already: a start of hulld costs a hundredth of a second instead of half of one.
"""

import json
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hull.daemon import hulld
from hull.host.host import Host
from hull.linux.netns import CLONE_NEWNET
from hull.linux.syscall import check, libc
from hull.paths import Paths
from tests.integration import hosts
from tests.integration.hosts import TestHost
from tests.integration.image_fixtures import archive, imgapid, manifest_for, member, put_image

T = TypeVar("T")
CHILD_SECONDS = 120
INIT = """#!/bin/sh
trap 'exit 0' TERM
while :; do
    busybox sleep 1000000 &
    wait $!
done
"""


class ChildFailed(AssertionError):
    """What the child's traceback says."""


@dataclass(frozen=True)
class World:
    """The host, and images in it."""

    host: TestHost
    image: str  # a small one whose init ends when it is asked to
    other: str  # the same, anew
    remote: str  # one that its image source has
    directory: Path

    @property
    def paths(self) -> Paths:
        return Paths(self.host.root)

    def child(self, work: Callable[[Host], T]) -> "tuple[int, T | None]":
        """Let a hulld start, do one thing and end: its wait status, and what `work` returned.

        Each sets the host right first, after whatever the last one has left, as hulld does. Raises
        ChildFailed if the child raised.
        """
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _live(self, work, writer)
        os.close(writer)
        with open(reader, "rb") as answers:
            data = answers.read()
        _, status = os.waitpid(pid, 0)
        if not data:
            return status, None
        kind, value = pickle.loads(data)
        if kind == "failed":
            raise ChildFailed(value)
        return status, value

    def do(self, work: Callable[[Host], T]) -> T:
        """The same, where nothing is to go wrong."""
        status, value = self.child(work)
        assert status == 0, f"the child ended with {status}"
        return value  # type: ignore[return-value]  # whatever it returns, None too


def _live(world: World, work: Callable[[Host], Any], writer: int) -> None:
    """The child, from beginning to end."""
    answer: tuple[str, object] = ("failed", "it ended without a word")
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(CHILD_SECONDS)
        namespace = os.open(f"/run/netns/{world.host.netns}", os.O_RDONLY)
        check(libc.setns(namespace, CLONE_NEWNET), "enter the host's network")
        with hulld.in_process(world.paths) as daemon:
            answer = ("done", work(daemon.host))
    except BaseException:  # noqa: BLE001  # it is told to the parent
        answer = ("failed", traceback.format_exc())
    try:
        os.write(writer, pickle.dumps(answer))
    finally:
        os._exit(0)


@contextmanager
def torture_world(directory: Path) -> Iterator[World]:
    """A host with images and an image source, and no hulld."""
    served = directory / "served"
    served.mkdir()
    remote = put_image(served, small_root())
    with hosts.new_host() as host, imgapid(served, netns=host.netns) as source:
        image, other = (install(host, directory, name) for name in ("small", "other"))
        host("imgadm", "sources", "-a", source)
        host.end_hulld()
        yield World(host, image, other, remote, directory)


def install(host: TestHost, directory: Path, name: str) -> str:
    """Install a small image; its UUID."""
    data = small_root(name)
    manifest = manifest_for(data, name=name)
    (directory / f"{name}.json").write_text(json.dumps(manifest))
    (directory / f"{name}.tar").write_bytes(data)
    files = ("-m", str(directory / f"{name}.json"), "-f", str(directory / f"{name}.tar"))
    host("imgadm", "install", *files)
    return str(manifest["uuid"])


def small_root(name: str = "") -> bytes:
    """BusyBox, and an init that ends as soon as it is asked to."""
    directories = ("", "bin", "sbin", "etc", "dev", "proc", "sys", "tmp", "var", "root", "native")
    return archive(
        *((member(f"./{each}", type=b"5", mode=0o755), b"") for each in directories),
        (member("./bin/busybox", mode=0o755), Path("/bin/busybox").read_bytes()),
        (member("./bin/sh", type=b"2", linkname="busybox"), b""),
        (member("./etc/name", mode=0o644), name.encode()),
        (member("./sbin/init", mode=0o755), INIT.encode()),
    )
