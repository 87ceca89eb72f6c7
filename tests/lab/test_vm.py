# SPDX-License-Identifier: MPL-2.0
"""The lab itself: what comes back from a guest, and that it is the machine the zones need."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hull.errors import Timeout
from tests.lab.vm import CHECKOUT, LostGuest, run_in_vm

pytestmark = pytest.mark.needs_qemu

GUEST_TIMEOUT = 120  # seconds; five when the machine has nothing else to do

# What a zone host needs, each shown by use, in shell. A failure's last words are in the report.
MACHINE = {
    "cgroup2": """
        test "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs
        test -z "$(grep ' cgroup ' /proc/mounts)"
        for name in cpu memory pids io; do
            grep -qw $name /sys/fs/cgroup/cgroup.subtree_control
        done
        test "$(cat /proc/self/cgroup)" = 0::/lab
        """,
    "root": """
        test "$(id -u)" = 0
        grep -q '^CapEff:.*fffffffff$' /proc/self/status
        touch /etc/written /var/tmp/written /tmp/written
        """,
    "btrfs": """
        truncate -s 1G /tmp/pool
        mkfs.btrfs -q /tmp/pool
        mkdir /tmp/mnt
        mount -o loop /tmp/pool /tmp/mnt
        btrfs subvolume create /tmp/mnt/a
        echo data > /tmp/mnt/a/file
        btrfs subvolume snapshot -r /tmp/mnt/a /tmp/mnt/b
        grep data /tmp/mnt/b/file
        """,
    "network": """
        ip netns add one
        ip link add br0 type bridge vlan_filtering 1
        ip link add veth0 type veth peer name veth1 netns one
        ip link set veth0 master br0
        ip address add 192.0.2.1/24 dev br0
        ip link set veth0 up
        ip link set br0 up
        ip -n one address add 192.0.2.2/24 dev veth1
        ip -n one link set veth1 up
        busybox ping -c 1 -W 20 192.0.2.2
        nft add table inet nat
        nft 'add chain inet nat post { type nat hook postrouting priority 100; }'
        nft add rule inet nat post masquerade
        nft add table bridge guard
        nft 'add map bridge guard links { type ifname : verdict; }'
        nft 'add chain bridge guard in { type filter hook prerouting priority 0; }'
        nft 'add rule bridge guard in iifname vmap @links'
        """,
    "container": """
        mkdir -p /tmp/bundle/rootfs/bin
        cp "$(command -v busybox)" /tmp/bundle/rootfs/bin/
        cd /tmp/bundle
        crun spec
        python3 -c '
        import json
        spec = json.load(open("config.json"))
        spec["process"]["terminal"] = False
        spec["process"]["args"] = ["/bin/busybox", "cat", "/sys/fs/cgroup/memory.max"]
        spec["linux"]["resources"]["memory"] = {"limit": 67108864}
        json.dump(spec, open("config.json", "w"))'
        test "$(crun run zone)" = 67108864
        """,
}


def machine_script() -> str:
    """Runs every check in a shell of its own; prints a line of JSON for each."""
    checks = {name: dedent(body) for name, body in MACHINE.items()}
    program = (
        "import json, subprocess\n"
        f"for name, body in {checks!r}.items():\n"
        "    done = subprocess.run(['sh', '-exc', body], capture_output=True, text=True)\n"
        "    print(json.dumps([name, done.returncode, done.stdout + done.stderr]), flush=True)\n"
    )
    return f"exec python3 - <<'EOF'\n{program}EOF"


def dedent(body: str) -> str:
    return "\n".join(line[8:] for line in body.splitlines()) + "\n"


@pytest.fixture(scope="module")
def machine() -> dict[str, tuple[int, str]]:
    """Exit status and output of each check, all from one guest, through the command line."""
    argv = [sys.executable, "-m", "tests.lab.vm", "-t", str(GUEST_TIMEOUT), machine_script()]
    done = subprocess.run(argv, cwd=CHECKOUT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (status, output) for name, status, output in lines}


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CHECKOUT / "src")}


@pytest.mark.parametrize("name", MACHINE)
def test_the_guest_is_a_zone_host(machine: dict[str, tuple[int, str]], name: str) -> None:
    status, output = machine[name]
    assert status == 0, output


def test_a_status_and_all_output_come_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run_in_vm("seq 100000; sleep 1000 & exit 3", timeout=GUEST_TIMEOUT) == 3
    assert capfdbinary.readouterr().out == b"".join(b"%d\n" % n for n in range(1, 100001))


def test_a_signal_is_128_and_its_number() -> None:
    assert run_in_vm("kill -KILL $$", timeout=GUEST_TIMEOUT) == 128 + 9


def test_a_panic_is_no_status(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LostGuest):
        run_in_vm("echo c > /proc/sysrq-trigger; sleep 60", timeout=GUEST_TIMEOUT)
    assert "Kernel panic" in capfd.readouterr().err


def test_nothing_outlives_the_timeout() -> None:
    with pytest.raises(Timeout):
        run_in_vm("sleep 1000", timeout=2)
    assert children(os.getpid()) == []


def test_a_guest_ends_with_its_caller() -> None:
    argv = [sys.executable, "-m", "tests.lab.vm", "sleep 1000"]
    with subprocess.Popen(argv, cwd=CHECKOUT, env=environment()) as caller:
        wait_for(lambda: any(map(is_qemu, children(caller.pid))))
        guest = os.pidfd_open(next(filter(is_qemu, children(caller.pid))))
        caller.kill()
    try:
        assert select.select([guest], [], [], 20)[0], "QEMU runs on"
    finally:
        os.close(guest)


def children(pid: int) -> list[int]:
    return [
        int(word)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for word in (task / "children").read_text().split()
    ]


def is_qemu(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system")


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll: a process tells nobody that it has called exec."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 20 s"
        time.sleep(0.05)
