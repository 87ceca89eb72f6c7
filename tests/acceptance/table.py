# SPDX-License-Identifier: MPL-2.0
"""facts.toml as rows: one assertion each, with what is common to a section and `each` resolved."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("facts.toml")


@dataclass(frozen=True)
class Row:
    """What is run, and what must come of it. facts.toml's head explains every field."""

    section: str = ""
    name: str = ""
    run: str = ""
    stdin: str = ""
    setup: str = "none"
    vm: str = ""
    before: tuple[str, ...] = ()
    during: str = ""
    base: str = ""
    payload: str = ""
    update: str = ""
    without: tuple[str, ...] = ()
    status: int = 0
    out: str | None = None
    err: str | None = None
    out_re: str = ""
    err_re: str = ""
    has: str = ""
    lacks: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    report: dict[str, list[str]] | None = None
    departure: str = ""
    open: str = ""
    checks: frozenset[str] = field(default=frozenset())

    @property
    def id(self) -> str:
        return f"{self.section}: {self.name}"

    @property
    def stated(self) -> bool:
        """Whether it says anything: a status alone, if written down, is an assertion."""
        return bool(self.checks)


CHECKS = {"status", "out", "err", "out_re", "err_re", "has", "lacks", "keys", "report"}
KNOWN = {each.name for each in fields(Row)} - {"section", "checks"} | {"each", "rows"}


def fill(value: Any, names: dict[str, str]) -> Any:
    """The same, with `{name}` replaced wherever there is such a name."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], m[0]), value)
    if isinstance(value, dict):
        return {fill(key, names): fill(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill(item, names) for item in value)
    return value


def load() -> list[Row]:
    """All rows. Raises ValueError for a field that is not one."""
    sections: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text())
    return [
        row
        for name, section in sections.items()
        for given in section["rows"]
        for row in _rows(name.partition(": ")[0], section, given)
    ]


def _rows(section: str, common: dict[str, Any], given: dict[str, Any]) -> Iterator[Row]:
    made = {key: value for key, value in common.items() if key != "rows"} | given
    if made.keys() - KNOWN:
        raise ValueError(f"{section}: {given.get('name')}: {sorted(made.keys() - KNOWN)}")
    checks = frozenset(made.keys() & CHECKS)
    made = {key: tuple(item) if isinstance(item, list) else item for key, item in made.items()}
    each = made.pop("each", None)
    row = Row(section=section, checks=checks, **made)
    for item in [None] if each is None else each:
        if item is None:
            yield row
            continue
        words = [item] if isinstance(item, str) else item
        names = {str(index): word for index, word in enumerate(words, 1)}
        filled = {one.name: fill(getattr(row, one.name), names) for one in fields(row)}
        if filled["name"] == row.name:
            filled["name"] = f"{row.name} {words[0]}"
        yield replace(row, **filled)


def merged(row: Row, names: dict[str, str]) -> str:
    """The payload on standard input."""
    if not row.payload:
        return str(fill(row.stdin, names))
    payload = json.loads(fill(row.base or "{}", names)) | json.loads(fill(row.payload, names))
    return json.dumps({key: item for key, item in payload.items() if key not in row.without})
