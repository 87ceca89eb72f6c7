# SPDX-License-Identifier: MPL-2.0
"""The integration tests on a plain cgroup v2 machine with Debian's kernel, in a guest.

A developer's machine may have v1 or both, and its kernel is its own; what zones do differs by
both. The whole of tests/integration runs there (docs/testing.md says how); this is the part where
cgroups matter, and one zone that exercises everything else.
"""

import os
import re
import shlex

import pytest

from tests.lab.vm import run_in_vm

pytestmark = pytest.mark.needs_qemu

SUITES = {
    "clock": ("tests/lab/guest/test_clock.py",),
    "vlans": ("tests/integration/test_net_vlan.py",),
    "zones": ("tests/integration/test_zone_runtime.py",),
    "pool": (
        "tests/integration/test_pool_conformance.py",
        "-k", "btrfs and not classic and not stream and not receive",
    ),
    "attacks": ("tests/isolation/test_attacks.py", "-k", "joyent or (lx and stopped)"),
    "neighbours": ("tests/isolation/test_exhaustion.py", "-k", "counted or owner"),
    "services": (
        "tests/smf/test_methods.py", "tests/smf/test_restart.py",
        "tests/integration/test_native_zone.py",
        "-k", "test_01 or test_02 or test_30_startd or seen_from_outside or steered",
    ),
    "host": ("tests/integration/test_vmadm.py", "-k", "test_an_lx_zone_boots_systemd_and_ssh"),
}  # fmt: skip
# What may be skipped there, because it cannot be on cgroup v2; anything else must run.
CANNOT_BE: tuple[str, ...] = ()
TIMEOUT = 600  # seconds; a tenth of it when the machine has nothing else to do


def pytest_command(arguments: tuple[str, ...]) -> str:
    images = os.environ.get("HULL_IMAGES", "")
    environment = "HULL_STOCK_KERNEL=1 " + (f"HULL_IMAGES={shlex.quote(images)} " if images else "")
    pytest_argv = (".venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments)
    return f"{environment}exec {shlex.join(pytest_argv)}"


def parse_summary(output: str) -> tuple[int, list[str]]:
    """How many tests passed, and the reasons of those that were skipped."""
    passed = re.findall(r"^(?:.*, )?(\d+) passed\b.* in [\d.]+s", output, re.MULTILINE)
    skipped = re.findall(r"^SKIPPED \[\d+\] \S+: (.*)$", output, re.MULTILINE)
    return int(passed[-1]) if passed else 0, skipped


@pytest.mark.parametrize("suite", SUITES)
def test_on_cgroup_v2(suite: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = run_in_vm(pytest_command(SUITES[suite]), timeout=TIMEOUT)
    output = capfd.readouterr().out
    assert status == 0, output
    passed, skipped = parse_summary(output)
    assert passed > 0, output
    assert [reason for reason in skipped if reason not in CANNOT_BE] == []
