# SPDX-License-Identifier: MPL-2.0
"""Whether this host's platform is one that an image can be used on: min_platform, max_platform."""

from hull.errors import MaxPlatform, MinPlatform
from hull.image.manifest import STAMP, ImageManifest
from hull.wire import Json, JsonObject

VERSION = "7.0"  # SDC's, which the keys of both are


def is_stamp(platform: str) -> bool:
    """A live platform has a build stamp. A hosted one has none, and there is nothing to compare."""
    return STAMP.fullmatch(platform) is not None


def check_platform(manifest: ImageManifest, platform: str) -> None:
    """Raises MinPlatform or MaxPlatform."""
    requirements = manifest.data.get("requirements")
    if not is_stamp(platform) or not isinstance(requirements, dict):
        return
    if _is_too_old(requirements.get("min_platform"), platform):
        raise MinPlatform(_message(requirements, "min_platform", platform))
    if _is_too_new(requirements.get("max_platform"), platform):
        raise MaxPlatform(_message(requirements, "max_platform", platform))


def _is_too_old(wanted: Json, platform: str) -> bool:
    if not isinstance(wanted, dict) or not wanted:
        return False
    return platform < str(wanted[VERSION]) if VERSION in wanted else min(wanted) > VERSION


def _is_too_new(wanted: Json, platform: str) -> bool:
    if not isinstance(wanted, dict) or not wanted:
        return False
    return platform > str(wanted[VERSION]) if VERSION in wanted else max(wanted) < VERSION


def _message(requirements: JsonObject, key: str, platform: str) -> str:
    wanted = requirements[key]
    stamps = wanted if isinstance(wanted, dict) else {}
    listed = ",".join(f'"{version}":"{stamp}"' for version, stamp in stamps.items())
    return (
        f"current platform version, {VERSION}/{platform}, does not satisfy "
        f"requirements.{key}={{{listed}}}"
    )
