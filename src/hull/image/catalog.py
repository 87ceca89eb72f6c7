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
from hull.wire import Json, JsonObject

log = logging.getLogger("hull.imgapid")

SUFFIX = ".imgmanifest"
FILE_KIND = "file"  # how an uploaded file is called, whatever is in it
KINDS = ("tar", "zfs", "zvol", FILE_KIND)
CHANNELS = "channels.json"
PACKED = (".zst", ".gz", ".bz2", ".xz", "")
LARGEST_PAGE = 1000


class ApiError(Exception):
    """What IMGAPI says to a request that it does not grant."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of the directory."""

    path: Path  # of its manifest
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

    def entry(self, uuid: str, channel: str) -> Entry:
        """One image, if it is in the channel. Raises ApiError."""
        entry = self.entries().get(uuid)
        if entry is None or not self._is_in(entry, self.channel(channel)):
            raise ApiError(404, "ResourceNotFound", f"image {uuid} not found")
        return entry

    def select(self, query: dict[str, str]) -> list[Entry]:
        """ListImages in a channel. Raises ApiError, ValueError."""
        channel = self.channel(query.get("channel", ""))
        shown = {
            uuid: entry for uuid, entry in self.entries().items() if self._is_in(entry, channel)
        }
        return select(shown, query)

    def channels(self) -> list[JsonObject]:
        """`[{"name", "description"?, "default"?}]`: `channels.json`; none without that file."""
        try:
            listed = read_json(self.directory / CHANNELS)
        except FileNotFoundError:
            return []
        except Corrupt as exc:
            raise ApiError(500, "InternalError", f"{CHANNELS} is not JSON") from exc
        return (
            [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        )

    def channel(self, name: str) -> str:
        """The channel that is meant: the default one if none is named, "*" for all.

        Raises ApiError for one that there is not.
        """
        known = self.channels()
        if not known or name == "*":
            return "*"
        if not name:
            chosen = next((item for item in known if item.get("default") is True), known[0])
            return str(chosen.get("name"))
        if all(item.get("name") != name for item in known):
            raise ApiError(422, "UnknownChannel", f'unknown channel "{name}"')
        return name

    def _is_in(self, entry: Entry, channel: str) -> bool:
        """An image that names no channel is in the default one."""
        listed = entry.manifest.data.get("channels")
        named = listed if isinstance(listed, list) and listed else [self.channel("")]
        return channel == "*" or channel in named

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a file comes, goes or is replaced."""
        found = []
        for path in sorted(self.directory.iterdir()):
            if path.name.startswith("."):
                continue  # somebody is writing it
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
        found.append(Entry(path=path, manifest=manifest, file=file_of(path)))
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
    found = [entry for entry in found if _has_tags(entry.manifest, query)]
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


def _has_tags(manifest: ImageManifest, query: dict[str, str]) -> bool:
    """`tag.NAME=VALUE`"""
    tags = manifest.data.get("tags")
    have = tags if isinstance(tags, dict) else {}
    wanted = {name[4:]: value for name, value in query.items() if name.startswith("tag.")}
    return all(_word(have.get(name)) == value for name, value in wanted.items())


def _word(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
