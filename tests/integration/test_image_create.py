# SPDX-License-Identifier: MPL-2.0
"""Images of a host's own VMs: made, published, fetched again and compared, bit by bit."""

import hashlib
import json
import os
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.hosts import TestHost, wait_for
from tests.integration.image_fixtures import imgapid

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_btrfs,
    pytest.mark.needs_netns,
    pytest.mark.needs_zones,
]

IMGADM = Path(__file__).parents[2] / "bin/imgadm"
# POSIX ACLs and file capabilities as the kernel keeps them.
ACL = struct.Struct("<HHI")
NOBODY = 0xFFFFFFFF


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(ACL.pack(*entry) for entry in entries)


NAMED_USER = acl((1, 7, NOBODY), (2, 6, 77), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY))
DEFAULT = acl((1, 7, NOBODY), (4, 5, NOBODY), (8, 5, 88), (16, 7, NOBODY), (32, 0, NOBODY))
NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def furnish(root: Path) -> None:
    """All that an image must keep."""
    data = root / "data"
    (data / "deep").mkdir(parents=True)
    (data / "file").write_text("text\n")
    os.chown(data / "file", 1234, 4321)
    (data / "file").chmod(0o4755)
    os.link(data / "file", data / "hard")
    (data / "soft").symlink_to("/data/file")
    os.chown(data / "soft", 5, 6, follow_symlinks=False)
    os.setxattr(data / "file", "user.note", b"kept\0\xff")
    os.setxattr(data / "deep", "user.note", b"dir")
    os.setxattr(data / "deep", "system.posix_acl_access", NAMED_USER)
    os.setxattr(data / "deep", "system.posix_acl_default", DEFAULT)
    (data / "ping").write_bytes(os.urandom(5000))
    os.setxattr(data / "ping", "security.capability", NET_RAW)
    with (data / "sparse").open("wb") as file:
        file.seek(32 << 20)
        file.write(b"x")
        file.truncate(64 << 20)
    os.mkfifo(data / "fifo", 0o620)
    with open(os.path.join(bytes(data), b"n\nl \xe4"), "w"):
        pass
    for name in ("file", "deep"):
        os.utime(data / name, ns=(981173106123456789, 981173106123456789))


def listing(root: Path) -> list[str]:
    """One line a file: everything but inode numbers and the times of the last change."""
    lines = []
    links: dict[int, bytes] = {}
    for above, directories, files in os.walk(bytes(root)):
        directories.sort()
        if above == bytes(root / "dev"):
            directories.clear()
            continue
        for path in sorted(os.path.join(above, name) for name in [*directories, *files, b"."]):
            status = os.lstat(path)
            content: object = ""
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
                content = (status.st_size, content, links.setdefault(status.st_ino, path))
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            attributes = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
                if not name.startswith("btrfs.")
            }
            name = os.path.relpath(path, bytes(root))
            owner = (oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns)
            lines.append(f"{name!r} {owner} {content} {sorted(attributes.items())}")
    return [line.replace(str(root), "") for line in lines]


def a_vm(host: TestHost, image: str, **more: object) -> str:
    return host.create(
        brand="joyent-minimal", image_uuid=image, autoboot=False, max_physical_memory=128, **more
    )


def image_root(host: TestHost, uuid: str) -> Path:
    return host.root / "zones" / uuid / "root"


@pytest.fixture
def repository(clean_host: TestHost, tmp_path: Path) -> Iterator[str]:
    """A real image server that can be written to, in the host's network."""
    with served(clean_host, tmp_path / "repository", "--writable") as url:
        yield url


@contextmanager
def served(host: TestHost, directory: Path, *options: str) -> Iterator[str]:
    directory.mkdir(exist_ok=True)
    with imgapid(directory, *options, netns=host.netns) as url:
        yield url


