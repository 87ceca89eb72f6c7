# SPDX-License-Identifier: MPL-2.0
"""The Runtime driver: zones are OCI containers made by crun and held by conmon.

Everything of a zone that is up is in `run/zones/UUID`: config.json (the bundle), record.json (who
init is), init.pid, conmon.pid, exit/, attach, ctl (conmon.py), crun/ (crun's own state). It is
enough to find the zone again after hulld was away.

A zone is built in a mount namespace made for the purpose and dropped when it stands: there its root
is mounted with its ids mapped, and a hybrid host's cgroup2, which crun refuses, is out of sight.
The host's mount table never changes, and a failure leaves nothing mounted.
"""

import os
import shutil
import time
import uuid as uuids
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from hull.errors import Corrupt, Exists, HostError, InvalidState, NotFound
from hull.linux import (
    cgroup,
    files,
    haste,
    inroot,
    mount,
    namespace,
    netlink,
    process,
    procfs,
    tmpfs,
)
from hull.linux.netlink import Netlink
from hull.linux.netns import in_netns
from hull.wire import Json, JsonObject
from hull.zone import bundle, conmon
from hull.zone.conmon import CONMON
from hull.zone.filters import Filters
from hull.zone.runtime import Connect, ExitStatus, Limits, Usage, ZoneSpec, unconnected

CRUN = "/usr/bin/crun"
# A shell that takes the entrances of its cgroups up to `--`, enters them, and becomes what
# follows: nothing is forked, so what runs in the zone has never run outside its limits.
ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; '
# crun gives its standard files to the zone's root, whatever they are: /dev/null, the operator's
# terminal, a file. So it gets pipes and sockets only; instead of others, where nobody needs them,
# an empty pipe, which is what a here-document is.
SPARE_FILES = """\
exec 3<<END
END
[ -p /proc/self/fd/0 ] || exec 0<&3
[ -p /proc/self/fd/1 ] || exec 1<&3
[ -p /proc/self/fd/2 ] || exec 2<&3
exec 3<&-
"""
REFUSE_FILES = """\
for fd in 0 1 2; do
    [ -p /proc/self/fd/$fd ] || [ -S /proc/self/fd/$fd ] || {
        echo "file descriptor $fd is neither a pipe nor a socket" >&2
        exit 125
    }
done
"""
# Where, in the private mount namespace, crun finds the zone's root with all that the host adds to
# it: the zone's root user must be able to come here. The kernel locks what it is shown here, as the
# zone's mount namespace is made from this one with fewer rights: no `ro` or `nodev` can be lifted.
STAGE = Path("/dev/shm")
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# conmon writes the exit status a moment after init's end.
STATUS_TIMEOUT = 10.0
KILL_TIMEOUT = 30.0
SIGKILL = 9


def enter_argv(entrances: list[Path], then: str, argv: list[str]) -> list[str]:
    """A shell that enters cgroups, does `then` and becomes `argv`. Pure."""
    return ["/bin/sh", "-c", f'{ENTER}{then}exec "$@"', "hull", *map(str, entrances), "--", *argv]


def crun_argv(run: Path) -> list[str]:
    """crun, up to its verb. Pure."""
    # The cgroups are ours: crun would make nine of them, one by one, and then lose the v2 one.
    return [CRUN, f"--root={run}/crun", "--cgroup-manager=disabled"]


def cgroup_values(limits: Limits) -> cgroup.Values:
    """The port's limits, where 0 is none, as the kernel's. Pure."""
    return cgroup.Values(
        memory=limits.memory or None,
        swap=limits.swap if limits.memory else None,
        processes=limits.processes or None,
        cpu_shares=limits.cpu_shares,
        cpu_cap=limits.cpu_cap or None,
        io_weight=limits.io_priority,
    )


def init_files(spec: ZoneSpec) -> conmon.Files:
    """What conmon gives init to read and write. Pure."""
    return conmon.Files(
        log=spec.console_log,
        limit=spec.log_limit or conmon.LOG_LIMIT,
        terminal=cast(JsonObject, spec.bundle["process"]).get("terminal") is True,
        stdin=spec.open_stdin,
    )


