# SPDX-License-Identifier: MPL-2.0
"""mkimage with real packages: the same inputs give the same bytes, and nothing of the builder."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.image_fixtures import BIN

pytestmark = pytest.mark.needs_root

RECIPE = """
name = "tiny"
version = "1.0"
description = "The least that boots"
os = "linux"
type = "zone-dataset"
brand = "joyent"
suite = "trixie"
variant = "apt"
packages = []
files = ["files"]
post = ["touch /made-by-post"]
init = "/usr/sbin/start"
"""


# Nothing cleans the builder's own apt.
GUARDED = """
mount -t tmpfs mine /var/cache/apt/archives
touch /var/cache/apt/archives/mine.deb
"$@"
test -e /var/cache/apt/archives/mine.deb
"""


def build(recipe: Path, output: Path) -> tuple[dict[str, object], Path]:
    guard = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", GUARDED, "sh"]
    done = subprocess.run(
        [*guard, BIN / "mkimage", recipe, "-o", output], capture_output=True, text=True, check=True
    )
    manifest, file = (Path(line) for line in done.stdout.splitlines())
    assert "packing" in done.stderr
    return json.loads(manifest.read_text()), file


def test_a_build_can_be_repeated(tmp_path: Path) -> None:
    overlay = tmp_path / "files/sbin"
    overlay.mkdir(parents=True)
    start = overlay / "start"
    start.write_text("#!/bin/sh\n")
    start.chmod(0o700)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    manifest, file = build(recipe, tmp_path / "one")
    data = file.read_bytes()
    described = manifest["files"]
    assert described == [
        {
            "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            "size": len(data),
            "compression": "zstd",
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        }
    ]
    assert build(recipe, tmp_path / "two")[0] == manifest
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "tiny-1.0.imgmanifest",
        "tiny-1.0.tar.zst",
    ]
    check_contents(file)


def check_contents(file: Path) -> None:
    plain = file.with_suffix("")
    subprocess.run(["zstd", "-q", "-d", file, "-o", plain], check=True)
    with tarfile.open(plain) as tar:
        members = {member.name: member for member in tar}
    # The root's /sbin is a link and stays one; the overlay went through it.
    assert members["./sbin"].issym()
    start = members["./usr/sbin/start"]
    assert (start.mode, start.uid, start.gid) == (0o755, 0, 0)
    assert "./made-by-post" in members
    assert members["./native"].isdir()
    assert members["./.zonecontrol"].isdir()
    assert members["./etc/machine-id"].size == 0
    assert members["./etc/resolv.conf"].size == 0
    for absent in ("./etc/hostname", "./var/log/dpkg.log", "./usr/share/man/man1", "./dev/null"):
        assert absent not in members
    assert list(members) == sorted(members, key=lambda name: name.split("/"))
