# SPDX-License-Identifier: MPL-2.0
"""The kernel: Debian's, with OpenZFS's module built for it, and the modules that a server needs.

Modules are unpacked, as a squashfs compresses them better together; not stripped, as that would
break their signatures.
"""

import shutil
from pathlib import Path

from hull.errors import Corrupt, HostError
from hull.linux.run import run
from pibuild.config import Config, Kernel
from pibuild.debian import mmdebstrap

# In the chroot: the kernel's package unpacked, and the modules of OpenZFS, by DKMS.
FETCH = (
    'chroot "$1" sh -euc \'cd /root; version=$(ls /lib/modules);'
    ' apt-get download "linux-image-$version"; apt-get install -y --no-install-recommends {zfs}\''
)


def build_modules(config: Config, epoch: int, layer: Path) -> None:
    """Fill `layer`: the kernel's package as `unpacked`, `extra` with OpenZFS, Module.symvers."""
    builder = layer / "builder"
    tools = (config.kernel.headers, "dkms", "build-essential", "kmod", "xz-utils")
    hook = "--customize-hook=" + FETCH.format(zfs=config.kernel.zfs)
    mmdebstrap(config.suite, tools, builder, epoch, "apt", "--skip=cleanup/apt", hook)
    version = next((builder / "usr/lib/modules").iterdir()).name
    package = next(builder.glob("root/linux-image-*.deb"))
    run("dpkg-deb", "-x", str(package), str(layer / "unpacked"), timeout=600)
    take_zfs(builder / "usr/lib/modules" / version, layer / "extra")
    shutil.copy(builder / f"usr/src/linux-headers-{version}/Module.symvers", layer)
    (layer / "version").write_text(version)
    shutil.rmtree(builder)


def make_kernel(config: Config, built: Path, layer: Path) -> None:
    """Fill `layer` from what build_modules has made: vmlinuz, modules/VERSION, `version`."""
    version = (built / "version").read_text()
    shutil.copy(built / f"unpacked/boot/vmlinuz-{version}", layer / "vmlinuz")
    modules = layer / "modules" / version
    modules.parent.mkdir()
    shutil.copytree(built / "unpacked/usr/lib/modules" / version, modules, symlinks=True)
    shutil.copytree(built / "extra", modules / "extra")
    choose_modules(config.kernel, modules)
    check_modules(modules, built / "Module.symvers")
    (layer / "version").write_text(version)


def take_zfs(built: Path, extra: Path) -> None:
    """The two modules of OpenZFS."""
    extra.mkdir()
    for name in ("spl", "zfs"):
        found = list(built.glob(f"updates/dkms/{name}.ko*"))
        if not found:
            raise HostError(
                f"DKMS has not built {name}.ko", hint="its log is in the builder's cache"
            )
        shutil.copy(found[0], extra)


def choose_modules(kernel: Kernel, modules: Path) -> None:
    """Keep what is not in the directories left out, and what that depends on; unpack it."""
    run("depmod", "-b", str(layer_of(modules)), modules.name, timeout=600)
    depends = parse_dep((modules / "modules.dep").read_text())
    left_out = tuple(f"kernel/{directory}/" for directory in kernel.without)
    kept = {path for path in depends if not path.startswith(left_out)}
    kept.update(needed for path in list(kept) for needed in depends[path])
    for path in depends:
        if path not in kept:
            (modules / path).unlink()
    packed = [str(path) for path in sorted(modules.rglob("*.ko.xz"))]
    for first in range(0, len(packed), 200):
        run("xz", "-d", "--", *packed[first : first + 200], timeout=600)
    for directory in sorted(modules.rglob("*/"), reverse=True):
        if not any(directory.iterdir()):
            directory.rmdir()
    for name in ("build", "source"):
        (modules / name).unlink(missing_ok=True)


def parse_dep(text: str) -> dict[str, list[str]]:
    """modules.dep: each module's file, with all that it depends on, near or far."""
    lines = (line.partition(":") for line in text.splitlines())
    return {path: needed.split() for path, _, needed in lines}


def check_modules(modules: Path, symbols: Path) -> None:
    """Every symbol that a module wants has to be somewhere. Corrupt."""
    command = 'exec depmod -e -E "$1" -b "$2" "$3" 2>&1'
    base = str(layer_of(modules))
    said = run("sh", "-c", command, "sh", str(symbols), base, modules.name, timeout=600)
    if unknown := [line for line in said.splitlines() if "unknown symbol" in line]:
        raise Corrupt(f"the modules are not complete: {unknown[0]}")


def layer_of(modules: Path) -> Path:
    """depmod wants what is above lib/modules."""
    above = modules.parents[1] / "depmod"
    (above / "lib").mkdir(parents=True, exist_ok=True)
    link = above / "lib/modules"
    if not link.is_symlink():
        link.symlink_to(modules.parent)
    return above
