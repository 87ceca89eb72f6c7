# SPDX-License-Identifier: MPL-2.0
"""One JSON value -> one value of a row's type, by the rules of facts/vmadm.md §6.1."""

import json
import math
import re
from collections.abc import Callable

from hull.model.prop import LARGEST, Flat, Kind, Prop
from hull.wire import Json

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NUMBER = re.compile(r"[+-]?[0-9]{1,30}")
TRUE_OR_FALSE = {"true": True, "1": True, "false": False}


class Unset:
    """null or "": the property goes back to its default."""


UNSET = Unset()


class BadValue(Exception):
    """The value cannot be taken; the caller knows the path."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _boolean(raw: Json, _row: Prop) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str | int) and str(raw) in TRUE_OR_FALSE:
        return TRUE_OR_FALSE[str(raw)]
    raise BadValue(f"must be true or false, not {describe(raw)}")


def _integer(raw: Json, row: Prop) -> int | Unset:
    if raw is None or raw == "":
        return UNSET
    number = _whole(raw)
    if number is None:
        of_unit = f" of {row.unit}" if row.unit else ""
        hint = "write the number alone, without a unit" if isinstance(raw, str) else ""
        raise BadValue(f"must be a whole number{of_unit}, not {describe(raw)}", hint)
    _check_limits(number, row)
    return number


def _whole(raw: Json) -> int | None:
    match raw:
        case bool():
            return None
        case int():
            return raw
        case float() if raw.is_integer():
            return int(raw)
        case str() if NUMBER.fullmatch(raw):
            return int(raw)
    return None


def _check_limits(number: int, row: Prop) -> None:
    unit = f" {row.unit}" if row.unit else ""
    if row.minimum is not None and number < row.minimum:
        hint = f"use {row.minimum}{unit} or more"
        raise BadValue(f"must be at least {row.minimum}{unit}, is {describe(number)}", hint)
    if number > row.largest:
        hint = f"use {row.largest}{unit} or less"
        raise BadValue(f"must be at most {row.largest}{unit}, is {describe(number)}", hint)
    if row.choices and number not in row.choices:
        raise BadValue(f"{number} is none of the possible values", _choices(row))


def _string(raw: Json, row: Prop) -> str | Unset:
    if raw is None or raw == "":
        return UNSET
    if not isinstance(raw, str):
        raise BadValue(f"must be a string, not {describe(raw)}", "put it in quotes")
    _check_text(raw, row)
    return raw


def _check_text(text: str, row: Prop) -> None:
    """A string, or one member of a list."""
    if not text.isprintable():
        raise BadValue(f"{describe(text)} has characters that cannot be printed")
    if row.choices and text not in row.choices:
        raise BadValue(f"{describe(text)} is none of the possible values", _choices(row))
    if row.pattern and not re.fullmatch(row.pattern, text):
        raise BadValue(f"{describe(text)} is not valid", f"it must match {row.pattern}")
    if row.check is not None and (problem := row.check(text)):
        raise BadValue(f"{describe(text)} {problem}", row.doc.rstrip("."))


def _choices(row: Prop) -> str:
    return "use one of: " + ", ".join(map(str, row.choices))


def _uuid(raw: Json, _row: Prop) -> str:
    if isinstance(raw, str) and UUID.fullmatch(raw):
        return raw
    hint = "write it in lower case" if isinstance(raw, str) and UUID.fullmatch(raw.lower()) else ""
    raise BadValue(f"must be a UUID, not {describe(raw)}", hint)


def _list(raw: Json, row: Prop) -> tuple[str, ...] | Unset:
    if row.default and raw in ("", []):
        return UNSET
    if isinstance(raw, str):
        members: list[Json] = [part.strip() for part in raw.split(",")] if raw else []
    elif isinstance(raw, list):
        members = raw
    else:
        hint = 'write ["one", "two"] or "one,two"'
        raise BadValue(f"must be a list, not {describe(raw)}", hint)
    texts = []
    for member in members:
        if isinstance(member, bool) or not isinstance(member, str | int | float) or member == "":
            raise BadValue(f"members must be strings or numbers, not {describe(member)}")
        if "," in (text := member if isinstance(member, str) else describe(member)):
            raise BadValue(f"{describe(member)} has a comma", "make it two members of the list")
        _check_text(text, row)
        texts.append(text)
    return tuple(texts)


def is_writable(key: str, value: Flat) -> bool:
    """Whether JSON and UTF-8 have a form for both: JSON from elsewhere may hold half characters."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    try:
        f"{key}{value}".encode()
    except (UnicodeEncodeError, ValueError):
        return False
    return True


def _zpool(raw: Json, row: Prop) -> str:
    if isinstance(raw, str) and raw in row.choices:
        return raw
    raise BadValue(f"there is no pool {describe(raw)}", _choices(row))


def describe(raw: Json) -> str:
    """A value as JSON, cut where it is long."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) > LARGEST:
        return "a very large number"
    try:
        text = json.dumps(raw)
    except (ValueError, RecursionError):
        return "something too large to show"
    return text if len(text) <= 60 else text[:57] + "..."


def show(raw: Json) -> str:
    """A value as SmartOS's messages have it: strings without quotes."""
    return raw if isinstance(raw, str) and len(raw) <= 60 and raw.isprintable() else describe(raw)


CONVERT: dict[Kind, Callable[[Json, Prop], object]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.STRING: _string,
    Kind.UUID: _uuid,
    Kind.LIST: _list,
    Kind.ZPOOL: _zpool,
}
