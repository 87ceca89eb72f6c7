# SPDX-License-Identifier: MPL-2.0
"""FMRIs: how services, instances and their properties are named, abbreviated and matched.

The canonical form is a plain string, svc:/SERVICE or svc:/SERVICE:INSTANCE, and is what the rest of
the package passes around. smf(7); facts of illumos are in the tests beside each rule.
"""

from collections.abc import Iterable

from smf.errors import BadName

SCHEME = "svc:/"
LEGACY = "lrc:/"
FILE = "file:"
MASTER = "svc:/system/svc/restarter:default"
# Where startd can be told to stop.
MILESTONES = (
    "svc:/milestone/single-user:default",
    "svc:/milestone/multi-user:default",
    "svc:/milestone/multi-user-server:default",
)
MOST_NAME = 119  # characters of one name
GLOB = "*?["
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LATER = _FIRST | frozenset("0123456789_-.,")


class Fmri:
    """A name taken apart; what is not in it is ""."""

    __slots__ = ("group", "instance", "prop", "service")

    def __init__(self, service: str, instance: str = "", group: str = "", prop: str = "") -> None:
        self.service = service
        self.instance = instance
        self.group = group
        self.prop = prop

    @property
    def entity(self) -> str:
        """The service or instance that it names, in canonical form."""
        return f"{SCHEME}{self.service}" + (f":{self.instance}" if self.instance else "")


def parse(text: str) -> Fmri:
    """Take an FMRI apart: with or without scheme and scope. BadName if it is none."""
    rest = text
    if rest.startswith("svc:"):
        rest = rest[4:]
        if rest.startswith("//"):
            scope, _, rest = rest[2:].partition("/")
            if scope.partition("@")[0] != "localhost":
                raise BadName(f'"{text}" is no FMRI: the only scope is localhost')
    rest = rest.removeprefix("/")
    entity, marked, properties = rest.partition("/:properties/")
    if not marked:
        entity, marked, properties = rest.partition(":properties/")
        entity = entity.rstrip("/")
    service, colon, instance = entity.rstrip("/").partition(":")
    group, _, prop = properties.partition("/")
    if colon and not instance:
        raise BadName(f'"{text}" is no FMRI: there is no instance after the colon')
    for part in (*service.split("/"), *([instance] if instance else [])):
        check_name(part, text)
    return Fmri(service, instance, group, prop)


def check_name(name: str, where: str = "") -> None:
    """BadName unless it can be a component of a service's name, an instance's or a group's."""
    what = f'"{where or name}" is no valid name'
    domain, _, rest = name.rpartition(",")
    for part in (domain, rest) if domain else (rest,):
        if not part or part[0] not in _FIRST | frozenset("0123456789_"):
            raise BadName(f"{what}: each part begins with a letter, a digit or _")
    if not set(name) <= _LATER:
        raise BadName(f"{what}: letters, digits, and _ - . , are allowed")
    if len(name) > MOST_NAME:
        raise BadName(f"{what}: it is longer than {MOST_NAME} characters")


def canonical(text: str) -> str:
    """The service's or instance's canonical form. BadName."""
    return parse(text).entity


def service_of(entity: str) -> str:
    """svc:/a/b of svc:/a/b:i and of itself."""
    head, colon, _ = entity[len(SCHEME) :].partition(":")
    return f"{SCHEME}{head}" if colon else entity


def instance_of(entity: str) -> str:
    """i of svc:/a/b:i; "" of a service."""
    return entity[len(SCHEME) :].partition(":")[2]


def name_of(entity: str) -> str:
    """a/b of svc:/a/b and of svc:/a/b:i."""
    return entity[len(SCHEME) :].partition(":")[0]


def is_file(text: str) -> bool:
    """Whether a dependency is on a path."""
    return text.startswith(FILE)


def file_path(text: str) -> str:
    """/p of file:///p, file://localhost/p and file:/p."""
    rest = text[len(FILE) :]
    return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest


def is_glob(text: str) -> bool:
    return any(character in text for character in GLOB)


def is_exact(text: str) -> bool:
    return text.startswith("svc:") and not is_glob(text)


def matching(pattern: str, instances: Iterable[str]) -> list[str]:
    """The instances that an operand of a command means, in their order.

    An exact FMRI names an instance, or all of a service; a glob is matched with the whole FMRI; an
    abbreviation begins at a component and ends where the service's or the instance's name does.
    BadName if the pattern could match nothing by its form.
    """
    if is_glob(pattern):
        from fnmatch import fnmatchcase  # on no command's start path but for this

        whole = pattern if pattern.startswith(("svc:", "lrc:")) else SCHEME + pattern
        return [found for found in instances if fnmatchcase(found, whole)]
    if pattern.startswith("svc:"):
        entity = canonical(pattern)
        return [found for found in instances if entity in (found, service_of(found))]
    if pattern.startswith("lrc:"):
        return [found for found in instances if found == pattern]
    return [found for found in instances if _abbreviates(pattern, found)]


def _abbreviates(pattern: str, entity: str) -> bool:
    if not entity.startswith(SCHEME) or not pattern:
        return False
    name = entity[len(SCHEME) :]
    pattern = pattern.removeprefix("/")
    service, colon, instance = name.partition(":")
    if pattern.startswith(":"):
        return pattern[1:] == instance
    wanted, has_instance, wanted_instance = pattern.partition(":")
    if has_instance:
        return wanted_instance == instance and _ends(wanted, service)
    return _ends(wanted, service) or bool(colon and wanted == instance)


def _ends(tail: str, service: str) -> bool:
    """Whether a service's name ends in these components."""
    return service == tail or service.endswith("/" + tail)
