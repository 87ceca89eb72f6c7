# SPDX-License-Identifier: MPL-2.0
"""zonecfg on real zones: round trip, a zone made by it alone, and the rules of vmadm."""

import uuid as uuids

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


def test_a_zone_made_by_zonecfg_and_zoneadm(clean_host: TestHost, base_image: str) -> None:
    uuid = str(uuids.uuid4())
    text = f"""
        create -b
        set autoboot=false
        add capped-memory; set physical=300m; set swap=512m; end
        # the image
        add attr; set name=dataset-uuid; set type=string; set value={base_image}; end
        add net
        set global-nic=admin
        add property (name=ips,value="dhcp")
        add property (name=primary,value="true")
        end
    """
    clean_host("zonecfg", "-z", uuid, stdin=text)
    assert clean_host.json("vmadm", "get", uuid)["state"] == "configured"
    clean_host("zoneadm", "-z", uuid, "install")
    clean_host("zoneadm", "-z", uuid, "boot")
    assert clean_host("zlogin", uuid, "mdata-get sdc:uuid").stdout == f"{uuid}\n"
    assert "inet 10." in clean_host("zlogin", uuid, "ip -4 addr show net0").stdout
    assert clean_host.json("vmadm", "get", uuid)["max_physical_memory"] == 300
    refused = clean_host("zonecfg", "-z", uuid, "delete -F", check=False)
    assert refused.returncode == 1
    assert f"Zone {uuid} not in configured state; delete not allowed." in refused.stderr
    clean_host("zoneadm", "-z", uuid, "halt")
    clean_host("zoneadm", "-z", uuid, "uninstall", "-F")
    clean_host("zonecfg", "-z", uuid, "delete -F")
    assert clean_host("vmadm", "get", uuid, check=False).returncode == 1


def test_export_and_create_round_trip(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(
        alias="round trip",
        image_uuid=base_image,
        autoboot=False,
        nics=NICS,
        max_physical_memory=300,
        cpu_cap=150,
        quota=3,
        resolvers=["9.9.9.9"],
        hostname="trip",
    )
    first = clean_host("zonecfg", "-z", uuid, "export").stdout
    before = clean_host.json("vmadm", "get", uuid)
    clean_host("vmadm", "delete", uuid)
    clean_host("zonecfg", "-z", uuid, "-f", "-", stdin=first)
    second = clean_host("zonecfg", "-z", uuid, "export").stdout

    def settled(text: str) -> list[str]:
        """Without the time at which it was made."""
        blocks = text.replace("\nend\n", "\nend\0").split("\0")
        return sorted(block for block in blocks if "create-timestamp" not in block)

    assert settled(second) == settled(first)
    after = clean_host.json("vmadm", "get", uuid)
    other = {"create_timestamp", "last_modified", "state", "zone_state", "snapshots"}
    differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert differ <= other


def test_the_rules_of_vmadm_hold(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(image_uuid=base_image, nics=NICS)
    clean_host("zonecfg", "-z", uuid, "set cpu-shares=321; set autoboot=false; commit")
    vm = clean_host.json("vmadm", "get", uuid)
    assert (vm["cpu_shares"], vm["autoboot"]) == (321, False)
    bad = clean_host(
        *("zonecfg", "-z", uuid),
        "set cpu-shares=5; add net; set global-nic=nosuch; end",
        check=False,
    )
    assert bad.returncode == 1
    assert "nosuch" in bad.stderr
    assert clean_host.json("vmadm", "get", uuid)["cpu_shares"] == 321
    unknown = clean_host("zonecfg", "-z", "nosuch", "info", check=False)
    assert unknown.returncode == 1
    assert "nosuch: No such zone configured" in unknown.stderr
