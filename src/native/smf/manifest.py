# SPDX-License-Identifier: MPL-2.0
"""From a manifest or profile to a `Bundle`: everything checked, nothing of it done yet."""

from collections.abc import Callable

from smf import document, dtd, templates
from smf.bundle import ARCHIVE, PROFILE, Bundle, Dependent, Entity, Instance, Service
from smf.document import Element, ManifestError, Problems
from smf.fmri import SCHEME
from smf.shapes import Maker, single

__all__ = ["ManifestError", "parse", "read"]


def read(path: str, *, strict: bool = False) -> Bundle:
    """A file. ManifestError with all that is wrong with it, SmfError if it cannot be read.

    `strict`: children have to stand in the DTD's order.
    """
    problems = Problems()
    return _bundle(document.load(path, problems), problems, strict=strict)


def parse(text: bytes, name: str, *, strict: bool = False) -> Bundle:
    """A file's text, which includes no other files; `name` is for the messages. ManifestError."""
    problems = Problems()
    root = document.include(document.parse(text, name, problems), None, problems)
    return _bundle(root, problems, strict=strict)


def _bundle(root: Element | None, problems: Problems, *, strict: bool) -> Bundle:
    bundle = Bundle("", "")
    if root is not None and dtd.check(root, problems, strict=strict):
        bundle = Bundle(root.attributes["type"], root.attributes["name"])
        _Reader(bundle, problems).bundle(root)
    problems.check()
    return bundle


class _Reader:
    """Fills a bundle from elements of which the DTD has been checked."""

    def __init__(self, bundle: Bundle, problems: Problems) -> None:
        self.into = bundle
        self.problems = problems
        self.maker = Maker(problems)

    def bundle(self, element: Element) -> None:
        for child in element.children:
            if child.tag == "service":
                self._service(child)
            elif child.attributes["type"] == self.into.kind or self.into.kind == ARCHIVE:
                self.bundle(child)
            else:
                self.problems.at(
                    child, f"a {self.into.kind} has only bundles of its own type in it"
                )

    def _service(self, element: Element) -> None:
        said = element.attributes
        bad = [part for part in said["name"].split("/") if not self.maker.named(element, part)]
        if bad:
            return
        service = Service(said["name"], said["version"], said["type"])
        if self.into.kind != PROFILE and any(
            each.name == service.name for each in self.into.services
        ):
            self.problems.at(element, f"service {service.name} is there twice")
        self.into.services.append(service)
        self._entity(element, service, service.fmri)
        for child in element.children:
            if child.tag == "create_default_instance":
                self._instance(child, service, "default")
            elif child.tag == "instance":
                self._instance(child, service, child.attributes["name"])

    def _instance(self, element: Element, service: Service, name: str) -> None:
        if not self.maker.named(element, name):
            return
        if any(each.name == name for each in service.instances):
            self.problems.at(element, f"instance {name} is there twice")
        enabled = element.attributes["enabled"]
        instance = Instance(name, enabled=enabled == "true")
        self.maker.shared(instance, "general").properties["enabled"] = single("boolean", enabled)
        service.instances.append(instance)
        self._entity(element, instance, f"{SCHEME}{service.name}:{name}")

    def _entity(self, element: Element, entity: Entity, fmri: str) -> None:
        """What services and instances may both have."""
        maker = self.maker
        plain: dict[str, Callable[[Element, Entity], None]] = {
            "dependency": maker.dependency,
            "exec_method": maker.exec_method,
            "method_context": maker.method_context,
            "notification_parameters": maker.notification_parameters,
            "property_group": maker.property_group,
        }
        for child in element.children:
            if child.tag in plain:
                plain[child.tag](child, entity)
            elif child.tag == "dependent":
                self._dependent(child, entity, fmri)
            elif child.tag == "template" and self.into.kind == PROFILE:
                self.problems.at(child, "a profile has no <template>: put it into the manifest")
            elif child.tag == "template":
                templates.read(child, entity, maker)
            else:
                self._general(child, entity)

    def _general(self, element: Element, entity: Entity) -> None:
        """The elements that are properties of `general`."""
        if element.tag == "restarter":
            restarters = [self.maker.service(each) for each in element.children]
            name, prop = "restarter", self.maker.prop(element, "fmri", [r for r in restarters if r])
        elif element.tag == "stability":
            name, prop = "entity_stability", single("astring", element.attributes["value"])
        elif element.tag == "single_instance":
            name, prop = "single_instance", single("boolean", "true")
        else:
            return
        self.maker.add(element, self.maker.shared(entity, "general"), name, prop)

    def _dependent(self, element: Element, entity: Entity, fmri: str) -> None:
        name = element.attributes["name"]
        if not self.maker.named(element, name):
            return
        if element.attributes["delete"] == "true":
            entity.withdrawn.add(name)
            return
        group = self.maker.depends(element, [fmri], "service")
        group.properties["external"] = single("boolean", "true")
        # What <property override> says here is of the dependent, which has an override of its own.
        self.maker.fill(element, name, group, Entity(""))
        for child in element.all("service_fmri"):
            if target := self.maker.service(child):
                override = element.attributes["override"] == "true"
                entity.dependents[name] = Dependent(name, target, group, override=override)
                listed = self.maker.shared(entity, "dependents")
                self.maker.add(element, listed, name, single("fmri", target))
