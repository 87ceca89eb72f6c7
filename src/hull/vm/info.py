# SPDX-License-Identifier: MPL-2.0
"""vmadm info: what a guest's hypervisor knows. A zone has none."""

from hull.errors import InvalidState, Unsupported
from hull.host.host import Host
from hull.vm.view import state
from hull.wire import JsonObject


def info(uuid: str, host: Host) -> JsonObject:
    """Raises InvalidState if the VM does not run, Unsupported if it has no such information."""
    zone = host.index.get(uuid)
    now = state(zone, host)
    if now not in ("running", "stopping"):
        raise InvalidState(
            f'Unable to get info for vm from state "{now}", must be "running" or "stopping".'
        )
    raise Unsupported(f"no info types supported for brand {zone.vm.brand}")