class Crun:
    """Zones of one host. Keeps nothing that is not in `run`."""

    def __init__(self, run: Path, *, host_id: str) -> None:
        self._zones = run / "zones"
        self._parent = f"hull-{host_id}"
        self._layout = cgroup.host_layout()
        self._filters = Filters()

    # -- a zone's life ---------------------------------------------------------------------------
    def create(self, spec: ZoneSpec, connect: Connect = unconnected) -> int:
        """See the port. Exists if the zone has a record already."""
        haste.hasten()
        run = self._zones / spec.uuid
        self._zones.mkdir(mode=0o711, parents=True, exist_ok=True)
        try:
            run.mkdir(mode=0o711)
        except FileExistsError as exc:
            raise Exists(f"zone {spec.uuid} is up already") from exc
        with ExitStack() as undo:
            undo.callback(self.delete, spec.uuid)
            try:
                pid = self._build(spec, run, connect)
            except OSError as exc:
                raise HostError(f"the zone cannot be made: {exc}") from exc
            undo.pop_all()
        return pid

    def _build(self, spec: ZoneSpec, run: Path, connect: Connect) -> int:
        with namespace.Maker(spec.id_base) as maker:
            group = self._group(spec.uuid)
            group.create(
                cgroup_values(spec.limits), owner=spec.id_base if spec.own_cgroups else None
            )
            pid = self._launch(spec, run, group, maker, connect)
        _set_boot_id(run, pid)
        self._write_record(run, spec, pid)
        return pid

    def _launch(
        self,
        spec: ZoneSpec,
        run: Path,
        group: cgroup.Group,
        maker: namespace.Maker,
        connect: Connect,
    ) -> int:
        (run / "exit").mkdir(mode=0o700)
        config = bundle.complete(spec.bundle, STAGE, bundle.hard_limits())
        config, trees = bundle.take_binds(config)
        config = self._filters.put_in(config)
        for tree in trees:
            _make_place(spec.root, tree)
        with ExitStack() as fds:
            userns, netns = maker.made()
            fds.callback(os.close, userns)
            fds.callback(os.close, netns)
            # Device nodes in an image are dead.
            root = bundle.Tree(str(spec.root), "/", namespace.MOUNT_ATTR_NODEV, idmap=True)
            mounts = self._private_mounts([root, *trees], userns)
            fds.callback(os.close, mounts)
            paths = {"user": _path_of(userns), "network": _path_of(netns)}
            config = bundle.join_namespaces(config, paths)
            files.write_json(run / "config.json", config, durable=False)
            # conmon stays in the host's mount namespace; only crun enters the private one.
            crun = ["/usr/bin/nsenter", f"--mount={_path_of(mounts)}", *crun_argv(run)]
            runtime = enter_argv(group.entrances(), SPARE_FILES, crun)
            argv = conmon.conmon_argv(run, spec.uuid, init_files(spec), runtime)

            def network() -> None:
                in_netns(netns, _loopback_up)
                connect(_path_of(netns))

            pid = conmon.create(argv, run, network)
            cgroup.leave_contract(_read_pid(run / "conmon.pid"))  # it lives as long as the zone
        self._filters.keep(config, run / "crun" / spec.uuid / "seccomp.bpf")
        return pid

    def _private_mounts(self, trees: list[bundle.Tree], userns: int) -> int:
        """The mount namespace to build the zone in: the host's, and what the zone gets of it."""
        with ExitStack() as fds:
            clones: list[tuple[int, bundle.Tree]] = []
            for tree in trees:
                ids = userns if tree.idmap else None
                clone = namespace.clone_mount(
                    tree.source, tree.attributes, ids, follow=not tree.shared
                )
                clones.append((clone, tree))
                fds.callback(os.close, clones[-1][0])

            def setup() -> None:
                if self._layout.unified and self._layout.hybrid:
                    mount.umount(self._layout.unified, lazy=True)
                procfs.cover()  # crun sets the zone's parameters there
                namespace.attach_mount(clones[0][0], STAGE)
                for clone, tree in clones[1:]:
                    namespace.attach_mount(clone, STAGE, tree.target)

            return namespace.private_mount_namespace(setup)

    def start(self, uuid: str) -> None:
        """See the port. InvalidState if init runs already or has ended."""
        self._record(uuid)
        # crun's init waits for a byte in this fifo; `crun start` would do the same in 4 ms.
        fifo = self._zones / uuid / "crun" / uuid / "exec.fifo"
        try:
            with open(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), "wb") as init:
                init.write(b"\0")
        except OSError as exc:  # nobody reads: it runs already, or has ended, maybe just now
            raise InvalidState(f"zone {uuid} is not ready to boot") from exc
        fifo.unlink(missing_ok=True)

    def kill(self, uuid: str, signal: int) -> bool:
        """See the port."""
        pid, start = self._init(uuid)
        with process.opened(pid, start) as init:
            noticed = init is not None and process.notices(pid, signal)
            if init is not None:
                process.send_signal(init, signal)
        return noticed

    def delete(self, uuid: str) -> None:
        """See the port."""
        run = self._zones / uuid
        if not run.exists():
            return
        pid, start = self._init(uuid)
        with process.opened(pid, start) as init:
            if init is not None:
                process.send_signal(init, SIGKILL)
                process.wait_end(init, KILL_TIMEOUT)
        self._group(uuid).remove(KILL_TIMEOUT)
        # One that was killed while it forked has left a child, of which no file tells.
        known = _read_pid(run / "conmon.pid")
        for keeper in [known] if known else process.having(CONMON, str(run)):
            self._end_conmon(keeper, run)
        try:
            shutil.rmtree(run)
        except OSError as exc:
            raise HostError(f"{run} cannot be removed: {exc}") from exc

    def _end_conmon(self, pid: int, run: Path) -> None:
        """conmon ends by itself after init; one that has lost its zone does not."""
        with process.opened(pid, process.start_time(pid)) as fd:
            if fd is not None and _is_conmon(pid, run) and not process.wait_end(fd, 1):
                process.send_signal(fd, SIGKILL)
                process.wait_end(fd, KILL_TIMEOUT)

    # -- what there is ---------------------------------------------------------------------------
    def pid(self, uuid: str) -> int:
        """See the port."""
        pid, start = self._init(uuid)
        return pid if pid and process.start_time(pid) == start else 0

    def wait_exit(self, uuid: str, timeout: float) -> ExitStatus | None:
        """See the port. If conmon was killed the status is lost: it is then given as SIGKILL."""
        self._record(uuid)
        pid, start = self._init(uuid)
        with process.opened(pid, start) as init:
            if init is not None and not process.wait_end(init, timeout):
                return None
        run = self._zones / uuid
        keeper = _read_pid(run / "conmon.pid")
        with process.opened(keeper, process.start_time(keeper)) as fd:
            if fd is not None and _is_conmon(keeper, run):
                process.wait_end(fd, STATUS_TIMEOUT)
        path = run / "exit" / uuid
        try:
            return conmon.parse_exit(path.read_text(), path.stat().st_mtime)
        except FileNotFoundError:
            return ExitStatus(code=-SIGKILL, when=time.time())

    def zones(self) -> list[str]:
        """See the port."""
        return sorted(path.name for path in self._zones.iterdir()) if self._zones.exists() else []

    def set_limits(self, uuid: str, limits: Limits) -> None:
        """See the port. KernelError if the zone uses more memory than `limits` allow."""
        record = self._record(uuid)
        group = self._group(uuid)
        with ExitStack() as undo:
            before = Limits(**cast(dict[str, int], record["limits"]))
            undo.callback(group.set_limits, cgroup_values(before))
            group.set_limits(cgroup_values(limits))
            if before.tmpfs and limits.tmpfs not in (0, before.tmpfs):
                tmpfs.resize(Path(f"/proc/{record['pid']}/root"), "/tmp", limits.tmpfs)
                undo.callback(
                    tmpfs.resize, Path(f"/proc/{record['pid']}/root"), "/tmp", before.tmpfs
                )
            else:
                limits = replace(limits, tmpfs=before.tmpfs)
            record["limits"] = cast(Json, asdict(limits))
            files.write_json(self._zones / uuid / "record.json", record, durable=False)
            undo.pop_all()

    def usage(self, uuid: str) -> Usage:
        """See the port."""
        self._record(uuid)
        memory, processes, cpu_seconds = self._group(uuid).usage()
        return Usage(memory=memory, processes=processes, cpu_seconds=cpu_seconds)

    def login_argv(self, uuid: str, path: Path, *, tty_socket: str = "") -> list[str]:
        """See the port. To be executed by root in the host's namespaces; needs no hulld.

        Standard files that are neither pipes nor sockets are refused (status 125), with a terminal
        of the zone's own they are not used.
        """
        if not (pid := self.pid(uuid)):
            raise InvalidState(f"zone {uuid} is not running")
        run = self._zones / uuid
        terminal = [f"--console-socket={tty_socket}"] if tty_socket else []
        crun = [*crun_argv(run), "exec", f"--process={path}", *terminal, uuid]
        entrances = self._group(uuid).entrances()
        if self._layout.unified:
            # Where init is: systemd moves on, and v2 takes nobody in above other cgroups.
            place = _v2_place(self._layout.unified, pid)
            entrances[-1] = place / "cgroup.procs" if place else entrances[-1]
        then = SPARE_FILES if tty_socket else REFUSE_FILES
        if not self._layout.hybrid:
            return enter_argv(entrances, then, crun)
        then += f"umount {self._layout.unified} || exit 125; "
        private = ["/usr/bin/unshare", "--mount", "--propagation", "slave"]
        return [*private, *enter_argv(entrances, then, crun)]

    def console(self, uuid: str) -> Path:
        """See the port; the protocol is described in conmon.py."""
        return self._zones / uuid / "attach"

    def release(self) -> None:
        """Remove what is left when the last zone is down: the host's own cgroups."""
        cgroup.remove_parent(self._layout, self._parent)

    # -- the record ------------------------------------------------------------------------------
    def _group(self, uuid: str) -> cgroup.Group:
        return cgroup.Group(self._layout, self._parent, uuid)

    def _write_record(self, run: Path, spec: ZoneSpec, pid: int) -> None:
        if not (start := process.start_time(pid)):
            raise HostError(f"zone {spec.uuid} ended while it was made")
        record: JsonObject = {
            "v": 1,
            "zoneid": spec.zoneid,
            "pid": pid,
            "start": start,
            "limits": cast(Json, asdict(spec.limits)),
        }
        files.write_json(run / "record.json", record, durable=False)

    def _record(self, uuid: str) -> JsonObject:
        """NotFound if the zone is not up, or was never finished."""
        try:
            record = files.read_json(self._zones / uuid / "record.json")
        except FileNotFoundError as exc:
            raise NotFound(f"zone {uuid} is not up") from exc
        if not isinstance(record, dict):
            raise Corrupt(f"the record of zone {uuid} is no object")
        return record

    def _init(self, uuid: str) -> tuple[int, int]:
        """Init's pid and start time, zeros if the zone is not up."""
        try:
            record = self._record(uuid)
        except NotFound:
            return 0, 0
        return cast(int, record["pid"]), cast(int, record["start"])


