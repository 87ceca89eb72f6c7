# SPDX-License-Identifier: MPL-2.0
"""SMF on a hosted host: svc.init in a cgroup of its own, and hulld as one of its services.

What has to outlive hulld (conmon, dnsmasq) leaves its contract: linux/cgroup.leave_contract.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from hull.daemon import compose
from hull.errors import CommandFailed, HostError, Timeout
from hull.linux import cgroup, process
from hull.linux.run import Process, run, spawn
from hull.paths import Paths

BIN = compose.CHECKOUT / "src/native/smf/bin"
HULLD = "svc:/hull/hulld:default"
INIT = "svc.init"
STOP_SECONDS = 60.0
KILL_SECONDS = 10.0
LOOK = 1.0  # seconds between looks at what has become of hulld, while it does not answer
ENTER = 'echo 0 >"$1" && shift && exec "$@"'


def start(paths: Paths, enter: list[str], undo: ExitStack) -> Process:
    """Start svc.init, and with it all services. `enter`: a command that enters the host's network.

    Raises HostError.
    """
    group = place(paths)
    group.mkdir(exist_ok=True)
    undo.callback(stop, paths)
    directory(paths).mkdir(parents=True, exist_ok=True)
    output = os.open(paths.run / "svc.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        return spawn(
            *("/bin/sh", "-c", ENTER, "sh", str(group / "cgroup.procs"), *enter),
            *(str(BIN / INIT), "--root", str(paths.root)),
            stderr=output,
            env={"HULL_ROOT": str(paths.root)},
            new_session=True,
        )
    finally:
        os.close(output)


def place(paths: Paths) -> Path:
    """The cgroup of a host's services. HostError where there is no cgroup2."""
    unified = cgroup.host_layout().unified
    if unified is None:
        raise HostError(
            "services need a cgroup2 file system",
            hint="mount one: mount --mkdir -t cgroup2 none /sys/fs/cgroup/unified",
        )
    return unified / f"hull-smf-{paths.host_id}"


def directory(paths: Paths) -> Path:
    """The repository's. As on SmartOS, it begins anew with each boot of the global zone."""
    return paths.root / "etc/svc"


def is_up(paths: Paths) -> bool:
    return running(_pid_file(paths), INIT) != 0


def wait_answer(
    paths: Paths, answers: Callable[[], object], init: Process | None, seconds: float
) -> None:
    """Until `answers` is true of hulld. Raises HostError with what became of it instead."""
    deadline = time.monotonic() + seconds
    look = time.monotonic() + LOOK
    while not answers():
        if init is not None and init.poll() is not None:
            said = (paths.run / "svc.out").read_text(errors="replace").strip()
            raise HostError(f"svc.init did not start: {said or 'it said nothing'}")
        now = time.monotonic()
        if now > deadline:
            raise Timeout(f"hulld does not answer after {seconds:.0f} seconds")
        if now > look:
            look = now + LOOK
            _require_no_maintenance(paths)
        time.sleep(0.02)


def _require_no_maintenance(paths: Paths) -> None:
    with suppress(CommandFailed):
        state = _svc(paths, "svcs", "-H", "-o", "state", HULLD).strip()
        if state == "maintenance":
            log = _svc(paths, "svcs", "-L", HULLD).strip()
            said = [line for line in Path(log).read_text(errors="replace").splitlines() if line]
            words = [line for line in said if not line.startswith("[ ")]
            raise HostError(f"hulld did not start: {words[-1] if words else 'see ' + log}")


def revive(paths: Paths) -> None:
    """Have hulld run again where it was disabled, or is in maintenance."""
    with suppress(CommandFailed):
        _svc(paths, "svcadm", "clear", HULLD)
    _svc(paths, "svcadm", "enable", HULLD)


def _svc(paths: Paths, command: str, *words: str) -> str:
    return run(str(BIN / command), *words, env={"HULL_ROOT": str(paths.root)})


def stop(paths: Paths) -> None:
    """End all services, hulld among them, and what is left of those that crashed."""
    end(_pid_file(paths), INIT)
    shutil.rmtree(directory(paths), ignore_errors=True)
    if cgroup.host_layout().unified is not None:
        cgroup.remove_tree(place(paths), KILL_SECONDS)


def _pid_file(paths: Paths) -> Path:
    return paths.run_mount / "svc/init.pid"


def end(file: Path, name: str) -> None:
    """End the daemon whose pid is in a file: it is asked to, and killed if it does not."""
    pid = running(file, name)
    with process.opened(pid, process.start_time(pid)) as pidfd:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if pidfd is not None:
                process.send_signal(pidfd, sent)
                if process.wait_end(pidfd, STOP_SECONDS):
                    return


def running(file: Path, name: str) -> int:
    """The pid in a file; 0 if that process has ended, or has no such name in its command line."""
    try:
        pid = int(file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (OSError, ValueError):
        return 0
    return pid if name in command else 0
