# SPDX-License-Identifier: MPL-2.0
"""What has been made of each vnic, on a tmpfs: to undo it when its link, or hulld, is gone.

A record is `LINK.new` from before the vnic's first trace until the vnic is complete, then `LINK`.
"""

from collections.abc import Iterator
from dataclasses import asdict, fields
from ipaddress import ip_interface
from pathlib import Path

from hull.errors import Corrupt
from hull.linux.files import read_json, write_json
from hull.net.datalink import Route, Vnic
from hull.wire import Json

NEW = ".new"


class Records:
    """The records in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, vnic: Vnic) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        write_json(self._directory / (vnic.link + NEW), format_vnic(vnic), durable=False)

    def complete(self, link: str) -> None:
        (self._directory / (link + NEW)).rename(self._directory / link)

    def change(self, vnic: Vnic) -> None:
        """Replace what is known of a complete vnic."""
        write_json(self._directory / vnic.link, format_vnic(vnic), durable=False)

    def get(self, link: str) -> Vnic | None:
        """What is known of a vnic, complete or not."""
        for name in (link, link + NEW):
            try:
                return _read(self._directory / name)
            except FileNotFoundError:
                continue
        return None

    def remove(self, link: str) -> None:
        for name in (link, link + NEW):
            (self._directory / name).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[Vnic, bool]]:
        """Every vnic, and whether it was completed."""
        names = sorted(path.name for path in self._directory.glob("[!.]*"))
        for name in names:
            yield _read(self._directory / name), not name.endswith(NEW)


def format_vnic(vnic: Vnic) -> Json:
    lists = {
        "addresses": [str(address) for address in vnic.addresses],
        "gateways": list(vnic.gateways),
        "allowed": list(vnic.allowed),
        "blocked_ports": list(vnic.blocked_ports),
        "dhcp_cids": list(vnic.dhcp_cids),
        "routes": [[route.destination, route.gateway] for route in vnic.routes],
    }
    return asdict(vnic) | lists


def parse_vnic(data: Json) -> Vnic:
    """Raises KeyError, TypeError or ValueError if it is anything else."""
    if not isinstance(data, dict):
        raise TypeError("not an object")
    values: dict[str, object] = {field.name: data[field.name] for field in fields(Vnic)}
    values["addresses"] = tuple(ip_interface(text) for text in _texts(data["addresses"]))
    values["gateways"] = _texts(data["gateways"])
    values["allowed"] = _texts(data["allowed"])
    values["dhcp_cids"] = _texts(data["dhcp_cids"])
    values["blocked_ports"] = tuple(map(int, _texts(data["blocked_ports"])))
    pairs = data["routes"] if isinstance(data["routes"], list) else []
    values["routes"] = tuple(Route(*_texts(pair)) for pair in pairs)
    return Vnic(**values)  # type: ignore[arg-type]  # each is what format_vnic made of the field


def _texts(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return tuple(str(item) for item in value)


def _read(path: Path) -> Vnic:
    data = read_json(path)
    try:
        return parse_vnic(data)
    except (KeyError, TypeError, ValueError) as exc:
        raise Corrupt(f"{path} does not describe a vnic: {exc}", hint="delete it") from exc
