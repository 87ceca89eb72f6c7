# SPDX-License-Identifier: MPL-2.0
"""What each element of a manifest is as a property group: smf.export has the way back."""

from smf import fmri, notify_params, values
from smf.bundle import Entity
from smf.document import Element, Problems
from smf.errors import SmfError
from smf.tree import VOLATILE, Group, Property

DEPENDENCY, METHOD, FRAMEWORK = "dependency", "method", "framework"
# The context of a method, by the element that has it as attributes.
CONTEXT = ("working_directory", "project", "resource_pool", "security_flags")
CREDENTIAL = ("user", "group", "supp_groups", "privileges", "limit_privileges")
# Groups that are made of other elements, and may have more from a <property_group>.
SHARED = ("general", "dependents")
FOREVER = (1 << 64) - 1  # what a timeout of -1 is as a count


def single(kind: str, text: str) -> Property:
    return Property(kind, [text])


class Maker:
    """Makes groups, and adds to the problems what cannot be one."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    # -- values ------------------------------------------------------------------------------------
    def named(self, element: Element, name: str) -> bool:
        """Whether it is a valid name."""
        try:
            fmri.check_name(name)
        except SmfError as exc:
            self.wrong(element, name, exc)
            return False
        return True

    def wrong(self, element: Element, text: str, problem: SmfError) -> None:
        """What is wrong with a text, and which attribute of an element has it."""
        said = element.attributes
        having = [name for name, found in said.items() if text in found]
        field = next((name for name in having if said[name] == text), *having[:1]) if having else ""
        of = f' name="{said["name"]}"' if "name" in said and field != "name" else ""
        where = f"{field} in <{element.tag}{of}>: " if field else ""
        self.problems.at(element, f"{where}{problem}")

    def prop(self, element: Element, kind: str, texts: list[str]) -> Property:
        """A property of canonical values; `element` is where it is, if there is a problem."""
        found = []
        for text in texts:
            try:
                found.append(values.canonical(kind, text))
            except SmfError as exc:
                self.wrong(element, text, exc)
        return Property(kind, found)

    def service(self, element: Element) -> str:
        """The canonical FMRI of a <service_fmri>; "" if it has none."""
        text = element.attributes["value"]
        try:
            if not fmri.is_exact(text):
                raise SmfError(f'"{text}" is no FMRI of a service: svc:/...')
            found = fmri.parse(text)
            if found.group:
                raise SmfError(f'"{text}" names a property, not a service')
        except SmfError as exc:
            self.wrong(element, text, exc)
            return ""
        return found.entity

    def _path(self, element: Element) -> str:
        text = element.attributes["value"]
        if not fmri.is_file(text) or not fmri.file_path(text).startswith("/"):
            self.wrong(element, text, SmfError(f'"{text}" is no path: file://localhost/...'))
        return text

    # -- properties --------------------------------------------------------------------------------
    def add(self, element: Element, group: Group, name: str, prop: Property) -> None:
        if name in group.properties:
            self.problems.at(element, f"property {name} is there twice")
        group.properties[name] = prop

    def fill(self, element: Element, name: str, group: Group, entity: Entity) -> Group:
        """Put in a group what <propval>, <property> and <stability> say."""
        for child in element.all("stability"):
            self.add(child, group, "stability", single("astring", child.attributes["value"]))
        for child in element.all("propval", "property"):
            prop = child.attributes["name"]
            if not self.named(child, prop):
                continue
            if child.attributes["override"] == "true":
                entity.overrides.add((name, prop))
            kind = child.attributes["type"]
            if child.tag == "propval":
                found = self.prop(child, kind, [child.attributes["value"]])
            else:
                found = self._listed(child, kind)
            self.add(child, group, prop, found)
        return group

    def _listed(self, element: Element, kind: str) -> Property:
        found: list[str] = []
        for values_of in element.children:
            if values_of.tag != f"{kind}_list":
                self.problems.at(values_of, f"a property of type {kind} has a <{kind}_list>")
            for node in values_of.children:
                found += self.prop(node, kind, [node.attributes["value"]]).values
        return Property(kind, found)

    # -- groups ------------------------------------------------------------------------------------
    def put(self, element: Element, entity: Entity, name: str, group: Group) -> None:
        """Give an entity a group, which it may not have yet."""
        if not self.named(element, name):
            return
        if name in VOLATILE:
            self.problems.at(element, f"property group {name} is svc.startd's")
        before = entity.groups.get(name)
        if before is None:
            entity.groups[name] = group
        elif name not in SHARED:
            self.problems.at(element, f"{name} is there twice")
        else:
            for prop, found in group.properties.items():
                self.add(element, before, prop, found)

    def shared(self, entity: Entity, name: str) -> Group:
        return entity.groups.setdefault(name, Group(FRAMEWORK))

    def deleted(self, element: Element, entity: Entity) -> bool:
        if element.attributes["delete"] == "false":
            return False
        entity.deletes.add(element.attributes["name"])
        return True

    def property_group(self, element: Element, entity: Entity) -> None:
        name, kind = element.attributes["name"], element.attributes["type"]
        if not self.deleted(element, entity) and self.named(element, kind):
            if name in SHARED and kind != FRAMEWORK:
                self.problems.at(element, f"property group {name} is of type {FRAMEWORK}")
            self.put(element, entity, name, self.fill(element, name, Group(kind), entity))

    def dependency(self, element: Element, entity: Entity) -> None:
        if self.deleted(element, entity):
            return
        name, kind = element.attributes["name"], element.attributes["type"]
        of = self.service if kind == "service" else self._path
        entities = [of(child) for child in element.all("service_fmri")]
        group = self.depends(element, [each for each in entities if each], kind)
        self.put(element, entity, name, self.fill(element, name, group, entity))

    def depends(self, element: Element, entities: list[str], kind: str) -> Group:
        """The group of a dependency without what is peculiar to this one."""
        said = element.attributes
        return Group(
            DEPENDENCY,
            {
                "entities": self.prop(element, "fmri", entities),
                "grouping": single("astring", said["grouping"]),
                "restart_on": single("astring", said["restart_on"]),
                "type": single("astring", kind),
            },
        )

    def exec_method(self, element: Element, entity: Entity) -> None:
        if self.deleted(element, entity):
            return
        said = element.attributes
        timeout = str(FOREVER) if said["timeout_seconds"] == "-1" else said["timeout_seconds"]
        group = Group(
            METHOD,
            {
                "exec": self.prop(element, "astring", [said["exec"]]),
                "timeout_seconds": self.prop(element, "count", [timeout]),
                "type": single("astring", said["type"]),
            },
        )
        for child in element.all("method_context"):
            group.properties |= self._context(child)
        self.put(element, entity, said["name"], self.fill(element, said["name"], group, entity))

    def method_context(self, element: Element, entity: Entity) -> None:
        self.put(element, entity, element.tag, Group(FRAMEWORK, self._context(element)))

    def _context(self, element: Element) -> dict[str, Property]:
        found = self._attributes(element, CONTEXT)
        for child in element.children:
            if child.tag == "method_credential":
                found["use_profile"] = single("boolean", "false")
                found |= self._attributes(child, CREDENTIAL)
            elif child.tag == "method_profile":
                found["use_profile"] = single("boolean", "true")
                found["profile"] = self.prop(child, "astring", [child.attributes["name"]])
            else:
                pairs = [self._variable(each) for each in child.children]
                found["environment"] = self.prop(child, "astring", pairs)
        return found

    def _attributes(self, element: Element, names: tuple[str, ...]) -> dict[str, Property]:
        said = element.attributes
        return {name: self.prop(element, "astring", [said[name]]) for name in names if name in said}

    def _variable(self, element: Element) -> str:
        name, value = element.attributes["name"], element.attributes["value"]
        if not name or "=" in name:
            self.problems.at(element, f'"{name}" cannot be the name of an environment variable')
        return f"{name}={value}"

    def notification_parameters(self, element: Element, entity: Entity) -> None:
        group = Group(notify_params.TYPE)
        for child in element.all("type"):
            way = child.attributes["name"]
            if not self.named(child, way):
                continue
            active = self.prop(child, "boolean", [child.attributes["active"]])
            self.add(child, group, f"{way},{notify_params.ACTIVE}", active)
            for each in child.children:
                name = f"{way},{each.attributes['name']}"
                nodes = [each] if each.tag == "paramval" else each.children
                texts = [node.attributes["value"] for node in nodes]
                if self.named(each, name):
                    self.add(each, group, name, self.prop(each, "astring", texts))
        for event in element.all("event"):
            try:
                names = notify_params.events(event.attributes["value"])
            except SmfError as exc:
                self.wrong(event, event.attributes["value"], exc)
                continue
            for name in names:
                self.put(event, entity, name, Group(group.kind, dict(group.properties)))
