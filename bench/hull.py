# SPDX-License-Identifier: MPL-2.0
"""Hull: a whole host in a root and a network namespace of its own, by its API and its commands."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from bench.images import Image
from bench.measure import Pinger, command_line, used
from bench.sandbox import CLONE_NEWNET, Done, Failed, all_pids, attempt, enter, run
from hull.client.call import call
from hull.errors import Error
from hull.wire import Json, JsonObject

CHECKOUT = Path(__file__).resolve().parents[1]
BIN = CHECKOUT / "bin"


class Hull:
    """A host that is up; `with Hull(...) as hull`. See Contender: this one is the API."""

    name = "hull API"

    def __init__(self, name: str) -> None:
        self.root = Path("/var/tmp") / name
        self._netns = name
        self._uuids: dict[str, str] = {}
        self.environment = {"HULL_ROOT": str(self.root)}

    def __enter__(self) -> "Hull":
        run("ip", "netns", "add", self._netns)
        try:
            run("ip", "-n", self._netns, "link", "set", "lo", "up")
            self.command("hull", "up", "--pool-size", "16G", "--netns", self._netns)
            os.environ |= self.environment  # where hull.client.call looks for its socket
            self._thread = ThreadPoolExecutor(max_workers=1)
            self.pinger: Pinger | None = self._thread.submit(self._make_pinger).result()
            status = self.ask("GET", "/status")
            self._network = ip_interface(status["nic_tags"][0]["address"]).network
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        attempt(str(BIN / "hull"), "down", "--destroy", env=self.environment)
        attempt("ip", "netns", "delete", self._netns)
        if self.root.exists() and not os.path.ismount(self.root / "zones"):
            shutil.rmtree(self.root, ignore_errors=True)

    def _make_pinger(self) -> Pinger:
        enter(f"/run/netns/{self._netns}", CLONE_NEWNET)
        return Pinger()

    def command(self, name: str, *argv: str, stdin: str = "") -> str:
        """Run one of Hull's commands on this host; returns its output. Raises Failed."""
        return run(str(BIN / name), *argv, stdin=stdin, env=self.environment)

    def ask(self, method: str, target: str, body: Json = None) -> Any:
        """One request from this warm process. Raises Failed."""
        try:
            return call(method, target, body)
        except Error as exc:
            raise Failed(f"hull {method} {target}: {exc}") from exc

    def load(self, image: Image) -> None:
        self.command("imgadm", "install", "-m", str(image.manifest), "-f", str(image.file))

    def address(self, number: int) -> str:
        return f"{self._network.network_address + 256 + number}/{self._network.prefixlen}"

    def payload(self, name: str, address: str, image: Image, **more: Json) -> JsonObject:
        """As `vmadm create` takes it."""
        nic: JsonObject = {"nic_tag": "admin", "ips": [address], "primary": True}
        return {
            "brand": image.brand, "image_uuid": image.uuid, "alias": name,
            "max_physical_memory": 512, "max_swap": 512, "nics": [nic], **more,
        }  # fmt: skip

    def create(self, name: str, address: str, image: Image) -> None:
        made = self.ask("POST", "/vms", self.payload(name, address, image))
        self._uuids[name] = str(made["uuid"])

    def define(self, name: str, image: Image) -> None:
        """A VM that does not run, and has no nic."""
        body = self.payload(name, "", image, autoboot=False, nics=[])
        self._uuids[name] = str(self.ask("POST", "/vms", body)["uuid"])

    def execute(self, name: str, *argv: str) -> Done:
        zlogin = str(BIN / "zlogin")
        return attempt(zlogin, self._uuids.get(name, name), *argv, env=self.environment)

    def stop(self, name: str) -> None:
        self.ask("POST", f"/vms/{self._uuids[name]}?action=stop")

    def delete(self, name: str) -> None:
        self.ask("DELETE", f"/vms/{self._uuids.pop(name)}")

    def clear(self) -> None:
        """Delete all that is left."""
        self._uuids.clear()
        for uuid in self.command("vmadm", "lookup").split():
            self.ask("DELETE", f"/vms/{uuid}")

    def show(self) -> None:
        self.command("vmadm", "list")

    def used(self) -> int:
        return used(self.root / "zones")

    def supervisors(self) -> list[int]:
        lines = {pid: command_line(pid) for pid in all_pids()}
        mine = f"{self.root}/"
        return [p for p, line in lines.items() if "conmon" in line.split(" ")[0] and mine in line]

    def manager(self) -> int:
        return int((self.root / "run/hull/hulld.pid").read_text())

    def uuid(self, name: str) -> str:
        return self._uuids[name]

    def remember(self, name: str, uuid: str) -> None:
        self._uuids[name] = uuid

    @contextmanager
    def image_server(self, directory: Path) -> Iterator[str]:
        """An imgapid over a directory, in the host's network namespace; its URL."""
        server = subprocess.Popen(
            ["ip", "netns", "exec", self._netns, str(BIN / "imgapid"), str(directory),
             "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait()


class HullCommands:
    """The same host by its commands."""

    name = "hull"

    def __init__(self, hull: Hull) -> None:
        self._hull = hull
        self.pinger: Pinger | None = hull.pinger
        self.address = hull.address
        self.uuid = hull.uuid
        self.load = hull.load
        self.execute = hull.execute
        self.show = hull.show
        self.used = hull.used
        self.supervisors = hull.supervisors
        self.manager = hull.manager

    def create(self, name: str, address: str, image: Image) -> None:
        payload = json.dumps(self._hull.payload(name, address, image))
        done = attempt(str(BIN / "vmadm"), "create", stdin=payload, env=self._hull.environment)
        if done.status != 0:
            raise Failed(f"vmadm create: {done.words}")
        self._hull.remember(name, done.words.rsplit(" ", 1)[1])

    def stop(self, name: str) -> None:
        self._hull.command("vmadm", "stop", self._hull.uuid(name))

    def delete(self, name: str) -> None:
        self._hull.command("vmadm", "delete", self._hull.uuid(name))
