# SPDX-License-Identifier: MPL-2.0
"""hulld's real table: its OpenAPI document and docs/protocol.md say all that it says."""

import re
from pathlib import Path
from typing import cast

import pytest

from hull.daemon import api
from hull.daemon.events import Announcer
from hull.daemon.openapi import document, operation_id
from hull.daemon.route import Route
from hull.host.host import Host
from hull.wire import JsonObject

ROOT = Path(__file__).parents[3]


def real_routes() -> list[Route]:
    # Making the table calls nobody, so that it needs no host.
    return api.routes(cast(Host, None), Announcer(lambda uuid: None, list))


def operations(described: JsonObject) -> dict[tuple[str, str], JsonObject]:
    paths = cast(dict[str, dict[str, JsonObject]], described["paths"])
    return {(method.upper(), path): item[method] for path, item in paths.items() for method in item}


def test_every_route_is_described() -> None:
    routes = real_routes()
    found = operations(document(routes, {}, version="1"))
    assert set(found) == {(route.method, route.target) for route in routes}
    for route in routes:
        told = found[route.method, route.target]
        assert told["summary"] == route.doc
        assert told["operationId"]
        content = cast(dict[str, dict[str, JsonObject]], told["responses"])["200"]["content"]
        assert isinstance(content, dict)
        assert ("application/x-ndjson" in content) == (route.long or route.stream)
        assert ("requestBody" in told) == (route.body is not None)


def test_every_route_has_a_sentence_and_a_result() -> None:
    for route in real_routes():
        assert re.fullmatch(r"[A-Z].*\.", route.doc), route.target
        assert route.result or route.stream, (
            f"{route.method} {route.target} does not say what it returns"
        )


def test_operation_ids_are_unique() -> None:
    ids = [operation_id(route) for route in real_routes()]
    assert len(ids) == len(set(ids))


def test_the_document_is_valid_json_schema_where_it_says_so() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    described = document(real_routes(), {}, version="1")
    for told in operations(described).values():
        body = cast(dict[str, dict[str, dict[str, JsonObject]]], told.get("requestBody") or {})
        for media in body.get("content", {}).values():
            jsonschema.Draft202012Validator.check_schema(media["schema"])


def test_protocol_md_lists_every_route_and_no_other() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    listed = re.findall(r"^\| `[A-Z]+ /.*$", text, re.MULTILINE)
    assert listed == [f"| `{row.method} {row.target}` | {row.doc} |" for row in real_routes()]
