# SPDX-License-Identifier: MPL-2.0
"""crun alone over a btrfs snapshot, the floor: no id mapping, limits, address, console, record."""

import json
import shutil
from pathlib import Path

from bench.contender import make_pool
from bench.images import Image
from bench.measure import Pinger, used
from bench.sandbox import Done, Sandbox


def unavailable() -> str:
    return "" if shutil.which("crun") else "not installed (package crun)"


class Crun:
    """See Contender; but what it starts has no address to ping."""

    name = "crun"
    pinger: Pinger | None = None

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self._box = box
        self._path = directory / "crun"
        make_pool(box, directory / "crun.img", self._path)
        specified = directory / "crun-spec"
        specified.mkdir()
        box.run("crun", "spec", "-b", str(specified))
        self._spec = json.loads((specified / "config.json").read_text())
        self._spec["process"] |= {"args": ["/sbin/init"], "terminal": False}
        self._spec["root"] = {"path": "rootfs"}

    def address(self, number: int) -> str:
        del number
        return ""

    def load(self, image: Image) -> None:
        root = str(self._path / f"image-{image.name}")
        self._box.run("btrfs", "subvolume", "create", root)
        self._box.run("tar", "-xf", str(image.tar), "-C", root)

    def create(self, name: str, address: str, image: Image) -> None:
        del address
        bundle = self._path / name
        self._box.call(bundle.mkdir)
        source = str(self._path / f"image-{image.name}")
        self._box.run("btrfs", "subvolume", "snapshot", source, str(bundle / "rootfs"))
        self._box.call(lambda: (bundle / "config.json").write_text(json.dumps(self._spec)))
        self._crun("run", "--detach", "-b", str(bundle), name)

    def execute(self, name: str, *argv: str) -> Done:
        return self._box.attempt("crun", "--root", "/run/crun", "exec", name, *argv)

    def stop(self, name: str) -> None:
        """Nothing waits for it: `delete` does."""
        self._crun("kill", name, "TERM")

    def delete(self, name: str) -> None:
        self._crun("delete", "--force", name)
        bundle = self._path / name
        self._box.run("btrfs", "subvolume", "delete", str(bundle / "rootfs"))
        self._box.run("rm", "-r", str(bundle))

    def show(self) -> None:
        self._crun("list")

    def used(self) -> int:
        return used(self._path, self._box.run)

    def supervisors(self) -> list[int]:
        return []

    def manager(self) -> int:
        return 0

    def _crun(self, *words: str) -> None:
        self._box.run("crun", "--root", "/run/crun", "--cgroup-manager=cgroupfs", *words)
