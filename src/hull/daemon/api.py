# SPDX-License-Identifier: MPL-2.0
"""What hulld can be asked: one row a verb. No logic here, only who is called with what."""

from collections.abc import Callable

from hull.daemon import openapi
from hull.daemon.api_images import image_routes
from hull.daemon.api_vms import verb_routes
from hull.daemon.api_zones import zone_routes
from hull.daemon.events import Announcer, Subscription
from hull.daemon.route import Handler, Request, Route
from hull.daemon.schemas import OBJECT, OBJECTS, TEXT, UUID_RESULT, YES_NO, exactly
from hull.errors import Usage
from hull.host.host import Host
from hull.linux import haste
from hull.model.payload import brand_of, decode_create, validate
from hull.model.schema import vm_schema
from hull.vm import check, create, delete, login, lookup, snapshot, start, stop, update
from hull.wire import Json, JsonObject, problems_to_json

VERSION = "0.1.0"


def _payload(action: str) -> JsonObject:
    """The model's schema. By its own id its references hold wherever the document puts it."""
    return vm_schema(action) | {"$id": f"urn:hull:{action}"}


PROBLEMS = OBJECTS | {"items": openapi.PROBLEM_SCHEMA}
# `warnings`: what of the payload was ignored.
CHANGED_RESULT = exactly(uuid=TEXT, warnings=PROBLEMS)
STATE_RESULT = exactly(uuid=TEXT, already=YES_NO, state=TEXT)
FORCE: JsonObject = {
    "type": "object",
    "properties": {"force": {"type": "boolean", "description": "kill, do not ask"}},
    "additionalProperties": False,
}
STOP: JsonObject = {
    "type": "object",
    "properties": {
        "force": {"type": "boolean", "description": "kill, do not ask"},
        "timeout": {"type": "integer", "minimum": 0, "description": "seconds; docker VMs only"},
    },
    "additionalProperties": False,
}
NAME = exactly(name=TEXT)


def routes(host: Host, announcer: Announcer) -> list[Route]:
    """The whole contract of one host's daemon, the document that describes it included."""
    rows: list[Route] = []
    document = Route(
        method="GET",
        path="/openapi.json",
        handler=lambda _: openapi.document(rows, {}, version=VERSION),
        doc="This contract.",
        result=OBJECT,
    )
    rows += [
        document,
        *_general(host, announcer),
        *_vms(host),
        *_one_vm(host),
        *verb_routes(host),
        *_snapshots(host),
        *image_routes(host),
        *zone_routes(host),
    ]
    return rows


def _general(host: Host, announcer: Announcer) -> list[Route]:
    def ping(_: Request) -> Json:
        return {"ping": "pong", "version": VERSION, "server_uuid": host.server_uuid}

    def events(_: Request) -> Subscription:
        return announcer.subscribe()

    return [
        Route(
            method="GET",
            path="/ping",
            handler=ping,
            doc="Say that hulld is there.",
            result=exactly(ping=TEXT, version=TEXT, server_uuid=TEXT),
        ),
        Route(
            method="GET",
            path="/events",
            handler=events,
            doc="All VMs, then every change of a VM as it happens.",
            stream=True,
        ),
        Route(
            method="GET",
            path="/status",
            handler=lambda _: lookup.host_status(host),
            doc="The pool, the nic tags and the zones that are up.",
            result=OBJECT,
        ),
    ]


def _vms(host: Host) -> list[Route]:
    def find(request: Request) -> Json:
        filters = [line for line in request.query.get("filter", "").split("\n") if line]
        if "columns" not in request.query:
            fields = tuple(name for name in request.query.get("fields", "").split(",") if name)
            whole = "whole" in request.query
            return list(lookup.lookup(filters, host, whole=whole, fields=fields))
        columns = request.query["columns"].split(",")
        sort = request.query.get("sort", "").split(",")
        return lookup.table(columns, filters, [key for key in sort if key], host)

    return [
        Route(
            method="GET",
            path="/vms",
            handler=find,
            doc="The VMs that match: whole objects, or rows of a table.",
            query={
                "filter": "field=value or field=~expression, one a line",
                "columns": "comma-separated fields: answer with a table",
                "sort": "comma-separated fields, `-` before one reverses it",
                "whole": "any value: with everything that is slow to find out",
                "fields": "comma-separated properties: of each VM only those",
            },
            result={"type": ["array", "object"]},
        ),
        Route(
            method="POST",
            path="/vms",
            handler=_in_haste(lambda request: create.create(request.body, host, request.progress)),
            doc="Make the VM that the payload describes, and boot it.",
            body=lambda: _payload("create"),
            result=CHANGED_RESULT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path="/vms",
            action="validate",
            handler=lambda request: _validate(request, host),
            doc="Say what is wrong with a payload.",
            body=exactly(action=TEXT, brand=TEXT, payload=OBJECT),
            result=exactly(brand=TEXT, valid=YES_NO, problems=PROBLEMS, report=OBJECT),
        ),
    ]


