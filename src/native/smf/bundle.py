# SPDX-License-Identifier: MPL-2.0
"""What a manifest or a profile says, in the repository's terms."""

from smf.fmri import SCHEME
from smf.tree import Group, Groups

MANIFEST, PROFILE, ARCHIVE = "manifest", "profile", "archive"


class Dependent:
    """A dependency that a service puts into another one, on itself."""

    __slots__ = ("group", "name", "override", "target")

    def __init__(self, name: str, target: str, group: Group, *, override: bool) -> None:
        self.name = name
        self.target = target  # a service's or an instance's FMRI
        self.group = group  # as it is to be in the target
        self.override = override


class Entity:
    """What services and instances have in common. What is deleted is not in `groups`."""

    __slots__ = ("deletes", "dependents", "groups", "name", "overrides", "withdrawn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: Groups = {}
        self.dependents: dict[str, Dependent] = {}
        self.deletes: set[str] = set()  # groups
        self.withdrawn: set[str] = set()  # dependents
        self.overrides: set[tuple[str, str]] = set()  # (group, property)


class Instance(Entity):
    """`name` is what stands after the colon."""

    __slots__ = ("enabled",)

    def __init__(self, name: str, *, enabled: bool) -> None:
        super().__init__(name)
        self.enabled = enabled  # as is general/enabled in `groups`


class Service(Entity):
    """`name` is without svc:/. `kind` is service, restarter or milestone."""

    __slots__ = ("instances", "kind", "version")

    def __init__(self, name: str, version: str, kind: str) -> None:
        super().__init__(name)
        self.version = version
        self.kind = kind
        self.instances: list[Instance] = []

    @property
    def fmri(self) -> str:
        return SCHEME + self.name

    def entities(self) -> list[tuple[str, Entity]]:
        """The service, then its instances, with their FMRIs."""
        instances = [(f"{self.fmri}:{each.name}", each) for each in self.instances]
        return [(self.fmri, self), *instances]


class Bundle:
    """A file. `kind` is MANIFEST, PROFILE or ARCHIVE."""

    __slots__ = ("kind", "name", "services")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.services: list[Service] = []

    def inventory(self) -> list[str]:
        """The FMRIs of what is in it: of each service its instances, then itself."""
        return [fmri for each in self.services for fmri, _ in reversed(each.entities())]
