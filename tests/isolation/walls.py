# SPDX-License-Identifier: MPL-2.0
"""The walls of a zone, each as what takes it away: a control is a zone without some of them.

Pure transformations of a ZoneSpec, which the same driver then executes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from hull.brand.oci import MAX_PTYS
from hull.brand.privilege import CAPABILITIES
from hull.linux import cgroup
from hull.linux.syscall import libc
from hull.wire import Json, JsonObject
from hull.zone.runtime import ZoneSpec

Wall = Callable[[ZoneSpec], ZoneSpec]

# Not in the spec: the list is the driver's own. cgroup v2 has none.
DEVICE_CGROUP = "device cgroup"
# What a cgroup namespace begins with belongs to whoever made it. cgroup v1 knows no such thing.
DELEGATION = "cgroup delegation"


# As the kernel numbers them.
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
    "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
PR_CAPBSET_READ = 23


def most_capabilities() -> tuple[str, ...]:
    """All that this machine's root has: a process cannot be given more."""
    return tuple(n for i, n in enumerate(NAMES) if libc.prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)


def capabilities_of(removed: frozenset[str]) -> tuple[str, ...]:
    """What processes of a zone without these walls have."""
    return most_capabilities() if "capabilities" in removed else tuple(CAPABILITIES)


def devices_of(removed: frozenset[str]) -> tuple[str, ...]:
    """What the device cgroup of a zone without these walls lets through."""
    if DEVICE_CGROUP in removed:
        return ("a",)
    # Outside of a user namespace crun makes the nodes of /dev; in one it shows the host's.
    mode = "rwm" if "userns" in removed else "rw"
    return tuple(f"{device.removesuffix(' rw')} {mode}" for device in cgroup.DEVICES)


def _linux(spec: ZoneSpec, **changes: Json) -> ZoneSpec:
    linux = cast(JsonObject, spec.bundle["linux"])
    return replace(spec, bundle=spec.bundle | {"linux": linux | changes})


def _without(*keys: str) -> Wall:
    def take_away(spec: ZoneSpec) -> ZoneSpec:
        linux = cast(JsonObject, spec.bundle["linux"])
        left = {key: value for key, value in linux.items() if key not in keys}
        return replace(spec, bundle=spec.bundle | {"linux": left})

    return take_away


def _without_namespace(kind: str) -> Wall:
    def take_away(spec: ZoneSpec) -> ZoneSpec:
        linux = cast(JsonObject, spec.bundle["linux"])
        namespaces = cast(list[JsonObject], linux["namespaces"])
        return _linux(spec, namespaces=[each for each in namespaces if each["type"] != kind])

    return take_away


def _shown(spec: ZoneSpec, target: str) -> ZoneSpec:
    """With the host's own view of a namespace: the zone may mount none of one that is not its."""
    mounts: list[Json] = [
        {"destination": target, "type": "bind", "source": target, "options": ["rbind"]}
        if each["destination"] == target
        else each
        for each in cast(list[JsonObject], spec.bundle["mounts"])
    ]
    return replace(spec, bundle=spec.bundle | {"mounts": mounts})


def _pidns(spec: ZoneSpec) -> ZoneSpec:
    return _shown(_without_namespace("pid")(spec), "/proc")


def _netns(spec: ZoneSpec) -> ZoneSpec:
    return _shown(_without_namespace("network")(spec), "/sys")


def _userns(spec: ZoneSpec) -> ZoneSpec:
    """The zone's root is the machine's."""
    return replace(_without_namespace("user")(spec), id_base=0)


def _uts(spec: ZoneSpec) -> ZoneSpec:
    spec = _without_namespace("uts")(spec)
    return replace(spec, bundle={k: v for k, v in spec.bundle.items() if k != "hostname"})


def _ipcns(spec: ZoneSpec) -> ZoneSpec:
    """Settings and queues are the host's then, and no zone's to set or mount."""
    spec = _without_namespace("ipc")(_linux(spec, sysctl={}))
    return _without_mount(spec, "/dev/mqueue")


def _cgroupns(spec: ZoneSpec) -> ZoneSpec:
    return _without_mount(_without_namespace("cgroup")(spec), "/sys/fs/cgroup")


def _without_mount(spec: ZoneSpec, target: str) -> ZoneSpec:
    mounts: list[Json] = [
        each
        for each in cast(list[JsonObject], spec.bundle["mounts"])
        if each["destination"] != target
    ]
    return replace(spec, bundle=spec.bundle | {"mounts": mounts})


def _capabilities(spec: ZoneSpec) -> ZoneSpec:
    process = cast(JsonObject, spec.bundle["process"])
    most = list[Json](most_capabilities())
    sets: JsonObject = {"bounding": most, "effective": most, "permitted": most}
    return replace(spec, bundle=spec.bundle | {"process": process | {"capabilities": sets}})


def _mount_options(*gone: str) -> Wall:
    """Without these options of what the host shows to the zone."""

    def take_away(spec: ZoneSpec) -> ZoneSpec:
        mounts = [
            each | {"options": [o for o in cast(list[str], each["options"]) if o not in gone]}
            for each in cast(list[JsonObject], spec.bundle["mounts"])
        ]
        return replace(spec, bundle=spec.bundle | {"mounts": list[Json](mounts)})

    return take_away


def _readonly(spec: ZoneSpec) -> ZoneSpec:
    return _mount_options("ro")(_linux(spec, readonlyPaths=[]))


WALLS: dict[str, Wall] = {
    "seccomp": _without("seccomp"),
    "userns": _userns,
    "capabilities": _capabilities,
    "masks": lambda spec: _linux(spec, maskedPaths=[]),
    "readonly": _readonly,
    "nodev": _mount_options("nodev"),
    "pidns": _pidns,
    "netns": _netns,
    "ipcns": _ipcns,
    "utsns": _uts,
    "cgroupns": _cgroupns,
    DEVICE_CGROUP: lambda spec: spec,
    DELEGATION: _cgroupns,
    "memory limit": lambda spec: replace(spec, limits=replace(spec.limits, memory=0)),
    "process limit": lambda spec: replace(spec, limits=replace(spec.limits, processes=0)),
    "pty limit": _mount_options(f"max={MAX_PTYS}"),
}


def there_are(layout: cgroup.Layout) -> frozenset[str]:
    """The walls that there are on this host."""
    return frozenset(WALLS) - {DELEGATION if layout.v1 else DEVICE_CGROUP}


def without(spec: ZoneSpec, removed: frozenset[str]) -> ZoneSpec:
    """The zone without these walls."""
    for name in sorted(removed):
        spec = WALLS[name](spec)
    return spec