def _validate(request: Request, host: Host) -> Json:
    payload = request.body["payload"]
    if not isinstance(payload, dict):
        raise Usage("payload is not an object")
    brand = str(request.body["brand"]) or brand_of(payload)
    verdict = validate(str(request.body["action"]), brand, payload)
    problems, report = verdict.problems, verdict.report
    if verdict.is_valid and request.body["action"] == "create":
        wrong = list(check.check_image(decode_create(payload).vm, host))
        problems = [*problems, *wrong]
        report = report | {"bad_values": [problem.path for problem in wrong]}
    return {
        "brand": brand,
        "valid": not any(report.values()),
        "problems": problems_to_json(problems),
        "report": report,
    }


VM_PATH = "/vms/{uuid}"


def _in_haste(handler: Handler) -> Handler:
    """For what ends with a program's start in a zone."""

    def hastened(request: Request) -> Json | Subscription:
        haste.hasten()
        return handler(request)

    return hastened


def _by_uuid(verb: Callable[..., JsonObject], host: Host) -> Callable[[Request], Json]:
    return lambda request: verb(request.params["uuid"], host)


def _forcible(verb: Callable[..., JsonObject], host: Host) -> Callable[[Request], Json]:
    return lambda request: verb(
        request.params["uuid"], host, force=request.body.get("force") is True
    )


def _one_vm(host: Host) -> list[Route]:
    return [
        Route(
            method="GET",
            path=VM_PATH,
            handler=_by_uuid(lookup.get, host),
            doc="One VM, as `vmadm get` prints it.",
            result=OBJECT,
        ),
        Route(
            method="DELETE",
            path=VM_PATH,
            handler=_by_uuid(delete.delete, host),
            doc="Destroy a VM with its data and snapshots.",
            result=UUID_RESULT,
            long=True,
            mutates=True,
        ),
        *_power(host),
        *_changing_and_entering(host),
    ]


def _power(host: Host) -> list[Route]:
    def stop_(request: Request) -> Json:
        timeout = request.body.get("timeout")
        return stop.stop(
            request.params["uuid"],
            host,
            force=request.body.get("force") is True,
            timeout=timeout if isinstance(timeout, int) else None,
        )

    return [
        Route(
            method="POST",
            path=VM_PATH,
            action="start",
            handler=_in_haste(_by_uuid(start.start, host)),
            doc="Boot a stopped VM.",
            body=OBJECT,
            result=STATE_RESULT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path=VM_PATH,
            action="stop",
            handler=stop_,
            doc="Shut a VM down.",
            body=STOP,
            result=STATE_RESULT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path=VM_PATH,
            action="reboot",
            handler=_forcible(stop.reboot, host),
            doc="Shut a running VM down and boot it.",
            body=FORCE,
            result=UUID_RESULT,
            long=True,
            mutates=True,
        ),
    ]


def _changing_and_entering(host: Host) -> list[Route]:
    return [
        Route(
            method="POST",
            path=VM_PATH,
            action="update",
            handler=lambda request: update.update(request.params["uuid"], request.body, host),
            doc="Change a VM; what can be live is live at once.",
            body=lambda: _payload("update"),
            result=CHANGED_RESULT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path=VM_PATH,
            action="login",
            handler=_in_haste(
                lambda request: login.login(request.params["uuid"], request.body, host)
            ),
            doc="How the caller, root on this host, enters the zone: a program to run.",
            body=login.BODY,
            result=exactly(argv=OBJECTS | {"items": TEXT}, process=TEXT, tty_socket=TEXT),
            mutates=True,
        ),
        Route(
            method="GET",
            path=VM_PATH + "/console",
            handler=_by_uuid(login.console, host),
            doc="The sockets of a running zone's console.",
            result=exactly(socket=TEXT, control=TEXT),
        ),
    ]


def _snapshots(host: Host) -> list[Route]:
    path = "/vms/{uuid}/snapshots"

    def named(verb: Callable[[str, str, Host], JsonObject]) -> Callable[[Request], Json]:
        return lambda request: verb(
            request.params["uuid"], str(request.body.get("name", request.query.get("name"))), host
        )

    return [
        Route(
            method="POST",
            path=path,
            handler=named(snapshot.create_snapshot),
            doc="Freeze a VM's file system.",
            body=NAME,
            result=exactly(uuid=TEXT, name=TEXT),
            mutates=True,
        ),
        Route(
            method="POST",
            path=path,
            action="rollback",
            handler=named(snapshot.rollback_snapshot),
            doc="Go back to a snapshot; newer ones are destroyed, and the VM boots.",
            body=NAME,
            result=exactly(uuid=TEXT, name=TEXT),
            long=True,
            mutates=True,
        ),
        Route(
            method="DELETE",
            path=path,
            handler=named(snapshot.delete_snapshot),
            doc="Destroy a snapshot.",
            query={"name": "the snapshot's name"},
            result=exactly(uuid=TEXT, name=TEXT),
            mutates=True,
        ),
    ]
