# SPDX-License-Identifier: MPL-2.0
"""What Docker calls an image: [HOST/]REPO[:TAG][@DIGEST]. All pure."""

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hull.image.manifest import DIGEST, UUID

HUB = "docker.io"
HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io", "hub.docker.com")
HUB_URL = "https://registry-1.docker.io"
OFFICIAL = "library/"  # the hub's own images, whose names are written without it

_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?")
REPO = re.compile(rf"{_WORD}(?:/{_WORD})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
MAX_REPO = 255


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image of a registry; `host` is empty if it was not named."""

    host: str = ""
    repo: str
    tag: str = ""
    digest: str = ""  # sha256:HEX; it says more than the tag

    @property
    def wanted(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag or "latest"

    def of(self, host: str) -> "Reference | None":
        """The same image in the registry `host`, None if it is another registry's."""
        if self.host and index_name(self.host) != index_name(host):
            return None
        official = index_name(host) == HUB and "/" not in self.repo
        repo = OFFICIAL + self.repo if official else self.repo
        return replace(self, host=index_name(host), repo=repo)

    @property
    def local_name(self) -> str:
        """As `docker images` shows the repository: the hub's without its name."""
        if self.host in ("", HUB):
            return self.repo.removeprefix(OFFICIAL)
        return f"{self.host}/{self.repo}"


def index_name(host: str) -> str:
    """The one name of a registry that has several."""
    return HUB if host.lower() in HUB_NAMES else host.lower()


def parse_reference(text: str) -> Reference | None:
    """None if it cannot be one; a UUID is none."""
    rest, at, digest = text.partition("@")
    host, rest = _split_host(rest)
    repo, colon, tag = rest.partition(":")
    sound = (
        REPO.fullmatch(repo) is not None
        and len(repo) <= MAX_REPO
        and (HOST.fullmatch(host) is not None if host else True)
        and (TAG.fullmatch(tag) is not None if colon else True)
        and (DIGEST.fullmatch(digest) is not None if at else True)
        and not UUID.fullmatch(text)
    )
    return Reference(host=host, repo=repo, tag=tag, digest=digest) if sound else None


def _split_host(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", text


def registry_host(url: str) -> str:
    """The name of the registry at a URL: its host, and its port if it has one."""
    return index_name(urlsplit(url).netloc.rpartition("@")[2])


def registry_url(url: str) -> str:
    """Where the registry at a source's URL is really asked."""
    return HUB_URL if registry_host(url) == HUB else url.rstrip("/")
