# SPDX-License-Identifier: MPL-2.0
"""Hostile images and roots: whatever is where the host looks, it neither hangs, nor is led out.

Each VM is made of an image with one odd thing in it, booted, changed and deleted: each step works,
or says why it does not.
"""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.wire import Json, JsonObject
from tests.integration.hosts import TestHost
from tests.integration.image_fixtures import archive, manifest_for, member
from tests.integration.zone_fixtures import BUSYBOX, INIT, why_not
from tests.isolation.oracle import Oracle, new_oracle
from tests.isolation.vm import Attacker, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

DIRECTORY, LINK, FIFO, FILE = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.REGTYPE
ORACLE = "ORACLE"  # stands for the directory of the machine's that is not to be touched
NATIVE: JsonObject = {"brand": "joyent"}
LX: JsonObject = {"brand": "lx", "internal_metadata": {"cloudinit_datasource": "nocloud"}}
DOCKER: JsonObject = {
    "brand": "lx",
    "docker": True,
    "internal_metadata": {
        "docker:cmd": '["/bin/busybox", "sleep", "1000"]',
        "docker:user": "somebody",
        "docker:workdir": "/etc/work",
    },
}
# Payload, path, kind, what a link leads to.
ODD = {
    "etc is a link": (NATIVE, "etc", LINK, ORACLE),
    "etc is a file": (NATIVE, "etc", FILE, ""),
    "etc leads in circles": (NATIVE, "etc", LINK, "etc"),
    "etc leads out by a process": (NATIVE, "etc", LINK, "/proc/self/root/etc"),
    "hostname is a fifo": (NATIVE, "etc/hostname", FIFO, ""),
    "hostname is a directory": (NATIVE, "etc/hostname", DIRECTORY, ""),
    "hostname is a link": (NATIVE, "etc/hostname", LINK, f"{ORACLE}/hostname"),
    "hosts is a link": (NATIVE, "etc/hosts", LINK, f"{ORACLE}/hosts"),
    "hosts is a directory": (NATIVE, "etc/hosts", DIRECTORY, ""),
    "resolv.conf is a fifo": (NATIVE, "etc/resolv.conf", FIFO, ""),
    "resolv.conf is a link": (NATIVE, "etc/resolv.conf", LINK, f"{ORACLE}/resolv.conf"),
    "svc is a link": (NATIVE, "var/svc", LINK, ORACLE),
    "provisioning is a fifo": (NATIVE, "var/svc/provisioning", FIFO, ""),
    "provisioning is a directory": (NATIVE, "var/svc/provisioning", DIRECTORY, ""),
    "provisioning is a link": (NATIVE, "var/svc/provisioning", LINK, f"{ORACLE}/provisioning"),
    ".zonecontrol is a link": (NATIVE, ".zonecontrol", LINK, ORACLE),
    ".zonecontrol is a file": (NATIVE, ".zonecontrol", FILE, ""),
    "native is a link": (NATIVE, "native", LINK, ORACLE),
    "native is a fifo": (NATIVE, "native", FIFO, ""),
    "proc is a link": (NATIVE, "proc", LINK, ORACLE),
    "sys is a link": (NATIVE, "sys", LINK, ORACLE),
    "dev is a link": (NATIVE, "dev", LINK, ORACLE),
    "run is a link": (NATIVE, "run", LINK, ORACLE),
    "tmp is a link": (NATIVE, "tmp", LINK, ORACLE),
    "init is a fifo": (NATIVE, "sbin/init", FIFO, ""),
    "init is a directory": (NATIVE, "sbin/init", DIRECTORY, ""),
    "init is the host's own program": (NATIVE, "sbin/init", LINK, "/proc/self/exe"),
    "init leads out": (NATIVE, "sbin/init", LINK, f"{ORACLE}/program"),
    "cloud is a link": (LX, "var/lib/cloud", LINK, ORACLE),
    "seed is a fifo": (LX, "var/lib/cloud/seed/nocloud/meta-data", FIFO, ""),
    "seed is a directory": (LX, "var/lib/cloud/seed/nocloud/user-data", DIRECTORY, ""),
    "passwd is a fifo": (DOCKER, "etc/passwd", FIFO, ""),
    "passwd is a link": (DOCKER, "etc/passwd", LINK, f"{ORACLE}/passwd"),
    "passwd is a directory": (DOCKER, "etc/passwd", DIRECTORY, ""),
    "group is a link": (DOCKER, "etc/group", LINK, f"{ORACLE}/group"),
    "workdir is a link": (DOCKER, "etc/work", LINK, f"{ORACLE}/new"),
    "workdir is a fifo": (DOCKER, "etc/work", FIFO, ""),
}  # fmt: skip


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    with new_oracle() as made:
        (made.path / "program").write_text("#!/bin/sh\ntouch /was-run\n")
        (made.path / "program").chmod(0o755)
        made.before = made.look()
        yield made


