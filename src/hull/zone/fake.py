# SPDX-License-Identifier: MPL-2.0
"""The Runtime without processes: defines what every driver must do, and fails when told to.

Its state is in an object that outlives it (`Machine`), as zones outlive hulld.
"""

import signal as signals
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from hull.errors import Exists, HostError, InvalidState, NotFound
from hull.zone.runtime import Connect, ExitStatus, Limits, Usage, ZoneSpec, unconnected

# A fake init: what it does on a signal it handles. Others end it, as they would a plain process;
# but the kernel keeps signals from an init that has no handler for them, except SIGKILL.
DEADLY = frozenset((signals.SIGKILL,))


@dataclass(frozen=True)
class FakeZone:
    """A zone that is up, or was."""

    spec: ZoneSpec
    pid: int
    started: bool = False
    exit: ExitStatus | None = None


@dataclass
class Machine:
    """The host: zones by uuid, and what its init programs do with signals."""

    zones: dict[str, FakeZone] = field(default_factory=dict)
    handlers: dict[int, int] = field(default_factory=lambda: {signals.SIGTERM: 0})
    next_pid: int = 1000
    changed: threading.Condition = field(default_factory=threading.Condition)


class FakeRuntime:
    """One manager of the zones of a Machine. `fail_at` names the next step to fail at, once."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.fail_at = ""

    def create(self, spec: ZoneSpec, connect: Connect = unconnected) -> int:
        """See the port. Exists if the zone has a record already."""
        with self.machine.changed:
            if spec.uuid in self.machine.zones:
                raise Exists(f"zone {spec.uuid} is up already")
            self._fail("create")
            self.machine.next_pid += 1
            pid = self.machine.next_pid
            connect(f"/proc/{pid}/ns/net")
            self.machine.zones[spec.uuid] = FakeZone(spec, pid)
            return pid

    def start(self, uuid: str) -> None:
        """See the port. InvalidState if init runs already or has ended."""
        with self.machine.changed:
            zone = self._zone(uuid)
            self._fail("start")
            if zone.started or zone.exit:
                raise InvalidState(f"zone {uuid} is not ready to boot")
            self.machine.zones[uuid] = replace(zone, started=True)

    def kill(self, uuid: str, signal: int) -> bool:
        """See the port."""
        with self.machine.changed:
            zone = self.machine.zones.get(uuid)
            if zone is None or zone.exit:
                return False
            self._fail("kill")
            handled = zone.started and signal in self.machine.handlers
            if signal in DEADLY:
                self._end(uuid, -signal)
            elif handled:
                self._end(uuid, self.machine.handlers[signal])
            return signal in DEADLY or handled

    def end(self, uuid: str, code: int) -> None:
        """Init ends by itself (a test says so)."""
        with self.machine.changed:
            self._end(uuid, code)

    def delete(self, uuid: str) -> None:
        """See the port."""
        with self.machine.changed:
            if uuid in self.machine.zones:
                self._fail("delete")
                del self.machine.zones[uuid]
                self.machine.changed.notify_all()

    def pid(self, uuid: str) -> int:
        """See the port."""
        zone = self.machine.zones.get(uuid)
        return zone.pid if zone and not zone.exit else 0

    def wait_exit(self, uuid: str, timeout: float) -> ExitStatus | None:
        """See the port. NotFound if the zone is not up."""
        with self.machine.changed:
            self.machine.changed.wait_for(lambda: self._zone(uuid).exit, timeout)
            return self._zone(uuid).exit

    def zones(self) -> list[str]:
        """See the port."""
        return sorted(self.machine.zones)

    def set_limits(self, uuid: str, limits: Limits) -> None:
        """See the port."""
        with self.machine.changed:
            zone = self._zone(uuid)
            self._fail("set_limits")
            self.machine.zones[uuid] = replace(zone, spec=replace(zone.spec, limits=limits))

    def usage(self, uuid: str) -> Usage:
        """See the port."""
        zone = self._zone(uuid)
        return Usage(memory=0, processes=0 if zone.exit else 1, cpu_seconds=0.0)

    def login_argv(self, uuid: str, path: Path, *, tty_socket: str = "") -> list[str]:
        """See the port. InvalidState if init has ended."""
        if not self.pid(uuid):
            raise InvalidState(f"zone {uuid} is not running")
        return ["/bin/false", uuid, str(path), tty_socket]

    def console(self, uuid: str) -> Path:
        """See the port."""
        return Path("/nonexistent") / uuid / "attach"

    def release(self) -> None:
        """See the port."""

    def _zone(self, uuid: str) -> FakeZone:
        try:
            return self.machine.zones[uuid]
        except KeyError as exc:
            raise NotFound(f"zone {uuid} is not up") from exc

    def _end(self, uuid: str, code: int) -> None:
        zone = self._zone(uuid)
        self.machine.zones[uuid] = replace(zone, exit=ExitStatus(code=code, when=time.time()))
        self.machine.changed.notify_all()

    def _fail(self, step: str) -> None:
        if self.fail_at == step:
            self.fail_at = ""
            raise HostError(f"{step} was told to fail")
