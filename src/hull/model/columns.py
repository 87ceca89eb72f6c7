# SPDX-License-Identifier: MPL-2.0
"""What `vmadm list` and `lookup` do with views: columns, filters, order (facts/vmadm.md §3).

A key is a property (`alias`), a member of an element (`nics.0.ip`; in filters also `nics.*.ip`), or
an entry of an object (`tags.K`). Views come from model/view.py's vm_to_listed.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from hull.errors import InvalidPayload, Problem
from hull.model.address import canonical_mac
from hull.model.prop import Kind, rows
from hull.model.table import table
from hull.model.vm import VM
from hull.wire import Json, JsonObject

COLUMNS: dict[str, tuple[str, int]] = {
    name: (row.header or name.upper(), row.width) for name, row in table().items() if row.width
}
NESTED_WIDTH = 20
TYPE_WIDTH = COLUMNS["type"][1]

Matches = Callable[[str], bool]


def column(key: str) -> tuple[str, int]:
    """Header and width of a column. Raises InvalidPayload if there is none."""
    _check_key(key, "order")
    return COLUMNS.get(key, (key.upper(), NESTED_WIDTH))


def value_of(view: JsonObject, key: str) -> Json:
    """The value under a key without `*`; None if the VM has none."""
    values = _values(view, key)
    return values[0] if values else None


def select(
    views: Iterable[JsonObject], filters: Sequence[str], *, what: str = "filter"
) -> list[JsonObject]:
    """The views that all filters match: `key=value`, or `key=~regular expression`.

    `what` (filter, lookup) is for the message of the InvalidPayload that a bad filter raises.
    """
    tests = [_parse_filter(each, what) for each in filters]
    return [
        view
        for view in views
        if all(any(map(matches, _texts(view, key))) for key, matches in tests)
    ]


def sort_views(
    views: Iterable[JsonObject], keys: Sequence[str], columns: Sequence[str]
) -> list[JsonObject]:
    """The views in the order of sort keys: `f` or `+f` ascending, `-f` descending.

    As on SmartOS only keys that are columns too take effect. Raises InvalidPayload for a bad key.
    """
    ordered = list(views)
    for key in reversed(keys):
        name = key.removeprefix("-") if key.startswith("-") else key.removeprefix("+")
        _check_key(name, "sort")
        if name in columns:
            ordered.sort(key=partial(_rank, name), reverse=key.startswith("-"))
    return ordered


def _check_key(key: str, what: str) -> None:
    """Refuse what is no column or sort key, in SmartOS's words."""
    if key in COLUMNS or _is_nested(key, indices="[0-9]{1,4}"):
        return
    if "." in key:
        raise InvalidPayload([Problem("", f'Invalid {what} key: "{key}"')])
    raise InvalidPayload([Problem("", f"invalid {what} field: {key}")])


def _is_nested(key: str, indices: str) -> bool:
    """Whether the key names a member of an element, or an entry of an object."""
    name, _, rest = key.partition(".")
    row = rows(VM).get(name)
    if row is None or not rest:
        return False
    if row.kind is Kind.FLAT_OBJECT:
        return True
    index, _, member = rest.partition(".")
    return row.item is not None and member in rows(row.item) and bool(re.fullmatch(indices, index))


def _parse_filter(text: str, what: str) -> tuple[str, Matches]:
    key, equals, wanted = text.partition("=")
    if not equals or not (key in COLUMNS or _is_nested(key, indices=r"[0-9]{1,4}|\*")):
        raise InvalidPayload([Problem("", f'Invalid {what} key: "{key}"')])
    if wanted.startswith("~"):
        try:
            pattern = re.compile(wanted[1:], re.IGNORECASE)
        except re.error as exc:
            message = f'Invalid regular expression: "{wanted[1:]}": {exc}'
            raise InvalidPayload([Problem("", message)]) from exc
        return key, lambda value: pattern.search(value) is not None
    if key.startswith("nics.") and key.endswith(".mac"):
        wanted = canonical_mac(wanted)
    return key, lambda value: value == wanted


def _values(view: JsonObject, key: str) -> list[Json]:
    """Every value that a key names in a view."""
    name, _, rest = key.partition(".")
    inner = view.get(name)
    if not rest:
        return [] if inner is None else [inner]
    if isinstance(inner, dict):
        return [inner[rest]] if rest in inner else []
    index, _, member = rest.partition(".")
    elements = inner if isinstance(inner, list) else []
    if index != "*":
        elements = elements[int(index) : int(index) + 1]
    return [each[member] for each in elements if isinstance(each, dict) and member in each]


def _texts(view: JsonObject, key: str) -> list[str]:
    """The values as a filter compares them: as JavaScript's String() writes them."""
    texts = [_text(value) for value in _values(view, key)]
    return [text[:TYPE_WIDTH] for text in texts] if key == "type" else texts


def _text(value: Json) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(map(_text, value))
        case _:
            return str(value)


def _rank(key: str, view: JsonObject) -> tuple[bool, bool, float, str]:
    """Numbers by size, then strings; what is missing, false, 0 or empty comes last."""
    value = value_of(view, key)
    if isinstance(value, int | float):
        return not value, False, value, ""
    return not value, True, 0, _text(value)
