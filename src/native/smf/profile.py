# SPDX-License-Identifier: MPL-2.0
"""Profiles: what is to run here, said after all manifests; and such a profile of what there is."""

from smf import document
from smf.bundle import MANIFEST, PROFILE, Bundle, Dependent, Entity
from smf.client import Client, retry_stale
from smf.document import Element, printable
from smf.errors import SmfError
from smf.fmri import instance_of, name_of, service_of
from smf.importer import Report, is_of
from smf.plan import DEPENDENTS, Plan
from smf.tree import VOLATILE, Group, Property, value


def apply(client: Client, bundle: Bundle, report: Report, *, dry_run: bool = False) -> list[str]:
    """Set what a profile says of the services and instances that there are; pass over the others.

    Values are overwritten, `enabled` among them. Returns the instances that were changed, or would
    be: with `dry_run` nothing is, and `report` is told each change. An archive is as good as a
    profile, once it is imported. SmfError for a manifest.
    """
    if bundle.kind == MANIFEST:
        raise SmfError(f"{printable(bundle.name)} is no profile: `svccfg import` it")
    done: list[tuple[list[str], list[str]]] = []

    def attempt() -> None:
        run = _Apply(Plan(client))
        run.all(bundle)
        changed = dict.fromkeys((*run.plan.changed(), *run.plan.touched()))
        if not dry_run:
            run.plan.commit()
        done.append((run.refused + (run.changes if dry_run else []), list(changed)))

    retry_stale(attempt)
    told, changed = done[-1]
    for text in told:
        report(printable(text))
    return changed


class _Apply:
    """One attempt."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.refused: list[str] = []
        self.changes: list[str] = []

    def all(self, bundle: Bundle) -> None:
        for service in bundle.services:
            for fmri, entity in service.entities():
                if self.plan.exists(fmri):
                    self._entity(fmri, entity)

    def _entity(self, fmri: str, entity: Entity) -> None:
        for name in sorted(entity.deletes - VOLATILE):
            if name in self.plan.groups(fmri):
                self.plan.drop(fmri, name)
                self.changes.append(f"{fmri}: property group {name} is deleted")
        for name in sorted(entity.withdrawn):
            self._withdraw(fmri, name)
        for dependent in entity.dependents.values():
            if self.plan.exists(dependent.target):
                self._place(fmri, dependent)
        for name, group in entity.groups.items():
            self._set(fmri, name, group)

    def _place(self, owner: str, dependent: Dependent) -> None:
        name, target = dependent.name, dependent.target
        there = self.plan.groups(target).get(name)
        if there is None or is_of(there, owner):
            self._set(target, name, dependent.group)
        else:
            self.refused.append(f"{target} has another {name}: {owner} is no dependency of it")

    def _withdraw(self, fmri: str, name: str) -> None:
        listed = self.plan.groups(fmri).get(DEPENDENTS)
        if listed is None or name not in listed.properties:
            return
        target = listed.value(name)
        if self.plan.exists(target) and is_of(self.plan.groups(target).get(name), fmri):
            self.plan.drop(target, name)
        rest = {each: prop for each, prop in listed.properties.items() if each != name}
        self.plan.put(fmri, DEPENDENTS, Group(listed.kind, rest))
        self.changes.append(f"{fmri}: dependent {name} is deleted")

    def _set(self, fmri: str, name: str, group: Group) -> None:
        before = self.plan.groups(fmri).get(name)
        if before is not None and before.kind != group.kind:
            self.refused.append(
                f"{fmri}: property group {name} stays of type {before.kind}, not {group.kind}:"
                f" nothing in it is set"
            )
            return
        props = dict(before.properties) if before else {}
        for prop, found in group.properties.items():
            if props.get(prop) != found:
                props[prop] = found
                self.changes.append(_change(fmri, name, prop, found))
        persistent = before is None or before.persistent
        self.plan.put(fmri, name, Group(group.kind, props, persistent=persistent))


def _change(fmri: str, name: str, prop: str, found: Property) -> str:
    return f"{fmri}: {name}/{prop} = {found.kind}: {' '.join(found.values)}"


def extract(client: Client) -> str:
    """A profile that says of each instance whether it is enabled, as XML."""
    root = Element("service_bundle", {"type": PROFILE, "name": "extract"}, "", 0)
    services: dict[str, Element] = {}
    for fmri, groups in client.dump(["general"]).items():
        enabled = value(groups, "general", "enabled")
        if not instance_of(fmri) or not enabled:
            continue
        service = service_of(fmri)
        if service not in services:
            services[service] = document.service(name_of(fmri))
            root.children.append(services[service])
        attributes = {"name": instance_of(fmri), "enabled": enabled}
        services[service].children.append(Element("instance", attributes, "", 0))
    return document.write(root)
