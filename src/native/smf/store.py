# SPDX-License-Identifier: MPL-2.0
"""The repository on disk: two SQLite files, one that stays and one for the machine's run.

Everything is in memory, too, and only read from there. A transaction is checked as a whole, then
written, then takes effect; whatever ends configd, it has happened or it has not. Only between the
two files a crash may come: the lasting one has it then, and the client, not answered, asks again.
"""

import _sqlite3 as sqlite3  # sqlite3 loads datetime: see docs/design/0003-smf.md
import json
import os
import time
from collections.abc import Callable

from smf import values
from smf.errors import BadValue, Exists, NotFound, SmfError, Stale, Unwritable
from smf.fmri import canonical, check_name, instance_of, service_of
from smf.tree import (
    VOLATILE,
    Group,
    Groups,
    Property,
    Tree,
    Wire,
    WireGroup,
    from_wire,
    to_wire,
)  # fmt: skip

Operation = list[object]
Statement = tuple[str, tuple[object, ...]]

VERSION = 1
SCHEMA = """
create table if not exists entity (fmri text primary key, seq integer);
create table if not exists pg (fmri text, name text, body text, primary key (fmri, name));
create table if not exists snapshot (fmri text, name text, body text, primary key (fmri, name));
"""
_ADD_ENTITY = "insert into entity select ?, coalesce(max(seq), 0) + 1 from entity"


