# SPDX-License-Identifier: MPL-2.0
"""What the crun driver makes of a brand's OCI config before crun sees it."""

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hull.linux import namespace
from hull.wire import Json, JsonObject

# crun 1.8 forgets these in a user namespace unless the mount is read-only, so we set them.
ATTRIBUTES = {
    "ro": namespace.MOUNT_ATTR_RDONLY,
    "nosuid": namespace.MOUNT_ATTR_NOSUID,
    "nodev": namespace.MOUNT_ATTR_NODEV,
    "noexec": namespace.MOUNT_ATTR_NOEXEC,
}


@dataclass(frozen=True)
class Share:
    """A directory of the host's to be mounted, with its ids mapped, at `place` for crun to take."""

    source: str
    place: Path
    attributes: int


def hard_limits() -> dict[str, int]:
    """This process's hard limits by OCI's names; -1 is infinite."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name))[1] for name in names}


def complete(config: JsonObject, root: Path, hard: dict[str, int]) -> JsonObject:
    """The config with its root, and no resource limit above `hard`, which this host has."""
    init = dict(cast(JsonObject, config["process"]))
    rlimits = cast(list[JsonObject], init.get("rlimits", []))
    init["rlimits"] = [_clamped(rlimit, hard) for rlimit in rlimits]
    return config | {"root": {"path": str(root), "readonly": False}, "process": init}


def _clamped(rlimit: JsonObject, hard: dict[str, int]) -> Json:
    most = hard.get(str(rlimit["type"]), -1)
    if most < 0:
        return rlimit
    values = {name: min(cast(int, rlimit[name]), most) for name in ("soft", "hard")}
    return {"type": rlimit["type"], **values}


def take_shares(config: JsonObject, places: Path) -> tuple[JsonObject, list[Share]]:
    """Take over the mounts with the option `idmap`: crun is given mounts that have it already."""
    mounts: list[Json] = []
    shares: list[Share] = []
    for mount in cast(list[JsonObject], config.get("mounts", [])):
        options = cast(list[str], mount.get("options", []))
        if "idmap" in options:
            attributes = sum(value for name, value in ATTRIBUTES.items() if name in options)
            share = Share(str(mount["source"]), places / str(len(shares)), attributes)
            shares.append(share)
            left = [option for option in options if option != "idmap"]
            mounts.append(mount | {"source": str(share.place), "options": list[Json](left)})
        else:
            mounts.append(mount)
    return config | {"mounts": mounts}, shares
