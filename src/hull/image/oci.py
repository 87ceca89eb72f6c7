# SPDX-License-Identifier: MPL-2.0
"""The docker source: an image of a registry is a chain of our images, one a layer.

The image of a layer has the UUID of the digests up to it, so layers that images share are there
once. That of the last layer has the configuration as well: images of the same layers may differ in
what they run.
"""

import hashlib
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

from hull.errors import Corrupt, SourcePing, Unsupported
from hull.image import registry, web
from hull.image.manifest import DIGEST
from hull.image.reference import Reference, parse_reference, registry_host
from hull.image.registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Registry
from hull.image.source import ping_trouble
from hull.image.web import Server
from hull.wire import Json, JsonObject

NOBODY = "00000000-0000-0000-0000-000000000000"
MOST_LAYERS = 127  # Docker's
OLDEST = "1970-01-01T00:00:00.000Z"
# The kernel's names of machines as Go's.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}
COMPRESSIONS = {"gzip": "gzip", "zstd": "zstd"}
CREATED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of an image, checked."""

    digest: str
    size: int
    compression: str
    diff_id: str


class Docker:
    """A registry that speaks Docker's or OCI's version 2."""

    def __init__(self, server: Server, credentials: str = "") -> None:
        self.server = server
        self.credentials = credentials
        self._manifests: dict[str, JsonObject] = {}  # of what was got, by UUID
        self._files: dict[str, tuple[Registry, str]] = {}

    def ping(self) -> None:
        try:
            registry.ping(self.server)
        except web.TROUBLE as exc:
            text = ping_trouble("docker", self.server.url, web.reason(exc))
            raise SourcePing(text, hint="add it all the same with -f") from exc

    def list(self) -> list[JsonObject]:
        """None: registries do not tell."""
        return []

    def get(self, name: str) -> JsonObject | None:
        parsed = parse_reference(name)
        reference = parsed.of(registry_host(self.server.url)) if parsed else None
        if reference is None:
            return self._manifests.get(name)
        return self._resolve(reference)

    def read_file(self, uuid: str, start: int = 0) -> Generator[bytes]:
        where, digest = self._files[uuid]
        return where.read_blob(digest, start)

    def _resolve(self, reference: Reference) -> JsonObject | None:
        where = Registry(server=self.server, repo=reference.repo, credentials=self.credentials)
        found = where.manifest(reference.wanted)
        if found and found[0].get("mediaType") in (OCI_INDEX, DOCKER_LIST):
            found = where.manifest(choose(found[0], architecture()))
        if found is None:
            return None
        manifest, _ = found
        config_digest = check_manifest(manifest)
        config = where.blob(config_digest)
        check_platform(config, reference)
        layers = layers_of(manifest, config)
        images = manifests(reference, config_digest, config, layers)
        for image, layer in zip(images, layers, strict=True):
            self._manifests[str(image["uuid"])] = image
            self._files[str(image["uuid"])] = where, layer.digest
        return images[-1]


def architecture() -> str:
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def choose(index: JsonObject, arch: str) -> str:
    """The digest of the image in an index that this machine can run. Raises Unsupported."""
    offered = []
    for item in _objects(index.get("manifests")):
        platform = item.get("platform")
        platform = platform if isinstance(platform, dict) else {}
        system, machine = platform.get("os"), platform.get("architecture")
        if system == "linux" and machine == arch:
            return _digest(item.get("digest"))
        offered.append(f"{system}/{machine}")
    raise Unsupported(
        f"the image is not for linux/{arch}", hint=f"it is for {', '.join(offered) or 'nothing'}"
    )


def check_manifest(manifest: JsonObject) -> str:
    """The digest of the configuration. Raises Unsupported, Corrupt."""
    if manifest.get("schemaVersion") != 2 or manifest.get("mediaType") not in (
        DOCKER_MANIFEST,
        OCI_MANIFEST,
    ):
        what = manifest.get("mediaType") or f"schema {manifest.get('schemaVersion')}"
        raise Unsupported(f"manifests of type {what} are not supported", hint="push it anew")
    config = manifest.get("config")
    return _digest(config.get("digest") if isinstance(config, dict) else None)


def check_platform(config: JsonObject, reference: Reference) -> None:
    """Raises Unsupported for the image of another machine."""
    have = f"{config.get('os')}/{config.get('architecture')}"
    if have != f"linux/{architecture()}":
        raise Unsupported(f"{reference.local_name} is for {have}, not linux/{architecture()}")


def layers_of(manifest: JsonObject, config: JsonObject) -> list[Layer]:
    """Raises Corrupt, Unsupported."""
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    listed = _objects(manifest.get("layers"))
    if not isinstance(diff_ids, list) or not 0 < len(listed) == len(diff_ids) <= MOST_LAYERS:
        raise Corrupt(f"the image has no layers, more than {MOST_LAYERS}, or they do not add up")
    return [_layer(item, _digest(diff_id)) for item, diff_id in zip(listed, diff_ids, strict=True)]


def _layer(item: JsonObject, diff_id: str) -> Layer:
    kind, size = str(item.get("mediaType")), item.get("size")
    if "foreign" in kind or "encrypted" in kind:
        raise Unsupported(f"layers of type {kind} are not supported")
    if not isinstance(size, int) or size <= 0:
        raise Corrupt(f"a layer of {size} bytes")
    compression = COMPRESSIONS.get(re.split(r"[.+]", kind)[-1], "none")
    return Layer(
        digest=_digest(item.get("digest")), size=size, compression=compression, diff_id=diff_id
    )


def uuid_of(digests: list[str]) -> str:
    """The UUID of a chain of digests."""
    sum_ = hashlib.sha256(" ".join(digests).encode()).hexdigest()
    return "-".join((sum_[:8], sum_[8:12], sum_[12:16], sum_[16:20], sum_[20:32]))


def manifests(
    reference: Reference, config_digest: str, config: JsonObject, layers: list[Layer]
) -> list[JsonObject]:
    """The images of a registry's image, the lowest first. Pure."""
    chain = [layer.digest for layer in layers]
    uuids = [uuid_of(chain[: count + 1]) for count in range(len(chain) - 1)]
    uuids.append(uuid_of([*chain, config_digest]))
    words = history(config, len(layers))
    made = []
    for position, layer in enumerate(layers):
        data: JsonObject = {
            "v": 2,
            "uuid": uuids[position],
            "owner": NOBODY,
            "name": "docker-layer",
            "version": short(layer.digest),
            "state": "active",
            "disabled": False,
            "public": True,
            "published_at": created(config.get("created")),
            "type": "docker",
            "os": "linux",
            "files": [_file(layer)],
            "requirements": {"brand": "lx"},
            "tags": {"docker:repo": reference.local_name, "docker:id": layer.digest},
        }
        if words[position]:
            data["description"] = words[position]
        if position:
            data["origin"] = uuids[position - 1]
        made.append(data)
    made[-1]["version"] = short(config_digest)
    made[-1]["tags"] = tags(reference, config_digest, config)
    return made


