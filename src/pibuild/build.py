# SPDX-License-Identifier: MPL-2.0
"""A platform, from its description to the files that are booted."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hull.errors import HostError
from hull.image.build import overlay_command
from hull.linux.run import run
from pibuild import media
from pibuild.config import Config
from pibuild.initramfs import make_initramfs
from pibuild.kernel import build_modules, make_kernel
from pibuild.layers import Layers, Report
from pibuild.packages import make_userland

CHECKOUT = Path(__file__).resolve().parents[2]
# What of the checkout is in the platform, and where.
HULL = "usr/lib/hull"
PARTS = ("bin", "src/hull", "src/native", "src/lab")
COMMANDS = ("bin", "src/native/smf/bin")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a build is done."""

    output: Path
    cache: Path
    epoch: int  # seconds; times in the platform, and its stamp
    effort: str = "normal"  # of compression: fast, normal, small
    image: bool = True  # also for sticks and discs

    @property
    def stamp(self) -> str:
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y%m%dT%H%M%SZ")


def build_platform(config: Config, options: Options, report: Report) -> Path:
    """Build it; returns the directory OUTPUT/STAMP, which is there whole or not at all."""
    if os.geteuid() != 0:
        raise HostError("pibuild needs root: it makes files of many owners")
    options.output.mkdir(parents=True, exist_ok=True)
    layers = Layers(options.cache, report)
    suite_date = month_of(options.epoch)
    userland = layers.layer(
        "packages",
        [config.suite, suite_date, *config.packages, "", *config.without, "", *config.remove],
        lambda layer: make_userland(config, options.epoch, layer / "root"),
    )
    built = layers.layer(
        "modules",
        [config.suite, suite_date, config.kernel.package, config.kernel.headers, config.kernel.zfs],
        lambda layer: build_modules(config, options.epoch, layer),
    )
    kernel = layers.layer(
        "kernel",
        [built.name, *config.kernel.without],
        lambda layer: make_kernel(config, built, layer),
    )
    with ExitStack() as undo:
        work = Path(tempfile.mkdtemp(prefix="pibuild-", dir=options.output))
        undo.callback(shutil.rmtree, work, ignore_errors=True)
        report("root: being put together")
        root = work / "root"
        assemble(config, userland / "root", kernel, root, options)
        made = work / options.stamp
        (made / "platform").mkdir(parents=True)
        report("squashfs: being packed")
        pack(config, root, kernel, made, options)
        (made / "packages.txt").write_bytes((root / "usr/share/hull/packages.txt").read_bytes())
        if options.image:
            report("image: being made")
            menu = CHECKOUT / "platform/grub.cfg"
            name = f"platform-{options.stamp}"
            media.make_image(made / "platform", menu, work, made / f"{name}.iso", options.epoch)
            media.make_archive(made / "platform", name, made / f"{name}.tgz", options.epoch)
        (made / "SHA256SUMS").write_text("".join(media.checksums(made)))
        target = options.output / options.stamp
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return target


def month_of(epoch: int) -> str:
    """Debian's packages are asked for anew each month; until then a cached layer will do."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m")


def assemble(config: Config, userland: Path, kernel: Path, root: Path, options: Options) -> None:
    """Userland, modules, Hull, and the files of the description, in one tree."""
    run("cp", "-a", "--reflink=auto", str(userland), str(root), timeout=600)
    version = (kernel / "version").read_text()
    modules = root / "usr/lib/modules" / version
    modules.parent.mkdir(exist_ok=True)
    run("cp", "-a", "--reflink=auto", str(kernel / "modules" / version), str(modules), timeout=600)
    for part in PARTS:
        (root / HULL / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(CHECKOUT / part, root / HULL / part, symlinks=True,
                        ignore=shutil.ignore_patterns("__pycache__", ".stamp"))  # fmt: skip
    for directory in COMMANDS:
        for path in (CHECKOUT / directory).iterdir():
            link = root / "usr/sbin" / path.name
            if not os.path.lexists(link):
                link.symlink_to(f"/{HULL}/{directory}/{path.name}")
    for files in config.files:
        run("sh", "-euc", overlay_command(files), "sh", str(root))
    (root / "etc/hull-release").write_text(f"{config.name} {options.stamp}\n")
    sources = [f"/{HULL}/src/{name}" for name in ("hull", "native/smf", "native/mdata")]
    compiler = ("python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    run("chroot", str(root), *compiler, *sources, timeout=600)
    run("depmod", "-b", str(root / "usr"), version, timeout=600)


def pack(config: Config, root: Path, kernel: Path, made: Path, options: Options) -> None:
    """Kernel, initramfs, squashfs with its hash, and the boot archive."""
    platform = made / "platform"
    shutil.copy(kernel / "vmlinuz", platform / "kernel")
    squashfs = platform / "platform.squashfs"
    media.make_squashfs(root, squashfs, options.epoch, options.effort)
    digest = media.sha256(squashfs)
    (platform / "platform.sha256").write_text(f"{digest}  platform.squashfs\n")
    version = (kernel / "version").read_text()
    modules = root / "usr/lib/modules" / version
    archive = make_initramfs(
        root / "usr/bin/busybox", CHECKOUT / "platform/initramfs/init", modules,
        config.kernel.initramfs,
    )  # fmt: skip
    media.compress(archive, platform / "initramfs", options.effort)
    media.make_boot_archive(platform / "initramfs", squashfs, digest, made / "boot-archive")
