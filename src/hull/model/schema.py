# SPDX-License-Identifier: MPL-2.0
"""The property table as JSON Schema (draft 2020-12), for forms, editors and hulld's OpenAPI.

It describes payloads as one should write them; the decoder also takes "true", "512" and "a,b". What
it accepts the decoder accepts, or explains: addresses, and rules between properties, are beyond it.
"""

from collections.abc import Mapping

from hull.model.convert import UUID
from hull.model.prop import ACTIONS, BRANDS, SUPPORTED, Kind, Prop, rows
from hull.model.record import to_json
from hull.model.table import payload_rows
from hull.wire import Json, JsonObject

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFAULT_BRAND = "joyent"


def vm_schema(action: str) -> JsonObject:
    """The schema of a payload of `action` (create or update), for each brand that Hull runs."""
    brands = [brand for brand, letter in BRANDS.items() if letter in SUPPORTED]
    return {
        "$schema": DIALECT,
        "title": f"What vmadm {action} reads",
        "anyOf": [{"$ref": f"#/$defs/{brand}"} for brand in brands],
        "$defs": {brand: _brand_schema(action, brand) for brand in brands},
    }


def _brand_schema(action: str, brand: str) -> JsonObject:
    letter, granted = BRANDS[brand], ACTIONS[action]
    schema = _object_schema(payload_rows(), letter, granted)
    properties = schema["properties"]
    required = schema.pop("required", [])
    if isinstance(properties, dict) and "brand" in properties:
        properties["brand"] = {"const": brand, "description": "How the zone boots."}
    every: list[Json] = []
    for name in required if isinstance(required, list) else []:
        names = [name, *(each for each, row in payload_rows().items() if row.alias_of == name)]
        every.append({"anyOf": [{"required": [each]} for each in names]})
    if action == "create" and brand != DEFAULT_BRAND:
        every.append({"required": ["brand"]})
    return schema | ({"allOf": every} if every else {})


def _object_schema(table: Mapping[str, Prop], letter: str, granted: str) -> JsonObject:
    """An object with the rows that `granted` (letters of actions) lets a payload set."""
    schema: JsonObject = {
        "type": "object",
        "properties": {
            name: _property_schema(name, row, letter)
            for name, row in table.items()
            if row.allows(letter, granted)
        },
        "additionalProperties": False,
    }
    required: list[Json] = [name for name, row in table.items() if row.requires(letter, granted)]
    return schema | ({"required": required} if required else {})


def _property_schema(name: str, row: Prop, letter: str) -> JsonObject:
    schema: JsonObject = {"description": row.doc}
    if row.unit:
        schema["x-unit"] = row.unit
    if row.default is not None:
        schema["default"] = to_json(row.initial)
    if row.item is not None:
        granted = "u" if name.startswith("update_") else "a"
        items = _object_schema(rows(row.item), letter, granted)
        return schema | {"type": "array", "items": items}
    return schema | _type_schema(row)


def _type_schema(row: Prop) -> JsonObject:
    match row.kind:
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.INTEGER:
            return _integer_schema(row)
        case Kind.UUID:
            return {"type": "string", "pattern": f"^{UUID.pattern}$"}
        case Kind.STRING | Kind.ZPOOL:
            return _string_schema(row)
        case Kind.FLAT_OBJECT:
            scalar: JsonObject = {"type": ["string", "number", "boolean"]}
            return {"type": "object", "additionalProperties": scalar}
        case Kind.LIST | Kind.OBJECT_ARRAY:
            return {"type": "array", "items": _string_schema(row)}


def _integer_schema(row: Prop) -> JsonObject:
    schema: JsonObject = {"type": "integer", "maximum": row.largest}
    if row.minimum is not None:
        schema["minimum"] = row.minimum
    return schema | ({"enum": list(row.choices)} if row.choices else {})


def _string_schema(row: Prop) -> JsonObject:
    schema: JsonObject = {"type": "string"}
    if row.choices:
        schema["enum"] = list(row.choices)
    if row.pattern:
        schema["pattern"] = f"^(?:{row.pattern})$"
    return schema
