# SPDX-License-Identifier: MPL-2.0
"""SMF in native zones, and how the global zone sees and steers it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hosts import TestHost, wait_for
from tests.smf.manifests import service

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

SSH = "svc:/network/ssh:default"


@pytest.fixture(scope="module")
def zone(host: TestHost, base_image: str) -> Iterator[str]:
    """A native zone that is provisioned; its alias is `native`."""
    uuid = host.create(
        alias="native",
        image_uuid=base_image,
        brand="joyent",
        max_physical_memory=256,
        nics=[{"nic_tag": "admin", "ip": "dhcp"}],
    )
    yield uuid
    host("vmadm", "delete", uuid)


def state(host: TestHost, zone: str, fmri: str) -> str:
    return host("svcs", "-z", zone, "-H", "-o", "state", fmri).stdout.strip()


def test_a_zone_is_seen_from_outside_as_from_inside(host: TestHost, zone: str) -> None:
    outside = host("svcs", "-z", zone, "-a").stdout
    assert outside.splitlines()[0].split() == ["STATE", "STIME", "FMRI"]
    assert outside == host("zlogin", zone, "svcs -a").stdout
    for fmri in (SSH, "svc:/system/cron:default", "svc:/smartdc/mdata:execute"):
        assert state(host, zone, fmri) == "online", outside
    assert host("svcs", "-z", zone, "-x").stdout == ""


def test_all_zones_in_one_table(host: TestHost, zone: str) -> None:
    lines = [line.split() for line in host("svcs", "-Z", "-a").stdout.splitlines()]
    assert lines[0] == ["ZONE", "STATE", "STIME", "FMRI"]
    found = {(line[0], line[-1]): line[1] for line in lines[1:]}
    assert found[zone, SSH] == "online"
    assert found["global", "svc:/hull/hulld:default"] == "online"
    assert (zone, "svc:/hull/hulld:default") not in found


def test_a_service_is_steered_from_outside(host: TestHost, zone: str) -> None:
    host("svcadm", "-z", zone, "disable", "-s", "ssh")
    assert state(host, zone, SSH) == "disabled"
    assert "An administrator disabled it." in host("svcs", "-z", zone, "-x", "ssh").stdout
    host("svcadm", "-z", zone, "enable", "-s", "ssh")
    assert state(host, zone, SSH) == "online"
    before = host("svcs", "-z", zone, "-H", "-o", "ctid", "ssh").stdout
    host("svcadm", "-z", zone, "restart", "ssh")
    wait_for(
        lambda: host("svcs", "-z", zone, "-H", "-o", "ctid", "ssh").stdout not in (before, "-\n"),
        what="another sshd",
    )
    wait_for(lambda: state(host, zone, SSH) == "online", what="sshd")


def test_a_service_is_configured_from_outside(host: TestHost, zone: str) -> None:
    commands = 'select cron\naddpg site application\nsetprop site/note = astring: "of the host"\n'
    host("svccfg", "-z", zone, "-f", "-", stdin=commands)
    host("svcadm", "-z", zone, "refresh", "cron")
    wait_for(
        lambda: (
            host("svcprop", "-z", zone, "-p", "site/note", "cron", check=False).stdout
            == "of\\ the\\ host\n"
        ),
        what="the property",
    )
    assert "site/note" not in host("svcprop", "-p", "site", "hulld", check=False).stdout


def test_a_service_that_is_killed_in_the_zone_comes_back(host: TestHost, zone: str) -> None:
    host("zlogin", zone, "pkill -KILL -x cron")
    wait_for(lambda: host("zlogin", zone, "pgrep -x cron", check=False).stdout, what="cron")
    log = host("zlogin", zone, "cat $(svcs -L cron)").stdout
    assert "stopping because all processes in service exited" in log


@pytest.mark.parametrize("command", ["svcs", "svcprop", "svcadm", "svccfg"])
def test_a_zone_that_is_not_there(host: TestHost, command: str) -> None:
    words = {"svcadm": ["restart", "ssh"], "svccfg": ["list"], "svcprop": ["ssh"]}
    done = host(command, "-z", "nowhere", *words.get(command, []), check=False)
    assert done.returncode == 1
    assert done.stderr == f"{command}: zoneadm: nowhere: No such zone configured\n"


def test_only_the_global_zone_sees_others(host: TestHost, zone: str) -> None:
    done = host("zlogin", zone, "svcs -Z", check=False)
    assert done.returncode != 0
    assert "for the global zone" in done.stderr


def test_boot_arguments_reach_smf_in_the_zone(host: TestHost, zone: str) -> None:
    """For one boot: the next one is as ever."""
    host("zoneadm", "-z", zone, "reboot", "--", "-m", "milestone=none")
    wait_for(
        lambda: host("svcs", "-z", zone, "-H", "-o", "fmri", check=False).stdout, what="startd"
    )
    assert state(host, zone, SSH) == "disabled"
    assert "Milestone none does not need it" in host("svcs", "-z", zone, "-x", "ssh").stdout
    host("svcadm", "-z", zone, "milestone", "all")
    wait_for(lambda: state(host, zone, SSH) == "online", what="sshd")
    host("zoneadm", "-z", zone, "reboot")
    wait_for(lambda: state(host, zone, SSH) == "online", what="sshd")


def test_a_service_that_fails_shows_in_the_create_error(
    host: TestHost, base_image: str, tmp_path: Path
) -> None:
    """In a zone made from an image whose service is broken, and which multi-user needs."""
    image = broken_image(host, base_image, tmp_path)
    payload = {"alias": "broken", "image_uuid": image, "brand": "joyent", "nics": []}
    done = host("vmadm", "create", stdin=json.dumps(payload), check=False)
    assert done.returncode == 1
    said = "failed to provision: svc:/site/broken:default: Its start method exited with status 1"
    assert said in done.stderr
    (made,) = host("vmadm", "lookup", "alias=broken").stdout.split()
    assert host.json("vmadm", "get", made)["state"] == "failed"
    host("vmadm", "delete", made)
    host("imgadm", "delete", image)


def broken_image(host: TestHost, base_image: str, directory: Path) -> str:
    """Install an image with a service that cannot start and that multi-user needs; its UUID."""
    dependents = (
        '<dependent name="broken_multi-user" grouping="require_all" restart_on="none">'
        '<service_fmri value="svc:/milestone/multi-user"/></dependent>'
    )
    manifest = service(
        "site/broken", "/bin/false", duration="transient", enabled=True, dependents=dependents
    )
    zone = host.create(alias="model", image_uuid=base_image, brand="joyent", nics=[])
    host("zlogin", zone, "cat >/var/svc/manifest/site/broken.xml", stdin=manifest)
    host("vmadm", "stop", zone)
    words = ["name=broken", "version=1", "-c", "none"]
    host("imgadm", "create", zone, *words, "-o", str(directory), timeout=300)
    host("vmadm", "delete", zone)
    (described,) = directory.glob("*manifest")
    (file,) = set(directory.iterdir()) - {described}
    host("imgadm", "install", "-m", str(described), "-f", str(file))
    return str(json.loads(described.read_text())["uuid"])
