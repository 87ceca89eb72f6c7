# SPDX-License-Identifier: MPL-2.0
"""How a Docker or OCI registry is asked: its API version 2, with tokens, and with patience.

Credentials are sent to the registry's own host and to the token server that it names, which must
speak https if the registry does; never to where it redirects (web.py).
"""

import email.utils
import hashlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from hull.errors import DownloadError
from hull.image import web
from hull.image.reference import registry_url
from hull.image.web import Answer, Headers, Server
from hull.wire import JsonObject

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
LARGEST_MANIFEST = 8 << 20  # bytes; also of a configuration

BUSY = (429, 502, 503, 504)
WAITS = 5  # times that a busy registry is asked again
LOGINS = 2  # times in one request: with a token that was too old, and with a new one
LONGEST_WAIT = 60.0  # seconds, whatever it says

CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(kw_only=True)
class Registry:
    """One repository of a registry. Its methods may be called by several threads at once."""

    server: Server
    repo: str
    credentials: str = ""  # base64 of USER:PASSWORD
    pause: Callable[[float], None] = time.sleep
    authorization: str = field(default="", init=False)

    @property
    def label(self) -> str:
        return f"{self.server.url}/{self.repo}"

    def manifest(self, wanted: str) -> tuple[JsonObject, str] | None:
        """The manifest of a tag or digest, and its digest; None if there is none.

        Raises DownloadError, also if it is not what its digest says.
        """
        body, headers = self._read(f"manifests/{wanted}", {"Accept": ACCEPTED})
        if body is None:
            return None
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        promised = wanted if wanted.startswith("sha256:") else headers.get("docker-content-digest")
        # A registry may name it by another hash, which is then no use to us.
        if promised and promised.startswith("sha256:") and promised != digest:
            raise DownloadError(f'"{self.label}" sends another manifest than {promised}')
        data = self._parse(body)
        data.setdefault("mediaType", headers.get("content-type", "").partition(";")[0])
        return data, digest

    def blob(self, digest: str) -> JsonObject:
        """A small JSON object, such as an image's configuration. Raises DownloadError."""
        body, _ = self._read(f"blobs/{digest}", {})
        if body is None or f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            raise DownloadError(f'"{self.label}" does not send {digest}')
        return self._parse(body)

    def read_blob(self, digest: str, start: int) -> Generator[bytes]:
        """The bytes of a layer, from `start` on. Raises DownloadError."""

        def open_at(headers: Headers) -> Answer:
            return self._send(f"blobs/{digest}", headers)

        return web.download(self.label, open_at, start)

    def _parse(self, body: bytes) -> JsonObject:
        try:
            data = json.loads(body)
        except ValueError as exc:
            raise DownloadError(f'"{self.label}" sends no JSON') from exc
        if not isinstance(data, dict):
            raise DownloadError(f'"{self.label}" sends no JSON object')
        return data

    def _read(self, path: str, headers: Headers) -> tuple[bytes | None, Headers]:
        """The body, None if there is no such thing, and the answer's headers in lower case."""
        try:
            with self._send(path, headers) as answer:
                names = {name.lower(): value for name, value in answer.headers.items()}
                return web.read_all(answer, LARGEST_MANIFEST), names
        except web.TROUBLE as exc:
            if web.status_of(exc) == 404:
                return None, {}
            hint = ""
            if web.status_of(exc) in (401, 403):
                hint = "it may need a login: see imgadm(8), auth.json"
            why = f'cannot ask "{self.label}": {web.reason(exc)}'
            raise DownloadError(why, hint=hint) from exc

    def _send(self, path: str, headers: Headers) -> Answer:
        """One request, with what it takes to be let in. Raises HTTPError, or one of web.TROUBLE."""
        url = f"{registry_url(self.server.url)}/v2/{self.repo}/{path}"
        logins = 0
        for attempt in range(WAITS + 1):
            tried = self.authorization
            try:
                own = {"Authorization": tried} if tried else {}
                return web.send(self.server, url, headers | own)
            except urllib.error.HTTPError as exc:
                if exc.code == 401 and logins < LOGINS:
                    # Tokens live for minutes; another thread may have got a new one meanwhile.
                    logins += 1
                    if self.authorization == tried:
                        self.authorization = self._authorize(exc, tried)
                elif exc.code in BUSY and attempt < WAITS:
                    self.pause(wait_of(exc.headers.get("Retry-After") or "", attempt))
                else:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _authorize(self, refused: urllib.error.HTTPError, tried: str) -> str:
        """What to send after a 401. Raises the 401 if nothing is left to try."""
        for challenge in refused.headers.get_all("WWW-Authenticate") or []:
            scheme = challenge.partition(" ")[0].lower()
            if scheme == "bearer":
                token = self._token(dict(CHALLENGE.findall(challenge)))
                if token and f"Bearer {token}" != tried:
                    return f"Bearer {token}"
            elif scheme == "basic" and self.credentials and not tried:
                return f"Basic {self.credentials}"
        raise refused

    def _token(self, challenge: dict[str, str]) -> str:
        realm = challenge.get("realm", "")
        if urlsplit(realm).scheme not in token_schemes(self.server):
            raise ValueError(f"it sends one to {realm!r} for a token")
        query = {"scope": challenge.get("scope") or f"repository:{self.repo}:pull"}
        if service := challenge.get("service"):
            query["service"] = service
        own = {"Authorization": f"Basic {self.credentials}"} if self.credentials else {}
        joint = "&" if urlsplit(realm).query else "?"
        data = web.get_json(self.server, realm + joint + urlencode(query), own)
        found = data.get("token") or data.get("access_token") if isinstance(data, dict) else None
        return str(found or "")


def token_schemes(server: Server) -> tuple[str, ...]:
    """What a token server may speak: a registry that is asked safely must not send one astray."""
    return ("https",) if registry_url(server.url).startswith("https:") else ("https", "http")


def wait_of(retry_after: str, attempt: int) -> float:
    """Seconds to wait for a busy registry: what it says, or ever longer."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        when = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (TypeError, ValueError):
        return min(2.0**attempt, LONGEST_WAIT)
    return min(max(when - time.time(), 0.0), LONGEST_WAIT)


def ping(server: Server) -> None:
    """Raises one of web.TROUBLE unless it speaks the API's version 2, to whomever."""
    url = f"{registry_url(server.url)}/v2/"
    try:
        with web.send(server, url) as answer:
            headers, body = answer.headers, web.read_all(answer)
    except urllib.error.HTTPError as exc:
        if exc.code != 401 or not exc.headers.get("WWW-Authenticate"):
            raise
        return
    # OCI does not ask for that header, nor for anything but a 200.
    named = "registry/2" in (headers.get("Docker-Distribution-Api-Version") or "")
    if not named and not isinstance(json.loads(body or b"{}"), dict):
        raise ValueError("it is no registry")
