# SPDX-License-Identifier: MPL-2.0
"""The DTD service_bundle(5) as one table, and what checks elements against it."""

from smf.document import INCLUDE, Element, Problems
from smf.states import GROUPINGS, RESTART_ON
from smf.values import TYPES

TEXT = "#text"
_BOOLEAN = "true|false"
_GROUPING = "|".join(GROUPINGS)
_RESTART_ON = "|".join(RESTART_ON)
_TYPE = "|".join(TYPES)
_STABILITY = "Standard|Stable|Evolving|Unstable|External|Obsolete"
_PROPERTIES = "propval|property*"
_ENTITY = (
    "dependency* dependent* method_context? exec_method* notification_parameters* property_group*"
)
_REST = "instance* stability? template?"
_NAMED = "common_name? description?"
_LIMITS = "visibility? cardinality? internal_separators? values? constraints? choices?"

# element: (attributes, content).
# An attribute: what it is if it is left out, or "!" if it may not be, "?" if it is then not there;
# after a space the words that it can be. Content: children in their order, each with ? * + as in a
# DTD; what stands between bars can be mixed.
ELEMENTS: dict[str, tuple[dict[str, str], str]] = {
    "service_bundle": (
        {"type": "! manifest|profile|archive", "name": "!"},
        f"service_bundle|service|{INCLUDE}*",
    ),
    INCLUDE: ({"href": "!", "parse": "xml xml"}, ""),
    "service": (
        {"name": "!", "version": "!", "type": "! service|restarter|milestone"},
        f"create_default_instance? single_instance? restarter? {_ENTITY} {_REST}",
    ),
    "create_default_instance": ({"enabled": f"! {_BOOLEAN}"}, ""),
    "single_instance": ({}, ""),
    "instance": (
        {"name": "!", "enabled": f"! {_BOOLEAN}"},
        f"restarter? {_ENTITY} template?",
    ),
    "restarter": ({}, "service_fmri"),
    "service_fmri": ({"value": "!"}, ""),
    "dependency": (
        {
            "name": "!",
            "grouping": f"! {_GROUPING}",
            "restart_on": f"! {_RESTART_ON}",
            "type": "! service|path",
            "delete": f"false {_BOOLEAN}",
        },
        f"service_fmri* stability? {_PROPERTIES}",
    ),
    "dependent": (
        {
            "name": "!",
            "grouping": f"! {_GROUPING}",
            "restart_on": f"! {_RESTART_ON}",
            "delete": f"false {_BOOLEAN}",
            "override": f"false {_BOOLEAN}",
        },
        f"service_fmri stability? {_PROPERTIES}",
    ),
    "exec_method": (
        {
            "type": "! method|monitor",
            "name": "!",
            "exec": "!",
            "timeout_seconds": "!",
            "delete": f"false {_BOOLEAN}",
        },
        f"method_context? stability? {_PROPERTIES}",
    ),
    "method_context": (
        {"working_directory": "?", "project": "?", "resource_pool": "?", "security_flags": "?"},
        "method_profile|method_credential? method_environment?",
    ),
    "method_profile": ({"name": "!"}, ""),
    "method_credential": (
        {
            "user": "!",
            "group": "?",
            "supp_groups": "?",
            "privileges": "?",
            "limit_privileges": "?",
        },
        "",
    ),
    "method_environment": ({}, "envvar+"),
    "envvar": ({"name": "!", "value": "!"}, ""),
    "property_group": (
        {"name": "!", "type": "!", "delete": f"false {_BOOLEAN}"},
        f"stability? {_PROPERTIES}",
    ),
    "propval": (
        {"name": "!", "type": f"! {_TYPE}", "value": "!", "override": f"false {_BOOLEAN}"},
        "",
    ),
    "property": (
        {"name": "!", "type": f"! {_TYPE}", "override": f"false {_BOOLEAN}"},
        "|".join(f"{kind}_list" for kind in TYPES) + "?",
    ),
    **{f"{kind}_list": ({}, "value_node+") for kind in TYPES},
    "value_node": ({"value": "!"}, ""),
    "stability": ({"value": f"! {_STABILITY}"}, ""),
    "notification_parameters": ({}, "event type+"),
    "event": ({"value": "!"}, ""),
    "type": ({"name": "!", "active": f"true {_BOOLEAN}"}, "parameter|paramval*"),
    "parameter": ({"name": "!"}, "value_node*"),
    "paramval": ({"name": "!", "value": "!"}, ""),
    "template": ({}, "common_name description? documentation? pg_pattern*"),
    "common_name": ({}, "loctext+"),
    "description": ({}, "loctext+"),
    "units": ({}, "loctext+"),
    "loctext": ({"xml:lang": "!"}, TEXT),
    "documentation": ({}, "manpage|doc_link*"),
    "manpage": ({"title": "!", "section": "!", "manpath": ":default"}, ""),
    "doc_link": ({"name": "!", "uri": "!"}, ""),
    "pg_pattern": (
        {
            "name": "",
            "type": "",
            "required": f"false {_BOOLEAN}",
            "target": "this this|instance|delegate|all",
        },
        f"{_NAMED} prop_pattern*",
    ),
    "prop_pattern": (
        {"name": "!", "type": f"? {_TYPE}", "required": f"false {_BOOLEAN}"},
        f"{_NAMED} units? {_LIMITS}",
    ),
    "visibility": ({"value": "! hidden|readonly|readwrite"}, ""),
    "cardinality": ({"min": "0", "max": "18446744073709551615"}, ""),
    "internal_separators": ({}, TEXT),
    "values": ({}, "value+"),
    "value": ({"name": "!"}, _NAMED),
    "constraints": ({}, "value|range|include_values+"),
    "choices": ({}, "value|range|include_values+"),
    "range": ({"min": "!", "max": "!"}, _NAMED),
    "include_values": ({"type": "! values|constraints"}, ""),
}  # fmt: skip


