# SPDX-License-Identifier: MPL-2.0
"""Finding VMs: what list, lookup and get answer."""

from hull.host.host import Host
from hull.model.columns import select, sort_views
from hull.vm.view import view
from hull.wire import Json, JsonObject


def get(uuid: str, host: Host) -> JsonObject:
    """One VM, whole. Raises NotFound."""
    return view(host.index.get(uuid), host)


def lookup(filters: list[str], host: Host, *, whole: bool = False) -> list[JsonObject]:
    """The VMs that pass all filters (`field=value`, `field=~regular expression`)."""
    views = [view(zone, host, snapshots=whole) for zone in host.index.all()]
    return select(views, filters)


def table(columns: list[str], filters: list[str], sort: list[str], host: Host) -> list[list[Json]]:
    """Rows of values for `vmadm list`, in order."""
    return sort_views(lookup(filters, host), sort, columns)
