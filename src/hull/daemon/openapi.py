# SPDX-License-Identifier: MPL-2.0
"""The OpenAPI 3.1 document of the socket, made from the table of routes."""

import re
from collections.abc import Mapping, Sequence

from hull.daemon.http import JSON, NDJSON
from hull.daemon.route import Route, Schema
from hull.wire import Json, JsonObject

PROBLEM_SCHEMA: JsonObject = {
    "type": "object",
    "required": ["path", "message", "hint"],
    "properties": {
        "path": {"type": "string", "examples": ["nics[0].nic_tag"]},
        "message": {"type": "string"},
        "hint": {"type": "string"},
    },
}

ERROR_SCHEMA: JsonObject = {
    "type": "object",
    "description": "What went wrong. `code` is a class of hull.errors, or InternalError.",
    "required": ["code", "message", "hint", "problems"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string", "description": "What to do about it; may be empty."},
        "problems": {
            "type": "array",
            "description": "All that is wrong with a payload (code InvalidPayload).",
            "items": PROBLEM_SCHEMA,
        },
    },
}

EVENT_SCHEMA: JsonObject = {
    "description": "One object a line; the first is of type ready.",
    "type": "object",
    "required": ["type", "date", "uuid"],
    "properties": {
        "type": {"enum": ["ready", "create", "modify", "delete"]},
        "date": {"type": "string", "format": "date-time"},
        "uuid": {"type": "string", "description": "The VM's; the stream's for ready."},
        "vms": {"type": "string", "description": "ready: the array of all VMs as JSON text."},
        "zonename": {"type": "string"},
        "vm": {"type": "object", "description": "As it is now; delete: as it was."},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["prettyPath", "path", "action", "oldValue", "newValue"],
                "properties": {
                    "prettyPath": {"type": "string", "examples": ["nics.*.ip"]},
                    "path": {"type": "array", "items": {"type": ["string", "null"]}},
                    "action": {"enum": ["added", "removed", "changed"]},
                    "oldValue": {},
                    "newValue": {},
                },
            },
        },
    },
}


def document(
    routes: Sequence[Route], schemas: Mapping[str, JsonObject], *, version: str
) -> JsonObject:
    """The document. `schemas` are the model's, for `{"$ref": "#/components/schemas/VM"}`.

    Routes that differ only in their action have a path each, written with its query, because a
    path of OpenAPI holds one operation a method.
    """
    paths: dict[str, Json] = {}
    for route in routes:
        item = paths.setdefault(route.target, {})
        assert isinstance(item, dict)
        item[route.method.lower()] = operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hulld",
            "version": version,
            "description": "The compute node's API; docs/protocol.md says how to speak it.",
            "license": {"name": "MPL-2.0", "identifier": "MPL-2.0"},
        },
        "servers": [{"url": "http://hull", "description": "the Unix socket run/hull/hulld.sock"}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR_SCHEMA, **schemas}},
    }


def operation(route: Route) -> JsonObject:
    """One route as an Operation Object."""
    described: JsonObject = {
        "operationId": operation_id(route),
        "summary": route.doc,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            "200": {"description": "Done.", "content": _content(route)},
            "default": {
                "description": "Refused (4xx, 501) or failed (5xx).",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body is not None:
        described["requestBody"] = {"content": {JSON: {"schema": _schema(route.body)}}}
    return described


def operation_id(route: Route) -> str:
    """`POST /vms/{uuid}?action=start` is post_vms_uuid_start."""
    words = re.findall(r"\w+", f"{route.method.lower()} {route.path} {route.action}")
    return "_".join(words).replace("-", "_")


def _schema(schema: Schema) -> JsonObject:
    return schema() if callable(schema) else schema


def _content(route: Route) -> JsonObject:
    if route.stream:
        return {NDJSON: {"schema": EVENT_SCHEMA}}
    result = _schema(route.result)
    content: JsonObject = {JSON: {"schema": result}}
    if route.long:
        content[NDJSON] = {
            "schema": {
                "description": "Lines of progress, then one with the result or the error.",
                "oneOf": [
                    _line("progress", {"type": "object"}),
                    _line("result", result),
                    _line("error", {"$ref": "#/components/schemas/Error"}),
                ],
            }
        }
    return content


def _line(name: str, schema: JsonObject) -> JsonObject:
    return {"type": "object", "required": [name], "properties": {name: schema}}


def _path_parameters(route: Route) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[Json]:
    return [
        {"name": name, "in": "query", "description": doc, "schema": {"type": "string"}}
        for name, doc in route.query.items()
        if name != "*"
    ]
