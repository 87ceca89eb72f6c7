# SPDX-License-Identifier: MPL-2.0
"""The port to where images come from. Drivers: imgapi, dsapi, docker and simplestreams.

A Source object is made for one operation and then forgotten, so it may remember what it has
resolved. What a server gives is not trusted: whoever asks checks manifests, and a file's size and
hashes. Contract of every method: nothing on this host has changed when it returns or raises.

The file of an image without `origin` is a tar archive of a whole root. That of an image with
`origin` is a layer in OCI's words, a tar archive with whiteouts (`.wh.NAME`, `.wh..wh..opq`).
Drivers hand out bytes and nothing else: `import_` fetches the origins, by `get(origin)` of the same
Source, and `receive` lays a layer over a clone of its origin (extract.py).
"""

from collections.abc import Generator
from typing import Protocol

from hull.wire import JsonObject

# The driver of each type of source is named here, and made by `sources.open_source`.
IMGAPI, DSAPI, DOCKER, SIMPLESTREAMS = "imgapi", "dsapi", "docker", "simplestreams"
TYPES = (IMGAPI, DSAPI, DOCKER, SIMPLESTREAMS)


class Source(Protocol):
    """One image source."""

    def ping(self) -> None:
        """Ask whether it is there and of this type. Raises SourcePing (`source_ping`)."""
        ...

    def list(self) -> list[JsonObject]:
        """The manifests (IMGAPI version 2) of its active images. Raises DownloadError.

        A source that cannot list, such as a registry, has none.
        """
        ...

    def get(self, name: str) -> JsonObject | None:
        """The manifest of an active image, None if there is none. Raises DownloadError.

        `name` is a UUID, or what a registry calls an image (REPO:TAG). `files[0]` has its size,
        its compression, and its sha1 or digest (sha256). The `origin` of what was got is found by
        its UUID.
        """
        ...

    def read_file(self, uuid: str, start: int = 0) -> Generator[bytes]:
        """The bytes, from byte `start` on, of the file of an image that `get` has found.

        A short break of the connection is the driver's business (`web.download`). Raises
        DownloadError.
        """
        ...


def ping_trouble(kind: str, url: str, why: str) -> str:
    """The message of SourcePing."""
    return f'unexpected ping error with "{kind}" image source "{url}": {why}'
