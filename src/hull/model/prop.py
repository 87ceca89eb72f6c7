# SPDX-License-Identifier: MPL-2.0
"""A property is one row: a dataclass field whose metadata says all that is known about it.

The decoder, the JSON Schema, the man page, completion and the columns of `vmadm list` are derived
from the rows; nothing else lists properties.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from hull.model.units import GIB, MIB

BRANDS = {
    "joyent": "J",
    "joyent-minimal": "M",
    "builder": "B",
    "lx": "L",
    "kvm": "K",
    "bhyve": "H",
}
OS = "JMBL"
HVM = "KH"
# The brands that Hull can run today; the others are decoded, then refused by name.
SUPPORTED = OS

ACTIONS = {"create": "c", "receive": "r", "update": "u"}

Flat = str | int | float | bool

# What a signed 64-bit field of the kernel or of another tool can hold, whatever a value's unit is.
LARGEST = (1 << 63) - 1
UNITS = {"GiB": GIB, "MiB": MIB}


class Kind(StrEnum):
    """The types of facts/vmadm.md §6.1."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    STRING = "string"
    UUID = "uuid"
    LIST = "list"
    FLAT_OBJECT = "flat-object"
    OBJECT_ARRAY = "object-array"
    ZPOOL = "zpool"


class Shown(StrEnum):
    """When `vmadm get` prints the property."""

    ALWAYS = "always"
    SET = "set"  # when it differs from its default
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class Prop:
    """One row of the property table."""

    doc: str
    kind: Kind
    # brands:actions, e.g. "*:cru" or "KH:cru J:c"; actions are create, receive, update and, for the
    # members of an element, add. "ro": only ever printed.
    allowed: str
    default: object = None  # as in JSON; None: unset
    default_doc: str = ""  # where the default follows from other properties
    required: str = ""  # as `allowed`
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str | int, ...] = ()
    pattern: str = ""  # of the whole string, or of each member of a list
    check: Callable[[str], str] | None = None  # says what is wrong with the string or member, or ""
    wrong: str = ""  # SmartOS's own message: of a {value}, or the {whole} object
    unit: str = ""
    width: int = 0  # of its column in `vmadm list`; 0: not a column
    header: str = ""  # of that column, where it is not the name in capitals
    shown: Shown = Shown.ALWAYS
    joined: bool = False  # a list that is printed as one comma-separated string
    live: bool = False  # a change takes effect on a running VM at once
    alias_of: str = ""  # the property whose deprecated other name this is
    item: type | None = None  # the class of an object-array's elements

    @property
    def initial(self) -> Any:
        """What the field holds when nobody sets it."""
        match self.kind:
            case Kind.LIST | Kind.OBJECT_ARRAY:
                return tuple(self.default) if isinstance(self.default, list) else ()
            case Kind.FLAT_OBJECT:
                return {}
            case Kind.BOOLEAN:
                return self.default is True
            case Kind.INTEGER:
                return self.default
            case Kind.STRING | Kind.UUID | Kind.ZPOOL:
                return self.default or ""

    @property
    def largest(self) -> int:
        """The largest number that is taken: in bytes it still fits."""
        return LARGEST // UNITS.get(self.unit, 1) if self.maximum is None else self.maximum

    def allows(self, brand: str, actions: str) -> bool:
        """Whether a payload may set it: a brand's letter, and the letters of possible actions."""
        return _includes(self.allowed, brand, actions)

    def requires(self, brand: str, actions: str) -> bool:
        return _includes(self.required, brand, actions)

    @property
    def acted(self) -> bool:
        """Whether a brand that Hull runs has it."""
        return any(self.belongs(letter) for letter in SUPPORTED)

    def belongs(self, brand: str) -> bool:
        """Whether VMs of this brand have the property at all."""
        return self.allowed == "ro" or any(brand in letters for letters in grants(self.allowed))


@cache
def grants(compact: str) -> Mapping[str, str]:
    """`KH:cru J:c` -> {"KH": "cru", "J": "c"}; `*` is every brand, `ro` nobody."""
    if compact in ("", "ro"):
        return {}
    pairs = (part.split(":") for part in compact.split())
    return {brands.replace("*", OS + HVM): actions for brands, actions in pairs}


def _includes(compact: str, brand: str, actions: str) -> bool:
    return any(
        brand in brands and not set(actions).isdisjoint(granted)
        for brands, granted in grants(compact).items()
    )


def prop(kind: Kind, allowed: str, doc: str, **rest: Any) -> Any:
    """A dataclass field with its row; `rest` are Prop's fields. Any, as dataclasses.field is."""
    row = Prop(kind=kind, allowed=allowed, doc=doc, **rest)
    if row.kind is Kind.FLAT_OBJECT:
        return field(default_factory=dict, metadata={"prop": row})
    return field(default=row.initial, metadata={"prop": row})


def rows(*classes: type[Any]) -> Mapping[str, Prop]:
    """The rows of one or more classes, in the order of their fields."""
    return _rows(classes)


@cache
def _rows(classes: tuple[type[Any], ...]) -> Mapping[str, Prop]:
    return {each.name: each.metadata["prop"] for cls in classes for each in dataclasses.fields(cls)}
