# SPDX-License-Identifier: MPL-2.0
"""The language of zonecfg: statements, a zone's configuration, and how both are printed. Pure."""

import re
from collections.abc import Iterable

from hull.errors import Refused, Usage

# The properties of each resource, in the order of info and export.
RESOURCES: dict[str, tuple[str, ...]] = {
    "fs": ("dir", "special", "raw", "type", "options"),
    "net": (
        *("address", "allowed-address", "defrouter", "global-nic", "mac-addr", "physical"),
        "vlan-id",
    ),
    "capped-cpu": ("ncpus",),
    "capped-memory": ("physical", "swap", "locked"),
    "rctl": ("name", "value"),
    "attr": ("name", "type", "value"),
    "dataset": ("name",),
}
NEEDED = {
    "fs": ("dir", "special", "type"),
    "net": ("global-nic",),
    "capped-cpu": ("ncpus",),
    "rctl": ("name", "value"),
    "attr": ("name", "type", "value"),
    "dataset": ("name",),
}
# What a zone has but once.
SINGLE = ("capped-cpu", "capped-memory")
FOREIGN = ("device", "dedicated-cpu", "admin", "security-flags")
GLOBALS = (
    *("zonename", "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv"),
    *("scheduling-class", "ip-type", "hostid", "fs-allowed", "uuid"),
)
# Global names of resource controls.
ALIASES = {
    "cpu-shares": "zone.cpu-shares",
    "max-lwps": "zone.max-lwps",
    "max-msg-ids": "zone.max-msg-ids",
    "max-sem-ids": "zone.max-sem-ids",
    "max-shm-ids": "zone.max-shm-ids",
    "max-shm-memory": "zone.max-shm-memory",
    "zfs-io-priority": "zone.zfs-io-priority",
}
# Those that are a property of a resource.
CAPS = {
    "zone.max-swap": ("capped-memory", "swap"),
    "zone.max-locked-memory": ("capped-memory", "locked"),
    "zone.cpu-cap": ("capped-cpu", "ncpus"),
}
COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
# A group keeps its quotes, and the separators in it, for parse_complex; a text loses them.
TOKEN = re.compile(
    r"""(?P<group>\((?:[^()"]|"[^"]*")*\)|\[[^\]]*\])|"(?P<string>[^"]*)\"|(?P<end>[;\n])"""
    r"""|(?P<space>[ \t]+)|(?P<text>.)"""
)
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Resource:
    """One `add … end`; `properties` are a net's `property (name=…,value=…)`."""

    def __init__(self, kind: str, values: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.values = dict(values or {})
        self.properties: dict[str, str] = {}

    def copy(self) -> "Resource":
        copy = Resource(self.kind, self.values)
        copy.properties = dict(self.properties)
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.kind, *sorted(self.values.items())))

    def matches(self, wanted: dict[str, str]) -> bool:
        return all(self.values.get(name) == value for name, value in wanted.items())

    def missing(self) -> str:
        """The first property that it must have and has not."""
        return next((name for name in NEEDED.get(self.kind, ()) if not self.values.get(name)), "")


