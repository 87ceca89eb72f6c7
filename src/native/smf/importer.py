# SPDX-License-Identifier: MPL-2.0
"""The import of a manifest: a three-way merge with what is there, in one commit.

`last-import` of an instance is what its manifest said, not what became of it. Beside the groups of
the two levels it has those that were put into other services, as the levels instance_dependents
and service_dependents: to know whether somebody has changed them, and to have them at hand when a
service comes that was not there.
"""

from collections.abc import Callable

from smf.bundle import PROFILE, Bundle, Dependent, Entity, Service
from smf.client import Client, retry_stale
from smf.document import printable
from smf.errors import NotFound, SmfError
from smf.fmri import MOST_NAME, instance_of, service_of
from smf.merge import decide, merge
from smf.plan import DEPENDENTS, FILES, Plan
from smf.shapes import DEPENDENCY, FRAMEWORK, single
from smf.tree import LAST_IMPORT, VOLATILE, Group, Groups, Property, from_wire

Report = Callable[[str], None]
Levels = dict[str, Groups]


def import_bundle(client: Client, bundle: Bundle, report: Report, origin: str = "") -> list[str]:
    """Import a manifest or an archive; returns the instances that were made or changed.

    `report` is told of what was kept although the manifest has changed it, too. `origin` is the
    file, if the services are to go with it (smf.manifest_import). SmfError for a profile.
    """
    if bundle.kind == PROFILE:
        raise SmfError(f"{printable(bundle.name)} is a profile: `svccfg apply` it")
    done: list[tuple[list[str], list[str]]] = []

    def attempt() -> None:
        run = _Import(Plan(client))
        run.all(bundle, origin)
        changed = [*run.plan.touched(), *filter(instance_of, run.plan.added)]
        run.plan.commit(previous=True)
        done.append((run.told, changed))

    retry_stale(attempt)
    told, changed = done[-1]
    for text in told:
        report(printable(text))
    return changed


def file_key(path: str) -> str:
    """A path as a name: of its property in manifestfiles, of its group in svc:/smf/manifest."""
    key = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in path.strip("/"))
    if len(key) <= MOST_NAME:
        return key
    from hashlib import md5  # few paths are that long

    return f"{md5(path.encode(), usedforsecurity=False).hexdigest()}_{key[-80:]}"


def is_external(group: Group) -> bool:
    """Whether another service has put it there, by a <dependent>."""
    return group.kind == DEPENDENCY and group.value("external") == "true"


def is_of(group: Group | None, owner: str) -> bool:
    """Whether it is this service's or instance's dependent."""
    return group is not None and is_external(group) and group.values("entities") == (owner,)


def withdraw(plan: Plan, owner: str) -> None:
    """Take out of other services what an entity has put into them."""
    for name, target in _targets(plan.groups(owner)).items():
        if plan.exists(target) and is_of(plan.groups(target).get(name), owner):
            plan.drop(target, name)


def _targets(groups: Groups) -> dict[str, str]:
    """Dependents: in which service or instance each of them is."""
    found = groups.get(DEPENDENTS)
    return {name: found.value(name) for name in found.properties} if found else {}


def last_import(client: Client, instance: str) -> Levels:
    """What the last import of an instance said; nothing if there was none."""
    try:
        levels = client.call("read", fmri=instance, snapshot=LAST_IMPORT)
    except NotFound:
        return {}
    assert isinstance(levels, dict)
    return {
        level: {name: from_wire(wire) for name, wire in groups.items()}  # type: ignore[arg-type,union-attr]  # as configd made it
        for level, groups in levels.items()
    }


def external_group(client: Client, instances: list[str], owner: str, name: str) -> Group | None:
    """A dependent's group as it was imported, though its target may not be there.

    `instances`: those of the owner, or the owner itself.
    """
    level = f"{'instance' if instance_of(owner) else 'service'}_{DEPENDENTS}"
    for instance in instances:
        if found := last_import(client, instance).get(level, {}).get(name):
            return found
    return None


