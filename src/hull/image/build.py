# SPDX-License-Identifier: MPL-2.0
"""From a recipe to an image file and its manifest, with mmdebstrap, reproducibly.

The same recipe and the same packages give the same bytes: times are clamped to the date of the
suite's release file, the archive is sorted, and nothing that is made at random stays in it.
"""

import hashlib
import os
import re
import shlex
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.request import urlopen

from hull.errors import CommandFailed, Corrupt, HostError
from hull.image.recipe import Recipe
from hull.linux.files import write_json
from hull.linux.run import spawn
from hull.wire import JsonObject

MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
# An image's UUID is made from its file's digest in this name space: same bytes, same UUID.
NAMESPACE = uuid.UUID("5f1b2c5e-9f39-4f43-8a4c-d3b1f8a6a1a7")
NOBODY = "00000000-0000-0000-0000-000000000000"  # owner of images that belong to everybody
ZSTD_LEVEL = "-12"

# Not installed, and not installed later in the zone either.
LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/bug/*",
)

# $1 is the root. What differs from build to build, belongs to the builder's machine, or may be had
# again at any time goes; where the host mounts something there is a place for it. /tmp is left to
# mmdebstrap, which empties it last: in it is what keeps its apt off the builder's own files.
FINISH = r"""
rm -rf "$1"/var/log/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/*-old "$1"/var/lib/apt/lists/*
rm -rf "$1"/var/cache/ldconfig "$1"/var/lib/dpkg/*-old "$1"/var/tmp/* "$1"/run/*
rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub "$1"/etc/*-
rm -f "$1"/var/lib/dbus/machine-id "$1"/var/lib/systemd/random-seed
rm -f "$1"/etc/hostname "$1"/etc/resolv.conf
: >"$1"/etc/machine-id
: >"$1"/etc/resolv.conf
sed -i '/^force-unsafe-io$/d' "$1"/etc/dpkg/dpkg.cfg.d/*
mkdir -p "$1"/native "$1"/.zonecontrol "$1"/var/svc "$1"/var/log "$1"/var/cache/apt/archives/partial
mkdir -p "$1"/var/lib/apt/lists/partial
"""

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build has left in the output directory."""

    manifest: Path
    file: Path
    uuid: str
    size: int


def sources(suite: str, mirror: str) -> tuple[str, ...]:
    """The lines of sources.list, in the image too."""
    if mirror != MIRROR or suite in ("sid", "unstable"):
        return (f"deb {mirror} {suite} main",)
    return (
        f"deb {mirror} {suite} main",
        f"deb {mirror} {suite}-updates main",
        f"deb {SECURITY_MIRROR} {suite}-security main",
    )


def mmdebstrap_argv(recipe: Recipe, suite: str, mirror: str, root: Path) -> list[str]:
    argv = ["mmdebstrap", "--mode=root", f"--variant={recipe.variant}", "--format=directory"]
    argv += ["--aptopt=Acquire::Languages none", "--dpkgopt=force-unsafe-io"]
    argv.append("--skip=cleanup/apt")  # FINISH has done it
    argv += [f"--dpkgopt={option}" for option in LEFT_OUT]
    if recipe.packages:
        argv.append(f"--include={','.join(recipe.packages)}")
    argv += [
        f"--customize-hook={overlay_command(recipe.directory / name)}" for name in recipe.files
    ]
    argv += [f'--customize-hook=chroot "$1" sh -ec {shlex.quote(post)}' for post in recipe.post]
    init = shlex.quote(recipe.init)
    argv.append(f'--customize-hook=chroot "$1" test -x {init} || {{ echo no {init} >&2; false; }}')
    argv.append(f"--customize-hook={FINISH}")
    return [*argv, suite, str(root), *sources(suite, mirror)]


def overlay_command(files: Path) -> str:
    """Shell that lays `files` over the root: owned by root, whatever the checkout's owner and umask
    are, and through directories that are symbolic links there (/sbin)."""
    pack = f"tar -C {shlex.quote(str(files))} --owner=root:0 --group=root:0 --mode=u=rwX,go=rX -c ."
    return f'{pack} | tar -C "$1" --keep-directory-symlink --no-overwrite-dir -x'


def tar_argv(root: Path, epoch: int) -> list[str]:
    return [
        "tar", "--create", "--directory", str(root), "--sort=name", "--numeric-owner",
        "--one-file-system", "--xattrs", "--xattrs-include=*", "--acls", "--format=posix",
        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
        f"--mtime=@{epoch}", "--clamp-mtime", "--exclude=./dev/*", ".",
    ]  # fmt: skip


def manifest_of(recipe: Recipe, epoch: int, sha1: str, sha256: str, size: int) -> JsonObject:
    """The IMGAPI manifest of a built file; its UUID is made from the file's content."""
    when = datetime.fromtimestamp(epoch, UTC)
    return {
        "v": 2,
        "uuid": str(uuid.uuid5(NAMESPACE, sha256)),
        "owner": NOBODY,
        "name": recipe.name,
        "version": recipe.version,
        "state": "active",
        "disabled": False,
        "public": True,
        "published_at": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": recipe.type,
        "os": recipe.os,
        "files": [
            {"sha1": sha1, "size": size, "compression": "zstd", "digest": f"sha256:{sha256}"}
        ],
        "description": recipe.description,
        **({"homepage": recipe.homepage} if recipe.homepage else {}),
        "requirements": {
            "networks": [{"name": "net0", "description": "any"}],
            "brand": recipe.brand,
        },
    }


def release_epoch(suite: str, mirror: str) -> int:
    """When the suite was last published: seconds, from SOURCE_DATE_EPOCH or its release file."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    url = f"{mirror}/dists/{suite}/InRelease"
    try:
        with urlopen(url, timeout=30) as answer:
            text = answer.read(1 << 20).decode(errors="replace")
    except OSError as exc:
        raise HostError(
            f"cannot read {url}: {exc}", hint="is the mirror reachable? name another by --mirror"
        ) from exc
    return parse_release_date(text, url)


def parse_release_date(text: str, name: str) -> int:
    if not (found := re.search(r"^Date: (.+)$", text, re.MULTILINE)):
        raise Corrupt(f"{name} has no date")
    return int(parsedate_to_datetime(found[1]).timestamp())


def build(
    recipe: Recipe, output: Path, report: Report, *, suite: str, mirror: str, uuid: str = ""
) -> Built:
    """Build `recipe` into `output`: NAME-VERSION.tar.zst and NAME-VERSION.imgmanifest.

    `uuid` is the image's, instead of one made from its content. `report` gets a line of text now
    and then. Needs root and mmdebstrap. Files that are there from an earlier build stay as they
    are until the new ones are whole.
    """
    output.mkdir(parents=True, exist_ok=True)
    epoch = release_epoch(suite, mirror)
    with ExitStack() as undo:
        work = Path(tempfile.mkdtemp(prefix="mkimage-", dir=output))
        undo.callback(shutil.rmtree, work, ignore_errors=True)
        root = work / "root"
        report(f"{recipe.stem}: {suite} of {datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M}")
        debootstrap(mmdebstrap_argv(recipe, suite, mirror, root), epoch, report)
        report("packing")
        pack(root, work / "file", epoch)
        built = describe(recipe, work, epoch, uuid)
        file = output / f"{recipe.stem}.tar.zst"
        target = output / f"{recipe.stem}.imgmanifest"
        (work / "file").rename(file)
        (work / "manifest").rename(target)
    return Built(manifest=target, file=file, uuid=str(built["uuid"]), size=file.stat().st_size)


def debootstrap(argv: list[str], epoch: int, report: Report) -> None:
    """Run mmdebstrap and pass its progress on."""
    env = {key: os.environ[key] for key in ("http_proxy", "https_proxy") if key in os.environ}
    read, write = os.pipe()
    try:
        process = spawn(
            *argv, stdout=write, stderr=write, env=env | {"SOURCE_DATE_EPOCH": str(epoch)}
        )
    finally:
        os.close(write)
    tail: list[str] = []
    with process, open(read, errors="replace") as output:
        try:
            for line in output:
                if line.startswith("I: "):
                    report(line[3:].split(" in shell:")[0].rstrip())
                tail = [*tail[-20:], line]
        except BaseException:  # Ctrl-C above all: mmdebstrap unmounts what it has mounted
            process.terminate()
            raise
    if process.returncode:
        raise CommandFailed(argv, process.returncode, "".join(tail))


def pack(root: Path, file: Path, epoch: int) -> None:
    """tar | zstd, one thread more or less makes no difference to the bytes."""
    read, write = os.pipe()
    tar_line = tar_argv(root, epoch)
    zstd_line = ["zstd", "-q", ZSTD_LEVEL, "-T2", "-c"]
    with file.open("wb") as out:
        try:
            tar = spawn(*tar_line, stdout=write)
            zstd = spawn(*zstd_line, stdin=read, stdout=out.fileno())
        finally:
            os.close(write)
            os.close(read)
        with tar, zstd:
            pass
    for argv, process in ((tar_line, tar), (zstd_line, zstd)):
        if process.returncode:
            raise CommandFailed(argv, process.returncode, "")


def describe(recipe: Recipe, work: Path, epoch: int, image_uuid: str) -> JsonObject:
    """Write the manifest of `work/file` to `work/manifest`."""
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    with (work / "file").open("rb") as file:
        while chunk := file.read(1 << 20):
            sha1.update(chunk)
            sha256.update(chunk)
    size = (work / "file").stat().st_size
    manifest = manifest_of(recipe, epoch, sha1.hexdigest(), sha256.hexdigest(), size)
    if image_uuid:
        manifest["uuid"] = image_uuid
    write_json(work / "manifest", manifest)
    for name in ("file", "manifest"):
        (work / name).chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    return manifest