class Config:
    """A zone's configuration."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}  # GLOBALS and ALIASES
        self.resources: list[Resource] = []

    def copy(self) -> "Config":
        copy = Config()
        copy.values = dict(self.values)
        copy.resources = [each.copy() for each in self.resources]
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def of(self, kind: str) -> list[Resource]:
        return [each for each in self.resources if each.kind == kind]

    def put(self, resource: Resource) -> None:
        """Add a finished resource; a resource control goes where its other name is."""
        if resource.kind != "rctl":
            if resource.kind in SINGLE and self.of(resource.kind):
                raise Refused(f"A {resource.kind} resource already exists.")
            self.resources.append(resource)
            return
        name = resource.values["name"]
        limit = parse_complex(resource.values["value"]).get("limit", "")
        if not limit.isdigit():
            raise Refused(f"rctl {name}: value needs a limit, a number")
        if name in CAPS:
            kind, key = CAPS[name]
            text = cents(int(limit)) if key == "ncpus" else units(int(limit))
            (self.of(kind) or [self._new(kind)])[0].values[key] = text
            return
        alias = next((alias for alias, full in ALIASES.items() if full == name), "")
        if not alias:
            raise Refused(f'unknown resource control "{name}"')
        self.values[alias] = units(int(limit)) if alias == "max-shm-memory" else limit

    def _new(self, kind: str) -> Resource:
        self.resources.append(Resource(kind))
        return self.resources[-1]

    def rctls(self) -> list[tuple[str, int]]:
        """All resource controls with their limits, by name."""
        found = [
            (full, to_bytes(self.values[alias]))
            for alias, full in ALIASES.items()
            if self.values.get(alias)
        ]
        for full, (kind, key) in CAPS.items():
            for resource in self.of(kind):
                if text := resource.values.get(key):
                    limit = round(float(text) * 100) if key == "ncpus" else to_bytes(text)
                    found.append((full, limit))
        return sorted(found)


def rctl_value(name: str, limit: int) -> str:
    action = "none" if name in ("zone.cpu-shares", "zone.zfs-io-priority") else "deny"
    return f"(priv=privileged,limit={limit},action={action})"


def cents(limit: int) -> str:
    """`1.50` CPUs of 150."""
    return f"{limit / 100:.2f}"


def units(size: int) -> str:
    """`256M`: the largest unit that divides it."""
    for letter, unit in reversed(UNITS.items()):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def to_bytes(text: str) -> int:
    """`256M`, `0.5g` or a plain number. Raises Refused."""
    number, unit = (text[:-1], UNITS.get(text[-1:].upper(), 0)) if text else ("", 0)
    if not unit:
        number, unit = text, 1
    try:
        return int(float(number) * unit)
    except ValueError:
        raise Refused(f"{text}: no number, or one with K, M, G or T") from None


# -- statements ------------------------------------------------------------------------------------
def statements(text: str) -> list[list[str]]:
    """The words of each statement. `;` and newlines end one, `#` begins a line of comment."""
    found: list[list[str]] = [[]]
    word: list[str] = []  # its parts
    for match in TOKEN.finditer(COMMENT.sub("", text) + "\n"):
        kind, part = str(match.lastgroup), match[str(match.lastgroup)]
        if kind not in ("space", "end"):
            if kind == "text" and part == '"':
                raise Usage('a " is not closed')
            word.append(part)
            continue
        if word:
            found[-1].append("".join(word))
            word = []
        if kind == "end" and found[-1]:
            found.append([])
    return [words for words in found if words]


def assignment(words: list[str]) -> tuple[str, str]:
    """`set a=b`, `set a = b` and `set a="b c"`."""
    name, equals, value = "".join(words).partition("=")
    if not equals or not name:
        raise Usage("set takes PROPERTY=VALUE")
    return name, plain(value)


def plain(value: str) -> str:
    """A list without its brackets."""
    return value[1:-1].replace(" ", "") if value[:1] == "[" and value[-1:] == "]" else value


def parse_complex(text: str) -> dict[str, str]:
    """`(name=a,value="b,c")` as a dictionary."""
    if text[:1] != "(" or text[-1:] != ")":
        raise Usage(f"{text}: a value like (name=…,value=…) is wanted")
    pairs: dict[str, str] = {}
    name, word, inside = "", "", False
    for letter in f"{text[1:-1]},":
        if letter == '"':
            inside = not inside
        elif letter == "=" and not name:
            name, word = word.strip(), ""
        elif letter == "," and not inside:
            if not name:
                raise Usage(f"{text}: `{word}` has no value")
            pairs[name], name, word = word, "", ""
        else:
            word += letter
    return pairs


# -- printing --------------------------------------------------------------------------------------
def quoted(value: str) -> str:
    return f'"{value}"' if not value or any(letter in value for letter in " ;,=()[]#\t") else value


def info(config: Config, kind: str = "", wanted: dict[str, str] | None = None) -> str:
    """What `info` prints: everything, or one property, or the resources of a kind that match."""
    if kind in GLOBALS or kind in ALIASES:
        return info_global(config, kind)
    if kind == "rctl":
        return "".join(info_rctl(*pair) for pair in config.rctls())
    if kind:
        return "".join(
            info_resource(each) for each in config.of(kind) if each.matches(wanted or {})
        )
    lines = [info_global(config, name) for name in GLOBALS]
    lines += [info_global(config, name) for name in ALIASES if config.values.get(name)]
    lines += [
        info_resource(each) for name in RESOURCES if name != "rctl" for each in config.of(name)
    ]
    return "".join([*lines, *(info_rctl(*pair) for pair in config.rctls())])


def info_global(config: Config, name: str) -> str:
    value = config.values.get(name, "")
    return f"[{name}: {value}]\n" if name in ALIASES else f"{name}: {value}".rstrip() + "\n"


def info_rctl(name: str, limit: int) -> str:
    return f"rctl:\n\tname: {name}\n\tvalue: {rctl_value(name, limit)}\n"


def info_resource(resource: Resource) -> str:
    lines = [f"{resource.kind}:"]
    for name in RESOURCES[resource.kind]:
        value = resource.values.get(name)
        if name == "options":
            lines.append(f"\toptions: [{value or ''}]")
        elif value is None:
            if resource.kind in ("net", "fs"):
                lines.append(f"\t{name} not specified")
        elif resource.kind == "capped-cpu" or name in ("swap", "locked"):
            lines.append(f"\t[{name}: {value}]")
        elif resource.kind == "attr" and name == "value":
            lines.append(f'\t{name}: "{value}"')
        else:
            lines.append(f"\t{name}: {value}")
    lines += [f"\tproperty: {property_value(*pair)}" for pair in resource.properties.items()]
    return "\n".join(lines) + "\n"


def property_value(name: str, value: str) -> str:
    return f'(name={name},value="{value}")'


def export(config: Config) -> str:
    """The statements that make the zone anew."""
    lines = ["create -b"]
    for name in GLOBALS[1:]:
        if value := config.values.get(name):
            lines.append(f"set {name}={quoted(value)}")
    for kind in RESOURCES:
        for resource in config.of(kind):
            lines += export_resource(resource)
    for name, limit in config.rctls():
        lines += ["add rctl", f"set name={name}", f"add value {rctl_value(name, limit)}", "end"]
    return "\n".join(lines) + "\n"


def export_resource(resource: Resource) -> Iterable[str]:
    """The capped resources' limits that have another name as a resource control come as that."""
    as_rctl = {key for kind, key in CAPS.values() if kind == resource.kind}
    shown = [name for name in RESOURCES[resource.kind] if name not in as_rctl]
    if not any(name in resource.values for name in shown):
        return
    yield f"add {resource.kind}"
    for name in shown:
        if (value := resource.values.get(name)) is None:
            continue
        if name == "options":
            if value:
                yield f"add options [{value}]"
        else:
            yield f"set {name}={quoted(value)}"
    for pair in resource.properties.items():
        yield f"add property {property_value(*pair)}"
    yield "end"
