# SPDX-License-Identifier: MPL-2.0
"""The zones of this host: one JSON record each in /etc/zones, the whole of Hull's durable state.

hulld is the only writer while it is up, so it keeps what it read; a record is replaced as a whole
and is on disk before anything relies on it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hull.errors import Corrupt, NotFound
from hull.linux import files
from hull.model.nic import static_addresses
from hull.model.record import vm_from_record, vm_to_record
from hull.model.vm import VM
from hull.wire import Json, JsonObject

VERSION = 1  # of a record; those of version 0 did not say so, and knew no `changing`

# What a record's `zone_state` may be. The states of a zone that is up are the runtime's to tell.
CONFIGURED = "configured"  # a record, and no data
INCOMPLETE = "incomplete"  # being made or unmade: start-up destroys what it finds so, if not kept
RECEIVING = "receiving"  # being made by vmadm receive; start-up destroys it too
INSTALLED = "installed"


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone's record."""

    vm: VM
    zone_state: str = INCOMPLETE
    kept: bool = False  # incomplete by zoneadm: only `zoneadm uninstall` ends that
    changing: bool = False  # an update is under way; start-up makes the host follow the record
    provisioning: bool = False  # its first boot is not done yet
    failed: str = ""  # why provisioning failed; state is then `failed`
    exit_status: int | None = None
    exit_timestamp: str = ""
    restarts: int = 0  # times that a container was started again since somebody started it

    @property
    def uuid(self) -> str:
        return self.vm.uuid


def zone_to_json(zone: Zone) -> JsonObject:
    return {
        "v": VERSION,
        "vm": vm_to_record(zone.vm),
        "zone_state": zone.zone_state,
        "kept": zone.kept,
        "changing": zone.changing,
        "provisioning": zone.provisioning,
        "failed": zone.failed,
        "exit_status": zone.exit_status,
        "exit_timestamp": zone.exit_timestamp,
        "restarts": zone.restarts,
    }


def zone_from_json(data: Json) -> Zone:
    """A record of this or any older version. Raises Corrupt if it is not one of ours."""
    try:
        match data:
            case {"v": int(version)} if version > VERSION:
                raise Corrupt("a newer Hull wrote it", hint="boot that one, or a newer one")
            case {"vm": dict(vm), "zone_state": str(zone_state), **rest}:
                status, restarts = rest.get("exit_status"), rest.get("restarts")
                return Zone(
                    vm=vm_from_record(vm),
                    zone_state=zone_state,
                    kept=rest.get("kept") is True,
                    changing=rest.get("changing") is True,
                    provisioning=rest.get("provisioning") is True,
                    failed=str(rest.get("failed") or ""),
                    exit_status=status if isinstance(status, int) else None,
                    exit_timestamp=str(rest.get("exit_timestamp") or ""),
                    restarts=restarts if isinstance(restarts, int) else 0,
                )
            case _:
                pass
    except (KeyError, TypeError, ValueError) as exc:
        raise Corrupt(f"not a zone record: {exc}") from exc
    raise Corrupt("not a zone record", hint="restore it from a backup")


class Index:
    """All zone records of a host, by uuid."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._guard = threading.RLock()
        self._zones: dict[str, Zone] = {}
        self._holders: dict[str, set[str]] = {}  # MAC or static address -> uuids
        self.corrupt: dict[str, str] = {}  # file name -> what is wrong with it
        for path in sorted(directory.glob("*.json")):
            try:
                zone = zone_from_json(files.read_json(path))
                self._keep(zone)
            except Corrupt as exc:
                self.corrupt[path.name] = exc.message

    def get(self, uuid: str) -> Zone:
        zone = self._zones.get(uuid)
        if zone is None:
            raise NotFound(f"VM {uuid} not found", hint="`vmadm list` shows the VMs of this host")
        return zone

    def find(self, uuid: str) -> Zone | None:
        return self._zones.get(uuid)

    def all(self) -> list[Zone]:
        with self._guard:
            return list(self._zones.values())

    def put(self, zone: Zone) -> Zone:
        """Write a record; it is on disk when this returns."""
        with self._guard:
            files.write_json(self._path(zone.uuid), zone_to_json(zone))
            self._keep(zone)
        return zone

    def change(self, uuid: str, **fields: object) -> Zone:
        """Replace some fields of a record, and no other."""
        with self._guard:
            return self.put(replace(self.get(uuid), **fields))  # type: ignore[arg-type]  # replace() checks the names

    def edit(self, uuid: str, edit: Callable[[VM], VM], **fields: object) -> Zone:
        """Replace a VM by what `edit` makes of it, and some fields of its record with it; nobody
        else's change can fall in between."""
        with self._guard:
            return self.change(uuid, vm=edit(self.get(uuid).vm), **fields)

    def remove(self, uuid: str) -> None:
        with self._guard:
            self._path(uuid).unlink(missing_ok=True)
            files.sync_directory(self._directory)
            self._forget(uuid)

    def holding(self, names: set[str]) -> list[Zone]:
        """The zones of which a nic has one of these MACs or static addresses, on whatever tag."""
        with self._guard:
            found = set().union(*(self._holders.get(name, ()) for name in names))
            return [self._zones[uuid] for uuid in sorted(found)]

    def _keep(self, zone: Zone) -> None:
        before = self._zones.get(zone.uuid)
        if before is None or before.vm.nics != zone.vm.nics:
            self._forget(zone.uuid)
            for name in _names(zone):
                self._holders.setdefault(name, set()).add(zone.uuid)
        self._zones[zone.uuid] = zone

    def _forget(self, uuid: str) -> None:
        zone = self._zones.pop(uuid, None)
        for name in _names(zone) if zone else ():
            self._holders[name].discard(uuid)
            if not self._holders[name]:
                del self._holders[name]

    def _path(self, uuid: str) -> Path:
        return self._directory / f"{uuid}.json"


def _names(zone: Zone) -> set[str]:
    """What no other nic of the same network may have."""
    return set().union(*({nic.mac} | static_addresses(nic) for nic in zone.vm.nics))
