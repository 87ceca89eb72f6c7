# SPDX-License-Identifier: MPL-2.0
"""A picture of all instances at one moment, for what only looks: svcs, explain, picture."""

from collections.abc import Sequence

from smf import states
from smf.client import Client
from smf.errors import BadName
from smf.fmri import LEGACY, MASTER, canonical, file_path, instance_of, is_file, service_of
from smf.tree import OPTIONS, RUNNING, Group, Groups, Property, of_type, option, value

# What a state is shown from; effective at once, so read where it is attached.
LIVE = ["general", "general_ovr", "restarter", *OPTIONS]
# Each script of /etc/rc?.d that has run is a property group of it.
LEGACY_RUN = "svc:/smf/legacy_run"


class Instance:
    """One instance; or a legacy script, which has no more than a name, a state and a time."""

    __slots__ = ("fmri", "groups", "running", "service_general")

    def __init__(
        self, fmri: str, groups: Groups, running: Groups, service_general: Group | None = None
    ) -> None:
        self.fmri = fmri
        self.groups = groups  # LIVE, attached to the instance
        self.running = running  # what `read` was asked for, of the running snapshot, composed
        self.service_general = service_general

    @property
    def state(self) -> str:
        """Its state; "" as long as no restarter has looked at it."""
        return value(self.groups, "restarter", "state")

    @property
    def next_state(self) -> str:
        """The state that it is on its way to; "" at rest."""
        found = value(self.groups, "restarter", "next_state")
        return "" if found == states.NONE else found

    @property
    def reason(self) -> str:
        """The restarter's auxiliary state: why it is in its state."""
        return value(self.groups, "restarter", "auxiliary_state")

    @property
    def since(self) -> int | None:
        """When its state last changed, in seconds."""
        text = value(self.groups, "restarter", "state_timestamp").partition(".")[0]
        return int(text) if text else None

    @property
    def contracts(self) -> tuple[str, ...]:
        return self._restarter("contract")

    @property
    def all_contracts(self) -> tuple[str, ...]:
        """With that of a method that runs."""
        return (*self._restarter("contract"), *self._restarter("transient_contract"))

    def _restarter(self, prop: str) -> tuple[str, ...]:
        group = self.groups.get("restarter")
        return group.values(prop) if group else ()

    @property
    def for_good(self) -> bool | None:
        """Whether it is enabled, not counting what holds until the next boot only."""
        return _said(value(self.groups, "general", "enabled"))

    @property
    def for_now(self) -> bool | None:
        """What was said for until the next boot."""
        return _said(value(self.groups, "general_ovr", "enabled"))

    @property
    def enabled(self) -> bool | None:
        """What counts; None if nobody has said."""
        return self.for_good if self.for_now is None else self.for_now

    @property
    def is_running(self) -> bool:
        return self.state in (*states.RUNNING_STATES, states.LEGACY)

    @property
    def restarter(self) -> str:
        """The FMRI of its restarter, as it was configured."""
        found = value(self.groups, "general", "restarter")
        if not found and self.service_general:
            found = self.service_general.value("restarter")
        return found or MASTER


class Dependency:
    """A property group of type dependency."""

    __slots__ = ("entities", "grouping", "name", "restart_on")

    def __init__(self, name: str, group: Group) -> None:
        self.name = name
        self.grouping = group.value("grouping")
        self.restart_on = group.value("restart_on", states.NONE)
        self.entities = group.values("entities")


class View:
    """All instances, in the order in which they were made; legacy scripts first."""

    def __init__(self, live: dict[str, Groups], running: dict[str, Groups]) -> None:
        self.instances: dict[str, Instance] = {}
        self.services: dict[str, list[Instance]] = {}
        for fmri, groups in live.items():
            if not instance_of(fmri):
                self.services.setdefault(fmri, [])
                continue
            service = service_of(fmri)
            general = live.get(service, {}).get("general")
            found = Instance(fmri, groups, running.get(fmri, {}), general)
            self.instances[fmri] = found
            self.services.setdefault(service, []).append(found)

    @property
    def milestone(self) -> str:
        """Where startd was told to stop: all, none, or an FMRI."""
        master = self.instances.get(MASTER)
        return option(master.groups if master else {}, "milestone", "all")

    def members(self, entity: str) -> list[Instance]:
        """The instances that an entity of a dependency stands for. BadName if it is no FMRI."""
        if entity not in self.instances and entity not in self.services:
            entity = canonical(entity)
        if entity in self.instances:
            return [self.instances[entity]]
        return self.services.get(entity, [])

    def word(self, entity: str) -> str:
        """A dependency's state, as svcs -l says it."""
        if is_file(entity):
            return "online" if path_exists(entity) else "absent"
        try:
            found = self.members(entity)
        except BadName:
            return "invalid"
        if not found:
            return "absent"
        if len(found) > 1:
            return "multiple"
        return found[0].state or "unknown"

    def needed(self, instance: Instance) -> list[Instance]:
        """What an instance depends on directly; files and what it excludes are not in it."""
        found: dict[str, Instance] = {}
        for dependency in dependencies(instance.running):
            if dependency.grouping == states.EXCLUDE_ALL:
                continue
            for entity in dependency.entities:
                found.update((each.fmri, each) for each in self.services_of(entity))
        return list(found.values())

    def services_of(self, entity: str) -> list[Instance]:
        """As members; a path, or what is no FMRI, has none."""
        if is_file(entity):
            return []
        try:
            return self.members(entity)
        except BadName:
            return []


def read(client: Client, *, groups: Sequence[str] = (), kinds: Sequence[str] = ()) -> View:
    """Look once. Of the running snapshots: only groups of these names and these types."""
    live = client.dump(LIVE)
    running: dict[str, Groups] = {}
    if groups or kinds:
        running = client.dump(list(groups), kinds=kinds, snapshot=RUNNING)
    view = View(live, running)
    if LEGACY_RUN in live:
        scripts = of_type(client.attached(LEGACY_RUN), "framework")
        legacy = {each.fmri: each for each in (_script(name, pg) for name, pg in scripts)}
        view.instances = {**legacy, **view.instances}
    return view


def dependencies(running: Groups) -> list[Dependency]:
    return [Dependency(name, group) for name, group in of_type(running, "dependency")]


def common_name(running: Groups) -> str:
    """What a service is called: in the locale's language, or as it is."""
    import os

    group = running.get("tm_common_name")
    if group is None:
        return ""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if said := os.environ.get(variable):
            locale = said.partition(".")[0]
            for name in (locale, locale.partition("_")[0]):
                if found := group.value(name):
                    return found
            break
    return group.value("C")


def path_exists(entity: str) -> bool:
    """Whether what a dependency of type path names is there."""
    import os

    return os.path.exists(file_path(entity))


def _script(name: str, group: Group) -> Instance:
    path = group.value("name") or name
    restarter = Group(
        "framework",
        {
            "state": Property("astring", (states.LEGACY,)),
            "state_timestamp": Property("time", group.values("state_timestamp")),
        },
    )
    return Instance(
        LEGACY + path.lstrip("/").replace(".d/", "_d/", 1), {"restarter": restarter}, {}
    )


def _said(text: str) -> bool | None:
    return text == "true" if text else None
