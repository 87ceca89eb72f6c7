# SPDX-License-Identifier: MPL-2.0
"""The file of an image, on its way from a source to this host.

It is kept in /var/tmp/.imgadm-downloads until the image is installed: a download that breaks off
is gone on with, also by the next import. It may be unpacked while it comes, but nothing that was
made of it is used before its size and hashes are right.
"""

import errno
import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from hull.errors import Corrupt, DownloadError, HostError, NotFound
from hull.image.manifest import ImageFile, ImageManifest
from hull.image.source import Source
from hull.paths import Paths
from hull.wire import JsonObject

# Gets {"line": TEXT}, what SmartOS's imgadm says, or {"name", "done", "total"} (bytes).
Progress = Callable[[JsonObject], None]

REPORT_EVERY = 0.2  # seconds
CHUNK = 1 << 20


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def _sha1() -> Hash:
    return hashlib.sha1(usedforsecurity=False)


class _Wrong(DownloadError):
    """The file is not what its manifest says."""


@dataclass(kw_only=True)
class Meter:
    """Counts, hashes and reports the bytes of a file as they pass."""

    name: str  # what the progress bar is called
    file: ImageFile
    progress: Progress
    done: int = 0
    sha1: Hash = field(default_factory=_sha1)
    sha256: Hash = field(default_factory=hashlib.sha256)
    reported: float = 0.0

    def take(self, data: bytes) -> None:
        """Raises _Wrong as soon as the file is longer than its manifest says."""
        self.done += len(data)
        if self.file.size and self.done > self.file.size:
            raise _Wrong(f"the file is longer than the {self.file.size} bytes promised")
        self.sha1.update(data)
        self.sha256.update(data)
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY:
            self.reported = now
            self.report()

    def report(self) -> None:
        self.progress({"name": self.name, "done": self.done, "total": self.file.size or self.done})

    def verify(self) -> None:
        """Raises _Wrong unless size and hashes are what the manifest says."""
        sha1, digest = self.sha1.hexdigest(), f"sha256:{self.sha256.hexdigest()}"
        for what, have, want in (
            ("size", str(self.done), str(self.file.size or "")),
            ("sha1", sha1, self.file.sha1),
            ("digest", digest, self.file.digest),
        ):
            if want and have != want:
                raise _Wrong(f"the file's {what} is {have}, its manifest says {want}")


def directory(paths: Paths) -> Path:
    return paths.var / "tmp/.imgadm-downloads"


@dataclass(frozen=True, kw_only=True)
class Content:
    """An image's file: its bytes as they come, and where all of them are in the end.

    `chunks` raises DownloadError at its end unless size and hashes are what the manifest says.
    Until then, what is made of the bytes counts for nothing.
    """

    path: Path
    chunks: Generator[bytes]


def drain(content: Content) -> None:
    """Only have it come."""
    for _ in content.chunks:
        pass


def fetch(
    source: Source,
    manifest: ImageManifest,
    paths: Paths,
    progress: Progress,
    use: Callable[[Content], None] = drain,
) -> Path:
    """Download an image's file, or what is missing of it; returns its path.

    `use` gets all of it as it comes, and once more if what was here already proves wrong. Raises
    DownloadError: what came of a broken download stays, what is wrong is removed.
    """
    path = directory(paths) / f"{manifest.uuid}.file"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > manifest.file.size:
        path.unlink()
    begun = path.exists()
    try:
        with closing(_coming(path, source, manifest, progress)) as chunks:
            content = Content(path=path, chunks=chunks)
            try:
                use(content)
            except Corrupt:
                drain(content)  # if it is wrong, that is why
                raise
    except _Wrong as exc:
        path.unlink(missing_ok=True)
        if not begun:
            raise DownloadError(exc.message) from None
        # What was there already may have been of another file of that image.
        return fetch(source, manifest, paths, progress, use)
    return path


def _coming(
    path: Path, source: Source, manifest: ImageManifest, progress: Progress
) -> Generator[bytes]:
    """What is here, then what is missing, which is kept as well. Raises _Wrong, DownloadError."""
    meter = Meter(name="Download 1 image", file=manifest.file, progress=progress)
    if path.exists():
        for chunk in read_local(path):
            meter.take(chunk)
            yield chunk
    if meter.done < manifest.file.size:
        with _appending(path) as file, closing(source.read_file(manifest.uuid, meter.done)) as more:
            for chunk in more:
                meter.take(chunk)
                _write(file, path, chunk)
                yield chunk
    meter.report()
    meter.verify()


@contextmanager
def _appending(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("ab", buffering=0)
    except OSError as exc:
        raise HostError(f"cannot write {path}: {exc.strerror}") from exc
    with file:
        yield file


def _write(file: BinaryIO, path: Path, chunk: bytes) -> None:
    """A full pool, above all, is a HostError; what has come then goes, as it fills others' room."""
    left = memoryview(chunk)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            path.unlink(missing_ok=True)
        raise HostError(f"cannot write {path}: {exc.strerror}") from exc


def read_local(path: Path) -> Generator[bytes]:
    """The bytes of a file of this host. Raises NotFound."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as exc:
        raise NotFound(f"{path}: {exc.strerror}") from exc


def local(path: Path, file: ImageFile, progress: Progress) -> Generator[bytes]:
    """The bytes of a file of this host. Raises DownloadError if they are not what `file` says."""
    meter = Meter(name=path.name, file=file, progress=progress)
    try:
        for chunk in read_local(path):
            meter.take(chunk)
            yield chunk
        meter.verify()
    except _Wrong as exc:
        raise DownloadError(exc.message) from None


def human_size(count: int) -> str:
    """5.3 MiB: one digit, cut off."""
    if not count:
        return "0 B"
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{int(size * 10) / 10:.1f} {units[0]}"