@pytest.fixture
def made(clean_host: TestHost) -> Iterator[list[str]]:
    """Images that a test installs; gone afterwards, the last first. VMs go before."""
    uuids: list[str] = []
    yield uuids
    for uuid in clean_host("vmadm", "lookup").stdout.split():
        clean_host("vmadm", "delete", uuid, check=False)
    for uuid in reversed(uuids):
        clean_host("imgadm", "delete", uuid, check=False)


def create(host: TestHost, vm: str, output: Path, *options: str, name: str = "mine") -> str:
    """Make an image; returns its UUID."""
    host(
        "imgadm", "create", *options, "-o", str(output), vm, f"name={name}", "version=1.0",
        timeout=300,
    )  # fmt: skip
    manifest = json.loads((output / f"{name}-1.0.imgmanifest").read_text())
    return str(manifest["uuid"])


def test_there_and_back_bit_by_bit(
    clean_host: TestHost, base_image: str, tmp_path: Path, repository: str, made: list[str]
) -> None:
    """VM -> create -> publish -> import -> VM."""
    host = clean_host
    vm = a_vm(host, base_image)
    furnish(host.zone_root(vm))
    before = listing(host.zone_root(vm))
    said = host(
        "imgadm", "create", "-c", "zstd", "-p", repository, vm, "name=mine", "version=1.0"
    ).stdout
    uuid = said.split("Activated image ")[1].split()[0]
    made.append(uuid)
    assert f"Imported image {uuid} (mine, 1.0, state=unactivated)" in said
    assert '(compression "zstd") to image' in said
    assert list((host.root / "var/tmp").glob(".imgadm-create/*")) == []
    fetched = host("imgadm", "import", "-S", repository, uuid).stdout.splitlines()
    assert fetched[0] == f'Importing {uuid} (mine@1.0) from "{repository}"'
    assert fetched[-1] == f"Imported image {uuid} (mine@1.0)"
    assert listing(image_root(host, uuid)) == before
    sparse = (image_root(host, uuid) / "data/sparse").stat()
    assert (sparse.st_size, sparse.st_blocks < 8192) == (64 << 20, True)
    clone = host.create(brand="joyent-minimal", image_uuid=uuid, max_physical_memory=128)
    assert host("zlogin", clone, "cat /data/file").stdout == "text\n"
    manifest = host.json("imgadm", "get", uuid)["manifest"]
    assert manifest["requirements"]["networks"]
    assert "origin" not in manifest


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "xz"])
def test_compressions(
    clean_host: TestHost, tmp_path: Path, made: list[str], tiny: str, compression: str
) -> None:
    host = clean_host
    vm = a_vm(host, tiny)
    uuid = create(host, vm, tmp_path, "-c", compression)
    made.append(uuid)
    manifest = tmp_path / "mine-1.0.imgmanifest"
    (file,) = tmp_path.glob("mine-1.0.tar*")
    assert json.loads(manifest.read_text())["files"][0]["compression"] == compression
    assert file.stat().st_size == json.loads(manifest.read_text())["files"][0]["size"]
    host("imgadm", "install", "-m", str(manifest), "-f", str(file))
    assert listing(image_root(host, uuid)) == listing(host.zone_root(vm))


