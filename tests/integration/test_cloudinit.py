# SPDX-License-Identifier: MPL-2.0
"""The NoCloud seed in a real lx zone, as cloud-init would read it."""

import json

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]
SEED = "/var/lib/cloud/seed/nocloud"


def test_a_zone_finds_its_seed(clean_host: TestHost, debian_image: str) -> None:
    uuid = clean_host.create(
        brand="lx",
        kernel_version="6.1",
        image_uuid=debian_image,
        alias="cloudy",
        nics=[{"nic_tag": "admin", "ip": "dhcp", "primary": True}],
        internal_metadata={"cloudinit_datasource": "nocloud"},
        customer_metadata={"cloud-init:user-data": "#cloud-config\nhostname: x\n"},
    )

    def zone(command: str) -> str:
        return clean_host("zlogin", uuid, command).stdout

    assert zone(f"ls {SEED}").split() == ["meta-data", "network-config", "user-data"]
    assert zone(f"stat -c '%u %a' {SEED}/user-data") == "0 600\n"
    assert zone(f"cat {SEED}/user-data") == "#cloud-config\nhostname: x\n"
    assert f"instance-id: {uuid}\n" in zone(f"cat {SEED}/meta-data")
    network = json.loads(zone(f"cat {SEED}/network-config"))
    address = zone("ip -4 -o addr show eth0").split()[3]
    assert address in network["ethernets"]["eth0"]["addresses"]
    assert (
        network["ethernets"]["eth0"]["match"]["macaddress"]
        == zone("cat /sys/class/net/eth0/address").strip()
    )
    clean_host(
        "vmadm", "update", uuid, stdin='{"set_customer_metadata": {"cloud-init:user-data": "new"}}'
    )
    clean_host("vmadm", "reboot", uuid)
    assert zone(f"cat {SEED}/user-data") == "new"
