# SPDX-License-Identifier: MPL-2.0
"""Hosts that come up, go down, are killed, and stand side by side."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.hosts import CHECKOUT, TestHost, install_image, new_host, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


def links(host: TestHost) -> set[str]:
    lines = host.in_netns("ip", "-o", "link").stdout.splitlines()
    return {line.split(": ")[1].partition("@")[0] for line in lines}


def cgroups(host: TestHost) -> list[Path]:
    from hull.paths import Paths

    return list(Path("/sys/fs/cgroup").glob(f"**/hull-{Paths(host.root).host_id}"))


def processes(host: TestHost) -> list[str]:
    """Every process that mentions the host's root in its command line or environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if str(host.root).encode() in text and int(path.name) != os.getpid():
            found.append(text.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_autoboot_after_down_and_up_and_nothing_left() -> None:
    with new_host() as host:
        image = install_image(host, "base-64")
        on = host.create(alias="on", image_uuid=image, nics=NICS)
        off = host.create(alias="off", image_uuid=image, autoboot=False)
        address = host("zlogin", on, "ip -4 -o addr show net0").stdout.split()[3]
        host("zlogin", on, "echo kept > /root/file")
        host.down()
        assert processes(host) == []
        assert cgroups(host) == []
        assert links(host) == {"lo"}
        assert not [
            line for line in Path("/proc/mounts").read_text().splitlines() if str(host.root) in line
        ]
        assert host.in_netns("nft", "list", "tables").stdout == ""
        assert os.listdir(host.root) == ["pool.img"]
        assert (
            str(host.root)
            not in subprocess.run(
                ["losetup", "-a"], capture_output=True, text=True, check=True
            ).stdout
        )
        host.up()
        wait_for(lambda: host.json("vmadm", "get", on)["state"] == "running", what="autoboot")
        assert host.json("vmadm", "get", off)["state"] == "stopped"
        assert host("zlogin", on, "cat /root/file").stdout == "kept\n"
        assert host("zlogin", on, "ip -4 -o addr show net0").stdout.split()[3] == address


def test_zones_run_on_without_hulld_and_it_takes_them_over(
    clean_host: TestHost, base_image: str
) -> None:
    uuid = clean_host.create(image_uuid=base_image, alias="on", nics=NICS)
    pid = clean_host.json("vmadm", "get", uuid)["pid"]
    clean_host.end_hulld()
    assert Path(f"/proc/{pid}").exists()
    here = clean_host("vmadm", "--here", "list", "-p", "-o", "uuid,state").stdout.strip()
    assert here == f"{uuid}:running"
    assert clean_host("zlogin", "--here", uuid, "echo alive").stdout == "alive\n"
    other = clean_host(
        "vmadm", "--here", "create", stdin=json.dumps({"image_uuid": base_image, "alias": "two"})
    )
    two = other.stderr.split()[-1]
    clean_host.up()
    assert clean_host.json("vmadm", "get", uuid)["pid"] == pid
    assert clean_host.json("vmadm", "get", two)["state"] == "running"
    busy = clean_host("vmadm", "--here", "list", check=False)
    assert (busy.returncode, "leave --here out" in busy.stderr) == (1, True)
    assert clean_host("zlogin", uuid, "mdata-get sdc:alias").stdout == "on\n"
    os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: clean_host.json("vmadm", "get", uuid).get("pid") != pid, what="the end noticed"
    )


def test_two_hosts_side_by_side(host: TestHost, base_image: str) -> None:
    mine = host.create(image_uuid=base_image, alias="mine", nics=NICS)
    try:
        with new_host() as other:
            install_image(other, "base-64")
            theirs = other.create(image_uuid=base_image, alias="theirs", nics=NICS)
            assert host("vmadm", "lookup").stdout.split() == [mine]
            assert other("vmadm", "lookup").stdout.split() == [theirs]
            ids = {
                h("zlogin", u, "cat /proc/self/uid_map").stdout.split()[1]
                for h, u in ((host, mine), (other, theirs))
            }
            assert len(ids) == 2
        assert host("zlogin", mine, "echo still here").stdout == "still here\n"
    finally:
        host("vmadm", "delete", mine)


def test_two_hosts_in_one_network_namespace(host: TestHost, base_image: str) -> None:
    """They share nothing but the namespace: their links, tables and addresses differ."""
    root = Path(f"{host.root}b")
    other = TestHost(root, host.netns)
    before = links(host)
    other.up()
    try:
        install_image(other, "base-64")
        uuid = other.create(image_uuid=base_image, nics=NICS)
        assert "default via" in other("zlogin", uuid, "ip route").stdout
    finally:
        other.down(destroy=True)
    assert links(host) == before
    assert not root.exists()


def test_a_hulld_that_is_killed_in_the_middle_of_a_create_leaves_nothing(
    clean_host: TestHost, base_image: str
) -> None:
    before, datasets = links(clean_host), set(os.listdir(clean_host.root / "zones"))
    payload = clean_host.root / "payload.json"
    payload.write_text(json.dumps({"image_uuid": base_image, "nics": NICS}))
    creator = subprocess.Popen(
        [str(CHECKOUT / "bin/vmadm"), "create", "-f", str(payload)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HULL_ROOT": str(clean_host.root)},
    )
    records = clean_host.root / "etc/zones"
    wait_for(lambda: list(records.glob("*.json")), what="the record")
    clean_host.kill_hulld()
    assert creator.wait(30) == 1
    payload.unlink()
    clean_host.up()
    for uuid in clean_host("vmadm", "lookup").stdout.split():
        # The kill came after its last step: then it is whole.
        assert clean_host.json("vmadm", "get", uuid)["zone_state"] in ("running", "installed")
        clean_host("vmadm", "delete", uuid)
    assert links(clean_host) == before
    assert set(os.listdir(clean_host.root / "zones")) == datasets


def test_up_says_what_is_wrong(tmp_path: Path) -> None:
    def up(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CHECKOUT / "bin/hull"), "up", *args], capture_output=True, text=True, check=False
        )

    long = up("--root", str(tmp_path / ("x" * 60)))
    assert (long.returncode, "too long" in long.stderr) == (1, True)
    size = up("--root", "/var/tmp/hullt-x", "--pool-size", "many")
    assert (size.returncode, "--pool-size" in size.stderr) == (2, True)
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"not a pool" * 100_000)
    other = up("--root", "/var/tmp/hullt-x", "--pool", str(foreign))
    assert other.returncode == 1
    assert "Traceback" not in other.stderr
    assert foreign.read_bytes() == b"not a pool" * 100_000
    assert not Path("/var/tmp/hullt-x").exists()


def test_on_a_full_pool_a_vm_can_still_be_stopped_and_deleted() -> None:
    with new_host(pool_size="1G") as host:
        image = install_image(host, "base-64")
        uuid = host.create(alias="full", image_uuid=image, quota=0)
        host("zlogin", uuid, "dd if=/dev/urandom of=/fill bs=1M count=2000", check=False)
        payload = json.dumps({"image_uuid": image})
        done = host("vmadm", "create", stdin=payload, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "not needed" in done.stderr
        assert host("vmadm", "lookup").stdout.split() == [uuid]
        host("vmadm", "delete", uuid)
        assert host("vmadm", "lookup").stdout == ""

        def works() -> bool:
            return host("vmadm", "create", stdin=payload, check=False).returncode == 0

        wait_for(works, timeout=90, what="space to come back")
