# SPDX-License-Identifier: MPL-2.0
"""What the repository holds: entities with property groups with properties; and how they compose.

An entity is a service or an instance, named by its FMRI. `Groups` is all that one entity has.
On the wire a group is {"type", "flags", "gen", "props": {NAME: [TYPE, VALUE, ...]}}.
"""

from collections.abc import Iterable, Iterator
from sys import intern

from smf.fmri import instance_of, service_of

Wire = dict[str, "Wire"] | list["Wire"] | str | int | bool | None
WireGroup = dict[str, Wire]

# Property groups that startd and svcadm write and that live as long as the machine is up.
VOLATILE = frozenset(("general_ovr", "restarter", "restarter_actions"))
# Effective as soon as they are written; everything else when the instance is refreshed.
IMMEDIATE = VOLATILE | {"general"}
# Snapshots, by who takes them.
INITIAL, LAST_IMPORT, PREVIOUS = "initial", "last-import", "previous"
OPTIONS = ("options", "options_ovr")  # of the master restarter
RUNNING, START = "running", "start"


class Property:
    """A type, and an ordered list of values in their canonical form."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: str, values: Iterable[str] = ()) -> None:
        self.kind = kind
        self.values = tuple(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Property) and (self.kind, self.values) == (
            other.kind,
            other.values,
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.values))

    def __repr__(self) -> str:
        return f"Property({self.kind!r}, {self.values!r})"


class Group:
    """A property group. `generation` grows with each change of it."""

    __slots__ = ("generation", "kind", "persistent", "properties")

    def __init__(
        self,
        kind: str,
        properties: dict[str, Property] | None = None,
        *,
        persistent: bool = True,
        generation: int = 0,
    ) -> None:
        self.kind = kind
        self.properties = {} if properties is None else properties
        self.persistent = persistent
        self.generation = generation

    def value(self, name: str, default: str = "") -> str:
        """A property's first value."""
        found = self.properties.get(name)
        return found.values[0] if found and found.values else default

    def values(self, name: str) -> tuple[str, ...]:
        found = self.properties.get(name)
        return found.values if found else ()

    def same(self, other: "Group") -> bool:
        """Whether type and properties are alike, whatever their generations."""
        return (self.kind, self.properties) == (other.kind, other.properties)


Groups = dict[str, Group]


def to_wire(group: Group) -> WireGroup:
    return {
        "type": group.kind,
        "flags": "" if group.persistent else "P",
        "gen": group.generation,
        "props": {name: [prop.kind, *prop.values] for name, prop in group.properties.items()},
    }


def from_wire(wire: WireGroup) -> Group:
    """The inverse; what configd sends is not checked again. Names are kept once for all groups."""
    properties = wire["props"]
    generation = wire["gen"]
    assert isinstance(properties, dict)
    assert isinstance(generation, int)
    return Group(
        intern(str(wire["type"])),
        {
            intern(name): Property(intern(found[0]), found[1:])  # type: ignore[index,arg-type]  # made by to_wire
            for name, found in properties.items()
        },
        persistent=wire["flags"] != "P",
        generation=generation,
    )


def compose(instance: Groups, service: Groups) -> Groups:
    """An instance's view: its own properties, and its service's below them, property by property.

    A group's type is the instance's if it has that group.
    """
    view = {}
    for name in (*instance, *(name for name in service if name not in instance)):
        above, below = instance.get(name), service.get(name)
        if above is None or below is None:
            view[name] = above or below or Group("")
            continue
        view[name] = Group(
            above.kind,
            {**below.properties, **above.properties},
            persistent=above.persistent,
            generation=above.generation,
        )
    return view


def value(groups: Groups, group: str, prop: str, default: str = "") -> str:
    """The first value of GROUP/PROP, or the default."""
    found = groups.get(group)
    return found.value(prop, default) if found else default


def option(groups: Groups, name: str, default: str) -> str:
    """Of the master restarter's: what holds until the next boot, else what holds for good."""
    for group in reversed(OPTIONS):
        if wanted := value(groups, group, name):
            return wanted
    return default


def of_type(groups: Groups, kind: str) -> Iterator[tuple[str, Group]]:
    """The groups of a type, with their names."""
    return ((name, group) for name, group in groups.items() if group.kind == kind)


def enabled(groups: Groups) -> bool | None:
    """Whether an instance is to run: for now, else for good; None if nobody has said."""
    for group in ("general_ovr", "general"):
        if said := value(groups, group, "enabled"):
            return said == "true"
    return None


class Tree:
    """Entities in the order in which they were made, with what they have."""

    def __init__(self) -> None:
        self.entities: dict[str, Groups] = {}
        # instance -> snapshot -> ("instance" or "service") -> groups
        self.snapshots: dict[str, dict[str, dict[str, Groups]]] = {}

    def instances(self, service: str = "") -> list[str]:
        """All of them, or those of one service."""
        return [
            entity
            for entity in self.entities
            if instance_of(entity) and service in ("", service_of(entity))
        ]

    def services(self) -> list[str]:
        return [entity for entity in self.entities if not instance_of(entity)]
