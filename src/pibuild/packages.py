# SPDX-License-Identifier: MPL-2.0
"""The userland: Debian's packages in a directory, without what a stateless system does not need."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from hull.errors import HostError
from hull.linux.run import run
from pibuild.config import Config
from pibuild.debian import mmdebstrap

# Not unpacked at all. Licences stay: what is distributed has to have them with it.
LEFT_OUT = (
    "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*",
    "/usr/share/doc/*",
)  # fmt: skip
MANIFEST = "usr/share/hull/packages.txt"  # what is in the platform, a package a line
# dpkg itself goes last, by hand: it cannot remove itself.
LIST = "dpkg-query -W -f '${Package} ${Version} ${Architecture} ${source:Package}\\n'"


def make_userland(config: Config, epoch: int, root: Path) -> None:
    """Fill `root` with the packages of a platform."""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    mmdebstrap(config.suite, config.packages, root, epoch, "custom", *options)
    (root / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
    (root / MANIFEST).write_text(run("chroot", str(root), "sh", "-c", LIST))
    installed = {line.split()[0] for line in (root / MANIFEST).read_text().splitlines()}
    doomed = [name for name in config.without if name in installed]
    if doomed:
        run("chroot", str(root), "dpkg", "--remove", "--force-all", *doomed, timeout=600)
    trim(config, root)
    if broken := list(broken_programs(root)):
        raise HostError(
            "the platform lacks libraries that its programs are linked with",
            hint=f"`without` or `remove` goes too far: {'; '.join(broken[:5])}",
        )


def trim(config: Config, root: Path) -> None:
    """Remove what the description says, and what differs from build to build."""
    for pattern in config.remove:
        for path in root.glob(pattern):
            remove(path)
    for path in sorted(root.glob("usr/share/doc/*/*")):
        if path.name != "copyright":
            remove(path)
    for name in ("etc/hostname", "etc/resolv.conf", "etc/passwd-", "etc/group-", "etc/shadow-",
                 "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/apt"):  # fmt: skip
        remove(root / name)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def broken_programs(root: Path) -> Iterator[str]:
    """Programs and libraries that are linked with a library that is nowhere any more."""
    there = {path.name for path in (root / "usr/lib").rglob("*.so*")}
    for place in ("usr/bin", "usr/sbin", "usr/lib", "usr/libexec"):
        for path in sorted((root / place).rglob("*")):
            if path.is_symlink() or not path.is_file() or not is_elf(path):
                continue
            said = run("objdump", "-p", str(path))
            needed = [line.split()[1] for line in said.splitlines() if line.startswith("  NEEDED")]
            if missing := [name for name in needed if name not in there]:
                yield f"/{path.relative_to(root)} needs {', '.join(missing)}"


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
