# SPDX-License-Identifier: MPL-2.0
"""Brand lx: a distribution with systemd boots, is whole, and stops."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.brand.brand import exit_meaning
from hull.brand.table import BRANDS
from hull.zone.runtime import Limits
from tests.integration.hosts import IMAGES
from tests.integration.zone_fixtures import CrunWorld, crun_world, why_not

IMAGE = next(iter(sorted(IMAGES.glob("debian-13-*.tar.zst"))), None)
pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(IMAGE is None, reason=f"no debian-13 image in {IMAGES}: make images"),
]
LIMITS = Limits(memory=512 << 20, processes=500)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CrunWorld]:
    with crun_world(tmp_path) as made:
        (tmp_path / "root1").mkdir()
        assert IMAGE is not None
        unpack = [
            "tar",
            "-C",
            str(tmp_path / "root1"),
            "--zstd",
            "--numeric-owner",
            "-xf",
            str(IMAGE),
        ]
        subprocess.run(unpack, check=True)
        yield made


def test_systemd_is_running_and_stops(world: CrunWorld) -> None:
    runtime = world.manager()
    started = time.monotonic()
    uuid = world.boot(world.spec(brand="lx", limits=LIMITS))
    state = ""
    while state not in ("running", "degraded") and time.monotonic() - started < 30:
        state = world.login(uuid, "systemctl", "is-system-running").stdout.strip()
    print(f"systemd {state} after {time.monotonic() - started:.2f} s")
    assert state == "running", world.login(uuid, "systemctl", "--failed").stdout
    assert world.login(uuid, "systemctl", "is-active", "ssh").stdout == "active\n"
    # Root's files are root's: the id map holds for what the image brought and what boot has made.
    owners = world.login(
        uuid, "stat", "-c", "%u", "/etc/shadow", "/var/log/journal", "/run/systemd"
    )
    assert set(owners.stdout.split()) == {"0"}
    identity = world.login(uuid, "cat", "/etc/machine-id").stdout.strip()
    assert identity == uuid.replace("-", "")
    # It rules the cgroups below its own, and not its limits.
    made = world.login(
        uuid, "systemd-run", "--quiet", "--wait", "--pipe", "cat", "/proc/self/cgroup"
    )
    assert "/system.slice/" in made.stdout, made.stderr
    runtime.kill(uuid, BRANDS["lx"].stop_signal)
    status = runtime.wait_exit(uuid, 30)
    assert status is not None
    assert exit_meaning(status) == "halt"
    runtime.delete(uuid)
    assert world.leftovers() == []


def test_a_reboot_from_inside_says_so(world: CrunWorld) -> None:
    uuid = world.boot(world.spec(brand="lx", limits=LIMITS))
    deadline = time.monotonic() + 30
    while world.login(uuid, "systemctl", "reboot").returncode and time.monotonic() < deadline:
        time.sleep(0.05)
    status = world.manager().wait_exit(uuid, 30)
    assert status is not None
    assert exit_meaning(status) == "reboot"
