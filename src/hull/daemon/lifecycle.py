# SPDX-License-Identifier: MPL-2.0
"""hull up, down and status: a hosted host on somebody's machine, and nothing left of it after.

Up: /run of its own (tmpfs), the pool, the datasets behind /etc/zones, /var, /opt and /usbkey, then
SMF and with it hulld. Down: the other way round. Both can be repeated, and down clears up after a
crash too.
"""

import json
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from hull import wire
from hull.daemon import compose, services, tables
from hull.errors import HostError, NotFound, Refused
from hull.host import config
from hull.linux import files, mount, netns
from hull.linux.run import run
from hull.paths import MAX_ROOT, Paths
from hull.storage import btrfs, btrfs_pool
from hull.vm.recover import recover, shut_down_all
from hull.wire import JsonObject

Say = Callable[[str], None]

WINDOWS = Path("/run/hull-windows")  # which host uses which range of user ids on this machine
MAX_WINDOWS = 30
TABLES = Path("/run/hull-tables.json")  # how large this machine's tables were before Hull
RUN_SIZE = 256 << 20  # bytes; sockets, pid files and one small record a zone
START_SECONDS = 60.0


def datasets(paths: Paths) -> dict[str, Path]:
    """What survives a reboot beside the zones, and where it is seen."""
    return {
        "config": paths.etc_zones,
        "var": paths.var,
        "opt": paths.opt,
        "usbkey": paths.usbkey,
    }


def default_pool(paths: Paths) -> Path:
    return paths.root / "pool.img"


def up(paths: Paths, pool: Path | None, size: int, network: str, say: Say) -> None:
    """Bring the host up; a host that is up already is left alone."""
    require_root()
    if len(str(paths.root)) > MAX_ROOT:
        raise Refused(f"{paths.root} is too long", hint=f"use at most {MAX_ROOT} characters")
    if ping(paths):
        say(f"The host at {paths.root} is up already.")
        return
    if services.is_up(paths):
        services.revive(paths)
        services.wait_answer(paths, lambda: ping(paths), None, START_SECONDS)
        say(f"The host at {paths.root} is up again.")
        return
    with ExitStack() as undo:
        mount_run(paths, undo)
        undo.callback(restore_tables)
        claim_window(paths, undo)
        tables.enlarge(tables.wanted(), TABLES)
        mount_pool(paths, pool or default_pool(paths), size, undo, say)
        mount_datasets(paths, undo)
        config.write_first(paths)
        if network:
            files.write_file(paths.run / "netns", network, durable=False)
        start_services(paths, undo)
        undo.pop_all()
    say(f"The host at {paths.root} is up.")


def require_root() -> None:
    if os.geteuid() != 0:
        raise Refused("cannot run because: you are not root.", hint="use sudo")


def mount_run(paths: Paths, undo: ExitStack) -> None:
    if mount.is_mounted(paths.run_mount):
        return
    made = make_directories(paths.run_mount)
    undo.callback(remove_directories, made)
    mount.mount_tmpfs(paths.run_mount, size=RUN_SIZE)
    undo.callback(mount.umount, paths.run_mount)
    paths.run.mkdir()


def make_directories(path: Path) -> list[Path]:
    """Make a directory and its parents; returns those that were not there, deepest first."""
    made = []
    while not path.exists():
        made.append(path)
        path = path.parent
    for directory in reversed(made):
        directory.mkdir()
    return made


def remove_directories(directories: list[Path]) -> None:
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()


def claim_window(paths: Paths, undo: ExitStack) -> None:
    """Take a range of user ids that no other host on this machine uses, while this one is up."""
    WINDOWS.mkdir(exist_ok=True)
    for number in range(MAX_WINDOWS):
        claim = WINDOWS / str(number)
        with suppress(FileNotFoundError):
            if is_held(claim) and claim.read_text() != str(paths.root):
                continue
            claim.unlink(missing_ok=True)
        try:
            fd = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        except FileExistsError:
            continue
        with open(fd, "w", encoding="utf-8") as file:
            file.write(str(paths.root))
        undo.callback(release_window, paths)
        files.write_json(paths.run / "window.json", number, durable=False)
        return
    raise HostError(f"{MAX_WINDOWS} hosts are up on this machine already", hint="take one down")


def is_held(claim: Path) -> bool:
    """Whether the host that has claimed a range is up."""
    try:
        return mount.is_mounted(Paths(Path(claim.read_text())).run_mount)
    except FileNotFoundError:
        return False


def release_window(paths: Paths) -> None:
    for claim in WINDOWS.glob("*"):
        if claim.read_text() == str(paths.root):
            claim.unlink(missing_ok=True)
    with suppress(OSError):
        WINDOWS.rmdir()


def restore_tables() -> None:
    """Once no host is up on this machine."""
    if not any(map(is_held, WINDOWS.glob("*"))):
        tables.restore(TABLES)


