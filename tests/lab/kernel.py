# SPDX-License-Identifier: MPL-2.0
"""The lab's kernel: Debian 13's, fetched once and unpacked, never installed.

It comes from Debian's own mirrors through apt, with apt's signature checks, in a state directory of
its own: the machine's sources and packages stay as they are.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hull.errors import HostError
from hull.linux.lock import lock
from hull.linux.run import run

# Debian 13's kernel has everything that zones need, simple quotas of btrfs (Linux 6.7) included;
# Debian 12's (6.1) has not. The newest revision is in one suite or in the other.
SOURCES = """\
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security trixie-security main
"""  # noqa: E501  # one source is one line
META_PACKAGE = "linux-image-amd64"
# Modules from here are unpacked, because an emulated CPU takes its time over xz.
UNPACKED = (
    "arch", "crypto", "fs", "lib", "net",
    "drivers/block", "drivers/char", "drivers/net", "drivers/virtio",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A bootable kernel: `modules` is its /lib/modules/VERSION, with modules.dep made."""

    version: str
    image: Path
    modules: Path


def fetch_kernel() -> Kernel:
    """The kernel in the cache; on the first call it is downloaded (110 MB) and unpacked.

    It stays what it is until somebody removes the cache directory.
    """
    cache = cache_directory()
    with lock(cache / "lock", what="the lab's kernel cache", timeout=900):
        if kernels := sorted(cache.glob("kernel-*")):
            return kernel_at(kernels[-1])
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as name:
            return kernel_at(unpack(download(Path(name)), Path(name), cache))


def kernel_at(directory: Path) -> Kernel:
    version = directory.name.removeprefix("kernel-")
    return Kernel(
        version=version,
        image=directory / f"boot/vmlinuz-{version}",
        modules=directory / "usr/lib/modules" / version,
    )


def cache_directory() -> Path:
    """Each user's own. Outside the checkout: `git clean` need not cost a download."""
    path = Path(f"/var/tmp/hull-lab-{os.geteuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    # /var/tmp is everybody's: what another user put there must not be booted.
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise HostError(f"{path} belongs to another user", hint="have it removed")
    return path


def download(work: Path) -> Path:
    """Ask apt for the newest kernel package; returns the .deb in `work`."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(SOURCES)
    options = apt_options(work)
    with progress("reading Debian's package lists"):
        run("apt-get", *options, "-qq", "update", timeout=300)
    package = parse_depends(run("apt-cache", *options, "depends", META_PACKAGE))
    with progress(f"downloading {package}"):
        # apt-get download writes to the current directory, and run() has its own.
        run(
            "sh", "-c", 'cd "$0" && exec apt-get "$@"',
            str(work), *options, "-qq", "download", package, timeout=900,
        )  # fmt: skip
    return next(work.glob("linux-image-*.deb"))


def apt_options(work: Path) -> tuple[str, ...]:
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        # The directory is ours alone, so apt's own user could not write to it.
        "APT::Sandbox::User": "root",
    }
    return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))


def parse_depends(text: str) -> str:
    """The kernel package in the output of `apt-cache depends` of the meta package."""
    for line in text.splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise HostError(f"{META_PACKAGE} depends on no kernel")


def unpack(package: Path, work: Path, cache: Path) -> Path:
    """Turn the package into `cache/kernel-VERSION`, complete or not there at all."""
    tree = work / "tree"
    with progress("unpacking the kernel"):
        run("dpkg-deb", "-x", str(package), str(tree), timeout=300)
        modules = next((tree / "usr/lib/modules").iterdir())
        for part in UNPACKED:
            compressed = [str(path) for path in (modules / "kernel" / part).rglob("*.ko.xz")]
            run("xz", "-d", "--", *compressed, timeout=300)
        run("depmod", "-b", str(tree / "usr"), modules.name, timeout=300)
        shutil.rmtree(tree / "usr/share")
        return tree.rename(cache / f"kernel-{modules.name}")


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Say on standard error what is being waited for, and how long it took."""
    start = time.monotonic()
    print(f"lab: {what} ...", end="", file=sys.stderr, flush=True)
    how = "failed"
    try:
        yield
        how = "done"
    finally:
        print(f" {how} ({time.monotonic() - start:.1f} s)", file=sys.stderr, flush=True)
