# SPDX-License-Identifier: MPL-2.0
"""A zone as an OCI config: what every brand has. Pure."""

from hull.brand import seccomp
from hull.brand.brand import Bind, ZoneConfig
from hull.wire import Json, JsonObject

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/local/sbin:/opt/local/bin"
NAMESPACES = ("user", "pid", "network", "mount", "ipc", "uts", "cgroup")
MAX_PTYS = 256
NOFILE = 1024, 524_288

# The host's, not the zone's: memory, symbols, timers, keys, logs, disks, hardware and its serial
# numbers. The zone's root may take these covers off, so nothing may depend on them alone: what is
# below them asks for a capability of the host's, or is what a neighbour may know.
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/cmdline", "/proc/config.gz", "/proc/diskstats",
    "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/key-users",
    "/proc/kmsg", "/proc/latency_stats", "/proc/partitions", "/proc/sched_debug", "/proc/scsi",
    "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
    "/sys/block", "/sys/class/block", "/sys/dev/block", "/sys/devices/virtual/block",
    "/sys/devices/virtual/dmi", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/btrfs",
    "/sys/fs/ext4", "/sys/fs/f2fs", "/sys/fs/pstore", "/sys/fs/xfs", "/sys/hypervisor",
    "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing", "/sys/kernel/vmcoreinfo",
    "/sys/module", "/sys/power",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys")


def base(config: ZoneConfig, init: list[str], mounts: list[Json]) -> JsonObject:
    """The config of a zone that boots `init`, with a brand's own `mounts` after the common ones."""
    return {
        "ociVersion": "1.0.2",
        "hostname": config.hostname,
        "process": _process(config, init),
        "mounts": [*_common_mounts(config), *mounts, *_binds(config)],
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "seccomp": seccomp.profile(),
            "sysctl": dict[str, Json](config.sysctls),
            "maskedPaths": list[Json](MASKED),
            "readonlyPaths": list[Json](READ_ONLY),
        },
    }


def _process(config: ZoneConfig, init: list[str]) -> JsonObject:
    most = list[Json](config.capabilities)
    return {
        "terminal": True,
        "user": {"uid": 0, "gid": 0},
        "args": list[Json](init),
        "cwd": "/",
        "env": [
            f"PATH={PATH}",
            "TERM=xterm",
            "container=hull",
            f"container_uuid={config.uuid}",
            # An image's /sbin/init is a script that hands on no arguments.
            *([f"bootargs={config.boot_args}"] if config.boot_args else []),
        ],
        # Not inheritable: a file's inheritable set would then grant them to any user's process.
        "capabilities": {"bounding": most, "effective": most, "permitted": most},
        "noNewPrivileges": False,
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": NOFILE[0], "hard": NOFILE[1]},
            _rlimit("RLIMIT_MEMLOCK", config.max_locked_memory),
            _rlimit("RLIMIT_RTPRIO", 0),
        ],
    }


def _rlimit(kind: str, value: int) -> Json:
    return {"type": kind, "soft": value, "hard": value}


def mount(target: str, fstype: str, *options: str) -> JsonObject:
    return {
        "destination": target,
        "type": fstype,
        "source": fstype,
        "options": list[Json](options),
    }


def tmpfs(target: str, mode: str, *options: str) -> JsonObject:
    return mount(target, "tmpfs", "nosuid", "nodev", f"mode={mode}", *options)


def own_cgroups() -> JsonObject:
    """The zone's part of the cgroup2 tree, for an init that makes groups of its own in it."""
    return mount("/sys/fs/cgroup", "cgroup2", "nosuid", "nodev", "noexec", "rw")


def _common_mounts(config: ZoneConfig) -> list[Json]:
    ptys = ("newinstance", "ptmxmode=0666", "mode=0620", "gid=5", f"max={MAX_PTYS}")
    mounts: list[Json] = [
        mount("/proc", "proc", "nosuid", "nodev", "noexec"),
        mount("/sys", "sysfs", "nosuid", "nodev", "noexec", "ro"),
        mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=1m"),
        mount("/dev/pts", "devpts", "nosuid", "noexec", *ptys),
        mount("/dev/mqueue", "mqueue", "nosuid", "nodev", "noexec"),
        tmpfs("/dev/shm", "1777"),
    ]
    if config.tmpfs:
        mounts.append(tmpfs("/tmp", "1777", f"size={config.tmpfs}"))
    return mounts


def _binds(config: ZoneConfig) -> list[Json]:
    """Last, so that no tmpfs covers them."""
    fixed = ("ro", "nosuid", "nodev")
    return [
        _bind(str(config.metadata), "/.zonecontrol", *fixed, "noexec"),
        _bind(str(config.native), "/native", *fixed),
        *(_shared(bind) for bind in config.filesystems),
    ]


def _bind(source: str, target: str, *options: str) -> JsonObject:
    return {
        "destination": target,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", *options],
    }


def _shared(bind: Bind) -> Json:
    return _bind(str(bind.source), bind.target, "nodev", *bind.options, "idmap")
