# SPDX-License-Identifier: MPL-2.0
"""Rules between properties of create payloads: VRRP, routes, file systems, datasets, docker."""

import pytest

from hull.model.disk import Filesystem
from hull.model.nic import Nic
from hull.model.payload import decode_create, validate
from hull.model.vm import VM
from hull.wire import Json, JsonObject

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"


def create(**payload: Json) -> VM:
    return decode_create({"image_uuid": IMAGE, **payload}).vm


def with_nics(*nics: JsonObject) -> tuple[Nic, ...]:
    return create(nics=[{"nic_tag": "admin", **nic} for nic in nics]).nics


def problems(**payload: Json) -> dict[str, str]:
    found = validate("create", "", {"image_uuid": IMAGE, **payload}).problems
    return {problem.path: f"{problem.message} ({problem.hint})" for problem in found}


def nic_problems(*nics: JsonObject) -> dict[str, str]:
    return problems(nics=[{"nic_tag": "admin", **nic} for nic in nics])


# -- VRRP ---------------------------------------------------------------------------------------

OWN: JsonObject = {"ips": ["10.0.0.5/24"]}
SHARED: JsonObject = {"vrrp_vrid": 26, "vrrp_primary_ip": "10.0.0.5", "ips": ["10.0.0.9/24"]}


def test_the_virtual_router_gives_the_mac() -> None:
    own, shared = with_nics(OWN, SHARED)
    assert (own.mac, shared.mac) == ("", "00:00:5e:00:01:1a")
    assert with_nics(OWN, SHARED | {"mac": "0:0:5E:0:1:1a"})[1].mac == shared.mac


@pytest.mark.parametrize(
    ("nics", "path", "message"),
    [
        ([SHARED], "nics", "VM cannot contain only VRRP nics"),
        (
            [OWN, {"vrrp_vrid": 26}],
            "nics[1].vrrp_primary_ip",
            "vrrp_vrid set but not vrrp_primary_ip",
        ),
        (
            [OWN, SHARED | {"vrrp_primary_ip": "10.0.0.9"}],
            "nics[1].vrrp_primary_ip",
            "Cannot set vrrp_primary_ip to the IP of a VRRP nic (use one of: 10.0.0.5)",
        ),
        (
            [OWN, SHARED | {"vrrp_primary_ip": "10.0.0.7"}],
            "nics[1].vrrp_primary_ip",
            "vrrp_primary_ip must belong to the same VM (use one of: 10.0.0.5)",
        ),
        (
            [OWN, SHARED | {"mac": "2:2:2:2:2:2"}],
            "nics[1].mac",
            "Cannot set both mac and vrrp_vrid (leave mac out: it becomes 00:00:5e:00:01:1a)",
        ),
        (
            [OWN, SHARED, SHARED | {"ips": ["10.0.0.10/24"]}],
            "nics[2].vrrp_vrid",
            "Cannot add multiple NICs with the same VRID: 26",
        ),
    ],
)
def test_vrrp_refused(nics: list[JsonObject], path: str, message: str) -> None:
    found = nic_problems(*nics)
    assert message in found[path]


# -- routes, file systems, datasets, docker -------------------------------------------------------


@pytest.mark.parametrize(
    "routes",
    [
        {"10.1.0.0/16": "10.0.0.1", "10.2.3.4": "10.0.0.1"},
        {"10.1.0.0/16": "nics[0]"},
        {"10.1.0.0/16": "macs[2:0:0:0:0:A]"},
    ],
)
def test_routes(routes: JsonObject) -> None:
    nic: JsonObject = {"nic_tag": "admin", "mac": "02:00:00:00:00:0a", **OWN}
    assert create(nics=[nic], routes=routes).routes == routes


@pytest.mark.parametrize(
    ("destination", "gateway", "message"),
    [
        ("foo", "bar", 'Invalid route destination: "foo" (must be IP address or CIDR)'),
        ("10.0.0.0/33", "10.0.0.1", 'Invalid route destination: "10.0.0.0/33"'),
        ("10.0.0.0/255.0.0.0", "10.0.0.1", "Invalid route destination"),
        ("2001:db8::/32", "10.0.0.1", "Invalid route destination"),
        (
            "10.1.0.0/16",
            "bar",
            'Invalid route gateway: "bar" (must be IP address, MAC address, or nic)',
        ),
        ("10.1.0.0/16", 3, 'Invalid route gateway: "3"'),
        ("10.1.0.0/16", "nics[]", "Invalid route gateway"),
        ("10.1.0.0/16", "nics[1]", 'Route gateway: "nics[1]" refers to non-existent or DHCP nic'),
        ("10.1.0.0/16", "nics[0]", "refers to non-existent or DHCP nic"),
        ("10.1.0.0/16", "macs[2:0:0:0:0:b]", "refers to non-existent or DHCP nic"),
    ],
)
def test_routes_refused(destination: str, gateway: Json, message: str) -> None:
    found = problems(nics=[{"nic_tag": "admin", "ip": "dhcp"}], routes={destination: gateway})
    assert list(found) == [f"routes.{destination}"]
    assert message in found[f"routes.{destination}"]


def test_filesystems() -> None:
    lofs: JsonObject = {"source": "/data", "target": "/srv", "type": "lofs", "options": ["ro"]}
    filesystem = Filesystem(source="/data", target="/srv", type="lofs", options=("ro",))
    assert create(filesystems=[lofs]).filesystems == (filesystem,)
    found = problems(filesystems=[lofs, lofs | {"target": "//srv/"}])
    assert found == {"filesystems": "two file systems on /srv (use another target)"}
    for target in ("srv", "/srv/../etc"):
        assert list(problems(filesystems=[lofs | {"target": target}])) == ["filesystems[0].target"]


def test_settings_of_a_dataset_that_is_not_there() -> None:
    payload: JsonObject = {"indestructible_delegated": True, "zfs_data_recsize": 4096}
    vm, warnings = decode_create({"image_uuid": IMAGE, **payload})
    assert (vm.indestructible_delegated, vm.zfs_data_recsize) == (False, None)
    assert [each.path for each in warnings] == ["zfs_data_recsize", "indestructible_delegated"]
    vm, warnings = decode_create({"image_uuid": IMAGE, **payload, "delegate_dataset": True})
    assert (vm.indestructible_delegated, vm.zfs_data_recsize, warnings) == (True, 4096, [])


def test_what_docker_implies() -> None:
    vm = create(brand="lx", docker=True, internal_metadata_namespaces="a")
    assert (vm.internal_metadata_namespaces, vm.restart_init) == (("a", "docker"), False)
