# SPDX-License-Identifier: MPL-2.0
"""The HTTP that all image sources are spoken to by: bounded, and not fooled by a redirection.

Servers are not trusted: answers are bounded in size and time, and only http and https are spoken,
whatever a redirection says. A server's credentials stay with its host.
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

from hull.errors import DownloadError
from hull.wire import Json

USER_AGENT = "imgadm/3.9.5 (hull)"
SILENCE = 30.0  # seconds without a byte until a server counts as gone
ANSWER_TIME = 60.0  # seconds for a whole JSON answer
ANSWER_SIZE = 64 << 20
CHUNK = 1 << 20
SLOWEST = 256 << 10  # bytes a minute: a file that comes slower than this never ends
RETRIES = 5  # in a row without a byte in between
# What may come out of urllib and http.client when a server misbehaves.
TROUBLE = (OSError, http.client.HTTPException, ValueError)

Headers = dict[str, str]
Answer = http.client.HTTPResponse


@dataclass(frozen=True)
class Server:
    """Where a server is. Its URL may carry a query, such as `?channel=dev`."""

    url: str
    insecure: bool = False  # certificates are not checked
    agent: str = USER_AGENT


def endpoint(server: Server, path: str, query: dict[str, str] | None = None) -> str:
    """The URL of one request: the server's path and query, then ours."""
    parts = urlsplit(server.url)
    merged = dict(parse_qsl(parts.query)) | (query or {})
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path.rstrip("/") + path, urlencode(merged), "")
    )


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Registries send one to another host: what was for the first is none of the second's."""

    def redirect_request(
        self, req: urllib.request.Request, *rest: object
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, *rest)  # type: ignore[arg-type]  # passed on as given
        if new and urlsplit(new.full_url).netloc != urlsplit(req.full_url).netloc:
            new.remove_header("Authorization")
        return new


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
        _Redirect(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def send(
    server: Server,
    url: str,
    headers: Headers | None = None,
    *,
    method: str = "GET",
    data: object = None,
    silence: float = SILENCE,
) -> Answer:
    """One request; the caller closes the answer. Raises urllib's HTTPError, or one of TROUBLE.

    `data` is bytes, or a binary file together with a Content-Length among the headers.
    """
    common = {"User-Agent": server.agent}
    request = urllib.request.Request(
        url,
        headers=common | (headers or {}),
        method=method,
        data=data,  # type: ignore[arg-type]  # a file will do as well
    )
    try:
        answer = _opener(server).open(request, timeout=silence)
    except urllib.error.HTTPError as exc:
        if exc.code < 400 or method == "GET":
            exc.close()  # it is an open answer, too
        raise
    assert isinstance(answer, Answer)  # no other handler is there
    return answer


def reason(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {SILENCE:.0f} seconds"
    return str(cause) or type(cause).__name__


def status_of(error: Exception) -> int:
    """The HTTP status that an error stands for, 0 if none."""
    return error.code if isinstance(error, urllib.error.HTTPError) else 0


def read_all(answer: Answer, limit: int = ANSWER_SIZE) -> bytes:
    """A whole answer, of bounded size and time. Raises ValueError."""
    deadline = time.monotonic() + ANSWER_TIME
    body = bytearray()
    while chunk := answer.read1(CHUNK):
        body += chunk
        if len(body) > limit or time.monotonic() > deadline:
            raise ValueError("the answer is too long or takes too long")
    return bytes(body)


def get_json(server: Server, url: str, headers: Headers | None = None) -> Json:
    """Raises urllib's HTTPError, or one of TROUBLE."""
    with send(server, url, {"Accept": "application/json"} | (headers or {})) as answer:
        value: Json = json.loads(read_all(answer))
    return value


def download(
    label: str,
    open_at: Callable[[Headers], Answer],
    start: int = 0,
    pause: Callable[[float], None] = time.sleep,
) -> Generator[bytes]:
    """The bytes of a file, from byte `start` on. Raises DownloadError.

    `open_at` asks for the file with the headers it is given. A connection that breaks is made
    anew, and the file read on from where it broke, as long as the server says that it is the same
    file (its ETag). A server that knows no ranges is read from the beginning.
    """
    done, etag, failures = start, "", 0
    while True:
        try:
            with open_at(_range(done, etag)) as answer:
                skip = _to_skip(label, answer, done, etag)
                etag = answer.headers.get("ETag", "")
                for chunk in _not_too_slow(label, answer):
                    part, skip = chunk[skip:], max(skip - len(chunk), 0)
                    done, failures = done + len(part), 0
                    if part:
                        yield part
                return
        except urllib.error.HTTPError as exc:
            if exc.code == 416 and done:  # there is no more: whoever reads will say if it is whole
                return
            raise DownloadError(f'"{label}" does not give the file: {reason(exc)}') from exc
        except TROUBLE as exc:
            failures += 1
            if failures > RETRIES or (done and not etag):
                raise DownloadError(
                    f'the download from "{label}" broke off after {done} bytes: {reason(exc)}',
                    hint="the next import goes on from there",
                ) from exc
            pause(min(0.25 * 2**failures, 5.0))


def _range(done: int, etag: str) -> Headers:
    if not done:
        return {}
    return {"Range": f"bytes={done}-"} | ({"If-Match": etag} if etag else {})


def _to_skip(label: str, answer: Answer, done: int, etag: str) -> int:
    """How many bytes come that are here already. Raises DownloadError for another file."""
    if done and etag and answer.headers.get("ETag", "") != etag:
        raise DownloadError(f'"{label}" cannot go on with a broken download')
    return 0 if answer.status == 206 else done


def _not_too_slow(label: str, answer: Answer) -> Iterator[bytes]:
    counted, deadline = 0, time.monotonic() + 60
    while chunk := _read_some(answer):
        counted += len(chunk)
        if counted >= SLOWEST:
            counted, deadline = 0, time.monotonic() + 60
        elif time.monotonic() > deadline:
            raise DownloadError(f'"{label}" sends less than {SLOWEST} bytes a minute')
        yield chunk


def _read_some(answer: Answer) -> bytes:
    """Some bytes; none at the end. http.client calls a short body an end: we do not."""
    chunk = answer.read1(CHUNK)
    if not chunk and answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return chunk
