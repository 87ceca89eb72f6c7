# SPDX-License-Identifier: MPL-2.0
"""The ports of one host together: what every use case is given, and all it may touch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hull.linux.lock import lock
from hull.net.address import Leases
from hull.net.datalink import Datalinks
from hull.paths import Paths
from hull.storage.pool import Pool, PoolHealth
from hull.wire import JsonObject
from hull.zone.boots import Boots
from hull.zone.index import Index
from hull.zone.runtime import Runtime

Progress = Callable[[JsonObject], None]


def no_progress(report: JsonObject) -> None:
    """For callers who do not watch."""
    del report


class Attendant(Protocol):
    """What hulld does for a zone while it is up. Without a daemon nobody does (`--here`)."""

    def attend(self, uuid: str, pid: int, metadata_socket: Path, uid: int) -> None:
        """Serve the zone's metadata socket and notice the end of its init."""
        ...

    def leave(self, uuid: str) -> None: ...

    def start_again(self, uuid: str, pause: float) -> None:
        """Start a container that has ended, in `pause` seconds, if it is still wanted then."""
        ...

    def changed(self, uuid: str) -> None:
        """Tell the event stream's readers, if there are any, what a VM is now."""
        ...


class Nobody:
    """The attendant of a host whose daemon is down: zones run on, hulld takes them over later."""

    def attend(self, uuid: str, pid: int, metadata_socket: Path, uid: int) -> None:
        del uuid, pid, metadata_socket, uid

    def leave(self, uuid: str) -> None:
        del uuid

    def start_again(self, uuid: str, pause: float) -> None:
        del uuid, pause

    def changed(self, uuid: str) -> None:
        del uuid


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host."""

    paths: Paths
    server_uuid: str
    platform: str  # build stamp
    datacenter: str = ""  # its data centre's name, if it has one
    id_base: int  # first host uid and gid that zones may use
    native: Path  # the tool tree that zones see at /native
    pool: Pool
    health: PoolHealth
    runtime: Runtime
    datalinks: Datalinks
    leases: dict[str, Leases]  # by nic tag, where this host is the network's router
    index: Index
    boots: Boots
    attendant: Attendant = field(default_factory=Nobody)

    def dataset(self, uuid: str) -> str:
        """The name of a zone's or image's dataset."""
        return f"{self.pool.name}/{uuid}"

    def lock_zone(self, uuid: str) -> AbstractContextManager[None]:
        """Held by every operation that changes a VM. Never take two."""
        return lock(self.paths.locks / f"vm-{uuid}", what=f"VM {uuid}")

    @contextmanager
    def lock_allocations(self) -> Iterator[None]:
        """Held for a moment while something shared between VMs is claimed: zone ids, addresses."""
        with lock(self.paths.locks / "allocations", what="this host"):
            yield