def open_database(path: str, *, lasting: bool) -> sqlite3.Connection:
    """Open or make one of the files. Unwritable, with the file's name and the reason."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        # The file that ends with the machine's run survives configd's end, which is all it has to.
        connection.execute(f"pragma synchronous={'full' if lasting else 'off'}")
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma cache_size=-40")  # KiB: everything is in memory already
        connection.execute("pragma journal_size_limit=1048576")
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > VERSION:
            raise Unwritable(f"{path} is of version {found}; this svc.configd knows {VERSION}")
        if found < VERSION:
            connection.executescript(SCHEMA)
            connection.execute(f"pragma user_version={VERSION}")
        os.chmod(path, 0o600)
    except (OSError, sqlite3.Error) as exc:
        raise Unwritable(f"{path}: {exc}") from exc
    return connection


class Store:
    """The tree and its two files."""

    def __init__(self, lasting: str, volatile: str) -> None:
        """Paths of the files; both are made if they are not there. Unwritable."""
        self._paths = {True: lasting, False: volatile}
        self._files = {
            which: open_database(path, lasting=which) for which, path in self._paths.items()
        }
        self.tree = Tree()
        # What was deleted had a generation as well, of which nothing is left: no other group may
        # get it, or a request sent again after a crash would meet what it was not meant for.
        self.generation = time.time_ns() // 1000
        try:
            self._load()
        except (sqlite3.Error, ValueError, LookupError) as exc:
            raise Unwritable(f"{lasting} or {volatile} is damaged: {exc}") from exc

    def close(self) -> None:
        for connection in self._files.values():
            connection.close()

    def _load(self) -> None:
        tree, lasting = self.tree, self._files[True]
        for (fmri,) in lasting.execute("select fmri from entity order by seq"):
            tree.entities[fmri] = {}
        for connection in self._files.values():
            rows = connection.execute("select fmri, name, body from pg").fetchall()
            for fmri, name, body in rows:
                group = from_wire(json.loads(body))
                self.generation = max(self.generation, group.generation)
                if fmri in tree.entities:
                    tree.entities[fmri][name] = group
                else:  # a crash came between the two files: nobody of this name is to find it
                    connection.execute("delete from pg where fmri = ?", (fmri,))
        # Most of what snapshots hold is still so, or in others: by its generation it is the same.
        known: dict[Wire, Group] = {
            each.generation: each for groups in tree.entities.values() for each in groups.values()
        }
        for fmri, name, body in lasting.execute("select fmri, name, body from snapshot"):
            levels = json.loads(body)
            tree.snapshots.setdefault(fmri, {})[name] = {
                level: {group: _known(wire, known) for group, wire in groups.items()}
                for level, groups in levels.items()
            }

    def commit(
        self, operations: list[Operation], expected: list[tuple[str, str, int]] | None = None
    ) -> list[tuple[str, str]]:
        """Do all of it or, raising, nothing; what has changed, as (entity, group or "").

        `expected` has generations of groups (0: there is none), and Stale is raised if one is not
        that any more. Raises NotFound, Exists, BadName, BadValue, Stale, Unwritable.
        """
        for fmri, name, generation in expected or []:
            found = self.tree.entities.get(fmri, {}).get(name)
            if (found.generation if found else 0) != generation:
                raise Stale(f"{fmri}: property group {name} has changed meanwhile")
        transaction = Transaction(self.tree, self.generation)
        for operation in operations:
            transaction.apply(operation)
        self._write(transaction)
        transaction.take_effect()
        self.generation = transaction.generation
        return list(transaction.changed)

    def _write(self, transaction: "Transaction") -> None:
        """The file that stays first: what it has lost, the other one need not know."""
        written = False
        for lasting, connection in sorted(self._files.items(), reverse=True):
            try:
                _execute(connection, transaction.statements(lasting=lasting))
            except sqlite3.Error as exc:
                if written:
                    _execute(self._files[True], transaction.inverse())
                path = self._paths[lasting]
                raise Unwritable(f"{path} cannot be written: {exc}; nothing has changed") from exc
            written = True


def _known(wire: WireGroup, known: dict[Wire, Group]) -> Group:
    """A group of a snapshot: the one of its generation, if there is one."""
    generation = wire["gen"]
    found = known.get(generation) or from_wire(wire)
    return known.setdefault(generation, found) if generation else found


def _execute(connection: sqlite3.Connection, statements: list[Statement]) -> None:
    """All of them or, raising, none."""
    if not statements:
        return
    try:
        connection.execute("begin immediate")
        for statement, arguments in statements:
            connection.execute(statement, arguments)
        connection.execute("commit")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


class Transaction:
    """Operations on a tree, beside it until they take effect.

    They say what is to be: what is there already, or gone already, is no error, so that a client
    whose connection broke may send them again.

    ["add", FMRI]                               an entity, with its service
    ["delete", FMRI]                            an entity; a service with its instances
    ["group", FMRI, GROUP, TYPE, FLAGS]         flags: "P" if it ends with the machine's run
    ["put", FMRI, GROUP, WIRE]                  a whole group, whatever was there
    ["ungroup", FMRI, GROUP]
    ["set", FMRI, GROUP, PROP, TYPE, VALUES]    an empty TYPE keeps the one that it has
    ["unset", FMRI, GROUP, PROP]
    ["snapshot", INSTANCE, NAME, SOURCE]        of SOURCE, a snapshot; "": of what is there now
    ["record", INSTANCE, NAME, LEVELS]          a snapshot of what never was there: LEVELS is
                                                {"instance": {GROUP: WIRE}, "service": ..., ...}
    ["unsnapshot", INSTANCE, NAME]
    """

    def __init__(self, tree: Tree, generation: int) -> None:
        self.tree = tree
        self.generation = generation
        self.changed: dict[tuple[str, str], None] = {}
        self.entities: dict[str, Groups | None] = {}  # what differs from the tree's; None: deleted
        self.snapshots: dict[tuple[str, str], dict[str, Groups] | None] = {}

    def apply(self, operation: Operation) -> None:
        verb, *arguments = operation
        method = _VERBS.get(str(verb))
        if method is None:
            raise SmfError(f"there is no operation {verb!r}")
        method(self, *arguments)

    # -- reading, with what this transaction has done already --------------------------------------
    def _find(self, fmri: str) -> Groups | None:
        return self.entities[fmri] if fmri in self.entities else self.tree.entities.get(fmri)

    def _mine(self, fmri: str) -> Groups:
        """An entity's groups, to be changed."""
        found = self._find(fmri)
        if found is None:
            raise NotFound(f"there is no {fmri}")
        if fmri not in self.entities:
            self.entities[fmri] = found = dict(found)
        return found

    def _change(self, fmri: str, name: str, group: Group) -> None:
        self.generation += 1
        group.generation = self.generation
        self._mine(fmri)[name] = group
        self.changed[fmri, name] = None

    def _group(self, fmri: str, name: str) -> Group:
        """A copy of a group, to be changed."""
        found = self._mine(fmri).get(name)
        if found is None:
            raise NotFound(f"{fmri} has no property group {name}")
        return Group(found.kind, dict(found.properties), persistent=found.persistent)

    # -- the operations ----------------------------------------------------------------------------
    def add(self, fmri: str) -> None:
        for entity in (service_of(canonical(fmri)), canonical(fmri)):
            if self._find(entity) is None:
                self.entities[entity] = {}
                self.changed[entity, ""] = None

    def delete(self, fmri: str) -> None:
        for entity in (*self.tree.entities, *self.entities):
            mine = entity == fmri or (not instance_of(fmri) and service_of(entity) == fmri)
            if mine and self._find(entity) is not None:
                self.entities[entity] = None
                self.changed[entity, ""] = None
                for name in self.tree.snapshots.get(entity, {}):
                    self.snapshots[entity, name] = None
                for key in [key for key in self.snapshots if key[0] == entity]:
                    self.snapshots[key] = None

    def group(self, fmri: str, name: str, kind: str, flags: str) -> None:
        check_name(name)
        found = self._mine(fmri).get(name)
        if found is None:
            self._change(fmri, name, Group(kind, persistent="P" not in flags))
        elif found.kind != kind:
            raise Exists(f"{fmri}: property group {name} is there, of type {found.kind}")

    def put(self, fmri: str, name: str, wire: dict[str, object]) -> None:
        check_name(name)
        group = from_wire(wire)  # type: ignore[arg-type]  # as it came over the wire
        for prop, found in group.properties.items():
            group.properties[prop] = _checked(name, prop, found.kind, found.values)
        before = self._mine(fmri).get(name)
        if before is None or not before.same(group) or before.persistent != group.persistent:
            self._change(fmri, name, group)

    def ungroup(self, fmri: str, name: str) -> None:
        if self._mine(fmri).pop(name, None) is not None:
            self.changed[fmri, name] = None

    def set(self, fmri: str, name: str, prop: str, kind: str, texts: list[str]) -> None:
        group = self._group(fmri, name)
        if not kind:
            if prop not in group.properties:
                raise BadValue(f"{name}/{prop} is new: say its type")
            kind = group.properties[prop].kind
        group.properties[prop] = _checked(name, prop, kind, texts)
        if not group.same(self._mine(fmri)[name]):
            self._change(fmri, name, group)

    def unset(self, fmri: str, name: str, prop: str) -> None:
        group = self._group(fmri, name)
        if group.properties.pop(prop, None) is not None:
            self._change(fmri, name, group)

    def snapshot(self, fmri: str, name: str, source: str = "") -> None:
        if source:
            taken = self._snapshot(fmri, source)
        else:
            levels = (("instance", fmri), ("service", service_of(fmri)))
            taken = {level: _lasting(self._find(entity) or {}) for level, entity in levels}
        self._take(fmri, name, taken)

    def record(self, fmri: str, name: str, levels: dict[str, dict[str, WireGroup]]) -> None:
        taken = {
            level: {group: from_wire(wire) for group, wire in groups.items()}
            for level, groups in levels.items()
        }
        self._take(fmri, name, taken)

    def _take(self, fmri: str, name: str, taken: dict[str, Groups]) -> None:
        check_name(name)
        if self._find(fmri) is None or not instance_of(fmri):
            raise NotFound(f"there is no instance {fmri}")
        self.snapshots[fmri, name] = taken
        self.changed[fmri, f"@{name}"] = None

    def _snapshot(self, fmri: str, name: str) -> dict[str, Groups]:
        key = fmri, name
        found = self.tree.snapshots.get(fmri, {}).get(name)
        if key in self.snapshots:
            found = self.snapshots[key]
        if found is None:
            raise NotFound(f"{fmri} has no snapshot {name}")
        return found

    def unsnapshot(self, fmri: str, name: str) -> None:
        if name in self.tree.snapshots.get(fmri, {}) or (fmri, name) in self.snapshots:
            self.snapshots[fmri, name] = None
            self.changed[fmri, f"@{name}"] = None

    # -- the end -----------------------------------------------------------------------------------
    def statements(self, *, lasting: bool) -> list[Statement]:
        """What one of the two files is to be told."""
        found: list[Statement] = []
        for fmri, groups in self.entities.items():
            if groups is None:
                for table in ("entity", "pg", "snapshot"):
                    found.append((f"delete from {table} where fmri = ?", (fmri,)))
                continue
            before = self.tree.entities.get(fmri)
            if before is None and lasting:
                found.append((_ADD_ENTITY, (fmri,)))
            for name, old in (before or {}).items():
                now = groups.get(name)
                if now is None or now.persistent != old.persistent:  # gone, or to the other file
                    found.append(("delete from pg where fmri = ? and name = ?", (fmri, name)))
            for name, group in groups.items():
                if group.persistent == lasting and (fmri, name) in self.changed:
                    found.append(_put_group(fmri, name, group))
        if lasting:
            found += [_put_snapshot(*key, taken) for key, taken in self.snapshots.items()]
        return found

    def inverse(self) -> list[Statement]:
        """What puts the file that stays back to what the tree still is."""
        found: list[Statement] = []
        for fmri in self.entities:
            before = self.tree.entities.get(fmri)
            found.append(("delete from pg where fmri = ?", (fmri,)))
            if before is None:
                found.append(("delete from entity where fmri = ?", (fmri,)))
            elif self.entities[fmri] is None:
                found.append((_ADD_ENTITY, (fmri,)))
            for name, group in (before or {}).items():
                if group.persistent:
                    found.append(_put_group(fmri, name, group))
        for fmri, name in self.snapshots:
            taken = self.tree.snapshots.get(fmri, {}).get(name)
            found.append(_put_snapshot(fmri, name, taken))
        return found

    def take_effect(self) -> None:
        for fmri, groups in self.entities.items():
            if groups is None:
                self.tree.entities.pop(fmri, None)
                self.tree.snapshots.pop(fmri, None)
            else:
                self.tree.entities[fmri] = groups
        for (fmri, name), taken in self.snapshots.items():
            if taken is None:
                self.tree.snapshots.get(fmri, {}).pop(name, None)
            else:
                self.tree.snapshots.setdefault(fmri, {})[name] = taken


