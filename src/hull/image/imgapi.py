# SPDX-License-Identifier: MPL-2.0
"""The imgapi source: the few requests that imgadm makes of an image server."""

from collections.abc import Generator

from hull.errors import DownloadError, SourcePing
from hull.image import web
from hull.image.source import ping_trouble
from hull.image.web import Headers, Server, endpoint
from hull.wire import Json, JsonObject

PAGE = 1000  # IMGAPI's largest page
PAGES = 100
VERSION = {"Accept-Version": "~2"}


class Imgapi:
    """A server that speaks IMGAPI; `channel` instead of that of its URL."""

    def __init__(self, server: Server, channel: str = "") -> None:
        self.server = server
        self._query = {"channel": channel} if channel else {}

    def _get(self, path: str, query: dict[str, str] | None = None) -> Json:
        url = endpoint(self.server, path, self._query | (query or {}))
        return web.get_json(self.server, url, VERSION)

    def ping(self) -> None:
        try:
            answer = self._get("/ping")
            if not isinstance(answer, dict) or answer.get("imgapi") is not True:
                raise ValueError("it does not speak IMGAPI")
        except web.TROUBLE as exc:
            text = ping_trouble("imgapi", self.server.url, web.reason(exc))
            raise SourcePing(text, hint="add it all the same with -f") from exc

    def get(self, name: str) -> JsonObject | None:
        answer = self._ask(f"/images/{name}")
        if answer is None:
            return None
        if not isinstance(answer, dict) or answer.get("uuid") != name:
            raise DownloadError(f'"{self.server.url}" answered with another image')
        return answer if answer.get("state") in (None, "active") else None

    def channels(self) -> list[Json]:
        """`[{"name", "description"?, "default"?}]`; none if the server has no channels."""
        answer = self._ask("/channels")
        return answer if isinstance(answer, list) else []

    def _ask(self, path: str) -> Json:
        """None if the server has no such thing."""
        try:
            answer = self._get(path)
            if answer is None:
                raise ValueError("it answers null")
        except web.TROUBLE as exc:
            if web.status_of(exc) == 404:
                return None
            text = f'cannot ask "{self.server.url}": {web.reason(exc)}'
            raise DownloadError(text) from exc
        return answer

    def read_file(self, uuid: str, start: int = 0) -> Generator[bytes]:
        url = endpoint(self.server, f"/images/{uuid}/file", self._query)

        def open_at(headers: Headers) -> web.Answer:
            return web.send(self.server, url, VERSION | headers)

        return web.download(self.server.url, open_at, start)

    def list(self) -> list[JsonObject]:
        """Page after page."""
        found: dict[str, JsonObject] = {}
        query = {"state": "active", "limit": str(PAGE)}
        for _ in range(PAGES):
            try:
                page = self._get("/images", query)
                if not isinstance(page, list):
                    raise ValueError("it sends no list")
            except web.TROUBLE as exc:
                text = f'cannot list images of "{self.server.url}": {web.reason(exc)}'
                raise DownloadError(text) from exc
            listed = [item for item in page if isinstance(item, dict)]
            before = len(found)
            found |= {str(item.get("uuid")): item for item in listed}
            # A server that knows no marker sends its first page again.
            if len(listed) < PAGE or len(found) == before:
                break
            query["marker"] = str(listed[-1].get("uuid"))
        return [*found.values()]
