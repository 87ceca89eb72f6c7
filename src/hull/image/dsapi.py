# SPDX-License-Identifier: MPL-2.0
"""The dsapi source: `/datasets`, what image servers spoke before IMGAPI. Manifests are upgraded."""

from collections.abc import Generator
from urllib.parse import urljoin

from hull.errors import DownloadError, SourcePing
from hull.image import web
from hull.image.catalog import Entry
from hull.image.manifest import FIELDS
from hull.image.source import ping_trouble
from hull.image.web import Headers, Server, endpoint
from hull.wire import Json, JsonObject

NOBODY = "00000000-0000-0000-0000-000000000000"
COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
# Manifests of version 1 call a system by its kernel's name.
SYSTEMS = {"smartos", "linux", "windows", "bsd", "illumos"}


class Dsapi:
    """A server that speaks dsapi."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._files: dict[str, str] = {}  # where the file of an image is, once it was got

    def ping(self) -> None:
        try:
            answer = self._get("/ping")
            if not answer:
                raise ValueError("it does not speak dsapi")
        except web.TROUBLE as exc:
            text = ping_trouble("dsapi", self.server.url, web.reason(exc))
            raise SourcePing(text, hint="add it all the same with -f") from exc

    def list(self) -> list[JsonObject]:
        try:
            answer = self._get("/datasets")
        except web.TROUBLE as exc:
            text = f'cannot list images of "{self.server.url}": {web.reason(exc)}'
            raise DownloadError(text) from exc
        listed = answer if isinstance(answer, list) else []
        return [upgrade(item) for item in listed if isinstance(item, dict)]

    def get(self, name: str) -> JsonObject | None:
        try:
            answer = self._get(f"/datasets/{name}")
        except web.TROUBLE as exc:
            if web.status_of(exc) == 404:
                return None
            text = f'cannot ask "{self.server.url}": {web.reason(exc)}'
            raise DownloadError(text) from exc
        if not isinstance(answer, dict) or answer.get("uuid") != name:
            raise DownloadError(f'"{self.server.url}" answered with another image')
        base = endpoint(self.server, f"/datasets/{name}/")
        self._files[name] = file_url(answer, base)
        return upgrade(answer)

    def _get(self, path: str) -> Json:
        return web.get_json(self.server, endpoint(self.server, path))

    def read_file(self, uuid: str, start: int = 0) -> Generator[bytes]:
        url = self._files[uuid]

        def open_at(headers: Headers) -> web.Answer:
            return web.send(self.server, url, headers)

        return web.download(self.server.url, open_at, start)


def _first_file(data: JsonObject) -> JsonObject:
    files = data.get("files")
    first = files[0] if isinstance(files, list) and files else None
    return first if isinstance(first, dict) else {}


def file_url(data: JsonObject, base: str) -> str:
    """A file says where it is, or how it is called below its image."""
    first = _first_file(data)
    return str(first.get("url") or "") or urljoin(base, str(first.get("path") or "file"))


def upgrade(data: JsonObject) -> JsonObject:
    """A dsapi manifest as IMGAPI's version 2: what is not of it is left out."""
    first = _first_file(data)
    name = str(first.get("path") or first.get("url") or "")
    packed = next((kind for end, kind in COMPRESSIONS.items() if name.endswith(end)), "none")
    system = str(data.get("os") or "")
    upgraded: JsonObject = {
        key: value for key, value in data.items() if key in FIELDS and value is not None
    }
    file: JsonObject = {
        key: first[key] for key in ("sha1", "size", "digest") if first.get(key) is not None
    }
    if published := data.get("published_at") or data.get("created_at"):
        upgraded["published_at"] = published
    return upgraded | {
        "v": 2,
        "owner": data.get("owner") or data.get("creator_uuid") or NOBODY,
        "os": system if system in SYSTEMS else "other",
        "state": data.get("state") or "active",
        "files": [file | {"compression": first.get("compression") or packed}],
    }


def dataset(entry: Entry) -> JsonObject:
    """An image of a catalog as dsapi shows it: the other way round."""
    data = entry.manifest.data
    file = _first_file(data)
    name = entry.file.name if entry.file else ""
    return data | {
        "creator_uuid": data.get("owner") or NOBODY,
        "creator_name": "",
        "created_at": data.get("published_at"),
        "urn": f"hull:{data.get('owner') or NOBODY}:{entry.manifest.name}:{entry.manifest.version}",
        "files": [{"path": name, **file}] if name else [],
    }