_VERBS: dict[str, Callable[..., None]] = {
    "add": Transaction.add,
    "delete": Transaction.delete,
    "group": Transaction.group,
    "put": Transaction.put,
    "ungroup": Transaction.ungroup,
    "set": Transaction.set,
    "unset": Transaction.unset,
    "snapshot": Transaction.snapshot,
    "record": Transaction.record,
    "unsnapshot": Transaction.unsnapshot,
}


def _put_group(fmri: str, name: str, group: Group) -> Statement:
    body = json.dumps(to_wire(group), separators=(",", ":"))
    return "insert or replace into pg values (?, ?, ?)", (fmri, name, body)


def _put_snapshot(fmri: str, name: str, taken: dict[str, Groups] | None) -> Statement:
    if taken is None:
        return "delete from snapshot where fmri = ? and name = ?", (fmri, name)
    body = {
        level: {group: to_wire(found) for group, found in groups.items()}
        for level, groups in taken.items()
    }
    text = json.dumps(body, separators=(",", ":"))
    return "insert or replace into snapshot values (?, ?, ?)", (fmri, name, text)


def _lasting(groups: Groups) -> Groups:
    """What a snapshot holds: groups are replaced when they change, never changed, so no copies."""
    return {
        name: group for name, group in groups.items() if group.persistent and name not in VOLATILE
    }


def _checked(group: str, prop: str, kind: str, texts: "tuple[str, ...] | list[str]") -> Property:
    check_name(prop)
    try:
        return Property(kind, [values.canonical(kind, text) for text in texts])
    except BadValue as exc:
        raise BadValue(f"{group}/{prop}: {exc}") from None