@pytest.fixture(scope="module")
def tiny(host: TestHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of a few files: nothing runs in it."""
    directory = tmp_path_factory.mktemp("tiny")
    root = directory / "root"
    for name in ("etc", "sbin", "native", ".zonecontrol", "dev", "proc", "sys", "run", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "sbin/init").write_text("")
    (root / "sbin/init").chmod(0o755)
    file = directory / "tiny.tar"
    subprocess.run(["tar", "-C", root, "-cf", file, "."], check=True)
    manifest = {
        "v": 2, "uuid": str(uuid4()), "name": "tiny", "version": "1.0",
        "os": "linux", "type": "zone-dataset", "requirements": {"brand": "joyent-minimal"},
    }  # fmt: skip
    (directory / "tiny.imgmanifest").write_text(json.dumps(manifest))
    host("imgadm", "install", "-m", str(directory / "tiny.imgmanifest"), "-f", str(file))
    yield str(manifest["uuid"])
    host("imgadm", "delete", str(manifest["uuid"]), check=False)


# -- incremental images ----------------------------------------------------------------------------
def step(root: Path, number: int) -> None:
    """What changes from one image of a chain to the next."""
    with open(root / "etc/passwd", "a") as file:
        file.write(f"user{number}:x:{number}:{number}::/:\n")
    (root / f"step{number}").mkdir()
    (root / f"step{number}/file").write_text("x" * number)
    os.link(root / f"step{number}/file", root / f"step{number}/hard")
    if number == 2:
        (root / "etc/gone").unlink()
        (root / "step1/file").rename(root / "step1/moved")
        (root / "was-file").unlink()
        (root / "was-file").mkdir()
        (root / "was-directory/x").unlink()
        (root / "was-directory").rmdir()
        (root / "was-directory").symlink_to("etc")
    if number == 1:
        (root / "etc/gone").write_text("")
        (root / "was-file").write_text("")
        (root / "was-directory").mkdir()
        (root / "was-directory/x").write_text("")
    if number == 3:
        furnish(root)


def test_a_chain_of_three(
    clean_host: TestHost, base_image: str, tmp_path: Path, repository: str, made: list[str]
) -> None:
    """Each from a VM of the one before; fetched again on a host that has forgotten them all."""
    host = clean_host
    origin, vm = base_image, ""
    chain: list[str] = []
    listings: list[list[str]] = []
    for number in (1, 2, 3):
        vm = a_vm(host, origin)
        step(host.zone_root(vm), number)
        (output := tmp_path / str(number)).mkdir()
        uuid = create(host, vm, output, "-i", "-c", "zstd", name=f"step{number}")
        manifest = output / f"step{number}-1.0.imgmanifest"
        (file,) = output.glob("*.tar.zst")
        assert file.stat().st_size < 1 << 20
        assert json.loads(manifest.read_text())["origin"] == origin
        host("imgadm", "install", "-m", str(manifest), "-f", str(file))
        made.append(uuid)
        listings.append(listing(host.zone_root(vm)))
        assert listing(image_root(host, uuid)) == listings[-1]
        publish_with_origins(host, repository, manifest, file, base_image)
        chain.append(uuid)
        origin = uuid
    rows = host("imgadm", "ancestry", "-H", origin).stdout.splitlines()
    assert [row.split()[0] for row in rows] == [*reversed(chain), base_image]
    refused = host("imgadm", "delete", chain[0], check=False)
    code = "imgadm delete: error (ImageHasDependentClones)"
    assert refused.returncode == 1
    assert refused.stderr.startswith(f'{code}: image "{chain[0]}" has dependent clones: zones/')
    deep = host(
        "imgadm", "create", "-i", "--max-origin-depth", "2", "-o", str(tmp_path), vm,
        "name=x", "version=1", check=False,
    )  # fmt: skip
    assert "error (MaxOriginDepth): cannot create image" in deep.stderr
    forget(host, chain)
    said = host("imgadm", "import", "-S", repository, "step3@1.0").stdout
    assert f"Gather image {chain[2]} ancestry\n" in said
    assert f"Image {base_image} already installed\n" in said
    assert "Must download and install 3 images (" in said
    for uuid, expected in zip(chain, listings, strict=True):
        assert listing(image_root(host, uuid)) == expected
    clone = host.create(brand="joyent-minimal", image_uuid=chain[2], max_physical_memory=128)
    assert host("zlogin", clone, "cat /data/file").stdout == "text\n"


def publish_with_origins(
    host: TestHost, url: str, manifest: Path, file: Path, base_image: str
) -> None:
    """A server takes no image whose origin it has not got: the base comes first, without bytes."""
    if json.loads(manifest.read_text())["origin"] == base_image:
        base = host.json("imgadm", "get", base_image)["manifest"]
        script = 'curl -sf -H "Content-Type: application/json" -d @- "$1/images?action=import"'
        host.in_netns("sh", "-c", f"printf %s '{json.dumps(base)}' | {script}", "sh", url)
    host("imgadm", "publish", "-m", str(manifest), "-f", str(file), url)


def forget(host: TestHost, chain: list[str]) -> None:
    for vm in host("vmadm", "lookup").stdout.split():
        host("vmadm", "delete", vm)
    lines = host("imgadm", "vacuum", "-nf").stdout.splitlines()
    assert [line for line in lines if "(step" in line] == [
        f"[dry-run] Deleted image {uuid} (step{3 - index}@1.0)"
        for index, uuid in enumerate(reversed(chain))
    ]
    for uuid in reversed(chain):
        assert host("imgadm", "delete", uuid).stdout == f"Deleted image {uuid}\n"


# -- prepare scripts -------------------------------------------------------------------------------
GOOD = """#!/bin/sh
mdata-put prepare-image:state running
echo prepared > /prepared
rm -f /precious
mdata-put prepare-image:state success
(sleep 1; kill -TERM 1) &
"""
BAD = """#!/bin/sh
mdata-put prepare-image:state running
rm -f /precious
mdata-put prepare-image:error 'no luck'
mdata-put prepare-image:state error
"""

SLOW = """#!/bin/sh
rm -f /precious
mdata-put prepare-image:state running
sleep 99
"""


def test_a_prepare_script_is_undone(
    clean_host: TestHost, base_image: str, tmp_path: Path, made: list[str]
) -> None:
    host = clean_host
    vm = host.create(
        brand="joyent-minimal", image_uuid=base_image, max_physical_memory=128,
        customer_metadata={"prepare-image:state": "success"},
    )  # fmt: skip
    host("zlogin", vm, "echo here > /precious")
    before = host.json("vmadm", "get", vm)
    (tmp_path / "good").write_text(GOOD)
    uuid = create(host, vm, tmp_path, "-s", str(tmp_path / "good"))
    made.append(uuid)
    host(
        "imgadm", "install", "-m", str(tmp_path / "mine-1.0.imgmanifest"),
        "-f", str(tmp_path / "mine-1.0.tar"),
    )  # fmt: skip
    assert (image_root(host, uuid) / "prepared").read_text() == "prepared\n"
    assert not (image_root(host, uuid) / "precious").exists()
    assert host("zlogin", vm, "cat /precious; ls /prepared", check=False).stdout == "here\n"
    after = host.json("vmadm", "get", vm)
    for key in ("customer_metadata", "internal_metadata", "state", "autoboot", "snapshots"):
        assert after.get(key) == before.get(key), key


def test_a_prepare_script_that_fails(clean_host: TestHost, base_image: str, tmp_path: Path) -> None:
    host = clean_host
    vm = host.create(brand="joyent-minimal", image_uuid=base_image, max_physical_memory=128)
    host("zlogin", vm, "echo here > /precious")
    (tmp_path / "bad").write_text(BAD)
    done = host(
        "imgadm", "create", "-s", str(tmp_path / "bad"), "-o", str(tmp_path), vm,
        "name=x", "version=1", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "imgadm create: error (PrepareImageError): prepare-image script error while preparing "
        f"VM {vm}: no luck\n"
    )
    assert "Prepare script is running" in done.stdout
    assert host("zlogin", vm, "cat /precious").stdout == "here\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad"]


def test_what_cannot_be_made(clean_host: TestHost, base_image: str, tmp_path: Path) -> None:
    host = clean_host
    vm = host.create(brand="joyent-minimal", image_uuid=base_image, max_physical_memory=128)

    def error(*words: str) -> str:
        done = host("imgadm", "create", "-o", str(tmp_path), *words, check=False)
        assert done.returncode == 1
        return done.stderr

    named = ("name=x", "version=1")
    assert error(vm, *named) == f'imgadm create: error (VmNotStopped): vm "{vm}" is not stopped\n'
    missing = str(uuid4())
    assert error(missing, *named) == (
        f'imgadm create: error (VmNotFound): vm "{missing}" was not found\n'
    )
    host("vmadm", "stop", vm)
    assert "error (ManifestValidation): " in error(vm, "name=x")
    assert "error (ManifestValidation): " in error(vm, *named, "colour=blue")
    assert list(tmp_path.iterdir()) == []


# -- crashes ---------------------------------------------------------------------------------------
def restart(host: TestHost) -> None:
    host.kill_hulld()
    host.up()


def left_on(host: TestHost) -> set[str]:
    """What an operation under way would leave: datasets, snapshots, files."""
    zones = {path.name for path in (host.root / "zones").iterdir() if "-partial" in path.name}
    journals = {str(path) for path in (host.root / "var/imgadm/preparing").glob("*")}
    return (
        zones | journals | {str(path) for path in (host.root / "var/tmp").glob(".imgadm-create*")}
    )


def test_kill_9_while_an_image_is_made(
    clean_host: TestHost, base_image: str, tmp_path: Path
) -> None:
    host = clean_host
    vm = a_vm(host, base_image)
    with (host.zone_root(vm) / "big").open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    argv = ["create", "-c", "xz", "-o", str(tmp_path), vm, "name=x", "version=1"]
    with subprocess.Popen(
        [IMGADM, *argv],
        env=os.environ | {"HULL_ROOT": str(host.root)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_for(lambda: [path for path in tmp_path.iterdir() if path.stat().st_size], 60)
        restart(host)
        assert process.wait(60) == 1
    assert list(tmp_path.iterdir()) == []
    assert left_on(host) == set()
    assert host.json("vmadm", "get", vm)["snapshots"] == []
    uuid = create(host, vm, tmp_path, "-c", "none", name="again")
    assert uuid


def test_kill_9_while_a_vm_is_prepared(
    clean_host: TestHost, base_image: str, tmp_path: Path
) -> None:
    host = clean_host
    vm = host.create(brand="joyent-minimal", image_uuid=base_image, max_physical_memory=128)
    host("zlogin", vm, "echo here > /precious")
    script = tmp_path / "slow"
    script.write_text(
        "#!/bin/sh\nrm -f /precious\nmdata-put prepare-image:state running\nsleep 99\n"
    )
    with subprocess.Popen(
        [IMGADM, "create", "-s", script, vm, "name=x", "version=1"],
        env=os.environ | {"HULL_ROOT": str(host.root)}, cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_for(
            lambda: host.json("vmadm", "get", vm)["customer_metadata"].get("prepare-image:state"),
            60,
        )
        restart(host)
        assert process.wait(60) == 1
    assert left_on(host) == set()
    wait_for(lambda: host.json("vmadm", "get", vm)["state"] == "running")
    assert host("zlogin", vm, "cat /precious").stdout == "here\n"
    seen = host.json("vmadm", "get", vm)
    assert (seen["customer_metadata"], seen["snapshots"]) == ({}, [])
    assert "operator-script" not in seen["internal_metadata"]


def test_kill_9_while_an_image_comes(
    clean_host: TestHost, base_image: str, tmp_path: Path, repository: str, made: list[str]
) -> None:
    host = clean_host
    vm = a_vm(host, base_image)
    with (host.zone_root(vm) / "big").open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    said = host(
        "imgadm", "create", "-c", "bzip2", "-p", repository, vm, "name=big", "version=1",
        timeout=300,
    ).stdout  # fmt: skip
    uuid = said.split("Activated image ")[1].split()[0]
    made.append(uuid)
    with subprocess.Popen(
        [IMGADM, "import", "-S", repository, uuid],
        env=os.environ | {"HULL_ROOT": str(host.root)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_for(lambda: (host.root / "zones" / f"{uuid}-partial/root/etc").is_dir(), 60)
        restart(host)
        assert process.wait(60) == 1
    assert left_on(host) == set()
    assert host("imgadm", "get", uuid, check=False).returncode == 3
    began = time.monotonic()
    host("imgadm", "import", "-S", repository, uuid)  # the download is there already
    assert time.monotonic() - began < 60
    assert list((host.root / "var/tmp/.imgadm-downloads").iterdir()) == []
