# SPDX-License-Identifier: MPL-2.0
"""What the crun driver makes of a brand's OCI config before crun sees it."""

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hull.linux import namespace
from hull.wire import Json, JsonObject

ATTRIBUTES = {
    "ro": namespace.MOUNT_ATTR_RDONLY,
    "nosuid": namespace.MOUNT_ATTR_NOSUID,
    "nodev": namespace.MOUNT_ATTR_NODEV,
    "noexec": namespace.MOUNT_ATTR_NOEXEC,
}


@dataclass(frozen=True)
class Tree:
    """Something of the host's file systems that the zone sees at `target`."""

    source: str
    target: str
    attributes: int  # MOUNT_ATTR_*
    idmap: bool  # an owner is the same number in the zone as on disk
    shared: bool = False  # another zone may write on the way to it: no symlink is followed there


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


def take_binds(config: JsonObject) -> tuple[JsonObject, list[Tree]]:
    """Take the bind mounts out of the config: the driver makes them.

    Made by crun they would be the zone's own, and its root user could lift `ro` and `nodev`.
    """
    mounts: list[Json] = []
    trees: list[Tree] = []
    for mount in cast(list[JsonObject], config.get("mounts", [])):
        if mount.get("type") == "bind":
            options = cast(list[str], mount.get("options", []))
            attributes = sum(value for name, value in ATTRIBUTES.items() if name in options)
            source, target = str(mount["source"]), str(mount["destination"])
            shared = "idmap" in options
            trees.append(Tree(source, target, attributes, idmap=shared, shared=shared))
        else:
            mounts.append(mount)
    return config | {"mounts": mounts}, trees


def join_namespaces(config: JsonObject, paths: dict[str, str]) -> JsonObject:
    """The config with the namespaces at `paths`, by type, where it wants one of these."""
    linux = cast(JsonObject, config["linux"])
    namespaces: list[Json] = [
        each | {"path": path} if (path := paths.get(str(each["type"]))) else each
        for each in cast(list[JsonObject], linux["namespaces"])
    ]
    return config | {"linux": linux | {"namespaces": namespaces}}
