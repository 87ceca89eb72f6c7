# SPDX-License-Identifier: MPL-2.0
"""JSON -> values of the rows' types, by the rules of facts/vmadm.md §6.1, naming every problem.

Two steps, so that what was said can be told from what was not: `decode_values` gives a mapping with
only the properties that were set, `build` makes the object of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from hull.errors import Problem
from hull.model.convert import CONVERT, BadValue, Unset, describe, is_writable, show
from hull.model.prop import ACTIONS, BRANDS, Flat, Kind, Prop, rows
from hull.wire import Json

Values = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Context:
    """For whom and what a payload is decoded, and what is wrong with it so far."""

    brand: str  # a letter
    actions: str  # letters, any of which will do
    update: bool = False  # null and "" set the default, rather than nothing
    trusted: bool = False  # our own record: no rule about who may set what
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # paths, of problems too
    warnings: list[Problem] = field(default_factory=list)  # what is ignored, but not in silence
    unknown: list[str] = field(default_factory=list)  # paths, of warnings too: SmartOS's bad ones

    def say(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, message, hint))

    def warn(self, path: str, message: str, hint: str = "") -> None:
        self.warnings.append(Problem(path, message, hint))

    def of_elements(self, name: str) -> "Context":
        """For the elements of object-array `name`; they share the lists."""
        actions = {"r": "ar"}.get(self.actions, "u" if name.startswith("update_") else "a")
        return replace(self, actions=actions, update=actions == "u")


def context(brand: str, action: str) -> Context:
    """For a payload of `action` (create, receive, update) and a known brand."""
    return Context(brand=BRANDS[brand], actions=ACTIONS[action], update=action == "update")


def build(cls: type[T], values: Values) -> T:
    """The object of decoded values; elements of object-arrays become objects too."""
    table = rows(cls)
    members = {}
    for name, value in values.items():
        item = table[name].item
        members[name] = value if item is None else tuple(build(item, each) for each in value)
    return cls(**members)


def decode_values(payload: Json, table: Mapping[str, Prop], ctx: Context, path: str = "") -> Values:
    """What the payload sets, by property; problems go to the context."""
    if not isinstance(payload, dict):
        ctx.say(path, f"must be an object, not {describe(payload)}")
        return {}
    values: Values = {}
    for name, raw in payload.items():
        where = f"{path}.{name}" if path else name
        row = table.get(name)
        if row is None or not (ctx.trusted or row.allows(ctx.brand, ctx.actions)):
            _drop(name, table, ctx, where)
            continue
        try:
            value = _convert(raw, row, ctx, where)
        except BadValue as bad:
            if row.wrong:
                ctx.say(where, row.wrong.format(value=show(raw), whole=_json(payload)), bad.message)
            else:
                ctx.say(where, bad.message, bad.hint)
            continue
        if isinstance(value, Unset):
            if ctx.update:
                values[name] = row.initial
        else:
            values[name] = value
    if not ctx.trusted:
        _check_required(payload, table, ctx, path)
    return values


def _check_required(
    payload: Mapping[str, Json], table: Mapping[str, Prop], ctx: Context, path: str
) -> None:
    said = {table[name].alias_of or name for name, raw in payload.items() if raw and name in table}
    for name, row in table.items():
        if name not in said and row.requires(ctx.brand, ctx.actions):
            where = f"{path}.{name}" if path else name
            ctx.missing.append(where)
            wrong = row.wrong.format(value="required", whole=_json(payload))
            ctx.say(where, wrong or "required", row.doc.rstrip("."))


def _json(payload: Mapping[str, Json]) -> str:
    """As JavaScript shows an object in a message."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def _drop(name: str, table: Mapping[str, Prop], ctx: Context, path: str) -> None:
    """Ignore a property of a payload, and say so. A record has none that may be ignored."""
    message, hint = _why_dropped(name, table, ctx)
    if ctx.trusted:
        ctx.say(path, message, hint)
    else:
        ctx.unknown.append(path)
        ctx.warn(path, message, hint)


def _why_dropped(name: str, table: Mapping[str, Prop], ctx: Context) -> tuple[str, str]:
    """Message and hint for a property that is unknown or not for this brand and action."""
    row = table.get(name)
    if row is None:
        likely = {each: row for each, row in table.items() if row.allows(ctx.brand, ctx.actions)}
        near = get_close_matches(name, likely, n=1)
        return "unknown property", f"did you mean `{near[0]}`?" if near else "ignored"
    if row.allowed == "ro":
        return "is set by Hull, never by a payload", "ignored"
    brands = [each for each, letter in BRANDS.items() if row.allows(letter, ctx.actions)]
    if brands:
        brand = next(each for each, letter in BRANDS.items() if letter == ctx.brand)
        return f"not for VMs of brand {brand}", f"ignored; only for {', '.join(brands)}"
    forms = [f"{verb}_{name}" for verb in ("set", "add", "update", "remove")]
    if known := [form for form in forms if form in table]:
        return "cannot be replaced by an update", f"ignored; use {', '.join(known)}"
    verbs = {"c": "create", "r": "receive", "u": "update", "a": "adding"}
    return f"not allowed in {verbs[ctx.actions[-1]]}", "ignored"


def _convert(raw: Json, row: Prop, ctx: Context, path: str) -> Any:
    """A value of the row's type, or UNSET. Raises BadValue."""
    if row.kind is Kind.FLAT_OBJECT:
        return _flat_object(raw, ctx, path)
    if row.kind is Kind.OBJECT_ARRAY:
        return _object_array(raw, row, ctx, path)
    return CONVERT[row.kind](raw, row)


def _flat_object(raw: Json, ctx: Context, path: str) -> Mapping[str, Flat]:
    if raw is None or raw == []:
        return {}
    if not isinstance(raw, dict):
        raise BadValue(f"must be an object, not {describe(raw)}", 'write {"key": "value"}')
    flat: dict[str, Flat] = {}
    for key, value in raw.items():
        if not isinstance(value, str | int | float) or not is_writable(key, value):
            message = f"must be a string, number or boolean, not {describe(value)}"
            ctx.say(f"{path}.{key}", message, "JSON inside a string will do")
        else:
            flat[key] = value
    return flat


def _object_array(raw: Json, row: Prop, ctx: Context, path: str) -> tuple[Values, ...]:
    if not isinstance(raw, list):
        raise BadValue(f"must be an array of objects, not {describe(raw)}", 'write [{"…": "…"}]')
    if row.item is None:
        raise TypeError(f"the row of {path} lacks its item")
    inner = ctx.of_elements(path)
    return tuple(
        decode_values(each, rows(row.item), inner, f"{path}[{index}]")
        for index, each in enumerate(raw)
    )
