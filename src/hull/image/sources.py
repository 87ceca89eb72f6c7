# SPDX-License-Identifier: MPL-2.0
"""The image sources of this host: `imgadm.conf`, a list of servers asked in order."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hull.errors import InvalidPayload, Problem, Unsupported
from hull.image.auth import credentials
from hull.image.dsapi import Dsapi
from hull.image.imgapi import Imgapi
from hull.image.oci import Docker
from hull.image.simplestreams import Simplestreams
from hull.image.source import DOCKER, IMGAPI, TYPES, Source
from hull.image.web import USER_AGENT, Server
from hull.linux.files import read_json, write_json
from hull.linux.lock import lock
from hull.paths import Paths
from hull.wire import Json, JsonObject


@dataclass(frozen=True, kw_only=True)
class Configured:
    """One line of `imgadm sources`."""

    url: str
    type: str = IMGAPI
    insecure: bool = False  # certificates are not checked
    agent: str = USER_AGENT
    credentials: str = ""  # for a registry; not of imgadm.conf

    def to_json(self) -> JsonObject:
        shown: JsonObject = {"url": self.url, "type": self.type}
        return shown | ({"insecure": True} if self.insecure else {})

    @property
    def server(self) -> Server:
        return Server(self.url, insecure=self.insecure, agent=self.agent)


def open_source(configured: Configured, channel: str = "") -> Source:
    """The driver for one operation. Raises Unsupported; `channel` is IMGAPI's."""
    server = configured.server
    match configured.type:
        case "imgapi":
            return Imgapi(server, channel)
        case "dsapi":
            return Dsapi(server)
        case "docker":
            return Docker(server, configured.credentials)
        case "simplestreams":
            return Simplestreams(server)
        case _:
            raise Unsupported(
                f'image sources of type "{configured.type}" are not supported',
                hint=f"use one of {', '.join(TYPES)}",
            )


def sources(paths: Paths) -> list[Configured]:
    """In the order in which they are asked; a fresh host has none."""
    config = _config(paths)
    extra = config.get("userAgentExtra")
    agent = f"{USER_AGENT} {extra}" if isinstance(extra, str) and extra else USER_AGENT
    listed = config.get("sources")
    return [
        _with_credentials(paths, parse_source(item, agent))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    ]


def _with_credentials(paths: Paths, source: Configured) -> Configured:
    if source.type != DOCKER:
        return source
    return replace(source, credentials=credentials(paths, source.url))


def parse_source(item: JsonObject, agent: str = USER_AGENT) -> Configured:
    return Configured(
        url=str(item.get("url")),
        type=str(item.get("type") or IMGAPI),
        insecure=item.get("insecure") is True,
        agent=agent,
    )


def named(paths: Paths, url: str) -> list[Configured]:
    """All sources, or the one with this URL, which need not be among them (`import -S`)."""
    if not url:
        return sources(paths)
    check_url(url)
    return [source for source in sources(paths) if source.url == url] or [Configured(url=url)]


def list_sources(paths: Paths) -> Json:
    """`[{"url", "type", "insecure"?}]`"""
    return [source.to_json() for source in sources(paths)]


def add_source(
    paths: Paths, url: str, kind: str = IMGAPI, *, insecure: bool = False, force: bool = False
) -> JsonObject:
    """Ask a source whether it is one (unless `force`) and add it: `{"url", "type", "added"}`.

    Raises InvalidPayload, SourcePing.
    """
    source = Configured(url=url, type=kind, insecure=insecure)
    check_source(source)
    answer: JsonObject = {"url": url, "type": kind}
    if any(known.url == url for known in sources(paths)):
        return answer | {"added": False}
    if not force:
        open_source(source).ping()
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
            return {"url": url, "type": IMGAPI, "deleted": False}
        _write(paths, [source for source in known if source.url != url])
    return {"url": url, "type": gone[0].type, "deleted": True}


def replace_sources(paths: Paths, wanted: list[JsonObject], *, force: bool = False) -> Json:
    """`imgadm sources -e`: this list, in this order; new ones are asked first, unless `force`.

    Raises InvalidPayload, SourcePing.
    """
    listed = [parse_source(item) for item in wanted]
    known = {source.url for source in sources(paths)}
    for source in listed:
        check_source(source)
        if not force and source.url not in known:
            open_source(source).ping()
    with lock(paths.locks / "imgadm.conf", what="imgadm.conf"):
        _write(paths, listed)
    return list_sources(paths)


def check_source(source: Configured) -> None:
    """Raises InvalidPayload for an unknown type or a URL that cannot be one."""
    if source.type not in TYPES:
        problem = f'"{source.type}" is not one of {", ".join(TYPES)}'
        raise InvalidPayload([Problem("type", problem)])
    check_url(source.url)


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


def _write(paths: Paths, listed: list[Configured]) -> None:
    paths.imgadm.mkdir(parents=True, exist_ok=True)
    # What SmartOS's imgadm writes there too, and others may look for.
    head: JsonObject = {"dockerImportSkipUuids": True, "upgradedToVer": "3.0.0"}
    config = head | _config(paths) | {"sources": [source.to_json() for source in listed]}
    write_json(paths.imgadm / "imgadm.conf", config)
