# SPDX-License-Identifier: MPL-2.0
"""The host that the facts are asked of: its VMs, images and image source, by name."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration import hosts
from tests.integration.hosts import BIN, Done, TestHost
from tests.integration.image_fixtures import a_root, archive, manifest_for, member

MISSING = "00000000-0000-4000-8000-000000000404"
NAMED = {
    "tiny": "11111111-0000-4000-8000-00000000000a",  # installed, type lx-dataset
    "docker_image": "11111111-0000-4000-8000-00000000000b",  # installed, type docker
    "remote": "11111111-0000-4000-8000-00000000000c",  # at the source
    "remote2": "11111111-0000-4000-8000-00000000000d",  # at the source
}
VMS: dict[str, dict[str, object]] = {
    # In order of RAM.
    "stopped": {
        "alias": "zz", "autoboot": False, "max_physical_memory": 128, "image_uuid": "{image}",
        "customer_metadata": {"role": "db"}, "firewall_enabled": True,
    },
    "bare": {"image_uuid": "{image}"},
    "vm": {
        "alias": "web0", "hostname": "web", "image_uuid": "{image}", "max_physical_memory": 1024,
        "resolvers": ["192.0.2.53"], "tags": {"role": "web", "count": 3, "live": True},
        "customer_metadata": {"color": "blue", "user-script": "#!/bin/sh\nexit 0\n"},
        "internal_metadata": {"secret_pw": "hidden", "ns:key": "inner", "private": "mine"},
        "internal_metadata_namespaces": ["ns"], "do_not_inventory": True, "cpu_cap": 250,
        "nics": [{
            "nic_tag": "admin", "ip": "dhcp", "primary": True, "mac": "02:08:20:aa:bb:cc",
        }],
    },
    "docker": {
        "alias": "docked", "brand": "lx", "docker": True, "image_uuid": "{docker_image}",
        "max_physical_memory": 2048,
        "internal_metadata": {"docker:cmd": json.dumps(["/bin/busybox", "sleep", "100000"])},
    },
}  # fmt: skip


class Population:
    """Named states, each made once; throw-away VMs for what changes something."""

    def __init__(self, host: TestHost, directory: Path) -> None:
        self.host = host
        self.names = {"missing": MISSING, "dir": str(directory), "bin": str(BIN)}
        self.names |= {"root": str(host.root)} | NAMED
        self.environment = os.environ | {"HULL_ROOT": str(host.root)}
        self._files(directory)

    def _files(self, directory: Path) -> None:
        (directory / "bad.json").write_text("{ no json")
        (directory / "empty.json").write_text("{}")
        (directory / "script.sh").write_text("#!/bin/sh\n")

    def fill(self, **more: object) -> dict[str, object]:
        text = json.dumps(more)
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        made: dict[str, object] = json.loads(text)
        return made

    @contextmanager
    def prepared(self, setup: str, vm: str) -> Iterator[dict[str, str]]:
        """The names, with those of what is made for one row."""
        names = dict(self.names)
        payload = {"image_uuid": "{image}", "alias": "new"} | json.loads(vm or "{}")
        with ExitStack() as undo:
            if setup in ("new", "new-running"):
                payload |= {"autoboot": setup == "new-running"}
            elif setup == "new-docker":
                payload = {
                    **VMS["docker"],
                    "alias": "new",
                    **payload,
                    "image_uuid": "{docker_image}",
                }
            elif setup == "any-new":
                # What the row itself makes is called `new`.
                undo.callback(self._remove, "alias=new")
            elif setup != "none":
                raise ValueError(setup)
            if setup.startswith("new"):
                names["new"] = self.host.create(**self.fill(**payload))
                undo.callback(self._remove, f"uuid={names['new']}")
            yield names

    def _remove(self, which: str) -> None:
        for uuid in self.host("vmadm", "lookup", which).stdout.split():
            for name in ("zoneroot", "delegated"):
                held = json.dumps({f"indestructible_{name}": False})
                self.host("vmadm", "update", uuid, stdin=held, check=False)
            self.host("vmadm", "delete", uuid, check=False)

    def ask_metadata(self, uuid: str, asked: str) -> Done:
        """What a zone's metadata socket answers within a moment."""
        found = b""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.host.root / "run/hull/metadata" / uuid / "metadata.sock"))
            sock.sendall(asked.encode())
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            while data := sock.recv(65536):
                found += data
        return subprocess.CompletedProcess([], 0, found.decode(), "")


def make_image(directory: Path, uuid: str, data: bytes, **changes: object) -> tuple[Path, Path]:
    manifest, file = directory / f"{uuid}.imgmanifest", directory / f"{uuid}.tar"
    manifest.write_text(json.dumps(manifest_for(data) | {"uuid": uuid} | changes))
    file.write_bytes(data)
    return manifest, file


def busybox_root() -> bytes:
    directories = [".", "./bin", "./etc", "./dev", "./proc", "./sys", "./tmp", "./native"]
    busybox = Path("/bin/busybox").read_bytes()
    return archive(
        *((member(name, type=b"5", mode=0o755), b"") for name in directories),
        (member("./bin/busybox", mode=0o755), busybox),
    )


@contextmanager
def image_source(host: TestHost, directory: Path) -> Iterator[str]:
    """imgapid in the host's network; its URL."""
    argv = ["nsenter", f"--net=/run/netns/{host.netns}", "--", str(BIN / "imgapid")]
    argv += [str(directory), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def populated(directory: Path) -> Iterator[Population]:
    """A host with everything that a row may name."""
    served = directory / "served"
    served.mkdir()
    for uuid, name in ((NAMED["remote"], "served"), (NAMED["remote2"], "served2")):
        make_image(served, uuid, a_root(), name=name, version="1.2.3", public=True)
    with hosts.new_host() as host, image_source(host, served) as url:
        vminfod(host)
        population = Population(host, directory)
        names = population.names
        names["source"] = url
        names["image"] = hosts.install_image(host, "base-64")
        names["image_manifest"], names["image_file"] = map(str, hosts.image("base-64")[:2])
        for name, kind in (("tiny", "lx-dataset"), ("docker_image", "docker")):
            changes = {"type": kind, "tags": {"role": name}}
            files = make_image(directory, NAMED[name], busybox_root(), name=name, **changes)
            host("imgadm", "install", "-m", str(files[0]), "-f", str(files[1]))
            names[f"{name}_manifest"], names[f"{name}_file"] = map(str, files)
        host("imgadm", "sources", "-a", url)
        for name, payload in VMS.items():
            names[name] = host.create(**population.fill(**payload))
            names[f"{name}8"] = names[name][:8]
        yield population
        population._remove("uuid=~.")


def vminfod(host: TestHost) -> None:
    """hulld listens as vminfod if it is told to."""
    config = host.root / "usbkey/config"
    config.write_text(config.read_text() + "vminfod_port=9090\n")
    host.kill_hulld(signal.SIGTERM)
    host.up()
