# SPDX-License-Identifier: MPL-2.0
"""The socket contract as data: a route is one row, and a request is looked up in the rows.

Dispatch, the OpenAPI document and docs/protocol.md all come from the same rows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from hull.daemon.events import Subscription
from hull.errors import NotFound, Usage
from hull.wire import Json, JsonObject

Schema = JsonObject | Callable[[], JsonObject]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a handler gets."""

    params: Mapping[str, str] = field(default_factory=dict)  # from the path: {"uuid": "…"}
    # Without `action`. A parameter that is given several times is one a line.
    query: Mapping[str, str] = field(default_factory=dict)
    body: JsonObject = field(default_factory=dict)
    request_id: str = ""
    # Called as often as there is something to say, from the handler's thread; never waits.
    progress: Callable[[JsonObject], None] = lambda report: None
    fd: int = -1  # the client's, of a route that takes one; the handler leaves it open


Handler = Callable[[Request], Json | Subscription]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row: what is asked, who answers, and what both look like.

    A handler is synchronous and runs in a worker thread. It returns the result, raises one of
    hull.errors, or returns a Subscription (`stream`).
    """

    method: str
    path: str  # "/vms/{uuid}"
    handler: Handler
    doc: str  # one sentence
    action: str = ""  # POST /vms/{uuid}?action=start
    # The query's parameters, name to meaning; others are refused. "*" accepts any name.
    query: Mapping[str, str] = field(default_factory=dict)
    body: Schema | None = None  # JSON Schema; None: a body is refused
    result: Schema = field(default_factory=dict)  # JSON Schema
    long: bool = False  # may take seconds and report progress
    mutates: bool = False  # changes the host: audited
    stream: bool = False  # answers with JSON lines until the client leaves
    descriptor: bool = False  # the client hands over a file that the handler reads or writes

    @property
    def target(self) -> str:
        """As one writes it: `/vms/{uuid}?action=start`."""
        return f"{self.path}?action={self.action}" if self.action else self.path


@dataclass(frozen=True)
class Match:
    route: Route
    params: dict[str, str]
    query: dict[str, str]


class Table:
    """Routes by path, method and action."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._paths: dict[str, dict[tuple[str, str], Route]] = {}
        for route in routes:
            rows = self._paths.setdefault(route.path, {})
            if (route.method, route.action) in rows:
                raise AssertionError(f"two routes are {route.method} {route.target}")
            rows[route.method, route.action] = route
        self._patterns = [(_pattern(path), rows) for path, rows in self._paths.items()]

    def find(self, method: str, target: str) -> Match:
        """The route of a request line. Raises NotFound, or Usage for a wrong method or query."""
        path, _, query_string = target.partition("?")
        for pattern, rows in self._patterns:
            if found := pattern.fullmatch(path):
                params = {name: _parameter(value) for name, value in found.groupdict().items()}
                query = parse_query(query_string)
                route = _choose(rows, method, path, query.pop("action", ""))
                _check_query(route, query)
                return Match(route, params, query)
        raise NotFound(f"hulld has no {path[:200]}", hint="GET /openapi.json lists what it has")


def _pattern(path: str) -> re.Pattern[str]:
    """`/vms/{uuid}` as an expression with a group named uuid. Literal parts win by coming first."""
    parts = re.split(r"\{(\w+)\}", path)
    text = re.escape(parts[0])
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        text += f"(?P<{name}>[^/]+){re.escape(literal)}"
    return re.compile(text)


def _parameter(raw: str) -> str:
    """One decoded path parameter. Handlers make file names of them, so `..` and `/` end here."""
    value = unquote(raw)
    if "/" in value or "\0" in value or value in (".", ".."):
        raise NotFound(f"there is nothing named {value[:200]!r}")
    return value


def parse_query(text: str) -> dict[str, str]:
    """The parameters of a query; several values of one are joined by newlines. Raises Usage."""
    try:
        values = parse_qs(text, keep_blank_values=True, max_num_fields=100)
    except ValueError as exc:
        raise Usage("the query has more than 100 parameters") from exc
    return {name: "\n".join(several) for name, several in values.items()}


def _choose(rows: dict[tuple[str, str], Route], method: str, path: str, action: str) -> Route:
    if route := rows.get((method, action)):
        return route
    if actions := sorted(a for m, a in rows if m == method and a):
        wrong = f"no action {action[:50]!r}" if action else "no action given"
        raise Usage(f"{method} {path}: {wrong}", hint=f"actions: {', '.join(actions)}")
    if action and (method, "") in rows:
        raise Usage(f"{method} {path} takes no action")
    methods = ", ".join(sorted({m for m, _ in rows}))
    raise Usage(f"{path} has no method {method}", hint=f"methods: {methods}")


def _check_query(route: Route, query: dict[str, str]) -> None:
    unknown = sorted(query.keys() - route.query.keys())
    if unknown and "*" not in route.query:
        known = ", ".join(sorted(route.query)) or "none"
        raise Usage(
            f"{route.method} {route.target} has no parameter {unknown[0][:50]!r}",
            hint=f"parameters: {known}",
        )
