# SPDX-License-Identifier: MPL-2.0
"""`imgadm publish`: an image goes to an image server, whole or not at all."""

import json
import os
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from hull.errors import Error, NotFound, UploadError
from hull.image import web
from hull.image.download import CHUNK, Meter, Progress
from hull.image.manifest import ImageManifest, parse_manifest
from hull.image.sources import check_url
from hull.image.web import Server, endpoint
from hull.paths import Paths
from hull.wire import Json, JsonObject

TOKEN_FILE = "imgapi.token"
UPLOAD_SILENCE = 600.0  # seconds: a server hashes a big file before it answers


def publish_image(
    paths: Paths, manifest: Json, file: str, url: str, *, insecure: bool, progress: Progress
) -> JsonObject:
    """Send an image to the IMGAPI server at `url`: import, add its file, activate.

    Whatever fails, the server's half of the image is deleted again. Returns `{"uuid"}`. Raises
    UploadError, ManifestValidation, NotFound.
    """
    check_url(url)
    parsed = parse_manifest(manifest)
    path = Path(file)
    if not path.is_file():
        raise NotFound(f'file path does not exist: "{file}"')
    if not parsed.file.size or not parsed.file.sha1:
        raise UploadError("the manifest does not say the size and sha1 of its file")
    client = _Client(Server(url, insecure=insecure), _token(paths))
    with ExitStack() as undo:
        made = client.ask("POST", "/images", {"action": "import"}, parsed.data)
        undo.callback(_delete, client, parsed.uuid, progress)
        name, version = made.get("name"), made.get("version")
        what = f"{parsed.uuid} ({name}, {version}, state={made.get('state')})"
        progress({"line": f"Imported image {what}"})
        _add_file(client, parsed, path, progress)
        client.ask("POST", f"/images/{parsed.uuid}", {"action": "activate"})
        progress({"line": f"Activated image {parsed.uuid}"})
        undo.pop_all()
    progress({"line": f"Successfully published image {parsed.uuid} to {url}"})
    return {"uuid": parsed.uuid}


def _token(paths: Paths) -> str:
    """What this host shows to servers that want one; a file that only root reads."""
    with suppress(FileNotFoundError):
        return (paths.imgadm / TOKEN_FILE).read_text().strip()
    return ""


def _delete(client: "_Client", uuid: str, progress: Progress) -> None:
    try:
        client.ask("DELETE", f"/images/{uuid}")
    except Error as exc:
        text = f"Warning: Could not delete partially published image {uuid}: {exc.message}"
        progress({"line": text})


def _add_file(client: "_Client", manifest: ImageManifest, path: Path, progress: Progress) -> None:
    file, compression = manifest.file, manifest.file.compression
    query = {"compression": compression, "sha1": file.sha1}
    meter = Meter(name=manifest.uuid, file=file, progress=progress)
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        sent = _Metered(source, meter)
        made = client.send_file(f"/images/{manifest.uuid}/file", query, sent, size)
    text = f'Added file "{path}" (compression "{compression}") to image {manifest.uuid}'
    progress({"line": text})
    files = made.get("files")
    have = files[0] if isinstance(files, list) and files else None
    for field, want in (("sha1", file.sha1), ("size", file.size)):
        got = have.get(field) if isinstance(have, dict) else None
        if got != want:
            raise UploadError(f"{field} expected to be {want}, but was {got}")


class _Metered:
    """A file that reports how much of it has been read."""

    def __init__(self, file: BinaryIO, meter: Meter) -> None:
        self._file = file
        self._meter = meter

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._file.read(CHUNK):
            self._meter.take(chunk)
            yield chunk


class _Client:
    """The administrator's half of IMGAPI. Every failure is UploadError."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._headers = {"Accept-Version": "~2", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: JsonObject | None = None,
    ) -> JsonObject:
        """One request with a JSON body; the JSON object that comes back."""
        data = json.dumps(body or {}).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"} if data else {}
        return self._send(method, endpoint(self._server, path, query), headers, data)

    def send_file(self, path: str, query: dict[str, str], file: _Metered, size: int) -> JsonObject:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._send("PUT", endpoint(self._server, path, query), headers, file)

    def _send(self, method: str, url: str, headers: web.Headers, data: object) -> JsonObject:
        try:
            with web.send(
                self._server,
                url,
                self._headers | headers,
                method=method,
                data=data,
                silence=UPLOAD_SILENCE if method == "PUT" else web.SILENCE,
            ) as answer:
                text = web.read_all(answer)
            found = json.loads(text) if text.strip() else {}
        except urllib.error.HTTPError as exc:
            with exc:
                raise UploadError(f"{self._server.url}: {_complaint(exc)}") from exc
        except web.TROUBLE as exc:
            raise UploadError(f"{self._server.url}: {web.reason(exc)}") from exc
        return found if isinstance(found, dict) else {}


def _complaint(error: urllib.error.HTTPError) -> str:
    """An IMGAPI error's message, with its fields."""
    with suppress(OSError, ValueError):
        said = json.loads(error.read(1 << 16))
        if isinstance(said, dict) and said.get("message"):
            fields = said.get("errors")
            lines = [str(said["message"])]
            for item in fields if isinstance(fields, list) else []:
                more = f": {item.get('message')}" if item.get("message") else ""
                lines.append(f"    {item.get('field')}: {item.get('code')}{more}")
            return "\n".join(lines)
    return f"HTTP status {error.code}"