def _file(layer: Layer) -> JsonObject:
    return {
        "size": layer.size,
        "compression": layer.compression,
        "digest": layer.digest,
        "uncompressedDigest": layer.diff_id,
    }


def tags(reference: Reference, config_digest: str, config: JsonObject) -> JsonObject:
    """What `imgadm list --docker` and `vmadm create` want to know of an image."""
    found: JsonObject = {
        "docker:repo": reference.local_name,
        "docker:id": config_digest,
        "docker:architecture": config.get("architecture"),
        "docker:config": config.get("config") or {},
    }
    if reference.tag or not reference.digest:
        found[f"docker:tag:{reference.tag or 'latest'}"] = True
    return found


def history(config: JsonObject, count: int) -> list[str]:
    """What made each layer, as far as the image says so."""
    listed = _objects(config.get("history"))
    said = [str(item.get("created_by") or "") for item in listed if not item.get("empty_layer")]
    return [text[:512] for text in said] if len(said) == count else [""] * count


def created(value: Json) -> str:
    """A time as manifests have it; builds that are to be the same again give none, or year 1."""
    matched = CREATED.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return OLDEST
    return f"{matched[1]}.{(matched[2] or '.')[1:4].ljust(3, '0')}Z"


def short(digest: str) -> str:
    """A digest as Docker abbreviates it."""
    return digest.removeprefix("sha256:")[:12]


def _digest(value: Json) -> str:
    """Only sha256: others nobody uses. Raises Corrupt."""
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise Corrupt(f"{value!r} is no digest that is known here")
    return value


def _objects(value: Json) -> "list[JsonObject]":
    listed = value if isinstance(value, list) else []
    return cast("list[JsonObject]", [item for item in listed if isinstance(item, dict)])
