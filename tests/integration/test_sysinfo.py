# SPDX-License-Identifier: MPL-2.0
"""sysinfo on a real host: the keys, their order, and values that other tools agree with."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

KEYS = """Live Image|System Type|Boot Time|Manufacturer|Product|Serial Number|SKU Number|HW Version
HW Family|Setup|VM Capable|Bhyve Capable|Bhyve Max Vcpus|HVM API|CPU Type|CPU Virtualization
CPU Physical Cores|Admin NIC Tag|Admin IP|UUID|Hostname|CPU Total Cores|CPU Socket Count
CPU Core Count|CPU Online Count|CPU Count|MiB of Memory|Zpool|Zpool Encrypted|Zpool Disks
Zpool Profile|Zpool Creation|Zpool Size in GiB|Zpool Recovery|Disks|Boot Parameters|Psrinfo
Network Interfaces|Virtual Network Interfaces|Link Aggregations"""
STRINGS = {"Boot Time", "MiB of Memory", "Setup", "UUID", "Admin IP", "Live Image"}


def test_keys_in_smartos_order_with_real_values(host: TestHost) -> None:
    known = host.json("sysinfo", "-f")
    assert list(known) == KEYS.replace("\n", "|").split("|")
    assert {type(known[key]) for key in STRINGS} == {str}
    assert known["UUID"] == host.json("hull", "status", "-j")["server_uuid"]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    assert int(known["MiB of Memory"]) == pages
    assert known["CPU Count"] == os.cpu_count()
    assert (known["Zpool"], known["Setup"], known["Zpool Size in GiB"]) == ("zones", "true", 16)
    links = json.loads(host.in_netns("ip", "-j", "addr").stdout)
    admin = next(link for link in links if link["ifname"].endswith(".admin"))
    (virtual,) = known["Virtual Network Interfaces"].values()
    assert virtual["MAC Address"] == admin["address"]
    assert virtual["ip4addr"] == known["Admin IP"]
    assert known["Admin IP"] in [address["local"] for address in admin["addr_info"]]
    lsblk = subprocess.run(
        ["lsblk", "-dJbo", "NAME,SIZE,TYPE"], capture_output=True, text=True, check=True
    )
    disks = {
        disk["name"]: {"Size in GB": int(disk["size"]) // 10**9}
        for disk in json.loads(lsblk.stdout)["blockdevices"]
        if disk["type"] == "disk" and not disk["name"].startswith("zram")
    }
    assert known["Disks"] == disks


def test_the_cache(host: TestHost) -> None:
    cache = host.root / "run/hull/.sysinfo.json"
    assert host("sysinfo", "-u").stdout == ""
    known = json.loads(cache.read_text())
    cache.write_text(json.dumps(known | {"Hostname": "cached"}))
    assert host.json("sysinfo")["Hostname"] == "cached"
    parsable = host.root / "run/hull/.sysinfo.parsable"
    parsable.write_text(parsable.read_text() + "Cached=true\n")
    assert "Cached=true" in host("sysinfo", "-p").stdout
    assert host.json("sysinfo", "-f")["Hostname"] == os.uname().nodename
    assert "Cached" not in host("sysinfo", "-p").stdout
    assert parsable.read_text() == host("sysinfo", "-p").stdout


def test_a_shell_can_evaluate_it(host: TestHost, tmp_path: Path) -> None:
    file = tmp_path / "sysinfo"
    file.write_text(host("sysinfo", "-p").stdout)
    script = f'set -eu; . {file}; echo "$UUID/$CPU_Type/$NIC_admin"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    known = host.json("sysinfo")
    (link,) = known["Virtual Network Interfaces"]
    assert done.stdout.strip() == f"{known['UUID']}/{known['CPU Type']}/{link}"


@pytest.mark.parametrize("option", ["-?", "-x", "word"])
def test_wrong_usage(host: TestHost, option: str) -> None:
    assert host("sysinfo", option, check=False).returncode == 2
