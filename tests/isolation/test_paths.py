# SPDX-License-Identifier: MPL-2.0
"""A zone's root turns directories into links to the machine's, while the host works in the zone.

Every function of the host's that takes a path in a zone runs against a zone whose root exchanges
directories and links as fast as it can. The control does the same without `inroot`, and is caught.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hull.errors import Error
from hull.linux import inroot, mount, namespace
from hull.model.record import vm_from_record
from hull.model.vm import VM
from hull.vm import cloudinit, docker, network
from hull.zone import bundle, crun
from tests.integration.hosts import TestHost
from tests.integration.zone_fixtures import why_not
from tests.isolation.oracle import Oracle, new_oracle
from tests.isolation.vm import Attacker, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

TIMES = 400  # each finds a link about every second time
PATIENCE = 20_000


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    with new_oracle() as made:
        yield made


@pytest.fixture(scope="module")
def attacker(host: TestHost, base_image: str) -> Iterator[Attacker]:
    with attackers(host, base_image, "turner") as (made,):
        yield made


@pytest.fixture
def root(attacker: Attacker, oracle: Oracle) -> Iterator[Path]:
    """A root in which the attack is under way."""
    inside, outside = "/root/victim", attacker.host.zone_root(attacker.uuid) / "root/victim"
    with attacker.running("turn_directories", root=inside, outside=oracle.path) as running:
        running.begun()
        yield outside
    attacker.shell(f"rm -rf {inside}")


@dataclass(frozen=True)
class Access:
    """One thing that the host does in a zone, and how somebody careless would do it."""

    careful: Callable[[VM, Path], object]
    careless: Callable[[Path], object]


def read_account(vm: VM, root: Path) -> str:
    return docker.user_of(vm, root)[2]


def mount_in_private(vm: VM, root: Path) -> list[str]:
    """What is mounted where, once /native is shown at /etc in a mount table of its own."""
    del vm
    return _mounted_by(lambda tree: namespace.attach_mount(tree, root, "/etc"))


def mount_carelessly(root: Path) -> list[str]:
    return _mounted_by(lambda _: mount.bind(Path("/usr"), root / "etc"))


def _mounted_by(attach: Callable[[int], None]) -> list[str]:
    tree = namespace.clone_mount("/usr", 0, None)
    seen: list[str] = []

    def work() -> None:
        attach(tree)
        text = Path("/proc/thread-self/mountinfo").read_text()
        seen.extend(found.target for found in mount.parse_mountinfo(text))

    try:
        os.close(namespace.private_mount_namespace(work))
    finally:
        os.close(tree)
    return seen


def write_and_close(root: Path, path: str) -> None:
    (root / path).write_text("careless")


ACCESSES = {
    "hostname": Access(
        network.write_hostname, lambda root: write_and_close(root, "etc/hostname")
    ),
    "hosts": Access(
        lambda vm, root: inroot.write_file(root, "/etc/hosts", b"x"),
        lambda root: write_and_close(root, "etc/hosts"),
    ),
    "working directory": Access(
        docker.make_workdir, lambda root: (root / "etc/new/place").mkdir(parents=True)
    ),
    "account": Access(read_account, lambda root: (root / "etc/passwd").read_text()),
    "provisioning": Access(
        lambda vm, root: inroot.exists(root, "/var/svc/provision_success"),
        lambda root: (root / "var/svc/provision_success").exists(),
    ),
    "provisioning mark": Access(
        lambda vm, root: inroot.write_file(root, "/var/svc/provisioning", b""),
        lambda root: write_and_close(root, "var/svc/provisioning"),
    ),
    "seed": Access(
        lambda vm, root: cloudinit.put({"meta-data": "x", "user-data": "y"}, root),
        lambda root: write_and_close(root, "var/lib/cloud/meta-data"),
    ),
    "removal": Access(
        lambda vm, root: inroot.remove(root, "/etc/victim"),
        lambda root: (root / "etc/victim").unlink(),
    ),
    "mount point": Access(
        lambda vm, root: crun._make_place(root, bundle.Tree("/usr", "/etc/mnt", 0, idmap=False)),
        lambda root: (root / "etc/mnt").mkdir(),
    ),
    "mount": Access(mount_in_private, mount_carelessly),
}  # fmt: skip


def a_vm(attacker: Attacker) -> VM:
    record = attacker.host.root / "etc/zones" / f"{attacker.uuid}.json"
    vm = vm_from_record(json.loads(record.read_text())["vm"])
    told = {"docker:workdir": "/etc/new/place", "docker:user": "root"}
    return replace(vm, internal_metadata=told)


@pytest.mark.parametrize("name", ACCESSES)
def test_no_access_is_led_out(attacker: Attacker, root: Path, oracle: Oracle, name: str) -> None:
    vm, access = a_vm(attacker), ACCESSES[name]
    came, refused = 0, 0
    for _ in range(PATIENCE):
        try:
            seen = access.careful(vm, root)
            came += 1
        except (Error, OSError):
            refused += 1
        else:
            assert seen is not True
            assert oracle.token not in str(seen)
            assert str(oracle.path) not in str(seen)
        if came + refused >= TIMES and came and (refused or name in NEVER_REFUSED):
            break
    assert came  # the directory was there now and then
    assert oracle.is_unharmed()


# A link that leads nowhere is no directory and no file: nothing is there, or nothing to remove.
NEVER_REFUSED = ("account", "provisioning", "removal")


@pytest.mark.parametrize("name", ACCESSES)
def test_control_a_careless_access_is_caught(root: Path, oracle: Oracle, name: str) -> None:
    access = ACCESSES[name]
    for _ in range(PATIENCE):
        with suppress(OSError, Error):
            seen = str(access.careless(root))
            if seen == "True" or oracle.token in seen or str(oracle.path) in seen:
                return
        if not oracle.is_unharmed():
            return
    pytest.fail("the race was never lost")


# -- the same through hulld ------------------------------------------------------------------------
LED_OUT = """
mv /etc /etc.own && ln -s {oracle} /etc
mv /var/svc /var/svc.own && ln -s {oracle} /var/svc
"""


def test_verbs_are_not_led_out(host: TestHost, base_image: str, oracle: Oracle) -> None:
    payload = {"resolvers": ["192.0.2.1"], "maintain_resolvers": True}
    with attackers(host, base_image, "led", **payload) as (victim,):
        victim.shell(LED_OUT.format(oracle=oracle.path))
        for verb, *words in (
            ("update", "hostname=another"),
            ("update", "resolvers=192.0.2.2"),
            ("reboot", "-F"),
            ("stop", "-F"),
            ("start",),
            ("get",),
        ):
            done = host("vmadm", verb, victim.uuid, *words, check=False)
            assert "Traceback" not in done.stderr
            assert "should not have" not in done.stderr
            assert oracle.is_unharmed()
