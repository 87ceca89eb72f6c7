# SPDX-License-Identifier: MPL-2.0
"""A client of IMGAPI: the few requests that imgadm makes of an image server.

Servers are not trusted: answers are bounded in size and time, and only http and https are spoken,
whatever a redirection says. An image's file is checked by whoever reads it.
"""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hull.errors import DownloadError, SourcePing
from hull.wire import Json, JsonObject

USER_AGENT = "imgadm/3.9.5 (hull)"
SILENCE = 30.0  # seconds without a byte until a server counts as gone
ANSWER_TIME = 60.0  # seconds for a whole JSON answer
ANSWER_SIZE = 64 << 20
PAGE = 1000  # IMGAPI's largest page
PAGES = 100
CHUNK = 1 << 20
SLOWEST = 256 << 10  # bytes a minute: a file that comes slower than this never ends
RETRIES = 5  # in a row without a byte in between


@dataclass(frozen=True)
class Server:
    """Where a server is. Its URL may carry a query, such as `?channel=dev`."""

    url: str
    insecure: bool = False


def endpoint(server: Server, path: str, query: dict[str, str] | None = None) -> str:
    """The URL of one request: the server's path and query, then ours."""
    parts = urlsplit(server.url)
    merged = dict(parse_qsl(parts.query)) | (query or {})
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path.rstrip("/") + path, urlencode(merged), "")
    )


def _opener(server: Server) -> urllib.request.OpenerDirector:
    # Not build_opener(): it would follow a redirection to ftp.
    context = ssl.create_default_context()
    if server.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _open(server: Server, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    common = {"Accept-Version": "~2", "User-Agent": USER_AGENT}
    request = urllib.request.Request(url, headers=common | headers)
    try:
        answer = _opener(server).open(request, timeout=SILENCE)
    except urllib.error.HTTPError as exc:
        exc.close()  # it is an open answer, too
        raise
    assert isinstance(answer, http.client.HTTPResponse)  # no other handler is there
    return answer


def _reason(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {SILENCE:.0f} seconds"
    return str(reason) or type(reason).__name__


# What may come out of urllib and http.client when a server misbehaves.
TROUBLE = (OSError, http.client.HTTPException, ValueError)


def _get_json(server: Server, path: str, query: dict[str, str] | None = None) -> Json:
    """Raises urllib's HTTPError, or one of TROUBLE."""
    deadline = time.monotonic() + ANSWER_TIME
    with _open(server, endpoint(server, path, query), {"Accept": "application/json"}) as answer:
        body = bytearray()
        while chunk := answer.read1(CHUNK):
            body += chunk
            if len(body) > ANSWER_SIZE or time.monotonic() > deadline:
                raise ValueError("the answer is too long or takes too long")
    value: Json = json.loads(body)
    return value


def ping(server: Server) -> None:
    """Raises SourcePing unless an image server answers."""
    text = f'unexpected ping error with "imgapi" image source "{server.url}": '
    try:
        answer = _get_json(server, "/ping")
    except TROUBLE as exc:
        raise SourcePing(text + _reason(exc), hint="add it all the same with -f") from exc
    if not isinstance(answer, dict) or answer.get("imgapi") is not True:
        raise SourcePing(text + "it does not speak IMGAPI", hint="add it all the same with -f")


def list_images(server: Server) -> list[JsonObject]:
    """The manifests of all active images, page after page. Raises DownloadError."""
    found: dict[str, JsonObject] = {}
    query = {"state": "active", "limit": str(PAGE)}
    for _ in range(PAGES):
        try:
            page = _get_json(server, "/images", query)
        except TROUBLE as exc:
            raise DownloadError(f'cannot list images of "{server.url}": {_reason(exc)}') from exc
        listed = [item for item in page if isinstance(item, dict)] if isinstance(page, list) else []
        before = len(found)
        found |= {str(item.get("uuid")): item for item in listed}
        # A server that knows no marker sends its first page again.
        if len(listed) < PAGE or len(found) == before:
            break
        query["marker"] = str(listed[-1].get("uuid"))
    return list(found.values())


def get_image(server: Server, uuid: str) -> JsonObject | None:
    """One manifest, None if the server has none. Raises DownloadError."""
    try:
        answer = _get_json(server, f"/images/{uuid}")
    except urllib.error.HTTPError as exc:
        if exc.code == 404:
            return None
        raise DownloadError(f'cannot ask "{server.url}": {_reason(exc)}') from exc
    except TROUBLE as exc:
        raise DownloadError(f'cannot ask "{server.url}": {_reason(exc)}') from exc
    if not isinstance(answer, dict) or answer.get("uuid") != uuid:
        raise DownloadError(f'"{server.url}" answered with another image')
    return answer


def read_file(
    server: Server, uuid: str, pause: Callable[[float], None] = time.sleep
) -> Generator[bytes]:
    """The bytes of an image's file. Raises DownloadError.

    A connection that breaks is made anew, and the file read on from where it broke, as long as
    the server says that it is the same file (its ETag).
    """
    done, etag, failures = 0, "", 0
    while True:
        try:
            with _open_file(server, uuid, done, etag) as answer:
                etag = answer.headers.get("ETag", "")
                for chunk in _not_too_slow(server, answer):
                    done, failures = done + len(chunk), 0
                    yield chunk
                return
        except urllib.error.HTTPError as exc:
            raise DownloadError(f'"{server.url}" does not give the file: {_reason(exc)}') from exc
        except TROUBLE as exc:
            failures += 1
            if failures > RETRIES or (done and not etag):
                raise DownloadError(
                    f'the download from "{server.url}" broke off after {done} bytes: {_reason(exc)}'
                ) from exc
            pause(min(0.25 * 2**failures, 5.0))


def _not_too_slow(server: Server, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    counted, deadline = 0, time.monotonic() + 60
    while chunk := _read_some(answer):
        counted += len(chunk)
        if counted >= SLOWEST:
            counted, deadline = 0, time.monotonic() + 60
        elif time.monotonic() > deadline:
            raise DownloadError(f'"{server.url}" sends less than {SLOWEST} bytes a minute')
        yield chunk


def _read_some(answer: http.client.HTTPResponse) -> bytes:
    """Some bytes; none at the end. http.client calls a short body an end: we do not."""
    chunk = answer.read1(CHUNK)
    if not chunk and answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return chunk


def _open_file(server: Server, uuid: str, start: int, etag: str) -> http.client.HTTPResponse:
    headers = {"Range": f"bytes={start}-", "If-Match": etag} if start else {}
    answer = _open(server, endpoint(server, f"/images/{uuid}/file"), headers)
    if start and (answer.status != 206 or answer.headers.get("ETag", "") != etag):
        answer.close()
        raise DownloadError(f'"{server.url}" cannot go on with a broken download')
    return answer