class _Import:
    """One attempt."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.told: list[str] = []

    def all(self, bundle: Bundle, origin: str) -> None:
        bases = [self._groups(service) for service in bundle.services]
        for service, (service_base, instance_bases) in zip(bundle.services, bases, strict=True):
            for fmri, entity in service.entities():
                level = "instance" if instance_of(fmri) else "service"
                levels = instance_bases.get(fmri, {}) if instance_of(fmri) else service_base
                _Dependents(self.plan, self.told, fmri, entity).merge(
                    _targets(levels.get(level, {})), levels.get(f"{level}_{DEPENDENTS}", {})
                )
            self._record(service, instance_bases)
            if origin:
                self._note(service.fmri, origin)
        if self.plan.added:
            self._expected()

    # -- groups ------------------------------------------------------------------------------------
    def _groups(self, service: Service) -> tuple[Levels, dict[str, Levels]]:
        """Merge the groups; returns the bases: the service's, and each instance's."""
        plan = self.plan
        bases = {
            fmri: last_import(plan.client, fmri)
            for fmri, _ in service.entities()
            if instance_of(fmri) and plan.exists(fmri)
        }
        # Other instances may have come from other files, which say other things of the service.
        of_service: Levels = next((levels for levels in bases.values() if levels), {})
        for fmri, entity in service.entities():
            if not plan.exists(fmri):
                plan.add(fmri)
            levels = bases.get(fmri, {}) if instance_of(fmri) else of_service
            self._merge(
                fmri, entity, levels.get("instance" if instance_of(fmri) else "service", {})
            )
        return of_service, bases

    def _merge(self, fmri: str, entity: Entity, base: Groups) -> None:
        mine = self.plan.groups(fmri)
        names = dict.fromkeys((*entity.groups, *base, *entity.deletes))
        for name in names:
            if name in (DEPENDENTS, FILES) or name in VOLATILE:
                continue
            there, theirs = mine.get(name), entity.groups.get(name)
            if there is not None and (is_external(there) or not there.persistent):
                if theirs is not None:
                    self.told.append(f"{fmri}: property group {name} is not the manifest's; kept")
            elif name in entity.deletes:
                self.plan.drop(fmri, name)
            else:
                self._merge_group(fmri, name, entity, base.get(name))

    def _merge_group(self, fmri: str, name: str, entity: Entity, base: Group | None) -> None:
        mine, theirs = self.plan.groups(fmri).get(name), entity.groups.get(name)
        overrides = {prop for group, prop in entity.overrides if group == name}
        if name == "general" and fmri not in self.plan.added:
            base, theirs = _as_it_runs(base, mine, theirs)
        merged, kept = merge(base, mine, theirs, overrides)
        for prop in kept:
            self.told.append(_kept(fmri, name, prop, mine, theirs))
        if merged is None:
            self.plan.drop(fmri, name)
        else:
            self.plan.put(fmri, name, merged)

    def _record(self, service: Service, bases: dict[str, Levels]) -> None:
        for instance in service.instances:
            fmri = f"{service.fmri}:{instance.name}"
            levels = {
                "instance": instance.groups,
                "service": service.groups,
                f"instance_{DEPENDENTS}": {n: d.group for n, d in instance.dependents.items()},
                f"service_{DEPENDENTS}": {n: d.group for n, d in service.dependents.items()},
            }
            if not _same(levels, bases.get(fmri, {})):
                self.plan.record(fmri, levels)

    def _note(self, service: str, origin: str) -> None:
        before = self.plan.groups(service).get(FILES)
        files = before.properties if before else {}
        noted = {**files, file_key(origin): single("astring", origin)}
        self.plan.put(service, FILES, Group(FRAMEWORK, noted))

    # -- dependents of those that were there before ------------------------------------------------
    def _expected(self) -> None:
        """Give what is new the dependencies that others have for it since they were imported."""
        plan = self.plan
        for owner, groups in plan.client.dump([DEPENDENTS]).items():
            for name, target in _targets(groups).items():
                if target not in plan.added or name in plan.groups(target):
                    continue
                instances = [owner] if instance_of(owner) else plan.instances(owner)
                if group := external_group(plan.client, instances, owner, name):
                    plan.put(target, name, group)


def _as_it_runs(
    base: Group | None, mine: Group | None, theirs: Group | None
) -> tuple[Group | None, Group | None]:
    """`general` without what no import changes: whether an instance is enabled, and its restarter.

    An instance that nobody has enabled or disabled yet takes what the manifest says.
    """
    has = mine.properties if mine else {}
    fixed = {"restarter"} | ({"enabled"} & has.keys())
    sides: list[Group | None] = []
    for side in (base, theirs):
        props = {n: p for n, p in (side.properties if side else {}).items() if n not in fixed}
        props |= {name: has[name] for name in fixed & has.keys()}
        sides.append(Group(FRAMEWORK, props) if props else None)
    return sides[0], sides[1]


def _kept(fmri: str, name: str, prop: str, mine: Group | None, theirs: Group | None) -> str:
    if not prop:
        assert mine is not None
        assert theirs is not None
        return f"{fmri}: property group {name} stays of type {mine.kind}, not {theirs.kind}"

    def said(group: Group | None) -> str:
        found = group.properties.get(prop) if group else None
        return "without it" if found is None else f'"{" ".join(found.values)}"'

    return f"{fmri}: {name}/{prop} was changed here: it stays {said(mine)}, not {said(theirs)}"


def _same(levels: Levels, others: Levels) -> bool:
    return all(
        groups.keys() == others.get(level, {}).keys()
        and all(group.same(others[level][name]) for name, group in groups.items())
        for level, groups in levels.items()
    ) and bool(others)


class _Dependents:
    """The dependents of an entity: merged like properties, of which each has a place elsewhere."""

    def __init__(self, plan: Plan, told: list[str], owner: str, entity: Entity) -> None:
        self.plan = plan
        self.told = told
        self.owner = owner
        self.entity = entity
        before = plan.groups(owner).get(DEPENDENTS)
        self.listed: dict[str, Property] = dict(before.properties) if before else {}

    def merge(self, base: dict[str, str], base_groups: Groups) -> None:
        """`base`, `base_groups`: the targets and the groups in them of the last import."""
        mine = _targets(self.plan.groups(self.owner))
        theirs = _targets(self.entity.groups)
        for name in dict.fromkeys((*base, *theirs, *sorted(self.entity.withdrawn))):
            if name in self.entity.withdrawn:
                self._undo(name)
            elif name in self.entity.dependents or name in base_groups or name in base:
                self._merge_one(name, base.get(name), base_groups.get(name), mine.get(name))
            else:  # of a <property_group>: only listed
                self.listed.setdefault(name, single("fmri", theirs[name]))
        if self.listed:
            self.plan.put(self.owner, DEPENDENTS, Group(FRAMEWORK, self.listed))
        else:
            self.plan.drop(self.owner, DEPENDENTS)

    def _merge_one(
        self, name: str, base: str | None, base_group: Group | None, mine: str | None
    ) -> None:
        theirs = self.entity.dependents.get(name)
        here = _key(mine, self._there(mine, name, base_group))
        before = here if base_group is None and base == mine else _key(base, base_group)
        wanted = _key(theirs.target, theirs.group) if theirs else None
        override = theirs is not None and theirs.override
        verdict = decide(before, here, wanted, override=override)
        if verdict is None:
            self.told.append(f"{self.owner}: dependent {name} was changed here; it stays so")
        elif verdict:
            self._undo(name)
            if theirs is not None:
                self._place(theirs)

    def _there(self, target: str | None, name: str, expected: Group | None) -> Group | None:
        """The dependency in its target; if that is still to come, what it will be."""
        if target is None or not self.plan.exists(target):
            return expected
        found = self.plan.groups(target).get(name)
        return found if is_of(found, self.owner) else None

    def _undo(self, name: str) -> None:
        listed = self.listed.pop(name, None)
        target = listed.values[0] if listed and listed.values else ""
        if self.plan.exists(target) and is_of(self.plan.groups(target).get(name), self.owner):
            self.plan.drop(target, name)

    def _place(self, dependent: Dependent) -> None:
        name, target = dependent.name, dependent.target
        self.listed[name] = single("fmri", target)
        if not self.plan.exists(target):
            if not self.plan.instances(service_of(self.owner)):
                self.told.append(f"{target} is not there: {self.owner} cannot be its dependency")
            return
        there = self.plan.groups(target).get(name)
        if there is None or is_of(there, self.owner):
            self.plan.put(target, name, dependent.group)
        else:
            self.told.append(f"{target} has another {name}: {self.owner} is no dependency of it")


def _key(target: str | None, group: Group | None) -> object:
    if target is None:
        return None
    return target, group and (group.kind, group.properties)
