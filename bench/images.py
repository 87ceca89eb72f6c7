# SPDX-License-Identifier: MPL-2.0
"""The root file systems that Hull and its peers start alike: a tiny one, a big one, systemd's."""

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from bench.sandbox import run

IMAGES = Path(os.environ.get("HULL_IMAGES", "/var/cache/hull/images"))
BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "true", "sleep", "cat", "ls", "hostname", "ip", "mount")
RANDOM_MB = 380  # with base-64's ≈ 120 MB: an image of about 500

# Ends at once when asked, in each peer's own way: LXC and Incus send SIGPWR, the others SIGTERM.
INIT = """#!/bin/sh
trap 'exit 0' TERM PWR
while :; do
    sleep 1000000 &
    wait $!
done
"""


@dataclass(frozen=True)
class Image:
    """A root file system as a tar archive, and the same as an image of Hull's."""

    name: str
    tar: Path  # not compressed
    manifest: Path
    file: Path
    uuid: str
    brand: str


def add_init(root: Path) -> None:
    """The init of both the tiny and the big image."""
    init = root / "sbin/init"
    init.unlink(missing_ok=True)
    init.write_text(INIT)
    init.chmod(0o755)


def make_tiny(directory: Path) -> Image:
    """BusyBox and an init: what is measured is the runtime, not the image."""
    root = directory / "tiny"
    for name in ("bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root", "var", "usr"):
        (root / name).mkdir(parents=True)
    (root / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    add_init(root)
    return pack("tiny", root, directory, "joyent")


def make_big(directory: Path) -> Image:
    """About 500 MB that do not compress away: base-64 and random data, with the tiny init."""
    root = directory / "big"
    root.mkdir()
    base = find("base-64").file
    # Without /var/svc it takes no part in provisioning, which this init knows nothing of.
    run("tar", "-x", "--zstd", "-f", str(base), "-C", str(root), "--exclude=./var/svc")
    add_init(root)
    with open(root / "root/random", "wb") as file:
        for _ in range(RANDOM_MB):
            file.write(os.urandom(1 << 20))
    return pack("big", root, directory, "joyent")


def pack(name: str, root: Path, directory: Path, brand: str) -> Image:
    """Archive a tree and write its manifest; the tree is gone afterwards."""
    tar, file = directory / f"{name}.tar", directory / f"{name}.tar.zst"
    run("tar", "-c", "-f", str(tar), "-C", str(root), "--numeric-owner", ".")
    run("rm", "-rf", str(root))
    run("zstd", "-q", "-1", "-T0", str(tar), "-o", str(file))
    with open(file, "rb") as opened:
        sha1 = hashlib.file_digest(opened, "sha1").hexdigest()
    manifest = {
        "v": 2, "uuid": str(uuid.uuid4()), "name": f"bench-{name}", "version": "1.0.0",
        "os": "linux", "type": "zone-dataset", "requirements": {"brand": brand},
        "files": [{"sha1": sha1, "size": file.stat().st_size, "compression": "zstd"}],
    }  # fmt: skip
    path = directory / f"{name}.imgmanifest"
    path.write_text(json.dumps(manifest))
    return Image(name, tar, path, file, str(manifest["uuid"]), brand)


def find(name: str) -> Image:
    """An image that `make images` has built; its tar is not there until `unpacked` makes it."""
    manifest = sorted(IMAGES.glob(f"{name}-*.imgmanifest"))[-1]
    data = json.loads(manifest.read_text())
    file = next(IMAGES.glob(f"{manifest.name.removesuffix('.imgmanifest')}.tar*"))
    brand = data["requirements"]["brand"]
    return Image(name, Path(), manifest, file, data["uuid"], brand)


def unpacked(image: Image, directory: Path) -> Image:
    """The same image with its archive decompressed, for the peers."""
    tar = directory / f"{image.name}.tar"
    run("zstd", "-q", "-d", str(image.file), "-o", str(tar))
    return Image(image.name, tar, image.manifest, image.file, image.uuid, image.brand)
