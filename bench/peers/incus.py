# SPDX-License-Identifier: MPL-2.0
"""Incus on btrfs: by its REST interface from a warm process, and by its command."""

import http.client
import json
import shutil
import socket
from pathlib import Path
from typing import Any

from bench.contender import make_pool, peer_address
from bench.images import Image
from bench.measure import Pinger, command_line, used
from bench.sandbox import Done, Failed, Sandbox

DAEMONS = ("/usr/libexec/incus/incusd", "/usr/lib/incus/incusd")

PRESEED = """\
storage_pools:
- name: default
  driver: btrfs
  config: {{source: {path}/pool}}
profiles:
- name: default
  config: {{limits.memory: 512MiB, limits.processes: "2000"}}
  devices:
    root: {{path: /, pool: default, type: disk}}
    eth0: {{type: nic, nictype: bridged, parent: br0, name: eth0}}
"""
METADATA = "architecture: x86_64\ncreation_date: 1700000000\n"


def daemon() -> str:
    return (
        next((path for path in DAEMONS if Path(path).exists()), "") or shutil.which("incusd") or ""
    )


def unavailable() -> str:
    there = shutil.which("incus") and daemon()
    return "" if there else "not installed (package incus-base; Debian 12: from backports)"


class Incus:
    """See Contender: the command."""

    name = "incus"

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self._box = box
        self._path = directory / "incus"
        make_pool(box, directory / "incus.img", self._path)
        self._environment = {"INCUS_DIR": str(self._path / "var"), "HOME": str(self._path)}
        box.run("mkdir", str(self._path / "var"))
        log = str(directory / "incusd.log")
        box.spawn(daemon(), "--group", "root", "--logfile", log, env=self._environment)
        self._run("incus", "admin", "waitready", "--timeout", "30")
        box.run(
            "incus", "admin", "init", "--preseed",
            stdin=PRESEED.format(path=self._path), env=self._environment,
        )  # fmt: skip
        (directory / "metadata.yaml").write_text(METADATA)
        self._metadata = directory / "metadata.tar.gz"
        box.run("tar", "-czf", str(self._metadata), "-C", str(directory), "metadata.yaml")
        self.pinger: Pinger | None = box.call(Pinger)
        self.api_path = f"{self._path}/var/unix.socket"

    def address(self, number: int) -> str:
        return peer_address(number)

    def load(self, image: Image) -> None:
        """Its first instance unpacks the image into the pool: that belongs to bringing it in."""
        self._run(
            "incus", "image", "import", str(self._metadata), str(image.tar), "--alias", image.name
        )
        self._run("incus", "init", image.name, "first")
        self._run("incus", "delete", "first")

    def create(self, name: str, address: str, image: Image) -> None:
        self._run("incus", "launch", image.name, name, "-c", f"raw.lxc={raw_lxc(address)}")

    def execute(self, name: str, *argv: str) -> Done:
        return self._box.attempt("incus", "exec", name, "--", *argv, env=self._environment)

    def stop(self, name: str) -> None:
        self._run("incus", "stop", name)

    def delete(self, name: str) -> None:
        self._run("incus", "delete", name)

    def show(self) -> None:
        self._run("incus", "list")

    def used(self) -> int:
        return used(self._path, self._box.run)

    def supervisors(self) -> list[int]:
        return [pid for pid in self._box.pids() if "[lxc monitor]" in command_line(pid)]

    def manager(self) -> int:
        return next(pid for pid in self._box.pids() if "incusd --group" in command_line(pid))

    def request(self, method: str, path: str, body: object = None) -> None:
        """One REST call and, if it starts an operation, its end."""
        answer = self._ask(method, path, body)
        if answer["type"] == "async":
            answer = self._ask("GET", f"{answer['operation']}/wait")["metadata"]
            if answer["status_code"] != 200:
                raise Failed(f"incus {method} {path}: {answer['err']}")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("incus")
        connection.sock = self._connect()
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = json.load(connection.getresponse())
        finally:
            connection.close()
        if answer["type"] == "error":
            raise Failed(f"incus {method} {path}: {answer['error']}")
        return answer

    def _connect(self) -> socket.socket:
        """Its socket is on the pool, which only the sandbox sees."""
        made = socket.socket(socket.AF_UNIX)
        self._box.call(lambda: made.connect(self.api_path))
        return made

    def _run(self, *argv: str) -> None:
        self._box.run(*argv, env=self._environment)


class IncusRest:
    """The same daemon by its REST interface."""

    name = "incus REST"

    def __init__(self, incus: Incus) -> None:
        self._incus = incus
        self.pinger: Pinger | None = incus.pinger
        self.address = incus.address
        self.load = incus.load
        self.execute = incus.execute
        self.used = incus.used
        self.supervisors = incus.supervisors
        self.manager = incus.manager

    def create(self, name: str, address: str, image: Image) -> None:
        body = {
            "name": name,
            "source": {"type": "image", "alias": image.name},
            "config": {"raw.lxc": raw_lxc(address)},
            "start": True,
        }
        self._incus.request("POST", "/1.0/instances", body)

    def stop(self, name: str) -> None:
        body = {"action": "stop", "timeout": 30}
        self._incus.request("PUT", f"/1.0/instances/{name}/state", body)

    def delete(self, name: str) -> None:
        self._incus.request("DELETE", f"/1.0/instances/{name}")

    def show(self) -> None:
        self._incus.request("GET", "/1.0/instances?recursion=1")


def raw_lxc(address: str) -> str:
    """The image's init asks for no address: LXC, below Incus, sets it."""
    return f"lxc.net.0.ipv4.address = {address}/16"
