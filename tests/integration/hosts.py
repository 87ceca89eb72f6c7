# SPDX-License-Identifier: MPL-2.0
"""A whole Hull host for a test, in a root and a network namespace of its own."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = CHECKOUT / "bin"
IMAGES = Path(os.environ.get("HULL_IMAGES", "/var/cache/hull/images"))
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class TestHost:
    """`host("vmadm", "list")` runs a command on it, as an operator would."""

    __test__ = False

    root: Path
    netns: str
    pool_size: str = "16G"
    pool: Path | None = None  # where it is, if not in the root

    def __call__(
        self, command: str, *args: str, stdin: str = "", check: bool = True, timeout: float = 120
    ) -> Done:
        done = subprocess.run(
            [str(BIN / command), *args],
            input=stdin,
            capture_output=True,
            text=True,
            env=os.environ | {"HULL_ROOT": str(self.root)},
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} {' '.join(args)}: {done.returncode}\n{done.stderr}")
        return done

    def json(self, command: str, *args: str) -> Any:
        return json.loads(self(command, *args).stdout)

    def create(self, **payload: object) -> str:
        """Create a VM; returns its uuid."""
        done = self("vmadm", "create", stdin=json.dumps(payload))
        return done.stderr.strip().rsplit(" ", 1)[1]

    def up(self) -> None:
        where = ["--pool", str(self.pool)] if self.pool else []
        self("hull", "up", "--pool-size", self.pool_size, "--netns", self.netns, *where)

    def down(self, *, destroy: bool = False) -> None:
        self("hull", "down", *(["--destroy"] if destroy else []), timeout=300)

    def hulld_pid(self) -> int:
        return int((self.root / "run/hull/hulld.pid").read_text())

    def kill_hulld(self, number: int = signal.SIGKILL) -> None:
        """It ends; SMF starts another, and `up` waits for that one."""
        pid = self.hulld_pid()
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 60, "hulld's end")

    def end_hulld(self) -> None:
        """The host stays up without it, its zones run on; `up` brings it back."""
        svcadm = CHECKOUT / "src/native/smf/bin/svcadm"
        command = [str(svcadm), "disable", "-st", "hulld"]
        environment = os.environ | {"HULL_ROOT": str(self.root)}
        subprocess.run(command, env=environment, check=True, timeout=120)

    def in_netns(self, *argv: str, check: bool = True) -> Done:
        """Run a program in the host's network namespace."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.netns}", "--", *argv],
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def bugs(self) -> str:
        """What hulld logged of failures that nobody expected, as text."""
        logs = sorted((self.root / "var/log").glob("hulld.log*"))
        lines = [line for path in logs for line in path.read_text(errors="replace").splitlines()]
        errors = [json.loads(line) for line in lines if '"level": 50' in line]
        return "\n".join(f"hulld: {e['msg']}\n{e.get('err', {}).get('stack', '')}" for e in errors)

    def zone_root(self, uuid: str) -> Path:
        return self.root / "zones" / uuid / "root"


def wait_for(condition: Callable[[], object], timeout: float = 30, what: str = "") -> None:
    """Until `condition()` is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or condition} did not come true in {timeout} s")
        time.sleep(0.02)


@contextmanager
def new_host(pool_size: str = "16G", pool: Path | None = None) -> Iterator[TestHost]:
    """A host that is up, and of which nothing is left afterwards."""
    name = f"hullt{secrets.token_hex(3)}"
    root = Path("/var/tmp") / name
    subprocess.run(["ip", "netns", "add", name], check=True)
    host = TestHost(root, name, pool_size, pool)
    try:
        host.in_netns("ip", "link", "set", "lo", "up")
        host.up()
        yield host
    except Exception as exc:
        exc.add_note(host.bugs())
        raise
    finally:
        done = host("hull", "down", "--destroy", check=False, timeout=300)
        subprocess.run(["ip", "netns", "delete", name], check=False)
        left = [str(path) for path in root.rglob("*")][:20] if root.exists() else []
        if done.returncode != 0 or left:
            pytest.fail(f"hull down left {left}: {done.stderr}")
        shutil.rmtree(root, ignore_errors=True)


def image(name: str) -> tuple[Path, Path, str]:
    """Manifest, file and uuid of an image that `make images` has built."""
    manifests = sorted(IMAGES.glob(f"{name}-*.imgmanifest"))
    if not manifests:
        pytest.skip(f"no image {name} in {IMAGES}: `make images` builds it")
    manifest = manifests[-1]
    file = next(p for p in IMAGES.glob(f"{manifest.name.removesuffix('.imgmanifest')}.tar*"))
    return manifest, file, json.loads(manifest.read_text())["uuid"]


def install_image(host: TestHost, name: str) -> str:
    manifest, file, uuid = image(name)
    host("imgadm", "install", "-m", str(manifest), "-f", str(file))
    return uuid
