# SPDX-License-Identifier: MPL-2.0
"""The words in which routes say what their bodies and results look like: JSON Schema."""

from hull.wire import Json, JsonObject

TEXT: JsonObject = {"type": "string"}
YES_NO: JsonObject = {"type": "boolean"}
OBJECT: JsonObject = {"type": "object"}
OBJECTS: JsonObject = {"type": "array", "items": OBJECT}
TEXTS: JsonObject = {"type": "array", "items": TEXT}


def exactly(**members: JsonObject) -> JsonObject:
    """An object with these members, all of them required."""
    return at_most(list(members), **members)


def at_most(required: list[Json], **members: JsonObject) -> JsonObject:
    """An object with no members but these, of which some are required."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": required,
        "additionalProperties": False,
    }


UUID_RESULT = exactly(uuid=TEXT)
