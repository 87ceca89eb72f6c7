# SPDX-License-Identifier: MPL-2.0
"""An image file becomes a dataset: hashed, decompressed and unpacked while it streams in.

It is unpacked into POOL/UUID-partial and gets its name only when size and hashes are right; from
then on `@final` is there. The record in /var/imgadm makes it an installed image, last of all.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hull.errors import DownloadError, Exists, Unsupported
from hull.image import store
from hull.image.extract import extraction
from hull.image.manifest import ImageFile, ImageManifest
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import JsonObject

Progress = Callable[[JsonObject], None]

IMPORTABLE = ("zone-dataset", "lx-dataset")
REPORT_EVERY = 0.2  # seconds


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def _sha1() -> Hash:
    return hashlib.sha1(usedforsecurity=False)


@dataclass(kw_only=True)
class Meter:
    """Counts, hashes and reports the bytes of a file as they pass."""

    file: ImageFile
    total: int  # bytes, 0 if nobody knows
    progress: Progress
    done: int = 0
    sha1: Hash = field(default_factory=_sha1)
    sha256: Hash = field(default_factory=hashlib.sha256)
    reported: float = 0.0

    def take(self, data: bytes) -> None:
        """Raises DownloadError as soon as the file is longer than its manifest says."""
        self.done += len(data)
        if self.file.size and self.done > self.file.size:
            raise DownloadError(f"the file is longer than the {self.file.size} bytes promised")
        self.sha1.update(data)
        self.sha256.update(data)
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY:
            self.reported = now
            self.report("download")

    def report(self, phase: str) -> None:
        self.progress({"phase": phase, "done": self.done, "total": self.total})

    def verify(self) -> None:
        """Raises DownloadError unless size and hashes are what the manifest says."""
        sha1, digest = self.sha1.hexdigest(), f"sha256:{self.sha256.hexdigest()}"
        for what, have, want in (
            ("size", str(self.done), str(self.file.size or "")),
            ("sha1", sha1, self.file.sha1),
            ("digest", digest, self.file.digest),
        ):
            if want and have != want:
                raise DownloadError(f"the file's {what} is {have}, its manifest says {want}")


def check_importable(manifest: ImageManifest) -> None:
    """Raises Unsupported if this host cannot use the image."""
    if manifest.type not in IMPORTABLE:
        raise Unsupported(
            f'image "{manifest.uuid}" is of type {manifest.type}',
            hint=f"this host imports {' and '.join(IMPORTABLE)}",
        )
    if manifest.origin:
        raise Unsupported(f'image "{manifest.uuid}" is incremental', hint="import a whole image")


def receive(
    pool: Pool,
    paths: Paths,
    manifest: ImageManifest,
    source: str,
    chunks: Generator[bytes],
    progress: Progress,
    total: int,
) -> None:
    """Make the dataset of an image from the bytes of its file, and record it as installed.

    The caller holds the image's lock. Raises DownloadError, Corrupt, HostError; then nothing is
    left of it.
    """
    check_importable(manifest)
    image = store.Image(manifest=manifest, zpool=pool.name, source=source)
    partial = f"{image.dataset}-partial"
    remove_leftovers(pool, paths, image, partial)
    with ExitStack() as undo:
        undo.callback(pool.destroy, partial, recursive=True)
        meter = Meter(file=manifest.file, total=total, progress=progress)
        unpack(create_partial(pool, partial), paths, chunks, meter)
        pool.set(partial, quota=0)
        pool.snapshot(f"{partial}@{store.FINAL}")
        pool.rename(partial, image.dataset)
        undo.callback(pool.destroy, image.dataset, recursive=True)
        store.add(paths, image)
        undo.pop_all()


def remove_leftovers(pool: Pool, paths: Paths, image: store.Image, partial: str) -> None:
    """What a crash has left of an earlier import. A VM of the same UUID is none."""
    if (paths.etc_zones / f"{image.manifest.uuid}.json").exists():
        raise Exists(f'"{image.manifest.uuid}" is a VM of this host, no image can have its UUID')
    for name in (partial, image.dataset):
        pool.destroy(name, recursive=True)


def create_partial(pool: Pool, name: str) -> Path:
    """The dataset to unpack into; returns its root directory, empty.

    A small file can unpack to a huge one: it may take half of what is free, so that VMs can still
    write meanwhile, and while the pool gets the space back.
    """
    mountpoint = Path(pool.create(name).mountpoint)
    pool.set(name, quota=shutil.disk_usage(mountpoint).free // 2)
    # Programs in it may be set-user-id: nobody but root gets at them from outside.
    mountpoint.chmod(0o700)
    root = mountpoint / "root"
    root.mkdir(mode=0o755)
    return root


def unpack(root: Path, paths: Paths, chunks: Generator[bytes], meter: Meter) -> None:
    """Stream `chunks` into `root`. A wrong file is called that, whatever tar thought of it."""
    with extraction(root, paths.run) as under_way, closing(chunks):
        meter.report("download")
        reading = True
        for chunk in chunks:
            meter.take(chunk)
            # What tar will not read must still be counted and hashed, to say what is wrong.
            reading = reading and under_way.write(chunk)
        meter.verify()
        meter.report("unpack")
        under_way.finish()
    meter.report("done")
