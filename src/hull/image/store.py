# SPDX-License-Identifier: MPL-2.0
"""The images on this host: one JSON file each, beside the dataset `POOL/UUID` with `@final`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt, ImageNotInstalled, NotFound
from hull.image.manifest import UUID, ImageManifest, parse_manifest
from hull.linux.files import read_json, write_json
from hull.linux.lock import lock
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject

FINAL = "final"
# A second import of the same image waits for the first; big images take their time.
LOCK_TIMEOUT = 3600.0


@dataclass(frozen=True, kw_only=True)
class Image:
    """An installed image."""

    manifest: ImageManifest
    zpool: str
    source: str  # URL it came from; empty for `imgadm install`

    @property
    def dataset(self) -> str:
        return f"{self.zpool}/{self.manifest.uuid}"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A dataset that is an image, with what was made from it. Without a record it has no more than
    its UUID to show."""

    record: JsonObject  # {"manifest", "zpool", "source"?}
    clones: tuple[str, ...]  # datasets

    @property
    def manifest(self) -> JsonObject:
        found = self.record["manifest"]
        assert isinstance(found, dict)
        return found

    @property
    def uuid(self) -> str:
        return str(self.manifest["uuid"])

    @property
    def dataset(self) -> str:
        return f"{self.record['zpool']}/{self.uuid}"

    @property
    def title(self) -> str:
        """NAME@VERSION"""
        return f"{self.manifest.get('name')}@{self.manifest.get('version')}"


def origin_snapshot(uuid: str, zpool: str = "zones") -> str:
    """The snapshot that VMs of this image are clones of."""
    return f"{zpool}/{uuid}@{FINAL}"


def record_path(paths: Paths, zpool: str, uuid: str) -> Path:
    return paths.imgadm / "images" / f"{zpool}-{uuid}.json"


def recorded(paths: Paths, zpool: str) -> list[str]:
    """The UUIDs of all images that have a record."""
    found = (paths.imgadm / "images").glob(f"{zpool}-*.json")
    return [path.stem.removeprefix(f"{zpool}-") for path in found]


def lock_image(
    paths: Paths, uuid: str, timeout: float = LOCK_TIMEOUT
) -> AbstractContextManager[None]:
    """Held by whoever installs, changes or deletes an image. Raises InUse."""
    return lock(paths.locks / f"image-{uuid}", what=f"image {uuid}", timeout=timeout)


def images(pool: Pool, paths: Paths) -> list[Listed]:
    """All images that are on the pool, by publication and name."""
    origins: dict[str, list[str]] = {}
    names = []
    for dataset in pool.datasets(usage=False):
        origins.setdefault(dataset.origin.partition("@")[0], []).append(dataset.name)
        names.append(dataset.name)
    found = []
    for name in names:
        uuid = name.removeprefix(f"{pool.name}/")
        if UUID.fullmatch(uuid) and (kept := _record_of(pool, paths, uuid)):
            found.append(Listed(record=kept, clones=tuple(origins.get(name, ()))))
    return sorted(found, key=_age)


def _age(image: Listed) -> tuple[str, str]:
    return str(image.manifest.get("published_at") or ""), str(image.manifest.get("name") or "")


def _record_of(pool: Pool, paths: Paths, uuid: str) -> JsonObject | None:
    """What `imgadm get` shows of a dataset named so; None if it is no image."""
    if is_installed(paths, uuid, pool.name):
        return record(_read(record_path(paths, pool.name, uuid)))
    if (paths.etc_zones / f"{uuid}.json").exists() or not has_final(pool, uuid):
        return None
    return {"manifest": {"uuid": uuid}, "zpool": pool.name}


def has_final(pool: Pool, uuid: str) -> bool:
    """Whether there is a dataset POOL/UUID with @final."""
    try:
        snapshots = pool.snapshots(f"{pool.name}/{uuid}")
    except NotFound:
        return False
    return any(snapshot.short_name == FINAL for snapshot in snapshots)


def find(pool: Pool, paths: Paths, uuid: str) -> Listed:
    """One image of the pool. Raises ImageNotInstalled."""
    for image in images(pool, paths):
        if image.uuid == uuid:
            return image
    raise not_installed(uuid, pool.name)


def get(paths: Paths, uuid: str, zpool: str = "zones") -> Image:
    """Raises ImageNotInstalled."""
    try:
        return _read(record_path(paths, zpool, uuid))
    except FileNotFoundError:
        raise not_installed(uuid, zpool) from None


def not_installed(uuid: str, zpool: str) -> ImageNotInstalled:
    return ImageNotInstalled(
        f'image "{uuid}" was not found on zpool "{zpool}"', hint=f"imgadm import {uuid}"
    )


def ancestry(paths: Paths, uuid: str, zpool: str = "zones") -> list[Image]:
    """The image, then what it was laid over, down to the one that is whole."""
    chain: list[Image] = []
    while uuid and all(image.manifest.uuid != uuid for image in chain):
        chain.append(get(paths, uuid, zpool))
        uuid = chain[-1].manifest.origin
    return chain


def is_installed(paths: Paths, uuid: str, zpool: str = "zones") -> bool:
    return record_path(paths, zpool, uuid).exists()


def _read(path: Path) -> Image:
    data = read_json(path)
    if not isinstance(data, dict):
        raise Corrupt(f"{path} is not an image record")
    return Image(
        manifest=parse_manifest(data.get("manifest")),
        zpool=str(data.get("zpool")),
        source=str(data.get("source") or ""),
    )


def add(paths: Paths, image: Image) -> None:
    """From now on the image is installed."""
    path = record_path(paths, image.zpool, image.manifest.uuid)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record(image))


def record(image: Image) -> JsonObject:
    """What the file holds, and what `imgadm get` prints."""
    manifest: Json = image.manifest.data
    shown: JsonObject = {"manifest": manifest, "zpool": image.zpool}
    return shown | ({"source": image.source} if image.source else {})


def remove(paths: Paths, uuid: str, zpool: str = "zones") -> None:
    record_path(paths, zpool, uuid).unlink(missing_ok=True)
