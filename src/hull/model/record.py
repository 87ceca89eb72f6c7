# SPDX-License-Identifier: MPL-2.0
"""VM <-> record: the JSON of /etc/zones/UUID.json. Only what differs from the defaults is in it,
with `v`, the version of the form."""

import dataclasses
from typing import Any

from hull.errors import Corrupt
from hull.model.decode import Context, build, decode_values
from hull.model.prop import BRANDS, rows
from hull.model.vm import VM
from hull.wire import Json, JsonObject

VERSION = 1


def vm_to_record(vm: VM) -> JsonObject:
    """What is kept of a VM on disk."""
    record: JsonObject = {"v": VERSION, "brand": vm.brand}
    return record | _members(vm)


def vm_from_record(record: Json) -> VM:
    """The VM of a record. Raises Corrupt if it is none, or of a version that Hull cannot read."""
    if not isinstance(record, dict) or record.get("v") != VERSION:
        found = record.get("v") if isinstance(record, dict) else None
        hint = "it was written by a newer Hull, or is not a record at all"
        raise Corrupt(f"a record of version {found}, not {VERSION}", hint=hint)
    brand = record.get("brand")
    if not isinstance(brand, str) or brand not in BRANDS:
        raise Corrupt(f"a record with the unknown brand {brand}")
    ctx = Context(brand=BRANDS[brand], actions="", trusted=True)
    values = decode_values(record, rows(VM), ctx)
    if ctx.problems:
        raise Corrupt("; ".join(map(str, ctx.problems)), hint="restore the record from a backup")
    return build(VM, values)


def to_json(value: Any) -> Json:
    """A property's value as JSON; elements of an object-array without what is unset."""
    if isinstance(value, tuple):
        return [_members(each) if dataclasses.is_dataclass(each) else each for each in value]
    return dict(value) if isinstance(value, dict) else value


def _members(thing: Any) -> JsonObject:
    """The fields of a dataclass that differ from their defaults."""
    return {
        name: to_json(getattr(thing, name))
        for name, row in rows(type(thing)).items()
        if getattr(thing, name) != row.initial
    }