def mount_pool(paths: Paths, source: Path, size: int, undo: ExitStack, say: Say) -> None:
    if mount.is_mounted(paths.zones):
        return
    made = make_directories(paths.zones)
    undo.callback(remove_directories, made)
    if not source.exists():
        say(f"Making a pool of {size >> 30} GiB in {source} (sparse: it takes what is used)")
        btrfs_pool.create_pool(source, paths.zones, size=size)
    elif btrfs_pool.is_blank_device(source):
        say(f"Making a pool on {source}")
        btrfs_pool.create_pool(source, paths.zones, size=0)
    else:
        btrfs_pool.import_pool(source, paths.zones)
    undo.callback(btrfs_pool.export_pool, paths.zones)
    files.write_file(paths.run / "pool", str(source), durable=False)


def mount_datasets(paths: Paths, undo: ExitStack) -> None:
    pool = btrfs.BtrfsPool(compose.POOL, paths.zones)
    for name, path in datasets(paths).items():
        dataset = f"{compose.POOL}/{name}"
        try:
            pool.datasets(dataset, usage=False)
        except NotFound:
            pool.create(dataset)
        if not mount.is_mounted(path):
            undo.callback(remove_directories, make_directories(path))
            mount.bind(paths.zones / name, path)
            undo.callback(mount.umount, path)


def netns_of(paths: Paths) -> str:
    """The name of the network namespace that the host lives in; empty for this one."""
    with suppress(FileNotFoundError):
        return (paths.run / "netns").read_text()
    return ""


def start_services(paths: Paths, undo: ExitStack) -> None:
    """Start SMF, of which hulld is a service, and wait until hulld answers."""
    name = netns_of(paths)
    enter = ["nsenter", f"--net=/run/netns/{name}", "--"] if name else []
    init = services.start(paths, enter, undo)
    services.wait_answer(paths, lambda: ping(paths), init, START_SECONDS)


def ping(paths: Paths) -> JsonObject | None:
    """hulld's answer, None if it is not there."""
    return ask(paths, "/ping")


def ask(paths: Paths, target: str) -> JsonObject | None:
    try:
        sock = wire.connect(str(paths.socket))
    except HostError:
        return None
    try:
        answer = json.loads(wire.request(sock, "GET", target).read())
    finally:
        sock.close()
    return answer if isinstance(answer, dict) else None


def down(paths: Paths, *, destroy: bool, say: Say) -> None:
    """Stop the zones and hulld, take everything away but the pool; `destroy` takes that too."""
    require_root()
    services.stop(paths)
    # One that was started by hand. Zones run on, and are stopped below, whoever has died.
    services.end(paths.run / "hulld.pid", "hulld")
    source = pool_source(paths)
    if mount.is_mounted(paths.zones):
        if mount.is_mounted(paths.etc_zones):
            stop_zones(paths, say)
        unmount_datasets(paths)
        btrfs_pool.export_pool(paths.zones)
    release_window(paths)
    restore_tables()
    if mount.is_mounted(paths.run_mount):
        mount.umount(paths.run_mount)
    if destroy and source is not None:
        destroy_pool(source)
    remove_directories(
        [*datasets(paths).values(), paths.root / "etc", paths.zones, paths.run_mount, paths.root]
    )
    say(f"The host at {paths.root} is down{'' if destroy else '; its pool stays'}.")


def pool_source(paths: Paths) -> Path | None:
    """What the pool is on: as `hull up` noted it, or where it is by default."""
    with suppress(FileNotFoundError):
        return Path((paths.run / "pool").read_text())
    default = default_pool(paths)
    return default if default.exists() else None


def stop_zones(paths: Paths, say: Say) -> None:
    """In the host's own network namespace, where its links are."""
    name = netns_of(paths)
    with netns.opened(f"/run/netns/{name}" if name else "/proc/self/ns/net") as namespace:
        try:
            netns.in_netns(namespace, lambda: stop_zones_here(paths, say))
        except (HostError, OSError) as exc:
            say(f"The pool cannot be worked with ({exc}): its zones are ended without being asked")
            netns.in_netns(namespace, lambda: end_zones_here(paths))


def stop_zones_here(paths: Paths, say: Say) -> None:
    host = compose.make_host(paths)
    count = len(host.boots.all())
    if count:
        say(f"Stopping {count} {'zone' if count == 1 else 'zones'}")
    shut_down_all(host)
    recover(host)
    host.datalinks.down()
    host.runtime.release()


def end_zones_here(paths: Paths) -> None:
    """All that can be done without a pool."""
    runtime = compose.make_runtime(paths)
    for uuid in runtime.zones():
        runtime.delete(uuid)
    compose.make_datalinks(paths).down()
    runtime.release()


def unmount_datasets(paths: Paths) -> None:
    for path in datasets(paths).values():
        if mount.is_mounted(path):
            mount.umount(path)


def destroy_pool(source: Path) -> None:
    if stat.S_ISBLK(source.stat().st_mode):
        run("wipefs", "--all", str(source))
    else:
        source.unlink()


def status(paths: Paths) -> JsonObject:
    """Raises NotFound if the host is not up."""
    answer = ask(paths, "/status")
    if answer is None:
        raise NotFound(f"the host at {paths.root} is not up", hint="`hull up` brings it up")
    return answer
