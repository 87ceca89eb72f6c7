# SPDX-License-Identifier: MPL-2.0
"""From the repository back to a manifest.

Each group is written as the element that is meant for it, if reading that one again makes the very
same group; and else as a <property_group>, which can be any.
"""

from collections.abc import Callable, Iterable

from smf import document, manifest, notify_params, templates
from smf.bundle import ARCHIVE, MANIFEST, Entity
from smf.client import Client
from smf.document import Element
from smf.errors import NotFound, SmfError
from smf.fmri import instance_of, name_of, service_of
from smf.importer import external_group, is_external, is_of
from smf.plan import DEPENDENTS, FILES
from smf.shapes import CONTEXT, CREDENTIAL, DEPENDENCY, METHOD, SHARED
from smf.tree import VOLATILE, Group, Groups, Property

# Children of a service in the DTD's order; sorted() keeps what is alike as it was.
ORDER = (
    "single_instance", "restarter", "dependency", "dependent", "method_context", "exec_method",
    "notification_parameters", "property_group", "instance", "stability", "template",
)  # fmt: skip
SECRET = "read_authorization"
_AUTHORIZATION = "_authorization"
_METHOD = {"exec": "exec", "timeout_seconds": "timeout_seconds", "type": "type"}
_DEPENDENCY = {"grouping": "grouping", "restart_on": "restart_on", "type": "type"}


def export(client: Client, service: str, *, everything: bool = False) -> str:
    """A service with its instances, as XML; with `everything` also what few may read. NotFound."""
    entities = {service: client.attached(service)}
    for fmri in client.entities():
        if instance_of(fmri) and service_of(fmri) == service:
            entities[fmri] = client.attached(fmri)
    return _document(client, MANIFEST, "export", entities, everything=everything)


def archive(client: Client, *, everything: bool = False) -> str:
    """All services, as XML; with `everything` also what few may read."""
    return _document(client, ARCHIVE, "none", client.dump(), everything=everything)


def _document(
    client: Client, kind: str, name: str, entities: dict[str, Groups], *, everything: bool
) -> str:
    root = _element("service_bundle", type=kind, name=name)
    services: dict[str, Element] = {}
    for fmri, groups in entities.items():
        service = service_of(fmri)
        if service not in services:
            services[service] = document.service(name_of(service))
            root.children.append(services[service])
        shown = {
            each: group if everything else _without_secrets(group)
            for each, group in groups.items()
            if group.persistent and each not in VOLATILE and each != FILES
        }
        _Writer(client, fmri, shown).into(services[service])
    for element in services.values():
        element.children.sort(key=lambda child: ORDER.index(child.tag))
    return document.write(root)


def _without_secrets(group: Group) -> Group:
    """A group that few may read keeps who may do what with it."""
    if SECRET not in group.properties:
        return group
    rest = {name: p for name, p in group.properties.items() if name.endswith(_AUTHORIZATION)}
    return Group(group.kind, rest)


def _element(tag: str, **attributes: str) -> Element:
    return Element(tag, attributes, "", 0)


def _pick(group: Group, names: dict[str, str]) -> dict[str, str]:
    return {attribute: group.value(prop) for attribute, prop in names.items()}


def _rest(element: Element, group: Group, used: Iterable[str]) -> Element:
    """Add the properties that have no element or attribute of their own."""
    without = set(used)
    for name, prop in group.properties.items():
        if name not in without:
            element.children.append(_property(name, prop))
    return element


def _property(name: str, prop: Property) -> Element:
    if len(prop.values) == 1:
        return _element("propval", name=name, type=prop.kind, value=prop.values[0])
    element = _element("property", name=name, type=prop.kind)
    if prop.values:
        values = _element(f"{prop.kind}_list")
        values.children = [_element("value_node", value=value) for value in prop.values]
        element.children.append(values)
    return element


# -- one group, one element ------------------------------------------------------------------------
def _dependency(name: str, group: Group) -> Element:
    element = _element("dependency", name=name, **_pick(group, _DEPENDENCY))
    for entity in group.values("entities"):
        element.children.append(_element("service_fmri", value=entity))
    return _rest(element, group, ("entities", *_DEPENDENCY))


def _dependent(name: str, group: Group, target: str) -> Element:
    said = {prop: group.value(prop) for prop in ("grouping", "restart_on")}
    element = _element("dependent", name=name, **said)
    element.children.append(_element("service_fmri", value=target))
    return _rest(element, group, ("entities", "external", *_DEPENDENCY))


def _exec_method(name: str, group: Group) -> Element:
    element = _element("exec_method", name=name, **_pick(group, _METHOD))
    context, used = _context(group)
    if used:
        element.children.append(context)
    return _rest(element, group, (*_METHOD, *used))


def _method_context(name: str, group: Group) -> Element:
    del name
    return _context(group)[0]


def _context(group: Group) -> tuple[Element, set[str]]:
    """(<method_context>, the properties that are in it)."""
    has = group.properties
    used = {name for name in CONTEXT if name in has}
    element = _element("method_context", **{name: group.value(name) for name in sorted(used)})
    if "use_profile" in has and "user" in has:
        said = [name for name in CREDENTIAL if name in has]
        credential = _element("method_credential", **{name: group.value(name) for name in said})
        element.children.append(credential)
        used |= {"use_profile", *said}
    elif "use_profile" in has and "profile" in has:
        element.children.append(_element("method_profile", name=group.value("profile")))
        used |= {"use_profile", "profile"}
    if has.get("environment", Property("")).values:
        environment = _element("method_environment")
        for pair in group.values("environment"):
            variable, _, text = pair.partition("=")
            environment.children.append(_element("envvar", name=variable, value=text))
        element.children.append(environment)
        used.add("environment")
    return element, used


