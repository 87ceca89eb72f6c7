# SPDX-License-Identifier: MPL-2.0
"""Zones from state to state with zoneadm, and how they boot with their host."""

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


def state(host: TestHost, uuid: str) -> str:
    line = host("zoneadm", "-z", uuid, "list", "-p").stdout.strip()
    assert line.count(":") == 7
    return line.split(":")[2]


def refused(host: TestHost, *args: str) -> str:
    done = host("zoneadm", *args, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[0]


def test_the_whole_walk(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    uuid = host.create(alias="walk", image_uuid=base_image, nics=NICS)
    address = host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3]
    assert refused(host, "-z", uuid, "boot") == f"zoneadm: zone '{uuid}': zone is already booted"
    assert "invalid for running zones." in refused(host, "-z", uuid, "uninstall", "-F")
    host("zlogin", uuid, "echo kept > /root/file")
    host("zoneadm", "-z", "walk", "halt")
    assert state(host, uuid) == "installed"
    assert host.json("vmadm", "get", uuid)["autoboot"] is True
    assert refused(host, "-z", uuid, "halt").endswith("must be running before halt.")
    assert refused(host, "-z", uuid, "install").endswith("is already installed.")
    host("zoneadm", "-z", uuid, "ready")
    assert state(host, uuid) == "ready"
    assert refused(host, "-z", uuid, "ready").endswith("must be installed before ready.")
    assert host.json("vmadm", "get", uuid)["state"] == "ready"
    assert host("vmadm", "start", uuid, check=False).returncode == 1
    host("zoneadm", "-u", uuid, "boot", "-X")
    assert host("zlogin", uuid, "cat /root/file").stdout == "kept\n"
    host("zoneadm", "-z", uuid, "reboot")
    host("zoneadm", "-z", uuid, "shutdown", "-r")
    assert host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3] == address
    host("zoneadm", "-z", uuid, "shutdown")
    assert "not specified" in refused(host, "-z", uuid, "uninstall")
    host("zoneadm", "-z", uuid, "uninstall", "-F")
    assert state(host, uuid) == "configured"
    assert not host.zone_root(uuid).exists()
    assert "must be installed before boot." in refused(host, "-z", uuid, "boot")
    host("zoneadm", "-z", uuid, "verify")
    host("zoneadm", "-z", uuid, "install")
    host("zoneadm", "-z", uuid, "boot", "--", "-i", "/sbin/init")
    assert host("zlogin", uuid, "test -e /root/file", check=False).returncode == 1
    assert host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3] == address
    host("vmadm", "delete", uuid)
    assert refused(host, "-z", uuid, "boot") == f"zoneadm: {uuid}: No such zone configured"


def test_a_ready_zone_outlives_hulld_and_can_be_halted(
    clean_host: TestHost, base_image: str
) -> None:
    uuid = clean_host.create(image_uuid=base_image, autoboot=False, nics=NICS)
    clean_host("zoneadm", "-z", uuid, "ready")
    clean_host.kill_hulld()
    clean_host.up()
    assert state(clean_host, uuid) == "ready"
    clean_host("zoneadm", "-z", uuid, "halt")
    assert state(clean_host, uuid) == "installed"
    clean_host("zoneadm", "-z", uuid, "ready")
    clean_host("zoneadm", "-z", uuid, "boot")
    assert clean_host("zlogin", uuid, "mdata-get sdc:uuid").stdout == f"{uuid}\n"


def test_incomplete_ends_by_uninstall_only(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(image_uuid=base_image, autoboot=False)
    clean_host("zoneadm", "-z", uuid, "mark", "incomplete")
    clean_host.kill_hulld()
    clean_host.up()
    assert state(clean_host, uuid) == "incomplete"
    for verb in ("boot", "ready", "mark incomplete"):
        assert "must be installed" in refused(clean_host, "-z", uuid, *verb.split())
    said = refused(clean_host, "-z", uuid, "install")
    assert said.endswith("zone is incomplete; uninstall required.")
    clean_host("zoneadm", "-z", uuid, "uninstall", "-F")
    clean_host("zoneadm", "-z", uuid, "install", "-q", "3", "-t", base_image)
    assert clean_host.json("vmadm", "get", uuid)["quota"] == 3


def test_detach_and_attach(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    uuid = host.create(alias="apart", image_uuid=base_image, nics=NICS, quota=3)
    host("zlogin", uuid, "echo kept > /root/file")
    assert "must be installed before detach." in refused(host, "-z", uuid, "detach")
    host("zoneadm", "-z", uuid, "halt")
    assert "is already installed." in refused(host, "-z", uuid, "attach")
    host("zoneadm", "-z", uuid, "detach")
    assert state(host, uuid) == "configured"
    assert refused(host, "-z", uuid, "install").endswith("is detached.")
    assert host("zonecfg", "-z", uuid, "delete", "-F", check=False).returncode == 1
    host("vmadm", "update", uuid, "quota=5")
    host.kill_hulld()
    host.up()
    host("zoneadm", "-z", "apart", "attach", "-F")
    assert state(host, uuid) == "installed"
    host("zoneadm", "-z", uuid, "boot")
    assert host("zlogin", uuid, "cat /root/file").stdout == "kept\n"
    assert host.json("vmadm", "get", uuid)["quota"] == 5
    host("zoneadm", "-z", uuid, "halt")
    host("zoneadm", "-z", uuid, "uninstall", "-F")
    assert "no data to attach" in refused(host, "-z", uuid, "attach")


def test_lists(clean_host: TestHost, base_image: str) -> None:
    up = clean_host.create(image_uuid=base_image)
    down = clean_host.create(image_uuid=base_image, autoboot=False)
    bare = clean_host.create(image_uuid=base_image, autoboot=False)
    clean_host("zoneadm", "-z", bare, "uninstall", "-F")

    def names(*options: str) -> set[str]:
        return set(clean_host("zoneadm", "list", *options).stdout.split())

    assert names() == {"global", up}
    assert names("-n") == {up}
    assert names("-i") == {"global", up, down}
    assert names("-c") == {"global", up, down, bare}
    line = next(
        line
        for line in clean_host("zoneadm", "list", "-pc").stdout.splitlines()
        if f":{bare}:" in line
    )
    assert line == f"-:{bare}:configured:/zones/{bare}:{bare}:joyent:excl:0"
