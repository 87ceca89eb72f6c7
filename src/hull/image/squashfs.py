# SPDX-License-Identifier: MPL-2.0
"""Images that are a squashfs, as LXD's may be: unpacked in the cage of extract.py."""

import shutil
from pathlib import Path

from hull.errors import CommandFailed, Corrupt, Unsupported
from hull.image.extract import cage_argv, scratch_directory
from hull.linux.run import run

MAGIC = b"hsqs"
PROGRAM = "/usr/bin/unsquashfs"
# It is as large as it is slow to unpack; what never ends must.
TIMEOUT = 3600.0
UNSQUASH = (
    PROGRAM, "-force", "-no-progress", "-quiet", "-processors", "2", "-dest", "/root",
    "-excludes", "/image", "dev/*",
)  # fmt: skip


def is_squashfs(head: bytes) -> bool:
    return head.startswith(MAGIC)


def unsquash(file: Path, target: Path, scratch: Path) -> None:
    """Unpack a squashfs below `target`, an existing directory. Raises Unsupported, Corrupt."""
    if shutil.which(PROGRAM) is None:
        raise Unsupported(
            "the image is a squashfs, and unsquashfs is not installed",
            hint="apt-get install squashfs-tools",
        )
    with scratch_directory(scratch) as work:
        cage = Path(work) / "cage"
        cage.mkdir()
        try:
            run(*cage_argv(cage, target, UNSQUASH, str(file)), timeout=TIMEOUT)
        except CommandFailed as exc:
            words = exc.stderr.strip().splitlines()[:1] or ["no message"]
            raise Corrupt(f"the image cannot be unpacked: {words[0]}") from exc
