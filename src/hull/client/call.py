# SPDX-License-Identifier: MPL-2.0
"""One request to hulld: progress lines in, result or error out."""

import json
import os
from collections.abc import Callable, Iterator

from hull import wire
from hull.errors import HostError

DEFAULT_ROOT = "/var/lib/hull"


def socket_path() -> str:
    """The socket of the host that HULL_ROOT names: Paths.socket, without pathlib."""
    return (os.environ.get("HULL_ROOT") or DEFAULT_ROOT) + "/run/hull/hulld.sock"


def call(
    method: str,
    target: str,
    body: wire.Json = None,
    progress: Callable[[wire.JsonObject], None] | None = None,
    fd: int = -1,
) -> wire.Json:
    """Send one request; returns its result. Raises the error that hulld answered with.

    `progress`, a function of one JSON object, gets each progress report of a long job. `fd` is
    handed to hulld, where the route takes one: a stream goes through it and not through here.
    """
    sock = wire.connect(socket_path())
    try:
        upgrade = wire.DESCRIPTOR if fd >= 0 else ""
        response = wire.request(sock, method, target, body, upgrade=upgrade)
        if response.status == wire.SWITCHED:
            wire.send_descriptor(sock, fd)
        elif response.headers.get("content-type") != "application/x-ndjson":
            answer = json.loads(response.read() or b"null")
            if response.status >= 400:
                raise wire.error_from_json(answer)
            result: wire.Json = answer
            return result
        for line in response.lines():
            message = json.loads(line)
            if "error" in message:
                raise wire.error_from_json(message["error"])
            if "result" in message:
                return message["result"]  # type: ignore[no-any-return]  # JSON
            if progress:
                progress(message["progress"])
    finally:
        sock.close()
    raise HostError("hulld went away before the job was done", hint="see its log")


def stream(target: str) -> Iterator[wire.JsonObject]:
    """The JSON lines of a GET that does not end by itself, such as /events."""
    sock = wire.connect(socket_path())
    try:
        response = wire.request(sock, "GET", target)
        if response.status >= 400:
            raise wire.error_from_json(json.loads(response.read()))
        for line in response.lines():
            yield json.loads(line)
    finally:
        sock.close()
