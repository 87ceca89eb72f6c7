# SPDX-License-Identifier: MPL-2.0
"""A directory of images as imgapid serves it: `*.imgmanifest`, each beside its file."""

import base64
import hashlib
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt, ManifestValidation
from hull.image.manifest import ImageManifest, parse_manifest
from hull.linux.files import read_json

log = logging.getLogger("hull.imgapid")

SUFFIX = ".imgmanifest"
KINDS = ("tar", "zfs", "zvol")
PACKED = (".zst", ".gz", ".bz2", ".xz", "")
LARGEST_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of the directory."""

    manifest: ImageManifest
    file: Path | None


class Catalog:
    """The images of a directory, read anew when it changes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._entries: dict[str, Entry] = {}
        self._md5: dict[tuple[Path, int, int], str] = {}

    def entries(self) -> dict[str, Entry]:
        """By UUID, oldest first."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._entries = read_entries(self.directory)
                self._stamp = stamp
            return self._entries

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a file comes, goes or is replaced."""
        found = []
        for path in sorted(self.directory.iterdir()):
            try:
                status = path.stat()
            except OSError:
                continue  # gone, or a dangling link
            found.append((path.name, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def content_md5(self, path: Path) -> str:
        """For the header of that name; computed once a file. It may change under our eyes."""
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            if known := self._md5.get(key):
                return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        with self._lock:
            self._md5[key] = base64.b64encode(digest).decode()
            return self._md5[key]


def read_entries(directory: Path) -> dict[str, Entry]:
    found = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            manifest = parse_manifest(read_json(path))
        except (Corrupt, ManifestValidation, OSError) as exc:
            log.warning("%s is left out: %s", path.name, exc)
            continue
        found.append(Entry(manifest=manifest, file=file_of(path)))
    found.sort(key=lambda entry: (entry.manifest.published_at, entry.manifest.uuid))
    return {entry.manifest.uuid: entry for entry in found}


def file_of(manifest: Path) -> Path | None:
    """The file of NAME.imgmanifest: NAME.tar.zst and the like, as mkimage and imgadm name them."""
    stem = manifest.name.removesuffix(SUFFIX)
    names = (f"{stem}.{kind}{packed}" for kind in KINDS for packed in PACKED)
    return next((path for name in names if (path := manifest.with_name(name)).is_file()), None)


def select(entries: dict[str, Entry], query: dict[str, str]) -> list[Entry]:
    """IMGAPI's ListImages: equality, `~` for a part of the name, pages by limit and marker.

    Raises ValueError for a limit that is none.
    """
    wanted = {"state": "active"} | query
    found = [entry for entry in entries.values() if _fits(entry.manifest, wanted)]
    if marker := query.get("marker"):
        uuids = [entry.manifest.uuid for entry in found]
        found = found[uuids.index(marker) + 1 :] if marker in uuids else []
    limit = query.get("limit") or str(LARGEST_PAGE)
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= LARGEST_PAGE):
        raise ValueError(f"limit must be 1 to {LARGEST_PAGE}")
    return found[: int(limit)]


def _fits(manifest: ImageManifest, wanted: dict[str, str]) -> bool:
    for field in ("name", "version", "os", "type", "owner", "state"):
        value = wanted.get(field)
        if value is None or (field == "state" and value == "all"):
            continue
        have = str(manifest.data.get(field) or ("active" if field == "state" else ""))
        if value.startswith("~") and field == "name":
            if value[1:] not in have:
                return False
        elif value != have:
            return False
    return True
