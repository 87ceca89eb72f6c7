# SPDX-License-Identifier: MPL-2.0
"""podman: overlay, a user namespace, limits, and a bridge network with static addresses."""

import shutil
import time
from pathlib import Path

from bench.contender import make_pool, peer_address
from bench.images import Image
from bench.measure import Pinger, command_line, used
from bench.sandbox import Done, Failed, Sandbox

RUN = (
    "run", "--detach", "--network=bench", "--memory=512m", "--pids-limit=2000",
    "--uidmap=0:1000000:65536", "--gidmap=0:1000000:65536",
    # Its defaults are above what a machine without CAP_SYS_RESOURCE may set.
    "--ulimit=nofile=20000:20000", "--ulimit=nproc=32000:32000",
)  # fmt: skip


def unavailable() -> str:
    return "" if shutil.which("podman") else "not installed (package podman)"


class Podman:
    """See Contender. Its sandbox has v1 cgroups only: crun refuses a mixed hierarchy.

    (On such a machine systemd, which wants v2, does not boot in it.)
    """

    name = "podman"

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self._box = box
        self._path = directory / "podman"
        make_pool(box, directory / "podman.img", self._path)
        self._podman = (
            "podman", "--root", f"{self._path}/root", "--runroot", "/run/podman",
            "--network-config-dir", f"{self._path}/net", "--storage-driver", "overlay",
            "--cgroup-manager", "cgroupfs", "--runtime", "/usr/bin/crun",
            "--events-backend", "file",
        )  # fmt: skip
        box.run("ip", "link", "delete", "br0")  # podman makes its own
        self._run("network", "create", "--subnet", "10.77.0.0/16", "--disable-dns", "bench")
        self.pinger: Pinger | None = box.call(Pinger)

    def address(self, number: int) -> str:
        return peer_address(number)

    def load(self, image: Image) -> None:
        self._run("import", "-q", str(image.tar), f"localhost/{image.name}")

    def create(self, name: str, address: str, image: Image) -> None:
        # It takes every /sbin/init for systemd unless it is told; lx images are those that have it.
        systemd = f"--systemd={'always' if image.brand == 'lx' else 'false'}"
        words = (systemd, "--name", name, "--ip", address, f"localhost/{image.name}", "/sbin/init")
        self._run(*RUN, *words)

    def execute(self, name: str, *argv: str) -> Done:
        return self._box.attempt(*self._podman, "exec", name, *argv)

    def stop(self, name: str) -> None:
        self._run("stop", name)

    def delete(self, name: str) -> None:
        """Soon after a stop it is refused at times (its shm is busy): again, then."""
        for last in [*[False] * 20, True]:
            done = self._box.attempt(*self._podman, "rm", "--ignore", name)
            if done.status == 0:
                return
            if last:
                raise Failed(f"podman rm: {done.words}")
            time.sleep(0.01)

    def show(self) -> None:
        self._run("ps", "-a")

    def used(self) -> int:
        return used(self._path, self._box.run)

    def supervisors(self) -> list[int]:
        return [pid for pid in self._box.pids() if "conmon" in command_line(pid).split(" ")[0]]

    def manager(self) -> int:
        return 0

    def _run(self, *words: str) -> None:
        self._box.run(*self._podman, *words)
