# SPDX-License-Identifier: MPL-2.0
"""Finding VMs: what list, lookup and get answer."""

import re
from dataclasses import asdict

from hull.host.host import Host
from hull.model.columns import TYPE_WIDTH, column, select, sort_views, value_of
from hull.model.view import vm_to_listed
from hull.storage.pool import Snapshot
from hull.vm.login import find_zone
from hull.vm.view import view, zone_state
from hull.wire import Json, JsonObject
from hull.zone.index import Zone


def get(uuid: str, host: Host) -> JsonObject:
    """One VM, whole. Raises NotFound."""
    return view(host.index.get(uuid), host)


def find(uuid: str, host: Host) -> JsonObject | None:
    """The same; None if there is none."""
    zone = host.index.find(uuid)
    return view(zone, host) if zone else None


def get_all(host: Host) -> list[JsonObject]:
    """Every VM, whole."""
    known = _snapshots(host)
    return [view(zone, host, snapshots=known.get(zone.uuid, ())) for zone in host.index.all()]


def own_view(uuid: str, host: Host) -> JsonObject:
    """What a zone may ask about itself, as often as it likes: not its snapshots, as these take a
    search of the whole pool. Raises NotFound.
    """
    return view(host.index.get(uuid), host, snapshots=()) | {"snapshots": None}


def lookup(
    filters: list[str], host: Host, *, whole: bool = False, fields: tuple[str, ...] = ()
) -> list[JsonObject]:
    """The VMs that pass all filters (`field=value`, `field=~regular expression`).

    `whole=False` leaves out what is slow to find out. With `fields`, of each VM only those of them
    that it has.
    """
    found = select(_partial_views(["uuid", *fields, *filters], host), filters, what="lookup")
    if fields:
        return [{name: vm[name] for name in fields if name in vm} for vm in found]
    zones = [zone for vm in found if (zone := host.index.find(str(vm["uuid"])))]
    known = _snapshots(host) if whole else {}
    return [vm_to_listed(view(zone, host, snapshots=known.get(zone.uuid, ()))) for zone in zones]


def _partial_views(keys: list[str], host: Host) -> list[JsonObject]:
    """Every VM with what the keys (columns, filters) speak of; whole views take ten times longer.

    A key that there is not is for others to refuse.
    """
    names = {re.split("[=.]", key, maxsplit=1)[0] for key in keys}
    only = frozenset(names | {"brand", "max_physical_memory"})
    known = _snapshots(host) if "snapshots" in only else {}
    return [
        vm_to_listed(view(zone, host, snapshots=known.get(zone.uuid, ()), only=only))
        for zone in host.index.all()
    ]


def _snapshots(host: Host) -> dict[str, list[Snapshot]]:
    """All snapshots, by the VM whose dataset they are of: one question for all VMs."""
    found: dict[str, list[Snapshot]] = {}
    for snapshot in host.pool.snapshots():
        found.setdefault(snapshot.dataset.partition("/")[2], []).append(snapshot)
    return found


def table(columns: list[str], filters: list[str], sort: list[str], host: Host) -> JsonObject:
    """What `vmadm list` prints: `{"columns": [{"header", "width"}], "rows": [[value …]]}`."""
    heads: list[Json] = [{"header": h, "width": w} for h, w in map(column, columns)]
    found = select(_partial_views([*columns, *filters], host), filters)
    found = sort_views(found, sort, columns)
    rows: list[Json] = [[_cell(vm, name) for name in columns] for vm in found]
    return {"columns": heads, "rows": rows}


def _cell(vm: JsonObject, name: str) -> Json:
    value = value_of(vm, name)
    return str(value)[:TYPE_WIDTH] if name == "type" else value


def zones(name: str, host: Host) -> list[Json]:
    """The zones as zoneadm shows them; only one of them if it is named."""
    chosen = [find_zone(name, host)] if name else host.index.all()
    return [_zone_row(zone, host) for zone in chosen]


def _zone_row(zone: Zone, host: Host) -> JsonObject:
    boot = host.boots.find(zone.uuid)
    return {
        "zoneid": boot.zoneid if boot else None,
        "zonename": zone.vm.zonename or zone.uuid,
        "state": zone_state(zone, host),
        "zonepath": f"/{host.pool.name}/{zone.uuid}",
        "uuid": zone.uuid,
        "brand": zone.vm.brand,
        "ip_type": "excl",
        "zonedid": boot.zoneid if boot else None,
    }


def host_status(host: Host) -> JsonObject:
    """What `hull status` prints."""
    pool = host.health.status()
    return {
        "server_uuid": host.server_uuid,
        "platform": host.platform,
        "root": str(host.paths.root),
        "pool": dict[str, Json](asdict(pool) | {"devices": list(pool.devices)}),
        "nic_tags": [
            {"name": tag.name, "link": tag.link, "address": str(tag.address or "")}
            for tag in host.datalinks.nic_tags().values()
        ],
        "vms": len(host.index.all()),
        "running": len(host.boots.all()),
        "corrupt": dict(host.index.corrupt),
    }
