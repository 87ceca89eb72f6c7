# SPDX-License-Identifier: MPL-2.0
"""What hulld can be asked about zones and about the host itself: zoneadm, zonecfg, sysinfo."""

from collections.abc import Callable

from hull.daemon.route import Request, Route
from hull.daemon.schemas import OBJECT, TEXT, UUID_RESULT
from hull.host.host import Host
from hull.host.sysinfo import sysinfo
from hull.vm import lookup, zones
from hull.wire import Json, JsonObject

ZONE = "/zones/{name}"
BOOT: dict[str, JsonObject] = {
    "init": {"type": "string", "description": "instead of the zone's init, this once"},
    "boot_args": {"type": "string", "description": "what SMF in the zone is told, this once"},
}


def _body(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


Step = Callable[[str, JsonObject, Host], JsonObject]

# zoneadm's verbs: the action, who does it, what it takes, what it is for.
STEPS: tuple[tuple[str, Step, JsonObject, str], ...] = (
    ("boot", zones.boot, _body(**BOOT), "Boot an installed or ready zone."),
    ("ready", zones.ready, _body(), "Build an installed zone up to its init."),
    ("halt", zones.halt_zone, _body(), "End a zone at once."),
    ("reboot", zones.reboot, _body(**BOOT), "End a zone at once, and boot it."),
    ("shutdown", zones.shutdown, _body(reboot={"type": "boolean"}, **BOOT), "Ask a zone to end."),
    (
        "install",
        zones.install,
        _body(image_uuid=TEXT, quota={"type": "integer", "minimum": 0}),
        "Give a configured zone its data.",
    ),
    ("uninstall", zones.uninstall, _body(), "Destroy a zone's data; its record stays."),
    ("detach", zones.detach, _body(), "Take an installed zone's data out of use."),
    ("attach", zones.attach, _body(), "Install a configured zone on the data that it had."),
    ("mark", zones.mark, _body(), "Call an installed zone incomplete."),
)


def zone_routes(host: Host) -> list[Route]:
    """Zones by name (uuid or alias), and how the host is made."""
    listed: JsonObject = {"type": "array", "items": OBJECT}
    rows = [
        Route(
            method="GET",
            path="/zones",
            handler=lambda request: lookup.zones(request.query.get("zone", ""), host),
            doc="The zones as zoneadm shows them.",
            query={"zone": "only this zone: uuid or alias"},
            result=listed,
        ),
        Route(
            method="POST",
            path="/zones",
            action="configure",
            handler=lambda request: zones.configure(request.body, host),
            doc="Give a zone a record, and no data yet.",
            body=OBJECT,
            result=UUID_RESULT,
            mutates=True,
        ),
        Route(
            method="DELETE",
            path=ZONE,
            handler=lambda request: zones.unconfigure(request.params["name"], host),
            doc="Forget a zone that has no data.",
            result=UUID_RESULT,
            mutates=True,
        ),
        Route(
            method="GET",
            path=ZONE + "/verify",
            handler=lambda request: zones.verify(request.params["name"], host),
            doc="Say what stands against booting or installing a zone.",
            result=UUID_RESULT,
        ),
    ]
    return [*rows, *(_step(*step, host) for step in STEPS), _sysinfo(host)]


def _sysinfo(host: Host) -> Route:
    return Route(
        method="GET",
        path="/sysinfo",
        handler=lambda request: sysinfo(host, refresh="refresh" in request.query),
        doc="What the host is made of.",
        query={"refresh": "any value: find it out anew"},
        result=OBJECT,
    )


def _step(action: str, step: Step, body: JsonObject, doc: str, host: Host) -> Route:
    def handler(request: Request) -> Json:
        return step(request.params["name"], request.body, host)

    return Route(
        method="POST",
        path=ZONE,
        action=action,
        handler=handler,
        doc=doc,
        body=body,
        result=UUID_RESULT,
        long=True,
        mutates=True,
    )