def _set_boot_id(run: Path, pid: int) -> None:
    """Give a zone whose init waits a boot id of its own, in place of the machine's.

    systemd tells by it one boot's journal from another's, and neighbours would know that they are.
    """
    files.write_file(run / "boot_id", f"{uuids.uuid4()}\n", 0o444, durable=False)
    attributes = sum(bundle.ATTRIBUTES.values())
    file = namespace.clone_mount(str(run / "boot_id"), attributes, None)
    try:
        namespace.in_mount_namespace(
            f"/proc/{pid}/ns/mnt", lambda: namespace.attach_mount(file, Path("/"), BOOT_ID)
        )
    finally:
        os.close(file)


def _path_of(fd: int) -> str:
    """Where other processes find what a descriptor of ours is of."""
    return f"/proc/{os.getpid()}/fd/{fd}"


def _loopback_up() -> None:
    """crun would see to it in a namespace of its own making."""
    with Netlink() as zone:
        zone.batch(netlink.set_link("lo", up=True))


def _make_place(root: Path, tree: bundle.Tree) -> None:
    """What a directory can be mounted on in the zone, or a file."""
    if Path(tree.source).is_dir():
        inroot.make_dirs(root, tree.target)
    elif not inroot.exists(root, tree.target):
        inroot.make_dirs(root, str(Path(tree.target).parent))
        inroot.write_file(root, tree.target, b"")


def _read_pid(path: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return 0


def _is_conmon(pid: int, run: Path) -> bool:
    """Whether a pid from a file is still the conmon of this run directory."""
    return str(run) in process.arguments(pid)


def _v2_place(unified: Path, pid: int) -> Path | None:
    """The v2 cgroup that a process is in."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                return unified / line[4:]
    return None
