# SPDX-License-Identifier: MPL-2.0
"""What a zone sees beside its root: directories of the host (`filesystems`), its own dataset.

A `filesystems` entry is SmartOS's lofs: owners are the same numbers on both sides, and the zone's
root may write what root owns. Sources are the machine's paths; /zones is the host's pool.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hull.brand.brand import Bind
from hull.errors import InvalidState, Problem
from hull.host.host import Host
from hull.model.disk import Filesystem
from hull.model.vm import VM
from hull.vm.dataset import DATA, data_dataset

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# lofs's options, and what becomes of each; device nodes are dead in every zone.
OPTIONS = {
    "ro": "ro", "nodevices": "nodev", "nodev": "nodev", "nosetuid": "nosuid", "nosuid": "nosuid",
    "noexec": "noexec", "rw": "", "devices": "", "setuid": "", "suid": "", "exec": "",
}  # fmt: skip
# Made or covered by the zone's own mounts.
OWN_MOUNTS = ("/.zonecontrol", "/dev", "/native", "/proc", "/run", "/sys")
# Views of the kernel, which cannot be shown with other ids.
KERNEL = ("/proc", "/sys")


def binds(vm: VM, host: Host) -> tuple[Bind, ...]:
    """Everything to bind, those higher up first. InvalidState for what no zone gets to see."""
    for each in vm.filesystems:
        if is_internal(host_path(each.source, host), host):
            raise InvalidState(f"{each.source} shows what belongs to the host itself")
    found = [
        Bind(
            source=host_path(each.source, host),
            target=each.target,
            options=tuple(sorted({OPTIONS[option] for option in each.options} - {""})),
        )
        for each in vm.filesystems
    ]
    if vm.delegate_dataset:
        target = f"/{data_dataset(vm, host)}"
        found.append(Bind(source=(host.paths.zones / vm.uuid / DATA).resolve(), target=target))
    return tuple(sorted(found, key=lambda bind: PurePosixPath(bind.target).parts))


def host_path(source: str, host: Host) -> Path:
    """The directory on this machine: what is said of /zones is meant of the host's pool."""
    pool = PurePosixPath("/") / host.pool.name
    path = PurePosixPath(source)
    if path.is_relative_to(pool):
        return host.paths.zones.resolve() / path.relative_to(pool)
    return Path(path)


def check_filesystems(vm: VM, host: Host) -> Iterator[Problem]:
    for position, each in enumerate(vm.filesystems):
        where = f"filesystems[{position}]"
        if each.type != "lofs":
            yield Problem(
                f"{where}.type",
                f'"{each.type}" cannot be mounted for a zone',
                "use lofs: a directory or file of this host",
            )
            continue
        yield from _check_target(where, each, vm)
        for option in each.options:
            if option not in OPTIONS:
                known = ", ".join(OPTIONS)
                yield Problem(f"{where}.options", f'unknown option "{option}"', f"use {known}")
        yield from _check_source(where, each.source, host)


def _check_target(where: str, each: Filesystem, vm: VM) -> Iterator[Problem]:
    path = PurePosixPath(each.target)
    own = (*OWN_MOUNTS, "/tmp") if vm.tmpfs else OWN_MOUNTS
    if path == PurePosixPath("/"):
        yield Problem(f"{where}.target", "the zone has a root already", "such as /data")
    elif above := next((name for name in own if path.is_relative_to(name)), ""):
        yield Problem(f"{where}.target", f"the zone mounts {above} itself", "choose another place")


def _check_source(where: str, source: str, host: Host) -> Iterator[Problem]:
    path = host_path(source, host)
    if not path.is_absolute() or ".." in path.parts:
        yield Problem(f"{where}.source", f'"{source}" is no absolute path', "such as /data/shared")
    elif not path.exists():
        yield Problem(f"{where}.source", f"{source} does not exist on this host", "make it first")
    elif path.resolve() != path:
        hint = f"write {path.resolve()}"
        yield Problem(f"{where}.source", f"{source} goes through a symlink", hint)
    elif not (path.is_dir() or path.is_file()):
        yield Problem(f"{where}.source", f"{source} is no directory and no file")
    elif is_internal(path, host):
        yield Problem(
            f"{where}.source",
            f"{source} shows what belongs to the host itself",
            "use a directory for this purpose only",
        )


def is_internal(path: Path, host: Host) -> bool:
    """Whether a zone that sees `path` would see what is Hull's, another zone's or the kernel's."""
    paths = host.paths
    places = (paths.etc_zones, paths.imgadm, paths.log, paths.run_mount, paths.usbkey)
    own = [place.resolve() for place in places]
    kernel = [Path(name) for name in KERNEL]
    zones = paths.zones.resolve()
    if any(place.is_relative_to(path) for place in (*own, zones)):
        return True
    if any(path.is_relative_to(place) for place in (*own, *kernel)):
        return True
    if not path.is_relative_to(zones):
        return False
    top, *below = path.relative_to(zones).parts
    if UUID.match(top):  # a VM, an image, or one of them on its way
        return below[:1] != ["volumes"]
    return top.startswith(".") or top == "archive"
