# SPDX-License-Identifier: MPL-2.0
"""Leases: the address of each nic with `"ip": "dhcp"` on a network that this host routes.

An address belongs to a MAC for the life of its VM. The leases are one JSON file on the pool, so
that they survive the host; the DHCP server is told of each change.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from hull.errors import Corrupt, HostError, NotFound
from hull.linux.files import write_file
from hull.linux.lock import lock
from hull.net import dhcp
from hull.wire import Json

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Lease:
    uuid: str
    mac: str
    address: IPv4Address


@dataclass(frozen=True)
class Kept:
    """What was read, and of which file: each version of it is another."""

    version: tuple[int, int]
    leases: tuple[Lease, ...]
    by_mac: Mapping[str, Lease]


class Leases:
    """The leases of one network. Safe under many threads and processes at once."""

    def __init__(self, path: Path, network: IPv4Interface, served: Path) -> None:
        """`path`: the file. `network`: the router's address. `served`: the DHCP directory."""
        self._path = path
        self._network = network
        self._served = served
        self._kept = Kept((0, 0), (), {})

    @property
    def router(self) -> IPv4Address:
        """The gateway, and the resolver."""
        return self._network.ip

    def lease(self, uuid: str, mac: str, taken: Callable[[str], bool]) -> IPv4Interface:
        """The address of a VM's nic: the one it has, or else the lowest free one.

        `taken`: whether an address is in use without a lease. Raises HostError if none is left.
        """
        with self._locked():
            known = self._read()
            old = known.by_mac.get(mac)
            if old and old.uuid == uuid:
                return self._interface(old.address)
            # The VM that had this MAC is gone: MACs are unique among those that are not.
            leases = [lease for lease in known.leases if lease.mac != mac]
            address = self._lowest_free({lease.address for lease in leases}, taken)
            self._write([*leases, Lease(uuid=uuid, mac=mac, address=address)])
            return self._interface(address)

    def address(self, mac: str) -> IPv4Interface:
        """The address of a nic. Raises NotFound if it has no lease."""
        lease = self._read().by_mac.get(mac)
        if lease is None:
            raise NotFound(f"no address is leased to {mac}", hint="update the nic to lease one")
        return self._interface(lease.address)

    def release(self, uuid: str) -> None:
        """Give back all that a VM has."""
        self.keep(uuid, set())

    def keep(self, uuid: str, macs: set[str]) -> None:
        """Give back what a VM has for other MACs than these."""
        with self._locked():
            leases = self._read().leases
            kept = [lease for lease in leases if lease.uuid != uuid or lease.mac in macs]
            if len(kept) != len(leases):
                self._write(kept)

    def publish(self) -> None:
        """Tell the DHCP server everything: after `up`, for its files are gone with a reboot."""
        with self._locked():
            self._serve(self._read().leases)

    def _lowest_free(self, leased: set[IPv4Address], taken: Callable[[str], bool]) -> IPv4Address:
        used = {int(address) for address in leased} | {int(self.router)}
        network = self._network.network
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
        for number in range(first, last + 1):
            if number not in used and not taken(str(IPv4Address(number))):
                return IPv4Address(number)
        raise HostError(
            f"every address of {network} is in use",
            hint="delete VMs that are not needed, or give this nic a static address",
        )

    def _interface(self, address: IPv4Address) -> IPv4Interface:
        return IPv4Interface((address, self._network.network.prefixlen))

    def _locked(self) -> AbstractContextManager[None]:
        return lock(self._path.with_suffix(".lock"), what=f"the leases of {self._network.network}")

    def _read(self) -> Kept:
        try:
            with self._path.open() as file:
                version = _version(os.fstat(file.fileno()))
                if version != self._kept.version:
                    self._keep(version, parse_leases(json.load(file)))
                return self._kept
        except FileNotFoundError:
            return Kept((0, 0), (), {})
        except (KeyError, TypeError, ValueError) as exc:
            raise Corrupt(f"{self._path} is not a list of leases: {exc}") from exc

    def _keep(self, version: tuple[int, int], leases: Sequence[Lease]) -> None:
        self._kept = Kept(version, tuple(leases), {lease.mac: lease for lease in leases})

    def _write(self, leases: Sequence[Lease]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, json.dumps(format_leases(leases)) + "\n")  # there may be thousands
        self._keep(_version(self._path.stat()), leases)
        self._serve(leases)

    def _serve(self, leases: Sequence[Lease]) -> None:
        dhcp.write_hosts(self._served, {lease.mac: lease.address for lease in leases})


def _version(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_mtime_ns


def format_leases(leases: Sequence[Lease]) -> Json:
    return {
        "v": VERSION,
        "leases": [
            {"uuid": lease.uuid, "mac": lease.mac, "address": str(lease.address)}
            for lease in leases
        ],
    }


def parse_leases(data: Json) -> list[Lease]:
    """Raises KeyError, TypeError or ValueError if it is anything else."""
    if not isinstance(data, dict) or data["v"] != VERSION or not isinstance(data["leases"], list):
        raise ValueError("not version 1")
    return [
        Lease(
            uuid=str(item["uuid"]), mac=str(item["mac"]), address=IPv4Address(str(item["address"]))
        )
        for item in data["leases"]
        if isinstance(item, dict)
    ]
