# SPDX-License-Identifier: MPL-2.0
"""A host for zones in a temporary directory: a root of busybox, a cgroup of its own."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hull.brand.brand import Bind, ZoneConfig
from hull.brand.privilege import CAPABILITIES
from hull.brand.table import BRANDS
from hull.linux import cgroup
from hull.zone.crun import Crun
from hull.zone.runtime import Limits, Runtime, ZoneSpec
from tests.runtime_contract import TERM_STATUS

BUSYBOX = Path("/bin/busybox")
INIT = f"""#!/bin/sh
trap 'exit {TERM_STATUS}' TERM
echo booted
while :; do sleep 60 & wait $!; done
"""
FIRST_ID = 1_500_000_000
IDS = 65536
SECONDS = 20.0


def why_not() -> str:
    """Why zones cannot run here; nothing if they can."""
    if os.getuid() != 0:
        return "needs root"
    missing = [name for name in ("crun", "conmon", "busybox") if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def make_root(root: Path) -> None:
    for name in ("bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    applets = subprocess.check_output([BUSYBOX, "--list"], text=True).split()
    for applet in set(applets) - {"busybox", "init"}:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").write_text(INIT)
    (root / "sbin/init").chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")


class CrunWorld:
    """Zones whose every trace is told from other people's by a random host id."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run = directory / "run"
        self.host_id = secrets.token_hex(3)
        self.layout = cgroup.host_layout()
        for name in ("metadata", "native"):
            (directory / name).mkdir()

    def manager(self) -> Runtime:
        return Crun(self.run, host_id=self.host_id)

    def spec(
        self,
        number: int = 1,
        *,
        brand: str = "joyent",
        limits: Limits | None = None,
        init: str = "",
        filesystems: tuple[Bind, ...] = (),
        root: Path | None = None,
    ) -> ZoneSpec:
        uuid = f"{number:08x}-1111-4111-8111-111111{self.host_id}"
        if root is None:
            root = self.directory / f"root{number}"
            if not root.exists():
                make_root(root)
        id_base = FIRST_ID + number * IDS
        config = ZoneConfig(
            uuid=uuid,
            hostname=f"zone{number}",
            init=init,
            tmpfs=16 << 20,
            metadata=self.directory / "metadata",
            native=self.directory / "native",
            filesystems=filesystems,
        )
        return ZoneSpec(
            uuid=uuid,
            zoneid=number,
            root=root,
            id_base=id_base,
            bundle=BRANDS[brand].bundle(config),
            limits=limits or Limits(memory=256 << 20, processes=500),
            own_cgroups=BRANDS[brand].own_cgroups,
            console_log=self.log(uuid),
        )

    def log(self, uuid: str) -> Path:
        return self.directory / f"{uuid}.log"

    def boot(self, spec: ZoneSpec) -> str:
        # The log of an earlier boot would say that this one is done.
        self.log(spec.uuid).unlink(missing_ok=True)
        runtime = self.manager()
        runtime.create(spec)
        runtime.start(spec.uuid)
        return spec.uuid

    def wait_booted(self, uuid: str) -> None:
        self.wait_logged(uuid, "booted")

    def wait_logged(self, uuid: str, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not (self.log(uuid).exists() and text in self.log(uuid).read_text()):
            assert time.monotonic() < deadline, f"{text!r} is not on the console of {uuid}"
            time.sleep(0.005)

    def process(
        self,
        *argv: str,
        terminal: bool = False,
        capabilities: tuple[str, ...] = tuple(CAPABILITIES),
    ) -> Path:
        """An OCI process, as a file."""
        sets = ("bounding", "effective", "permitted")
        path = self.directory / f"process-{secrets.token_hex(4)}.json"
        process = {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": argv,
            "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"],
            "capabilities": dict.fromkeys(sets, capabilities),
        }
        path.write_text(json.dumps(process))
        return path

    def login(
        self,
        uuid: str,
        *argv: str,
        stdin: str = "",
        timeout: float = 30,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a zone, as zlogin does."""
        whole = self.manager().login_argv(uuid, self.process(*argv))
        return subprocess.run(
            whole, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def leftovers(self) -> list[str]:
        found = [str(path) for path in (self.run / "zones").glob("*")]
        for group in self.groups():
            found += [str(path) for path in group.iterdir() if path.is_dir()]
        found += [
            line
            for line in Path("/proc/self/mounts").read_text().splitlines()
            if str(self.directory) in line
        ]
        return found + self.processes()

    def groups(self) -> list[Path]:
        tops = {*self.layout.v1.values(), *([self.layout.unified] if self.layout.unified else [])}
        return [
            top / f"hull-{self.host_id}" for top in tops if (top / f"hull-{self.host_id}").exists()
        ]

    def processes(self) -> list[str]:
        """Command lines of everything that speaks of this directory."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.run) in text:
                found.append(f"{path.parent.name}: {text}")
        return found

    def close(self) -> None:
        runtime = self.manager()
        for uuid in runtime.zones():
            runtime.delete(uuid)
        runtime.release()
        assert self.groups() == []


@contextmanager
def crun_world(directory: Path) -> Iterator[CrunWorld]:
    world = CrunWorld(directory)
    try:
        yield world
    finally:
        world.close()