def hostile_image(path: str, kind: bytes, target: str) -> bytes:
    """A small root that boots, but for one thing in it."""
    tree = {
        "etc": (DIRECTORY, b""),
        "etc/passwd": (FILE, b"root:x:0:0::/root:/bin/sh\nsomebody:x:7:7::/home:/bin/sh\n"),
        "etc/group": (FILE, b"somebody:x:7:somebody\n"),
        "var/svc": (DIRECTORY, b""),
        "var/lib/cloud/seed/nocloud": (DIRECTORY, b""),
        "bin/busybox": (FILE, BUSYBOX.read_bytes()),
        "bin/sh": (LINK, b"busybox"),
        "bin/sleep": (LINK, b"busybox"),
        "sbin/init": (FILE, INIT.encode()),
        **dict.fromkeys(("proc", "sys", "dev", "run", "tmp", "root"), (DIRECTORY, b"")),
    }
    # Nothing below it stays, nor what is there.
    kept = {name: each for name, each in tree.items() if not f"{name}/".startswith(f"{path}/")}
    kept[path] = kind, target.encode() if kind == LINK else b""
    return archive(
        *(
            (
                member(f"./{name}", type=is_a, mode=0o755, linkname=data.decode()),
                b"",
            )
            if is_a == LINK
            else (member(f"./{name}", type=is_a, mode=0o755), data)
            for name, (is_a, data) in sorted(kept.items())
        )
    )


def install(host: TestHost, data: bytes, directory: Path, brand: Json) -> str:
    manifest = manifest_for(data, type="lx-dataset" if brand == "lx" else "zone-dataset")
    (directory / "image.tar").write_bytes(data)
    (directory / "image.json").write_text(json.dumps(manifest))
    files = ("-m", str(directory / "image.json"), "-f", str(directory / "image.tar"))
    host("imgadm", "install", *files)
    return str(manifest["uuid"])


@pytest.mark.parametrize("what", ODD)
def test_an_odd_image(host: TestHost, oracle: Oracle, tmp_path: Path, what: str) -> None:
    payload, path, kind, target = ODD[what]
    data = hostile_image(path, kind, target.replace(ORACLE, str(oracle.path)))
    live(host, oracle, tmp_path, data, payload)


@pytest.mark.parametrize("payload", [NATIVE, LX, DOCKER], ids=["native", "lx", "docker"])
def test_control_without_anything_odd_each_step_works(
    host: TestHost, oracle: Oracle, tmp_path: Path, payload: JsonObject
) -> None:
    data = hostile_image("root/nothing", FILE, "")
    assert set(live(host, oracle, tmp_path, data, payload)) == {0}


def live(
    host: TestHost, oracle: Oracle, directory: Path, data: bytes, payload: JsonObject
) -> list[int]:
    """A VM's life, from an image to its end; the exit statuses of the verbs."""
    image = install(host, data, directory, payload["brand"])
    nics = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]
    asked = {"image_uuid": image, "alias": "odd", "nics": nics, "quota": 1, "nowait": True}
    asked |= {"resolvers": ["192.0.2.1"], "maintain_resolvers": True, **payload}
    try:
        said = [say(host, oracle, "create", stdin=json.dumps(asked))]
        for uuid in host("vmadm", "lookup", "alias=odd").stdout.split():
            said += [
                say(host, oracle, "update", uuid, "hostname=another"),
                say(host, oracle, "update", uuid, "resolvers=192.0.2.2"),
                say(host, oracle, "stop", uuid, "-F"),
                say(host, oracle, "start", uuid),
                say(host, oracle, "delete", uuid),
            ]
    finally:
        for uuid in host("vmadm", "lookup", "alias=odd").stdout.split():
            host("vmadm", "delete", uuid)
        host("imgadm", "delete", image)
    return said


