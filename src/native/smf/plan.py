# SPDX-License-Identifier: MPL-2.0
"""Changes to the repository, made beside it and then committed all at once."""

from smf.actions import refresh
from smf.client import Client
from smf.fmri import instance_of, service_of
from smf.tree import (
    IMMEDIATE,
    INITIAL,
    LAST_IMPORT,
    PREVIOUS,
    RUNNING,
    Group,
    Groups,
    to_wire,
)

# Groups that only say where things came from: no instance is refreshed for them.
FILES, DEPENDENTS = "manifestfiles", "dependents"
_SILENT = IMMEDIATE | {FILES, DEPENDENTS}


class Plan:
    """The repository as it is to be. Groups are put and dropped, never changed in place."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.entities = dict.fromkeys(client.entities())
        self.added: dict[str, None] = {}
        self._deleted: list[str] = []
        self._before: dict[str, Groups] = {}
        self._after: dict[str, Groups] = {}
        self._records: list[list[object]] = []

    def exists(self, fmri: str) -> bool:
        return fmri in self.entities

    def add(self, fmri: str) -> None:
        """An entity that is not there yet, with its service."""
        for each in (service_of(fmri), fmri):
            if not self.exists(each):
                self.entities[each] = self.added[each] = None
                self._before[each], self._after[each] = {}, {}

    def delete(self, service: str) -> None:
        self._deleted.append(service)

    def instances(self, service: str) -> list[str]:
        return [each for each in self.entities if instance_of(each) and service_of(each) == service]

    def groups(self, fmri: str) -> Groups:
        """What is attached to an entity: not to be changed but through put and drop."""
        if fmri not in self._after:
            instance, service = self.client.read(fmri)
            found = instance if instance_of(fmri) else service
            self._before[fmri], self._after[fmri] = found, dict(found)
        return self._after[fmri]

    def put(self, fmri: str, name: str, group: Group) -> None:
        before = self.groups(fmri).get(name)
        if before is None or not before.same(group):
            self.groups(fmri)[name] = group

    def drop(self, fmri: str, name: str) -> None:
        self.groups(fmri).pop(name, None)

    def record(self, instance: str, levels: dict[str, Groups]) -> None:
        """What the last import of an instance said."""
        wire = {
            level: {name: to_wire(group) for name, group in groups.items()}
            for level, groups in levels.items()
        }
        self._records.append(["record", instance, LAST_IMPORT, wire])

    def _differing(self, fmri: str) -> list[str]:
        before, after = self._before.get(fmri, {}), self._after.get(fmri, {})
        return [
            name
            for name in dict.fromkeys((*before, *after))
            if name not in before or name not in after or not before[name].same(after[name])
        ]

    def touched(self) -> list[str]:
        """The instances that are not new and whose configuration, or their service's, changes."""
        changing = {fmri for fmri in self._after if set(self._differing(fmri)) - _SILENT}
        return [
            each
            for each in self.entities
            if each not in self.added
            and instance_of(each)
            and not changing.isdisjoint((each, service_of(each)))
        ]

    def changed(self) -> list[str]:
        """The instances for which anything changes, in the order in which they were made."""
        changing = {fmri for fmri in self._after if self._differing(fmri)}
        return [each for each in self.entities if instance_of(each) and each in changing]

    def commit(self, *, previous: bool = False) -> None:
        """Do it: what is touched is refreshed, what is new has its snapshots. Stale if somebody
        else has changed one of the groups. `previous`: take the snapshot of that name before.
        """
        touched = self.touched()
        do: list[list[object]] = [["add", fmri] for fmri in self.added]
        if previous:
            do += [["snapshot", fmri, PREVIOUS, ""] for fmri in touched]
        expected = []
        for fmri, after in self._after.items():
            before = self._before[fmri]
            for name in self._differing(fmri):
                expected.append((fmri, name, before[name].generation if name in before else 0))
                if name in after:
                    do.append(["put", fmri, name, to_wire(after[name])])
                else:
                    do.append(["ungroup", fmri, name])
        do += self._records
        for fmri in filter(instance_of, self.added):
            do += [["snapshot", fmri, INITIAL, ""], ["snapshot", fmri, RUNNING, ""]]
        for fmri in touched:
            do += refresh(fmri)
        do += [["delete", service] for service in self._deleted]
        self.client.commit(do, expected)
