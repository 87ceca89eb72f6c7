# SPDX-License-Identifier: MPL-2.0
"""Requests looked up in the table of routes."""

import pytest

from hull.daemon.route import Route, Table
from hull.daemon.serve import parse_body
from hull.errors import NotFound, Usage


def row(method: str, path: str, action: str = "", **query: str) -> Route:
    return Route(
        method=method, path=path, action=action, query=query, handler=lambda _: None, doc="."
    )


ROWS = [
    row("GET", "/vms", filter="x"),
    row("POST", "/vms"),
    row("POST", "/vms", "validate"),
    row("GET", "/vms/{uuid}"),
    row("POST", "/vms/{uuid}", "start"),
    row("POST", "/vms/{uuid}", "stop"),
    row("DELETE", "/vms/{uuid}/snapshots/{name}"),
    row("GET", "/any", **{"*": "x"}),
]
TABLE = Table(ROWS)


@pytest.mark.parametrize(
    ("method", "target", "index", "params", "query"),
    [
        ("GET", "/vms", 0, {}, {}),
        ("GET", "/vms?filter=a%3Db&filter=c", 0, {}, {"filter": "a=b\nc"}),
        ("POST", "/vms", 1, {}, {}),
        ("POST", "/vms?action=validate", 2, {}, {}),
        ("GET", "/vms/u%2D1", 3, {"uuid": "u-1"}, {}),
        ("POST", "/vms/u?action=stop", 5, {"uuid": "u"}, {}),
        ("DELETE", "/vms/u/snapshots/a%20b", 6, {"uuid": "u", "name": "a b"}, {}),
        ("GET", "/any?x=1&y=", 7, {}, {"x": "1", "y": ""}),
    ],
)
def test_found(
    method: str, target: str, index: int, params: dict[str, str], query: dict[str, str]
) -> None:
    match = TABLE.find(method, target)
    assert match.route is ROWS[index]
    assert (match.params, match.query) == (params, query)


@pytest.mark.parametrize(
    "target", ["/", "/vm", "/vms/", "/vms/a/b", "/vms/..", "/vms/.", "/vms/a%2Fb", "/vms/a%00"]
)
def test_no_such_path(target: str) -> None:
    with pytest.raises(NotFound):
        TABLE.find("GET", target)


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        ("PUT", "/vms", "methods: GET, POST"),
        ("POST", "/vms/u", "actions: start, stop"),
        ("POST", "/vms/u?action=explode", "actions: start, stop"),
        ("GET", "/vms?action=start", "takes no action"),
        ("GET", "/vms?filtre=x", "parameters: filter"),
        ("POST", "/vms/u?action=start&force=1", "parameters: none"),
        ("GET", "/any?" + "&".join(f"a{n}=1" for n in range(101)), "100 parameters"),
    ],
)
def test_wrong_use_names_what_is_right(method: str, target: str, words: str) -> None:
    with pytest.raises(Usage) as caught:
        TABLE.find(method, target)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_two_rows_for_one_request_are_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Table([row("GET", "/a"), row("GET", "/a")])


def test_a_body_where_none_belongs_is_refused() -> None:
    assert parse_body(b"", ROWS[0]) == {}
    with pytest.raises(Usage, match="takes no body"):
        parse_body(b"{}", ROWS[0])
