# SPDX-License-Identifier: MPL-2.0
"""A route as OpenAPI describes it."""

from typing import cast

from hull.daemon.openapi import document
from hull.daemon.route import Route
from hull.wire import JsonObject


def test_one_row_in_full() -> None:
    route = Route(
        method="POST",
        path="/vms/{uuid}",
        action="stop",
        handler=lambda _: None,
        doc="Stop it.",
        query={"force": "kill", "*": "anything"},
        body=lambda: {"type": "object"},
        result={"type": "string"},
        long=True,
    )
    described = document([route], {"VM": {"type": "object"}}, version="1.2")
    assert described["openapi"] == "3.1.0"
    paths = cast(dict[str, dict[str, JsonObject]], described["paths"])
    told = paths["/vms/{uuid}?action=stop"]["post"]
    assert told["operationId"] == "post_vms_uuid_stop"
    assert [one["name"] for one in cast(list[JsonObject], told["parameters"])] == ["uuid", "force"]
    schemas = cast(dict[str, JsonObject], described["components"])["schemas"]
    assert set(schemas) == {"Error", "VM"}
    assert told["requestBody"] == {"content": {"application/json": {"schema": {"type": "object"}}}}
    content = cast(dict[str, dict[str, JsonObject]], told["responses"])["200"]["content"]
    assert set(content) == {"application/json", "application/x-ndjson"}