class Particle:
    """A place in an element's content: who may stand there, and how many."""

    __slots__ = ("many", "needed", "tags")

    def __init__(self, word: str) -> None:
        self.needed = word[-1] not in "?*"
        self.many = word[-1] in "*+"
        self.tags = tuple(word.rstrip("?*+").split("|"))

    def __str__(self) -> str:
        return " or ".join(f"<{tag}>" for tag in self.tags)


_PARTICLES = {
    tag: tuple(Particle(word) for word in content.split() if word != TEXT)
    for tag, (_, content) in ELEMENTS.items()
}


def check(root: Element, problems: Problems, *, strict: bool, tag: str = "service_bundle") -> bool:
    """Add all that is wrong to the problems, take out what cannot be used, put in what is implied.

    Without `strict`, children may stand in any order: many a manifest in use needs it. Returns
    whether the root itself can be used: it is a `tag`, with the attributes that it needs.
    """
    if root.tag != tag:
        problems.at(root, f"this is to be a <{tag}>, and it is a <{root.tag}>")
        return False
    usable = _check_attributes(root, problems)
    _check(root, problems, strict)
    return usable


def _check(element: Element, problems: Problems, strict: bool) -> None:  # noqa: FBT001  # of check
    if element.text.strip() and ELEMENTS[element.tag][1] != TEXT:
        problems.at(element, f"there is text in <{element.tag}>: {_short(element.text)}")
    _check_content(element, problems, strict=strict)
    kept = []
    for child in element.children:
        if child.tag in ELEMENTS:
            if _check_attributes(child, problems):
                kept.append(child)
            _check(child, problems, strict)
    element.children = kept


def _short(text: str) -> str:
    line = text.strip().split("\n")[0]
    return line if len(line) <= 40 else f"{line[:40]}..."


def _check_content(element: Element, problems: Problems, *, strict: bool) -> None:
    """Who stands in it, how often and in which order."""
    particles = _PARTICLES[element.tag]
    counts = [0] * len(particles)
    furthest = 0
    last = ""
    for child in element.children:
        place = next((n for n, each in enumerate(particles) if child.tag in each.tags), None)
        if place is None:
            known = "not allowed in" if child.tag in ELEMENTS else "unknown; it stands in"
            problems.at(child, f"<{child.tag}> is {known} <{element.tag}>")
            continue
        counts[place] += 1
        if counts[place] == 2 and not particles[place].many:
            problems.at(child, f"<{element.tag}> has a second <{child.tag}>")
        if place < furthest and strict:
            problems.at(child, f"<{child.tag}> must stand before <{last}>")
        if place >= furthest:
            furthest, last = place, child.tag
    for particle, count in zip(particles, counts, strict=True):
        if particle.needed and not count:
            problems.at(element, f"<{element.tag}> needs {particle}")


def _check_attributes(element: Element, problems: Problems) -> bool:
    """Whether all are there that are needed; implied ones are put in."""
    rules = ELEMENTS[element.tag][0]
    usable = True
    for name in element.attributes:
        if name not in rules and not name.startswith("xmlns"):
            problems.at(element, f"<{element.tag}> has no attribute {name}")
    for name, rule in rules.items():
        default, _, words = rule.partition(" ")
        said = element.attributes.get(name)
        if said is None:
            if default == "!":
                problems.at(element, f"<{element.tag}> needs the attribute {name}")
                usable = False
            elif default != "?":
                element.attributes[name] = default
        elif words and said not in words.split("|"):
            among = words.replace("|", ", ")
            problems.at(element, f'{name}="{said}" in <{element.tag}>: it is one of {among}')
            usable = False
    return usable
