# SPDX-License-Identifier: MPL-2.0
"""The simplestreams source: images for LXC, LXD and Incus, such as images.linuxcontainers.org has.

Of each product the newest version that this machine can run becomes an image for brand lx; its root
is what is fetched. What LXD would make of it besides (metadata.yaml and its templates) is left out:
host name, resolvers and network are set by the host.
"""

import re
import uuid as uuids
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from hull.errors import DownloadError, SourcePing
from hull.image import web
from hull.image.manifest import DIGEST, NAME
from hull.image.oci import NOBODY, architecture
from hull.image.source import ping_trouble
from hull.image.web import Headers, Server, endpoint
from hull.wire import Json, JsonObject

INDEX = "/streams/v1/index.json"
# What is in a file of a version, the best first; and the fingerprint that it has with the metadata.
ROOTS = {
    "root.tar.xz": ("xz", "combined_rootxz_sha256"),
    "squashfs": ("none", "combined_squashfs_sha256"),
}
METADATA = ("incus.tar.xz", "lxd.tar.xz")
NAMESPACE = uuids.uuid5(uuids.NAMESPACE_URL, "https://linuxcontainers.org/simplestreams")
# 20260820_05:24, or 20260820 with an optional serial
STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:_(\d\d):?(\d\d)|\.\d+)?")
DEFAULT = "default"  # the variant that need not be named


@dataclass(frozen=True, kw_only=True)
class Product:
    """The newest version of a product."""

    manifest: JsonObject
    aliases: tuple[str, ...]
    variant: str
    path: str  # of the root's file, from the server's URL


Products = list[Product]


class Simplestreams:
    """A server of simplestreams; what it says is asked once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._found: Products | None = None

    def ping(self) -> None:
        try:
            check_format(self._get(INDEX), "index:1.0")
        except web.TROUBLE as exc:
            text = ping_trouble("simplestreams", self.server.url, web.reason(exc))
            raise SourcePing(text, hint="add it all the same with -f") from exc

    def list(self) -> list[JsonObject]:
        return [product.manifest for product in self._products()]

    def get(self, name: str) -> JsonObject | None:
        """By UUID or alias (`debian/13`); of several variants the default one."""
        fitting = [
            product
            for product in self._products()
            if product.manifest["uuid"] == name or name in product.aliases
        ]
        fitting.sort(key=lambda product: (product.variant != DEFAULT, product.variant))
        return fitting[0].manifest if fitting else None

    def read_file(self, uuid: str, start: int = 0) -> Generator[bytes]:
        path = next(each.path for each in self._products() if each.manifest["uuid"] == uuid)
        url = urljoin(endpoint(self.server, "/"), path)

        def open_at(headers: Headers) -> web.Answer:
            return web.send(self.server, url, headers)

        return web.download(self.server.url, open_at, start)

    def _get(self, path: str) -> JsonObject:
        data = web.get_json(self.server, endpoint(self.server, path))
        return data if isinstance(data, dict) else {}

    def _products(self) -> Products:
        if self._found is None:
            try:
                self._found = [*self._ask()]
            except web.TROUBLE as exc:
                text = f'cannot list images of "{self.server.url}": {web.reason(exc)}'
                raise DownloadError(text) from exc
        return self._found

    def _ask(self) -> Iterator[Product]:
        index = self._get(INDEX)
        check_format(index, "index:1.0")
        for _, stream in objects(index.get("index")):
            if stream.get("datatype") == "image-downloads":
                products = self._get("/" + str(stream.get("path")).lstrip("/"))
                check_format(products, "products:1.0")
                yield from parse_products(products, architecture())


def check_format(data: JsonObject, wanted: str) -> None:
    """Raises ValueError."""
    if data.get("format") != wanted:
        raise ValueError(f"it sends no {wanted}")


def parse_products(data: JsonObject, arch: str) -> Iterator[Product]:
    """The newest version of each product for machines of `arch` that has a root. Pure."""
    for key, product in objects(data.get("products")):
        if product.get("arch") != arch:
            continue
        versions = sorted(objects(product.get("versions")), reverse=True)
        for stamp, version in versions:
            if made := parse_version(key, product, stamp, version):
                yield made
                break


def parse_version(key: str, product: JsonObject, stamp: str, version: JsonObject) -> Product | None:
    """None if it is for virtual machines only, or not whole."""
    items = {str(item.get("ftype")): item for _, item in objects(version.get("items"))}
    metadata = next((items[kind] for kind in METADATA if kind in items), None)
    root = next((kind for kind in ROOTS if kind in items), "")
    name = name_of(key, product)
    if not root or metadata is None or not NAME.fullmatch(name) or not STAMP.fullmatch(stamp):
        return None
    item, (compression, combined) = items[root], ROOTS[root]
    size, digest = item.get("size"), f"sha256:{item.get('sha256')}"
    if not isinstance(size, int) or not DIGEST.fullmatch(digest):
        return None
    fingerprint = metadata.get(combined) or f"{metadata.get('sha256')} {item.get('sha256')}"
    aliases = [each.strip() for each in str(product.get("aliases") or "").split(",")]
    manifest: JsonObject = {
        "v": 2,
        "uuid": str(uuids.uuid5(NAMESPACE, str(fingerprint))),
        "owner": NOBODY,
        "name": name,
        "version": stamp.replace(":", ""),
        "state": "active",
        "disabled": False,
        "public": True,
        "published_at": published(stamp),
        "type": "lx-dataset",
        "os": "linux",
        "description": description(product),
        "files": [{"size": size, "compression": compression, "digest": digest}],
        "requirements": {"brand": "lx"},
        "tags": {"fingerprint": fingerprint, "aliases": ",".join(aliases)},
    }
    return Product(
        manifest=manifest,
        aliases=tuple(alias for alias in aliases if alias),
        variant=str(product.get("variant") or DEFAULT),
        path=str(item.get("path")),
    )


def name_of(key: str, product: JsonObject) -> str:
    """`debian/trixie`, `debian/trixie/cloud`: as in the product's key, the default left out."""
    system, release, *_ = [*key.split(":"), "", ""]
    variant = str(product.get("variant") or DEFAULT)
    words = [system or str(product.get("os")), release or str(product.get("release"))]
    return "/".join([*words, *([] if variant == DEFAULT else [variant])]).lower()


def description(product: JsonObject) -> str:
    words = [product.get("os"), product.get("release_title") or product.get("release")]
    variant = product.get("variant") or DEFAULT
    shown = " ".join(str(word) for word in words if word)
    return (shown if variant == DEFAULT else f"{shown} ({variant})")[:512]


def published(stamp: str) -> str:
    """A version's name as a time."""
    matched = STAMP.fullmatch(stamp)
    assert matched is not None
    year, month, day, hour, minute = matched.groups()
    return f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:00Z"


def objects(value: Json) -> "list[tuple[str, JsonObject]]":
    """The members of an object that are objects."""
    members = value.items() if isinstance(value, dict) else ()
    return [(name, member) for name, member in members if isinstance(member, dict)]
