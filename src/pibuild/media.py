# SPDX-License-Identifier: MPL-2.0
"""What is booted: squashfs, initramfs, boot archive, image for sticks and discs."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hull.linux.run import run, spawn, wait
from pibuild.cpio import FILE, header

LEVEL = {"small": ("xz", ()), "normal": ("zstd", ("-Xcompression-level", "19", "-b", "1M")),
         "fast": ("zstd", ("-Xcompression-level", "3", "-b", "256K"))}  # fmt: skip
# Of GRUB's: what finds the medium again, shows a menu, and loads a kernel.
GRUB = (
    "normal linux all_video serial terminal iso9660 fat part_gpt part_msdos search search_fs_file "
    "echo test configfile ls cat sleep halt reboot minicmd gzio chain loopback"
)


def make_squashfs(root: Path, target: Path, epoch: int, effort: str) -> None:
    """The root as one compressed file; the same bytes for the same files."""
    compressor, options = LEVEL[effort]
    run(
        "mksquashfs", str(root), str(target), "-noappend", "-no-progress", "-quiet", "-xattrs",
        "-comp", compressor, *options, "-mkfs-time", str(epoch), "-all-time", str(epoch),
        timeout=None,
    )  # fmt: skip


def compress(data: bytes, target: Path, effort: str) -> None:
    """zstd, as the kernel unpacks it."""
    plain = target.with_suffix(".cpio")
    plain.write_bytes(data)
    run(
        "zstd",
        "-q",
        "-f",
        "-3" if effort == "fast" else "-19",
        "-o",
        str(target),
        str(plain),
        timeout=600,
    )
    plain.unlink()


def make_boot_archive(initramfs: Path, squashfs: Path, digest: str, target: Path) -> None:
    """For PXE: the initramfs, and behind it an archive that has the squashfs as it is."""
    with target.open("wb") as out:
        out.write(initramfs.read_bytes())
        out.write(bytes(-out.tell() % 4))
        words = f"{digest}  platform.squashfs\n".encode()
        out.write(header("platform.sha256", FILE, len(words), 1) + words + bytes(-len(words) % 4))
        out.write(header("platform.squashfs", FILE, squashfs.stat().st_size, 2))
        with squashfs.open("rb") as image:
            shutil.copyfileobj(image, out, 1 << 20)
        out.write(bytes(-out.tell() % 4))
        out.write(header("TRAILER!!!", 0, 0, 3))


def make_image(platform: Path, menu: Path, work: Path, target: Path, epoch: int) -> None:
    """One image for discs and sticks, BIOS and UEFI."""
    tree = work / "image"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(menu, tree / "boot/grub/grub.cfg")
    shutil.copytree(platform, tree / "platform", copy_function=os.link)
    run(
        "grub-mkrescue", "--locales=", "--fonts=", "--themes=", f"--install-modules={GRUB}",
        "-o", str(target), str(tree), "--", "-volid", "HULL", "-hfsplus", "off",
        timeout=600, env={"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    shutil.rmtree(tree)


def make_archive(platform: Path, name: str, target: Path, epoch: int) -> None:
    """platform-STAMP.tgz: the directory that an upgrade puts beside the old one."""
    tar = [
        "tar", "--create", "--directory", str(platform.parent), "--sort=name", "--owner=0",
        "--group=0", "--numeric-owner", f"--mtime=@{epoch}",
        f"--transform=s,^{platform.name},{name},", platform.name,
    ]  # fmt: skip
    with target.open("wb") as out:
        read, write = os.pipe()
        try:
            packer = spawn(*tar, stdout=write)
            gzip = spawn("gzip", "-1", "-n", stdin=read, stdout=out.fileno())
        finally:
            os.close(write)
            os.close(read)
        wait(packer, "tar", 600)
        wait(gzip, "gzip", 600)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(directory: Path) -> Iterator[str]:
    """The lines of SHA256SUMS."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.name != "SHA256SUMS":
            yield f"{sha256(path)}  {path.relative_to(directory)}\n"
