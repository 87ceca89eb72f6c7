# SPDX-License-Identifier: MPL-2.0
"""systemd-nspawn: ephemeral snapshots, a user namespace, a veth on the bridge; no limits."""

import shutil
import socket
from functools import partial
from pathlib import Path

from bench.contender import make_pool
from bench.images import Image
from bench.sandbox import Failed, Sandbox

NSPAWN = (
    "systemd-nspawn", "-q", "--register=no", "--keep-unit", "--ephemeral",
    "--private-users=2000000:65536", "--private-users-ownership=map", "--network-bridge=br0",
)  # fmt: skip


def unavailable() -> str:
    there = shutil.which("systemd-nspawn")
    return "" if there else "not installed (package systemd-container)"


def unit(needed: list[str]) -> str:
    """A service like those of tests/smf/many.py."""
    on = " ".join(needed)
    return (
        f"[Unit]\nRequires={on}\nAfter={on}\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'exec /bin/true'\n"
    )


class Nspawn:
    """It keeps nothing: one command makes a container, runs it and removes it."""

    name = "nspawn"

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self._box = box
        self._path = directory / "nspawn"
        make_pool(box, directory / "nspawn.img", self._path)

    def load(self, image: Image) -> None:
        root = str(self._path / image.name)
        self._box.run("btrfs", "subvolume", "create", root)
        self._box.run("tar", "-xf", str(image.tar), "-C", root)

    def once(self, image: Image) -> None:
        """Make, run /bin/true, remove."""
        self._box.run(*NSPAWN, "-D", str(self._path / image.name), "/bin/true")

    def load_services(self, image: Image, layers: list[list[str]]) -> str:
        """An image with services, in layers that need each other; what to boot."""
        name = f"{image.name}-services"
        root = self._path / name
        self._box.run("btrfs", "subvolume", "snapshot", str(self._path / image.name), str(root))
        units = root / "etc/systemd/system"
        below: list[str] = []
        for layer in layers:
            for number, one in enumerate(layer):
                on = [below[number], below[(number + 1) % len(below)]] if below else []
                self._box.call(partial((units / one).write_text, unit(on)))
            below = layer
        wants = units / "multi-user.target.wants"
        for one in below:
            self._box.call(partial((wants / one).symlink_to, f"../{one}"))
        return name

    def boot(self, name: str) -> None:
        """Until systemd in an image says that it is up; then end it."""
        path = f"/run/nspawn-notify-{self._box.name}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with listener:
            self._box.call(lambda: listener.bind(path))
            listener.settimeout(30)
            child = self._box.spawn(
                *NSPAWN, "--boot", "--notify-ready=yes", "-D", str(self._path / name),
                env={"NOTIFY_SOCKET": path, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip
            try:
                while b"READY=1" not in listener.recv(4096):
                    pass
            except TimeoutError:
                raise Failed("systemd in nspawn did not come up in 30 s") from None
            finally:
                self._box.run("rm", path)
                child.kill()
                child.wait()
