# SPDX-License-Identifier: MPL-2.0
"""The writing half of imgapid: images come, change and go, each step whole or not at all.

An uploaded image is `UUID.imgmanifest` and `UUID.file` in the catalog's directory. Its manifest is
written last when it comes, and is removed first when it goes.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from hull.errors import HostError, ManifestValidation
from hull.image.catalog import FILE_KIND, SUFFIX, ApiError, Catalog, Entry
from hull.image.manifest import COMPRESSIONS, check_manifest, parse_manifest
from hull.linux.files import sync_directory, write_json
from hull.wire import Json, JsonObject

NOBODY = "00000000-0000-0000-0000-000000000000"
CHUNK = 1 << 20
UPLOADING = ".upload-"
# What its owner may change of an image; the rest is the server's, or the file's.
MUTABLE = {
    "name", "version", "description", "homepage", "eula", "public", "acl", "tags", "type", "os",
    "requirements", "users", "billing_tags", "traits", "generate_passwords",
    "inherited_directories", "nic_driver", "disk_driver", "cpu_type", "image_size",
}  # fmt: skip

Read = Callable[[int], bytes]


class Repository(Catalog):
    """A catalog that can be changed. Every method raises ApiError and has changed nothing then."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._writing = threading.Lock()
        for left in directory.glob(f"{UPLOADING}*"):
            left.unlink(missing_ok=True)

    def post(self, action: str, uuid: str, body: JsonObject, channel: str) -> JsonObject:
        """POST /images/UUID?action=: the manifest that comes of it."""
        actions: dict[str, Callable[[Entry], JsonObject]] = {
            "activate": self._activated,
            "disable": lambda entry: entry.manifest.data | {"disabled": True, "state": "disabled"},
            "enable": lambda entry: entry.manifest.data | {"disabled": False, "state": "active"},
            "update": lambda entry: self._updated(entry, body),
            "channel-add": lambda entry: self._with_channel(entry, body),
        }
        if action not in actions:
            raise ApiError(422, "InvalidParameter", f"action must be one of {', '.join(actions)}")
        with self._writing:
            return self._save(actions[action](self.entry(uuid, channel)))

    def add(self, data: JsonObject, channel: str) -> JsonObject:
        """POST /images?action=import: an image without a file yet."""
        made: JsonObject = {
            "v": 2, "owner": NOBODY, "public": True, "disabled": False,
            **data, "state": "unactivated", "files": [],
        }  # fmt: skip
        if self.channels():
            made["channels"] = [self.channel(channel)]
        problems = check_manifest(made)
        if problems:
            fields = [f"{problem.path}: {problem.message}" for problem in problems]
            raise ApiError(422, "ValidationFailed", f"invalid image data: {'; '.join(fields)}")
        uuid = str(made["uuid"])
        with self._writing:
            if uuid in self.entries():
                raise ApiError(409, "ImageUuidAlreadyExists", f"an image with UUID {uuid} exists")
            origin = str(made.get("origin") or "")
            if origin and origin not in self.entries():
                raise ApiError(422, "OriginDoesNotExist", f"origin image {origin} does not exist")
            return self._save(made)

    def add_file(self, uuid: str, read: Read, size: int, query: dict[str, str]) -> JsonObject:
        """PUT /images/UUID/file: `size` bytes, which must have the sha1 that is promised."""
        self._check_unactivated(self.entry(uuid, "*"))
        compression = query.get("compression", "")
        if compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            raise ApiError(422, "InvalidParameter", f"compression must be one of {known}")
        if size > shutil.disk_usage(self.directory).free:
            raise ApiError(507, "InsufficientStorage", f"there is no room for {size} bytes")
        with ExitStack() as undo:
            partial = self.directory / f"{UPLOADING}{uuid}-{os.urandom(4).hex()}"
            undo.callback(partial.unlink, missing_ok=True)
            sha1, sha256 = _receive(partial, read, size)
            if query.get("sha1") not in (None, "", sha1):
                message = f'sha1 expected to be "{query["sha1"]}", but was "{sha1}"'
                raise ApiError(400, "Upload", message)
            file: Json = {
                "sha1": sha1, "size": size, "compression": compression,
                "digest": f"sha256:{sha256}",
            }  # fmt: skip
            with self._writing:
                entry = self._check_unactivated(self.entry(uuid, "*"))
                partial.rename(self.directory / f"{uuid}.{FILE_KIND}")
                return self._save(entry.manifest.data | {"files": [file]})

    def delete(self, uuid: str, channel: str) -> None:
        """DELETE /images/UUID: from one channel, or, with the last one, altogether."""
        with self._writing:
            entry = self.entry(uuid, channel or "*")
            left = self._without_channel(entry, channel)
            if left:
                self._save(entry.manifest.data | {"channels": left})
                return
            above = [
                other.manifest.uuid
                for other in self.entries().values()
                if other.manifest.origin == uuid
            ]
            if above:
                message = f"image {uuid} has dependent images: {', '.join(above)}"
                raise ApiError(422, "ImageHasDependentImages", message)
            entry.path.unlink(missing_ok=True)
            if entry.file:
                entry.file.unlink(missing_ok=True)
            sync_directory(self.directory)

    def _without_channel(self, entry: Entry, channel: str) -> list[Json]:
        """The channels that are left to an image; none: it goes."""
        listed = entry.manifest.data.get("channels")
        if not channel or channel == "*" or not isinstance(listed, list):
            return []
        return [name for name in listed if name != channel]

    def _check_unactivated(self, entry: Entry) -> Entry:
        if entry.manifest.data.get("state") != "unactivated":
            message = f"image {entry.manifest.uuid} is already activated"
            raise ApiError(422, "ImageAlreadyActivated", message)
        return entry

    def _activated(self, entry: Entry) -> JsonObject:
        self._check_unactivated(entry)
        if entry.file is None or not entry.manifest.file.size:
            message = f"image {entry.manifest.uuid} has no file"
            raise ApiError(422, "NoActivationNoFile", message)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        data = entry.manifest.data
        state = "disabled" if data.get("disabled") is True else "active"
        return data | {"state": state, "published_at": data.get("published_at") or now}

    def _updated(self, entry: Entry, body: JsonObject) -> JsonObject:
        if wrong := sorted(body.keys() - MUTABLE):
            message = f"cannot update field {', '.join(wrong)}"
            raise ApiError(422, "InvalidParameter", message)
        return entry.manifest.data | body

    def _with_channel(self, entry: Entry, body: JsonObject) -> JsonObject:
        name = self.channel(str(body.get("channel") or ""))
        listed = entry.manifest.data.get("channels")
        have: list[Json] = [*listed] if isinstance(listed, list) else []
        return entry.manifest.data | {"channels": have if name in have else [*have, name]}

    def _save(self, data: JsonObject) -> JsonObject:
        """Write a manifest, in the place where it is."""
        try:
            parsed = parse_manifest(data)
        except ManifestValidation as exc:
            raise ApiError(422, "ValidationFailed", f"invalid image data: {exc.message}") from exc
        known = self.entries().get(parsed.uuid)
        path = known.path if known else self.directory / f"{parsed.uuid}{SUFFIX}"
        try:
            write_json(path, data)
        except HostError as exc:
            raise ApiError(500, "InternalError", "the manifest cannot be written") from exc
        path.chmod(0o644)
        return data


def _receive(path: Path, read: Read, size: int) -> tuple[str, str]:
    """Write `size` bytes to a new file: their SHA-1 and SHA-256."""
    sha1, sha256, left = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), size
    try:
        with path.open("xb") as file:
            while left:
                chunk = read(min(CHUNK, left))
                if not chunk:
                    raise ApiError(400, "Upload", f"{left} of {size} bytes are missing")
                left -= len(chunk)
                file.write(chunk)
                sha1.update(chunk)
                sha256.update(chunk)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o644)
    except OSError as exc:
        raise ApiError(500, "InternalError", f"the file cannot be kept: {exc.strerror}") from exc
    return sha1.hexdigest(), sha256.hexdigest()


def parse_body(raw: bytes) -> JsonObject:
    """The JSON object of a request; an empty body is an empty one. Raises ApiError."""
    try:
        body = json.loads(raw or b"{}")
    except ValueError as exc:
        raise ApiError(400, "BadRequest", f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise ApiError(400, "BadRequest", "the body must be a JSON object")
    return body
