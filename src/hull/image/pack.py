# SPDX-License-Identifier: MPL-2.0
"""A root, or what differs from another one, becomes an image file: tar, compressed and hashed."""

import hashlib
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hull.errors import CommandFailed, HostError
from hull.image import diff
from hull.image.manifest import COMPRESSIONS
from hull.linux import pipe
from hull.linux.files import sync_directory
from hull.linux.run import Process, spawn, wait

CHUNK = 1 << 20
SUFFIXES = {"none": "", "gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}
COMPRESSORS: dict[str, list[str]] = {
    "none": [],
    "gzip": ["gzip", "-c", "-n"],
    "bzip2": ["bzip2", "-c"],
    "xz": ["xz", "-c", "-6", "-T0"],
    "zstd": ["zstd", "-q", "-c", "-T0"],
}
assert set(COMPRESSORS) == set(COMPRESSIONS)

TAR = (
    "tar", "--create", "--format=posix", "--numeric-owner", "--acls", "--xattrs",
    "--xattrs-include=user.*", "--xattrs-include=security.capability", "--sparse",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--no-recursion", "--null",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Packed:
    size: int
    sha1: str
    digest: str  # sha256:HEX


def tar_argv(root: Path, work: Path) -> list[str]:
    """`work` holds the list of names of `root`, and the whiteouts with a list of their own."""
    return [
        *TAR,
        f"--directory={work / 'whiteouts'}", f"--files-from={work / 'removed'}",
        f"--directory={root}", f"--files-from={work / 'names'}",
    ]  # fmt: skip


def pack(
    root: Path, contents: diff.Contents, compression: str, file: Path, scratch: Path
) -> Packed:
    """Write the archive to `file`, a new one. Raises HostError; then it is gone again.

    `scratch` is a directory for small files.
    """
    with ExitStack() as undo, tempfile.TemporaryDirectory(prefix="create-", dir=scratch) as work:
        plan(Path(work), contents)
        argv = tar_argv(root, Path(work))
        undo.callback(file.unlink, missing_ok=True)
        packed = _write(argv, COMPRESSORS[compression], file, Path(work) / "errors")
        undo.pop_all()
    return packed


def plan(work: Path, contents: diff.Contents) -> None:
    """The lists that tar reads, and the files that stand for what is gone."""
    removed = []
    for name in contents.removed:
        above, _, last = name.rpartition(b"/")
        whiteout = above + b"/" + diff.WHITEOUT + last
        path = os.path.join(os.fsencode(work / "whiteouts"), whiteout)  # noqa: PTH118  # bytes
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120  # bytes
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        removed.append(whiteout)
    (work / "whiteouts").mkdir(exist_ok=True)
    (work / "removed").write_bytes(b"".join(name + b"\0" for name in removed))
    (work / "names").write_bytes(b"".join(name + b"\0" for name in contents.names))


def _write(tar: list[str], compressor: list[str], file: Path, errors: Path) -> Packed:
    """Run the programs, and hash what comes out of them on its way to the file."""
    programs = [argv for argv in (tar, compressor) if argv]
    with ExitStack() as ends:
        words = ends.enter_context(errors.open("wb"))
        output, processes = _start(programs, words.fileno(), ends)
        ends.callback(os.close, output)
        packed = _save(output, file)
        for argv, process in zip(programs, processes, strict=True):
            if status := wait(process, argv[0], None):
                raise CommandFailed(argv, status, errors.read_text(errors="replace"))
    return packed


def _start(programs: list[list[str]], stderr: int, ends: ExitStack) -> tuple[int, list[Process]]:
    """A pipeline; returns where its output is to be read, which the caller closes."""
    source: int | None = None
    processes = []
    for argv in programs:
        read, write = pipe.opened()
        try:
            process = spawn(*argv, stdin=source, stdout=write, stderr=stderr)
        finally:
            os.close(write)
            if source is not None:
                os.close(source)
        ends.callback(process.wait)
        ends.callback(process.kill)
        processes.append(process)
        source = read
    assert source is not None
    return source, processes


def _save(source: int, file: Path) -> Packed:
    """Write, hash and count all of it; it is on disk when this returns."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    try:
        with file.open("xb") as target:
            while chunk := pipe.read_some(source, CHUNK):
                target.write(chunk)
                sha1.update(chunk)
                sha256.update(chunk)
                size += len(chunk)
            target.flush()
            os.fsync(target.fileno())
        sync_directory(file.parent)
    except OSError as exc:
        raise HostError(f"cannot write {file}: {exc.strerror}") from exc
    return Packed(size=size, sha1=sha1.hexdigest(), digest=f"sha256:{sha256.hexdigest()}")
