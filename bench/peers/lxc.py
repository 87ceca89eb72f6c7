# SPDX-License-Identifier: MPL-2.0
"""LXC: btrfs snapshots by lxc-copy, id-mapped, with limits, a veth and a static address."""

import shutil
from pathlib import Path

from bench.contender import make_pool, peer_address
from bench.images import Image
from bench.measure import Pinger, command_line, used
from bench.sandbox import Done, Sandbox

CONFIG = """\
lxc.uts.name = {name}
lxc.rootfs.path = btrfs:{rootfs}
lxc.rootfs.options = idmap=container
lxc.init.cmd = /sbin/init
lxc.include = /usr/share/lxc/config/common.conf
lxc.include = /usr/share/lxc/config/userns.conf
lxc.idmap = u 0 1000000 65536
lxc.idmap = g 0 1000000 65536
lxc.net.0.type = veth
lxc.net.0.link = br0
lxc.net.0.flags = up
"""
LIMITS_V1 = "lxc.cgroup.memory.limit_in_bytes = 512M\nlxc.cgroup.pids.max = 2000\n"
LIMITS_V2 = "lxc.cgroup2.memory.max = 512M\nlxc.cgroup2.pids.max = 2000\n"


def unavailable() -> str:
    return "" if shutil.which("lxc-copy") else "not installed (package lxc)"


class Lxc:
    """See Contender."""

    name = "lxc"

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self._box = box
        self._path = directory / "lxc"
        make_pool(box, directory / "lxc.img", self._path)
        self.pinger: Pinger | None = box.call(Pinger)

    def address(self, number: int) -> str:
        return peer_address(number)

    def load(self, image: Image) -> None:
        base = self._path / f"base-{image.name}"
        rootfs = base / "rootfs"
        self._box.run("mkdir", str(base))
        self._box.run("btrfs", "subvolume", "create", str(rootfs))
        self._box.run("tar", "-xf", str(image.tar), "-C", str(rootfs))
        limits = LIMITS_V1 if Path("/sys/fs/cgroup/memory").is_dir() else LIMITS_V2
        config = CONFIG.format(name=base.name, rootfs=rootfs) + limits
        self._box.call(lambda: (base / "config").write_text(config))

    def create(self, name: str, address: str, image: Image) -> None:
        self._lxc("lxc-copy", f"base-{image.name}", "-N", name, "-s", "-B", "btrfs")
        config = self._path / name / "config"

        def configure() -> None:
            # LXC maps the ids of a `dir:` only.
            text = config.read_text().replace("btrfs:", "dir:")
            config.write_text(f"{text}lxc.net.0.ipv4.address = {address}/16\n")

        self._box.call(configure)
        self._lxc("lxc-start", name, "-d")

    def execute(self, name: str, *argv: str) -> Done:
        return self._box.attempt("lxc-attach", "-P", str(self._path), "-n", name, "--", *argv)

    def stop(self, name: str) -> None:
        self._lxc("lxc-stop", name)

    def delete(self, name: str) -> None:
        self._lxc("lxc-destroy", name)

    def show(self) -> None:
        self._box.run("lxc-ls", "-P", str(self._path), "-f")

    def used(self) -> int:
        return used(self._path, self._box.run)

    def supervisors(self) -> list[int]:
        return [pid for pid in self._box.pids() if "[lxc monitor]" in command_line(pid)]

    def manager(self) -> int:
        return 0

    def _lxc(self, command: str, name: str, *words: str) -> None:
        self._box.run(command, "-P", str(self._path), "-n", name, *words)