def _notification(name: str, group: Group) -> Element:
    element = _element("notification_parameters")
    element.children.append(_element("event", value=name))
    for way in notify_params.ways(group):
        told = _element("type", name=way.protocol, active="true" if way.active else "false")
        for parameter, values in way.parameters.items():
            node = _element("parameter", name=parameter)
            node.children = [_element("value_node", value=value) for value in values]
            told.children.append(node)
        element.children.append(told)
    return element


def _property_group(name: str, group: Group) -> Element:
    return _rest(_element("property_group", name=name, type=group.kind), group, ())


def _builder(name: str, group: Group) -> Callable[[str, Group], Element]:
    """What a group is likely to have been made of."""
    by_kind = {
        DEPENDENCY: _dependency,
        METHOD: _exec_method,
        notify_params.TYPE: _notification,
    }
    if name == "method_context":
        return _method_context
    return by_kind.get(group.kind, _property_group)


# -- an entity -------------------------------------------------------------------------------------
class _Writer:
    """Writes what is attached to a service or to an instance."""

    def __init__(self, client: Client, fmri: str, groups: Groups) -> None:
        self.client = client
        self.fmri = fmri
        self.groups = groups
        self.found: list[Element] = []

    def into(self, service: Element) -> None:
        """Add the children to their <service>, or as an <instance> to it."""
        template, in_template = templates.write(self.groups)
        if template is not None and self._same(template, in_template):
            self.found.append(template)
        else:
            in_template = set()
        enabled = self._general()
        self._dependents()
        for name, group in self.groups.items():
            if name not in SHARED and name not in in_template and not is_external(group):
                self._group(name, group)
        if not instance_of(self.fmri):
            service.children += self.found
            return
        instance = _element("instance", name=instance_of(self.fmri), enabled=enabled)
        instance.children = sorted(self.found, key=lambda child: ORDER.index(child.tag))
        service.children.append(instance)

    def _group(self, name: str, group: Group) -> None:
        builders = dict.fromkeys((_builder(name, group), _property_group))
        for build in builders:
            element = build(name, group)
            if self._same(element, {name}):
                self.found.append(element)
                return
        raise SmfError(f"{self.fmri}: property group {name} cannot be written as XML")

    def _read(self, elements: list[Element]) -> Entity | None:
        """What a manifest with these elements would say; None if it were none."""
        service = document.service(name_of(self.fmri))
        root = _element("service_bundle", type=MANIFEST, name="")
        root.children.append(service)
        service.children = elements
        try:
            bundle = manifest.parse(document.write(root).encode(), "")
        except (SmfError, UnicodeEncodeError):
            return None
        return bundle.services[0]

    def _same(self, element: Element, names: set[str]) -> bool:
        """Whether reading the element makes these groups as they are."""
        found = self._read([element])
        return (
            found is not None
            and found.groups.keys() == names
            and all(group.same(self.groups[name]) for name, group in found.groups.items())
        )

    def _general(self) -> str:
        """Write the group `general`; returns whether the instance is enabled."""
        group = self.groups.get("general")
        if group is None:
            return "false"
        rest = dict(group.properties)
        enabled = rest.pop("enabled", Property("")) if instance_of(self.fmri) else Property("")
        for prop, element in self._general_elements(group).items():
            read = self._read([element])
            if read and read.groups["general"].properties == {prop: rest.get(prop)}:
                self.found.append(element)
                del rest[prop]
        if rest:
            self._group_shared("general", Group(group.kind, rest))
        return enabled.values[0] if enabled.values else "false"

    def _general_elements(self, group: Group) -> dict[str, Element]:
        restarter = _element("restarter")
        restarter.children.append(_element("service_fmri", value=group.value("restarter")))
        elements = {"restarter": restarter}
        if not instance_of(self.fmri):
            elements["single_instance"] = _element("single_instance")
            elements["entity_stability"] = _element(
                "stability", value=group.value("entity_stability")
            )
        return {prop: each for prop, each in elements.items() if prop in group.properties}

    def _group_shared(self, name: str, group: Group) -> None:
        """What is left of a group that other elements are in as well."""
        element = _property_group(name, group)
        read = self._read([element])
        if read is None or not read.groups[name].same(group):
            raise SmfError(f"{self.fmri}: property group {name} cannot be written as XML")
        self.found.append(element)

    def _dependents(self) -> None:
        group = self.groups.get(DEPENDENTS)
        if group is None:
            return
        rest = {}
        for name, prop in group.properties.items():
            element = self._dependent(name, group.value(name))
            if element is None:
                rest[name] = prop
            else:
                self.found.append(element)
        if rest:
            self._group_shared(DEPENDENTS, Group(group.kind, rest))

    def _dependent(self, name: str, target: str) -> Element | None:
        """A <dependent>; None if there is no such dependency."""
        try:
            group = self.client.attached(target).get(name)
        except NotFound:
            group = self._expected(name)
        if group is None or not is_of(group, self.fmri):
            return None
        element = _dependent(name, group, target)
        found = self._read([element])
        if found is None or name not in found.dependents:
            return None
        made = found.dependents[name].group
        # It was read as a service's; it may be an instance's.
        made.properties["entities"] = group.properties["entities"]
        return element if made.same(group) and found.dependents[name].target == target else None

    def _expected(self, name: str) -> Group | None:
        """What will be in a service that is not there yet."""
        instances = [self.fmri]
        if not instance_of(self.fmri):
            instances = [
                each
                for each in self.client.entities()
                if instance_of(each) and service_of(each) == self.fmri
            ]
        return external_group(self.client, instances, self.fmri, name)
