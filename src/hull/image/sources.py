# SPDX-License-Identifier: MPL-2.0
"""The image sources of this host: `imgadm.conf`, a list of IMGAPI servers asked in order."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from hull.errors import InvalidPayload, Problem, Unsupported
from hull.image import imgapi
from hull.linux.files import read_json, write_json
from hull.linux.lock import lock
from hull.paths import Paths
from hull.wire import Json, JsonObject


@dataclass(frozen=True, kw_only=True)
class Source:
    url: str
    type: str = "imgapi"
    insecure: bool = False  # certificates are not checked

    def to_json(self) -> JsonObject:
        shown: JsonObject = {"url": self.url, "type": self.type}
        return shown | ({"insecure": True} if self.insecure else {})

    @property
    def server(self) -> imgapi.Server:
        return imgapi.Server(self.url, insecure=self.insecure)


def sources(paths: Paths) -> list[Source]:
    """In the order in which they are asked; a fresh host has none."""
    listed = _config(paths).get("sources")
    return [
        Source(
            url=str(item.get("url")),
            type=str(item.get("type") or "imgapi"),
            insecure=item.get("insecure") is True,
        )
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    ]


def named(paths: Paths, url: str) -> list[Source]:
    """All sources, or the one with this URL, which need not be among them (`import -S`)."""
    if not url:
        return sources(paths)
    check_url(url)
    return [source for source in sources(paths) if source.url == url] or [Source(url=url)]


def list_sources(paths: Paths) -> Json:
    """`[{"url", "type", "insecure"?}]`"""
    return [source.to_json() for source in sources(paths)]


def add_source(
    paths: Paths, url: str, kind: str = "imgapi", *, insecure: bool = False, force: bool = False
) -> JsonObject:
    """Ask a source whether it is one (unless `force`) and add it: `{"url", "type", "added"}`.

    Raises InvalidPayload, Unsupported (a kind other than imgapi), SourcePing.
    """
    check_url(url)
    if kind != "imgapi":
        raise Unsupported(f'image sources of type "{kind}" are not supported', hint="use imgapi")
    source = Source(url=url, type=kind, insecure=insecure)
    answer: JsonObject = {"url": url, "type": kind}
    if any(known.url == url for known in sources(paths)):
        return answer | {"added": False}
    if not force:
        imgapi.ping(source.server)
    with lock(paths.locks / "imgadm.conf", what="imgadm.conf"):
        known = sources(paths)
        if any(other.url == url for other in known):
            return answer | {"added": False}
        _write(paths, [*known, source])
    return answer | {"added": True}


def delete_source(paths: Paths, url: str) -> JsonObject:
    """`{"url", "type", "deleted"}`; what is not there need not be deleted."""
    with lock(paths.locks / "imgadm.conf", what="imgadm.conf"):
        known = sources(paths)
        gone = [source for source in known if source.url == url]
        if not gone:
            return {"url": url, "type": "imgapi", "deleted": False}
        _write(paths, [source for source in known if source.url != url])
    return {"url": url, "type": gone[0].type, "deleted": True}


def check_url(url: str) -> None:
    """Only http and https: a source must never be a file of this host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidPayload([Problem("url", f'"{url}" is not an http or https URL')])


def _config(paths: Paths) -> JsonObject:
    try:
        data = read_json(paths.imgadm / "imgadm.conf")
    except FileNotFoundError:
        return {}
    return data if isinstance(data, dict) else {}


def _write(paths: Paths, listed: list[Source]) -> None:
    paths.imgadm.mkdir(parents=True, exist_ok=True)
    config = _config(paths) | {"sources": [source.to_json() for source in listed]}
    write_json(paths.imgadm / "imgadm.conf", config)
