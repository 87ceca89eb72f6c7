# SPDX-License-Identifier: MPL-2.0
"""Debian's packages, by mmdebstrap: from its mirrors, verified by its keys."""

import os
from pathlib import Path

from hull.errors import CommandFailed
from hull.image.build import MIRROR, SECURITY_MIRROR
from hull.linux.run import spawn

COMPONENTS = "main contrib non-free-firmware"


def sources(suite: str) -> tuple[str, ...]:
    return (
        f"deb {MIRROR} {suite} {COMPONENTS}",
        f"deb {MIRROR} {suite}-updates {COMPONENTS}",
        f"deb {SECURITY_MIRROR} {suite}-security {COMPONENTS}",
    )


def mmdebstrap(
    suite: str, packages: tuple[str, ...], root: Path, epoch: int, variant: str, *options: str
) -> None:
    """Install packages, and what they depend on, in an empty directory. Times are of `epoch`."""
    argv = [
        "mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory",
        "--aptopt=Apt::Install-Recommends false", "--aptopt=Acquire::Languages none",
        "--dpkgopt=force-unsafe-io", f"--include={','.join(packages)}", *options, suite, str(root),
        *sources(suite),
    ]  # fmt: skip
    environment = {
        key: os.environ[key] for key in ("http_proxy", "https_proxy") if key in os.environ
    }
    environment["SOURCE_DATE_EPOCH"] = str(epoch)
    log = root.with_name(f"{root.name}.log")
    with (
        log.open("wb") as output,
        spawn(*argv, stdout=output.fileno(), stderr=output.fileno(), env=environment) as process,
    ):
        process.wait()
    if process.returncode:
        raise CommandFailed(argv, process.returncode, log.read_text(errors="replace")[-4000:])
    log.unlink()
