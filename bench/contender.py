# SPDX-License-Identifier: MPL-2.0
"""What is measured: Hull and each peer, in the same words."""

from pathlib import Path
from typing import Protocol

from bench.images import Image
from bench.measure import Pinger
from bench.sandbox import Done, Sandbox, run


class Contender(Protocol):
    """Makes, runs and removes containers from one image after the other.

    `create` returns as its own command or call does; the container then runs, at `address` if
    `address(n)` gave it one. All raise Failed.
    """

    name: str
    pinger: Pinger | None

    def load(self, image: Image) -> None:
        """Bring an image in, so that `create` finds it here."""

    def address(self, number: int) -> str: ...

    def create(self, name: str, address: str, image: Image) -> None: ...

    def execute(self, name: str, *argv: str) -> Done:
        """Run a program in a container by the contender's own command."""

    def stop(self, name: str) -> None: ...

    def delete(self, name: str) -> None: ...

    def show(self) -> None:
        """Print the table that an operator asks for."""

    def used(self) -> int:
        """Bytes that its pool holds."""

    def supervisors(self) -> list[int]:
        """The processes that stay beside the containers that run, and are not in them."""

    def manager(self) -> int:
        """The daemon's pid; 0: it has none."""


def peer_address(number: int) -> str:
    """In the subnet of a sandbox's bridge, 10.77.0.1/16."""
    return f"10.77.{1 + number // 200}.{2 + number % 200}"


def make_pool(box: Sandbox, file: Path, mountpoint: Path) -> None:
    """A btrfs in a sparse file, seen by the sandbox only, and unmounted as it ends."""
    run("truncate", "-s", "16G", str(file))
    run("mkfs.btrfs", "-q", str(file))
    mountpoint.mkdir()
    box.run("mount", "-o", "loop,noatime", str(file), str(mountpoint))
