# SPDX-License-Identifier: MPL-2.0
"""A private SMF: the real svc.init below a temporary root and in a cgroup of its own.

Everything that it starts is in that cgroup, whatever SMF does wrong: leaving the world ends it, and
says what should not have been there any more.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.smf.manifests import service
from tests.smf.processes import Process, kill_cgroup, members, processes, remove_cgroup, v2_root

BIN = Path(__file__).parents[2] / "src/native/smf/bin"
PATIENCE = 20.0  # seconds; the machine is busy
Done = subprocess.CompletedProcess[str]


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so. AssertionError, with what it was that did not happen."""
    deadline = time.monotonic() + patience
    pause = 0.02
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience:g} s still not so: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.3)


class World:
    """SMF in a directory. As a context manager: from boot to the end of all of it."""

    def __init__(self, *words: str) -> None:
        """`words` are further options of svc.init."""
        self.root = Path(tempfile.mkdtemp(prefix="smf-world-"))
        self.root.chmod(0o755)
        self.scratch = self.root / "scratch"
        self.scratch.mkdir(mode=0o777)
        self.scratch.chmod(0o777)
        self.words = words
        self.cgroup = v2_root() / f"smf-world-{secrets.token_hex(4)}"
        self.init: subprocess.Popen[bytes] | None = None
        self.environment = {
            "HULL_ROOT": str(self.root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    # -- boot and shutdown -------------------------------------------------------------------------
    def __enter__(self) -> "World":
        self.cgroup.mkdir()
        try:
            self.boot()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        left = None
        try:
            if self.init is not None:
                self.shutdown()
            left = self.left_over()
        finally:
            self.end()
        if kind is None:  # else the test has something more interesting to say
            assert not left, f"svc.init has left behind: {left}"

    def boot(self, *, wait: bool = True) -> None:
        """Start svc.init and, unless told not to, wait until svc.startd has taken charge."""
        command = ["/usr/bin/python3", "-IS", str(BIN / "svc.init"), "--bare", "--root",
                   str(self.root), *self.words]  # fmt: skip
        enter = f'echo $$ > {self.cgroup}/cgroup.procs && exec "$@"'
        with (self.root / "init.log").open("ab") as output:
            self.init = subprocess.Popen(
                ["/bin/sh", "-c", enter, "sh", *command],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        if not wait:
            return
        door = self.root / "run/svc/repository_door"
        until(lambda: door.exists() or self._init_has_ended(), "svc.configd's door is there")
        self.wait("svc:/system/svc/restarter:default", "online")

    def _init_has_ended(self) -> bool:
        assert self.init is not None
        if self.init.poll() is not None:
            raise AssertionError(f"svc.init ended with {self.init.returncode}: {self.said()}")
        return False

    def said(self) -> str:
        """What svc.init and its children have printed: nothing, if all is well."""
        return (self.root / "init.log").read_text(errors="replace")

    def shutdown(self, patience: float = 60) -> None:
        """SIGTERM, as a zone's halt does it."""
        assert self.init is not None
        self.init.send_signal(signal.SIGTERM)
        try:
            self.init.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"svc.init did not end in {patience:g} s") from None
        finally:
            if self.init.poll() is not None:
                self.init = None

    def reboot(self) -> None:
        """What is volatile is gone afterwards."""
        self.shutdown()
        shutil.rmtree(self.root / "run")
        self.boot()

    def left_over(self) -> list[str]:
        """What is still there of a world that has been shut down: processes and cgroups."""
        found = [f"{each.pid} {each.comm}" for each in members(self.cgroup)]
        return found + [str(each) for each in self.cgroup.rglob("*") if each.is_dir()]

    def end(self) -> None:
        """By force, whatever state it is in; no trace of it afterwards."""
        kill_cgroup(self.cgroup)
        if self.init is not None:
            self.init.kill()
            self.init.wait()
            self.init = None
        remove_cgroup(self.cgroup)
        shutil.rmtree(self.root, ignore_errors=True)

    # -- processes ---------------------------------------------------------------------------------
    def child(self, comm: str) -> int:
        """The pid of svc.startd or svc.configd; waits for one that is being started."""
        found: list[int] = []

        def look() -> bool:
            found[:] = self.children(comm)
            return len(found) == 1

        until(look, f"svc.init has one child {comm}")
        return found[0]

    def children(self, comm: str) -> list[int]:
        assert self.init is not None
        return [p.pid for p in processes() if p.parent == self.init.pid and p.comm == comm]

    def kill(self, comm: str, patience: float = PATIENCE) -> None:
        """kill -9 a daemon, and wait for the next one."""
        pid = self.child(comm)
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.children(comm) not in ([], [pid]), f"another {comm}", patience)

    # -- commands ----------------------------------------------------------------------------------
    def run(self, command: str, *words: str, status: int | None = 0, patience: float = 60) -> Done:
        """A command's end; its exit status is `status`, or any if that is None."""
        done = subprocess.run(
            [str(BIN / command), *words], env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=patience, check=False,
        )  # fmt: skip
        said = f"{command} {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert status is None or done.returncode == status, said
        assert "Traceback" not in done.stderr, said
        return done

    def svcs(self, *words: str, status: int | None = 0) -> str:
        return self.run("svcs", *words, status=status).stdout

    def svcadm(self, *words: str, status: int | None = 0) -> Done:
        return self.run("svcadm", *words, status=status)

    def svccfg(self, *words: str, status: int | None = 0) -> Done:
        return self.run("svccfg", *words, status=status)

    def svcprop(self, *words: str, status: int | None = 0) -> str:
        return self.run("svcprop", *words, status=status).stdout.strip()

    def bring(self, manifest: str, *, verb: str = "import", status: int | None = 0) -> Done:
        """`svccfg import` of a text."""
        file = self.root / f"{secrets.token_hex(4)}.xml"
        file.write_text(manifest)
        return self.svccfg(verb, str(file), status=status)

    def service(self, name: str, *args: object, **more: object) -> "Subject":
        """Import a service made by manifests.service(); it is not enabled."""
        self.bring(service(name, *args, **more))  # type: ignore[arg-type]  # handed through
        return Subject(self, f"svc:/{name}:default")

    def wait(self, fmri: str, state: str, patience: float = PATIENCE) -> None:
        """Until an instance is in a state, and at rest there."""
        seen = ""

        def there() -> bool:
            nonlocal seen
            seen = self.svcs("-H", "-o", "state,nstate", fmri, status=None).strip()
            return seen.split() == [state, "-"]

        try:
            until(there, f"{fmri} is {state}", patience)
        except AssertionError as exc:
            explained = self.run("svcs", "-x", fmri, status=None).stdout
            raise AssertionError(f"{exc}; it is {seen}\n{explained}") from None


class Subject:
    """An instance, as a test speaks of it."""

    def __init__(self, world: World, fmri: str) -> None:
        self.world = world
        self.fmri = fmri

    def __repr__(self) -> str:
        return self.fmri

    @property
    def file(self) -> Path:
        """Where its methods write what they do: see manifests.counted."""
        return count_file(self.world, self.fmri)

    @property
    def state(self) -> str:
        return self.world.svcs("-H", "-o", "state", self.fmri).strip()

    def show(self, columns: str) -> list[str]:
        return self.world.svcs("-H", "-o", columns, self.fmri).split()

    def becomes(self, state: str, patience: float = PATIENCE) -> None:
        self.world.wait(self.fmri, state, patience)

    def stays(self, state: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.state == state
            time.sleep(0.2)

    def enable(self, *words: str, status: int = 0) -> None:
        self.world.svcadm("enable", *(words or ("-s",)), self.fmri, status=status)

    def disable(self, *words: str, status: int = 0) -> None:
        self.world.svcadm("disable", *(words or ("-s",)), self.fmri, status=status)

    def prop(self, name: str, *words: str) -> str:
        return self.world.svcprop(*words, "-p", name, self.fmri)

    @property
    def aux(self) -> str:
        return self.prop("restarter/auxiliary_state")

    @property
    def since(self) -> str:
        """When its state last changed, to the nanosecond."""
        return self.prop("restarter/state_timestamp")

    @property
    def pids(self) -> list[int]:
        """The processes that svcs -p shows."""
        lines = self.world.svcs("-H", "-p", self.fmri).splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(" " * 15)]

    def pid(self) -> int:
        """The only process."""
        assert len(self.pids) == 1, self.world.svcs("-p", self.fmri)
        return self.pids[0]

    def has_restarted(self, old: int, patience: float = PATIENCE) -> int:
        """Wait until one other process is the service; returns it."""
        until(lambda: len(pids := self.pids) == 1 and pids[0] != old, f"{self} restarted", patience)
        self.becomes("online")
        return self.pid()

    @property
    def log(self) -> str:
        path = Path(self.world.svcs("-L", self.fmri).strip())
        return path.read_text(errors="replace") if path.exists() else ""

    def runs(self, method: str = "start") -> int:
        """How often a counted method has been run."""
        try:
            return self.file.read_text().split().count(method)
        except FileNotFoundError:
            return 0

    def configure(self, *commands: str, refresh: bool = True) -> None:
        """svccfg subcommands with its service selected, which has all that a manifest gave it."""
        for command in commands:
            self.world.svccfg("-s", self.fmri.rpartition(":")[0], command)
        if refresh:
            self.world.svcadm("refresh", self.fmri)


def count_file(world: World, fmri: str) -> Path:
    return world.scratch / fmri.removeprefix("svc:/").replace("/", "-")


def process_of(pid: int) -> Process | None:
    return next((each for each in processes() if each.pid == pid), None)
