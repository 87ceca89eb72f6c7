# SPDX-License-Identifier: MPL-2.0
"""The mdata commands in a real zone, row by row (facts: boot.md §8)."""

import json
from collections.abc import Iterator

import pytest

from tests.integration.hosts import TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]


@pytest.fixture(scope="module")
def zone(host: TestHost, base_image: str) -> str:
    return host.create(
        alias="told",
        hostname="told",
        dns_domain="example.com",
        image_uuid=base_image,
        nics=[
            {"nic_tag": "admin", "ip": "dhcp", "primary": True},
            {"nic_tag": "admin", "ip": "10.200.0.5", "netmask": "255.255.255.0"},
        ],
        resolvers=["9.9.9.9"],
        routes={"10.201.0.0/16": "10.200.0.1", "10.202.0.0/16": "nics[1]"},
        tags={"role": "spy"},
        customer_metadata={
            "user-data": "data\n.dotted\n",
            "root_authorized_keys": "ssh-ed25519 AAAA",
            "number": 3,
            "flag": True,
        },
        internal_metadata={
            "root_pw": "secret",
            "operator-script": "#!/bin/sh\ntrue\n",
            "sdc:volumes": "[]",
            "docker:cmd": '["/bin/true"]',
            "private": "x",
        },
        internal_metadata_namespaces=["docker"],
    )


ROWS = [
    ("user-data", 0, "data\n.dotted\n\n"),
    ("root_authorized_keys", 0, "ssh-ed25519 AAAA\n"),
    ("number", 0, "3\n"),
    ("flag", 2, ""),
    ("root_pw", 0, "secret\n"),
    ("docker:cmd", 0, '["/bin/true"]\n'),
    ("private", 1, ""),
    ("nosuch", 1, ""),
    ("sdc:alias", 0, "told\n"),
    ("sdc:hostname", 0, "told\n"),
    ("sdc:dns_domain", 0, "example.com\n"),
    ("sdc:tmpfs", 0, "256\n"),
    ("sdc:tags.role", 0, "spy\n"),
    ("sdc:customer_metadata.number", 0, "3\n"),
    ("sdc:resolvers", 0, '["9.9.9.9"]\n'),
    ("sdc:operator-script", 0, "#!/bin/sh\ntrue\n\n"),
    ("sdc:volumes", 0, "[]\n"),
    ("sdc:owner_uuid", 0, "00000000-0000-0000-0000-000000000000\n"),
    ("sdc:internal_metadata", 1, ""),
]


@pytest.mark.parametrize(("key", "status", "text"), ROWS, ids=[row[0] for row in ROWS])
def test_get(host: TestHost, zone: str, key: str, status: int, text: str) -> None:
    done = host("zlogin", zone, f"mdata-get {key}", check=False)
    assert (done.returncode, done.stdout) == (status, text)
    if status == 1:
        assert done.stderr == f"No metadata for '{key}'\n"


def test_what_the_vm_itself_says(host: TestHost, zone: str, base_image: str) -> None:
    def get(key: str) -> str:
        return host("zlogin", zone, f"mdata-get sdc:{key}").stdout.strip()

    vm = host.json("vmadm", "get", zone)
    assert get("uuid") == zone
    assert get("image_uuid") == base_image
    assert get("server_uuid") == vm["server_uuid"]
    assert json.loads(get("nics")) == vm["nics"]
    assert json.loads(get("routes")) == [
        {"linklocal": False, "dst": "10.201.0.0/16", "gateway": "10.200.0.1"},
        {"linklocal": True, "dst": "10.202.0.0/16", "gateway": "10.200.0.5"},
    ]


def test_the_socket_is_where_lx_images_look_too(host: TestHost, zone: str) -> None:
    host("zlogin", zone, "test -S /native/.zonecontrol/metadata.sock")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("mdata-get", 3),
        ("mdata-get a b", 3),
        ("mdata-list x", 3),
        ("mdata-put", 3),
        ("mdata-delete", 3),
        ("mdata-put sdc:alias x", 2),
        ("mdata-put docker:cmd x", 2),
        ("mdata-delete sdc:uuid", 2),
        ("mdata-put color blue", 0),
        ("mdata-get color | grep -qx blue", 0),
        ("printf piped | mdata-put color; mdata-get color | grep -qx piped", 0),
        ("mdata-put color ''; mdata-get color", 1),
        ("mdata-delete color", 0),
        ("mdata-put my_pw x && mdata-get my_pw && mdata-delete my_pw", 0),
        ("mdata-list | grep -qx user-data", 0),
        ("mdata-list | grep -q private", 1),
    ],
)
def test_statuses(host: TestHost, zone: str, command: str, status: int) -> None:
    assert host("zlogin", zone, command, check=False).returncode == status


def test_errors_name_the_namespace(host: TestHost, zone: str) -> None:
    done = host("zlogin", zone, "mdata-put sdc:alias x", check=False)
    assert 'Cannot update the "sdc" Namespace.' in done.stderr


@pytest.fixture(autouse=True, scope="module")
def _leave_nothing(host: TestHost, zone: str) -> Iterator[None]:
    yield
    host("vmadm", "delete", zone)
