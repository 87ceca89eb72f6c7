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
class Tree:
    """Something of the host's file systems that crun finds at `place`."""

    source: str
    place: Path
    attributes: int  # MOUNT_ATTR_*
    idmap: bool  # an owner is the same number in the zone as on disk


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


def take_binds(config: JsonObject, stage: Path) -> tuple[JsonObject, list[Tree]]:
    """Take over the bind mounts: crun is given trees below `stage` that have their options.

    There the zone's root may look for them, wherever on the host they are.
    """
    mounts: list[Json] = []
    trees: list[Tree] = []
    for mount in cast(list[JsonObject], config.get("mounts", [])):
        if mount.get("type") == "bind":
            options = cast(list[str], mount.get("options", []))
            attributes = sum(value for name, value in ATTRIBUTES.items() if name in options)
            place = stage / str(len(trees))
            trees.append(Tree(str(mount["source"]), place, attributes, "idmap" in options))
            left = [option for option in options if option != "idmap"]
            mounts.append(mount | {"source": str(place), "options": list[Json](left)})
        else:
            mounts.append(mount)
    return config | {"mounts": mounts}, trees