def say(host: TestHost, oracle: Oracle, verb: str, *words: str, stdin: str = "") -> int:
    """A verb that works, or says in one or two lines why not; and nothing outside has changed."""
    done = host("vmadm", verb, *words, stdin=stdin, check=False, timeout=60)
    print(verb, done.returncode, done.stderr)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert "should not have" not in done.stderr  # a bug, and says so
    assert done.returncode == 0 or len(done.stderr.splitlines()) <= 6
    assert oracle.is_unharmed()
    assert oracle.token not in done.stdout + done.stderr
    return done.returncode


# -- images of hostile VMs, and VMs on their way to another host -----------------------------------
HOSTILE = """
cd /root && rm -rf tree && mkdir tree && cd tree
ln -s {oracle} out
ln -s {oracle}/passwd passwd
mkfifo fifo
truncate -s 100G sparse
ln /root/tree/sparse hard
printf x > "$(printf 'new\\nline')"
printf x > "$(printf '\\033]0;title\\007')"
python3 -c '
import os
for depth in range(1200):
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
'
"""


@pytest.fixture(scope="module")
def hostile(host: TestHost, base_image: str) -> Iterator[tuple[Attacker, Oracle]]:
    with new_oracle() as oracle, attackers(host, base_image, "hostile") as (made,):
        made.shell(HOSTILE.format(oracle=oracle.path))
        host("vmadm", "stop", made.uuid, "-F")
        yield made, oracle


def holds(path: Path, token: str) -> bool:
    """Whether a file has the token in it."""
    found = subprocess.run(["grep", "-c", token, path], capture_output=True, check=False)
    return found.returncode == 0


def test_a_path_too_long_is_said_and_leaves_nothing(
    hostile: tuple[Attacker, Oracle], tmp_path: Path
) -> None:
    attacker, oracle = hostile
    host = attacker.host
    before = host("imgadm", "list").stdout
    done = create_image(host, attacker.uuid, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "too long" in done.stderr
    assert os.listdir(tmp_path) == []
    assert host("imgadm", "list").stdout == before
    assert oracle.is_unharmed()


def create_image(host: TestHost, uuid: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    return host(
        "imgadm", "create", uuid, "name=x", "version=1", "-o", str(directory), check=False,
        timeout=300,
    )  # fmt: skip


def test_an_image_holds_links_and_not_what_they_lead_to(
    hostile: tuple[Attacker, Oracle], tmp_path: Path
) -> None:
    attacker, oracle = hostile
    host, root = attacker.host, attacker.host.zone_root(attacker.uuid)
    deep = root / "root/tree" / ("d" * 20)
    subprocess.run(["rm", "-rf", str(deep)], check=True)
    done = create_image(host, attacker.uuid, tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.tar")
    assert file.stat().st_size < 2 << 30  # holes stay holes
    assert not holds(file, oracle.token)
    assert oracle.is_unharmed()
    # The control: an archive that follows links.
    careless = tmp_path / "careless.tar"
    argv = ["tar", "--create", "-h", f"--file={careless}", f"--directory={root}/root/tree"]
    subprocess.run([*argv, "passwd"], check=True)
    assert holds(careless, oracle.token)


def test_a_stream_holds_links_and_not_what_they_lead_to(
    hostile: tuple[Attacker, Oracle], tmp_path: Path
) -> None:
    attacker, oracle = hostile
    host, stream = attacker.host, tmp_path / "stream"
    env = os.environ | {"HULL_ROOT": str(host.root)}
    vmadm = Path(__file__).parents[2] / "bin/vmadm"
    with stream.open("wb") as file:
        subprocess.run([vmadm, "send", attacker.uuid], stdout=file, check=True, env=env)
    assert not holds(stream, oracle.token)
    host("vmadm", "delete", attacker.uuid)
    with stream.open("rb") as file:
        subprocess.run([vmadm, "receive"], stdin=file, check=True, env=env)
    assert oracle.is_unharmed()
    link = host.zone_root(attacker.uuid) / "root/tree/out"
    assert os.readlink(link) == str(oracle.path)
