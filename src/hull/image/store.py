# SPDX-License-Identifier: MPL-2.0
"""The images on this host: one JSON file each, beside the dataset `POOL/UUID` with `@final`."""

from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt, ImageNotInstalled
from hull.image.manifest import ImageManifest, parse_manifest
from hull.linux.files import read_json, write_json
from hull.paths import Paths
from hull.wire import JsonObject

FINAL = "final"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An installed image."""

    manifest: ImageManifest
    zpool: str
    source: str  # URL it came from; empty for `imgadm install`

    @property
    def dataset(self) -> str:
        return f"{self.zpool}/{self.manifest.uuid}"


def origin_snapshot(uuid: str, zpool: str = "zones") -> str:
    """The snapshot that VMs of this image are clones of."""
    return f"{zpool}/{uuid}@{FINAL}"


def record_path(paths: Paths, zpool: str, uuid: str) -> Path:
    return paths.imgadm / "images" / f"{zpool}-{uuid}.json"


def images(paths: Paths) -> list[Image]:
    """All installed images, by publication and name."""
    found = [_read(path) for path in (paths.imgadm / "images").glob("*-*.json")]
    return sorted(found, key=lambda image: (image.manifest.published_at, image.manifest.name))


def get(paths: Paths, uuid: str, zpool: str = "zones") -> Image:
    """Raises ImageNotInstalled."""
    try:
        return _read(record_path(paths, zpool, uuid))
    except FileNotFoundError:
        raise ImageNotInstalled(
            f'image "{uuid}" is not installed', hint=f"imgadm import {uuid}"
        ) from None


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
    shown: JsonObject = {"manifest": image.manifest.data, "zpool": image.zpool}
    return shown | ({"source": image.source} if image.source else {})


def remove(paths: Paths, uuid: str, zpool: str = "zones") -> None:
    record_path(paths, zpool, uuid).unlink(missing_ok=True)
