# SPDX-License-Identifier: MPL-2.0
"""The zones that are up: id, init and links of each, in /run, so that hulld can die and return.

A zone has an entry from before its first link or process exists until after the last is gone.
"""

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hull.errors import Corrupt, HostError
from hull.linux import files

MAX_ZONEID = 2047  # id ranges of 65536 that one host claims, see daemon.compose

READY = "ready"  # platform built, init not started
RUNNING = "running"
SHUTTING_DOWN = "shutting_down"


@dataclass(frozen=True, kw_only=True)
class Boot:
    uuid: str
    zoneid: int
    state: str = READY
    pid: int = 0
    timestamp: str = ""  # ISO 8601
    links: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()  # NIC_TAG/VLAN ADDRESS, of its links
    held: bool = False  # `zoneadm ready`: it stays so until somebody boots or halts it


class Boots:
    """Entries by uuid, each a small file."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._guard = threading.Lock()
        self._boots: dict[str, Boot] = {}
        self._zoneids: set[int] = set()
        self._holders: dict[str, set[str]] = {}  # address -> uuids
        for path in directory.glob("*.json"):
            boot = _read(path)
            if boot is not None:
                self._keep(boot)

    def find(self, uuid: str) -> Boot | None:
        return self._boots.get(uuid)

    def all(self) -> list[Boot]:
        with self._guard:
            return list(self._boots.values())

    def holding(self, addresses: Iterable[str]) -> list[Boot]:
        """The zones that are up and have one of these addresses (NIC_TAG/VLAN ADDRESS)."""
        with self._guard:
            found = set().union(*(self._holders.get(address, ()) for address in addresses))
            return [self._boots[uuid] for uuid in sorted(found)]

    def claim(self, uuid: str) -> Boot:
        """Give a zone the smallest free zone id."""
        with self._guard:
            zoneid = next((n for n in range(1, MAX_ZONEID + 1) if n not in self._zoneids), 0)
            if not zoneid:
                raise HostError(
                    f"all {MAX_ZONEID} zone ids are in use", hint="stop a zone and try again"
                )
            return self._put(Boot(uuid=uuid, zoneid=zoneid))

    def change(self, uuid: str, **fields: object) -> Boot:
        with self._guard:
            return self._put(replace(self._boots[uuid], **fields))  # type: ignore[arg-type]  # replace() checks the names

    def remove(self, uuid: str) -> None:
        with self._guard:
            (self._directory / f"{uuid}.json").unlink(missing_ok=True)
            self._forget(uuid)

    def _put(self, boot: Boot) -> Boot:
        path = self._directory / f"{boot.uuid}.json"
        files.write_json(path, asdict(boot), durable=False)  # /run does not outlive a crash anyway
        self._keep(boot)
        return boot

    def _keep(self, boot: Boot) -> None:
        self._forget(boot.uuid)
        self._boots[boot.uuid] = boot
        self._zoneids.add(boot.zoneid)
        for address in boot.addresses:
            self._holders.setdefault(address, set()).add(boot.uuid)

    def _forget(self, uuid: str) -> None:
        boot = self._boots.pop(uuid, None)
        if boot is None:
            return
        self._zoneids.discard(boot.zoneid)
        for address in boot.addresses:
            self._holders[address].discard(uuid)
            if not self._holders[address]:
                del self._holders[address]


def _read(path: Path) -> Boot | None:
    try:
        match files.read_json(path):
            case {"uuid": str(uuid), "zoneid": int(zoneid), "links": list(links), **rest}:
                pid, addresses = rest.get("pid"), rest.get("addresses")
                return Boot(
                    uuid=uuid,
                    zoneid=zoneid,
                    state=str(rest.get("state")),
                    pid=pid if isinstance(pid, int) else 0,
                    timestamp=str(rest.get("timestamp") or ""),
                    links=tuple(str(link) for link in links),
                    addresses=tuple(map(str, addresses if isinstance(addresses, list) else ())),
                    held=rest.get("held") is True,
                )
            case _:
                pass
    except Corrupt:
        pass
    return None
