# SPDX-License-Identifier: MPL-2.0
"""Transactions: all or nothing, said again without harm, and the same after a restart."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf.errors import BadName, BadValue, Exists, NotFound, SmfError, Stale, Unwritable
from smf.store import Operation, Store
from smf.tree import Groups, Tree
from tests.unit.smf.local import Local

FMRI = "svc:/site/a:default"
SERVICE = "svc:/site/a"
MADE: list[Operation] = [
    ["add", FMRI],
    ["group", FMRI, "general", "framework", ""],
    ["set", FMRI, "general", "enabled", "boolean", ["true"]],
    ["group", FMRI, "restarter", "framework", "P"],
    ["set", FMRI, "restarter", "state", "astring", ["online"]],
    ["group", SERVICE, "start", "method", ""],
    ["set", SERVICE, "start", "exec", "astring", [":true"]],
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "lasting.db"), str(tmp_path / "volatile.db"))
    made.commit(MADE)
    yield made
    made.close()


def plain(tree: Tree) -> object:
    """A tree without its generations, in its order."""

    def of(groups: Groups) -> object:
        return {
            name: (each.kind, each.persistent, each.properties) for name, each in groups.items()
        }

    return (
        [(fmri, of(groups)) for fmri, groups in tree.entities.items()],
        {
            fmri: {name: {level: of(found) for level, found in taken.items()}}
            for fmri, snapshots in tree.snapshots.items()
            for name, taken in snapshots.items()
        },
    )


def anew(store: Store, tmp_path: Path, *, reboot: bool = False) -> Store:
    """What configd finds when it starts again; the first store stays as it is."""
    if reboot:
        for file in tmp_path.glob("volatile.db*"):
            file.unlink()
    return Store(str(tmp_path / "lasting.db"), str(tmp_path / "volatile.db"))


def test_a_restart_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.commit([["snapshot", FMRI, "running", ""], ["add", "svc:/a:b"], ["delete", "svc:/a:b"]])
    again = anew(store, tmp_path)
    assert plain(again.tree) == plain(store.tree)
    again.close()


def test_a_reboot_takes_what_is_volatile(store: Store, tmp_path: Path) -> None:
    again = anew(store, tmp_path, reboot=True)
    assert list(again.tree.entities[FMRI]) == ["general"]
    again.close()


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (["set", FMRI, "nope", "x", "astring", ["1"]], NotFound),
        (["set", FMRI, "general", "x", "", ["1"]], BadValue),
        (["set", FMRI, "general", "enabled", "", ["maybe"]], BadValue),
        (["set", FMRI, "general", "a b", "astring", ["1"]], BadName),
        (["set", "svc:/none:x", "general", "a", "astring", ["1"]], NotFound),
        (["group", FMRI, "general", "application", ""], Exists),
        (["group", FMRI, "a/b", "application", ""], BadName),
        (["add", "no name"], BadName),
        (["unset", FMRI, "nope", "x"], NotFound),
        (["snapshot", SERVICE, "running", ""], NotFound),
        (["snapshot", FMRI, "running", "nope"], NotFound),
        (["put", "svc:/none:x", "g", {"type": "t", "flags": "", "gen": 0, "props": {}}], NotFound),
        (["dance"], SmfError),
    ],
)
def test_one_that_fails_undoes_those_before_it(
    store: Store, operation: Operation, error: type[SmfError]
) -> None:
    before = plain(store.tree), store.generation
    with pytest.raises(error):
        store.commit([
            ["add", "svc:/site/new:default"],
            ["set", FMRI, "general", "enabled", "", ["false"]],
            ["delete", SERVICE],
            ["add", FMRI],
            ["group", FMRI, "general", "framework", ""],
            operation,
        ])  # fmt: skip
    assert (plain(store.tree), store.generation) == before


def test_said_again_it_changes_nothing(store: Store) -> None:
    assert store.commit(MADE) == []
    store.commit([["delete", FMRI], ["ungroup", SERVICE, "start"]])
    assert store.commit([["delete", FMRI], ["ungroup", SERVICE, "start"]]) == []


def test_what_changed_is_told(store: Store) -> None:
    changed = store.commit([
        ["set", FMRI, "general", "enabled", "", ["false"]],
        ["snapshot", FMRI, "running", ""],
        ["add", "svc:/site/b:x"],
    ])  # fmt: skip
    assert changed == [
        (FMRI, "general"), (FMRI, "@running"), ("svc:/site/b", ""), ("svc:/site/b:x", ""),
    ]  # fmt: skip


def test_a_change_in_between_is_stale(store: Store) -> None:
    read = store.tree.entities[FMRI]["general"].generation
    store.commit([["set", FMRI, "general", "enabled", "", ["false"]]], [(FMRI, "general", read)])
    with pytest.raises(Stale, match="general"):
        store.commit([["unset", FMRI, "general", "enabled"]], [(FMRI, "general", read)])
    with pytest.raises(Stale):
        store.commit([["add", "svc:/x:y"]], [(FMRI, "general", 0)])
    store.commit([["add", "svc:/x:y"]], [("svc:/x:y", "general", 0)])


def test_a_group_made_after_a_restart_is_not_taken_for_one_deleted_before(
    store: Store, tmp_path: Path
) -> None:
    store.commit([["group", FMRI, "restarter_actions", "framework", "P"]])
    read = store.tree.entities[FMRI]["restarter_actions"].generation
    store.commit([["ungroup", FMRI, "restarter_actions"]])
    again = anew(store, tmp_path)
    again.commit([["group", FMRI, "restarter_actions", "framework", "P"]])
    assert again.tree.entities[FMRI]["restarter_actions"].generation != read
    again.close()


def test_a_group_goes_over_to_the_other_file(store: Store, tmp_path: Path) -> None:
    wire = {"type": "framework", "flags": "", "gen": 0, "props": {"state": ["astring", "online"]}}
    store.commit([["put", FMRI, "restarter", wire]])
    store.commit([["set", FMRI, "restarter", "state", "", ["offline"]]])
    again = anew(store, tmp_path)
    assert again.tree.entities[FMRI]["restarter"].value("state") == "offline"
    again.close()
    again = anew(store, tmp_path, reboot=True)
    assert again.tree.entities[FMRI]["restarter"].value("state") == "offline"
    again.close()


def test_a_service_goes_with_its_instances_and_their_snapshots(
    store: Store, tmp_path: Path
) -> None:
    store.commit([["snapshot", FMRI, "running", ""], ["delete", SERVICE]])
    assert (store.tree.entities, store.tree.snapshots) == ({}, {})
    store.commit([["add", FMRI], ["snapshot", FMRI, "initial", ""], ["delete", FMRI]])
    again = anew(store, tmp_path)
    assert (list(again.tree.entities), again.tree.snapshots) == ([SERVICE], {})
    again.close()


def test_what_a_crash_between_the_files_has_left_is_nobodys(store: Store, tmp_path: Path) -> None:
    lasting = sqlite3.connect(tmp_path / "lasting.db")
    lasting.execute("delete from entity where fmri = ?", (FMRI,))  # as far as it came
    lasting.commit()
    lasting.close()
    again = anew(store, tmp_path)
    again.commit([["add", FMRI]])
    again.close()
    again = anew(store, tmp_path)
    assert "restarter" not in again.tree.entities[FMRI]
    again.close()


def test_a_snapshot_is_what_was_and_has_nothing_volatile(store: Store) -> None:
    store.commit([["snapshot", FMRI, "running", ""]])
    store.commit([["set", SERVICE, "start", "exec", "", ["/x"]]])
    store.commit([["snapshot", FMRI, "start", "running"]])
    for name in ("running", "start"):
        taken = store.tree.snapshots[FMRI][name]
        assert list(taken["instance"]) == ["general"]
        assert taken["service"]["start"].value("exec") == ":true"
    store.commit([["unsnapshot", FMRI, "start"], ["unsnapshot", FMRI, "start"]])
    assert list(store.tree.snapshots[FMRI]) == ["running"]


# -- files that are not as they should be ----------------------------------------------------------
def test_a_disk_that_is_full_changes_nothing(store: Store, tmp_path: Path) -> None:
    """Whichever of the two files cannot be written: neither has it, nor has the tree."""
    before = plain(store.tree)
    operations: list[Operation] = [
        ["set", FMRI, "general", "enabled", "", ["false"]],
        ["set", FMRI, "restarter", "state", "", ["x" * 4000]],
        ["add", "svc:/site/new:default"],
        ["group", "svc:/site/new:default", "big", "application", ""],
        ["set", "svc:/site/new:default", "big", "x", "astring", ["x" * 4000] * 20],
        ["snapshot", FMRI, "running", ""],
        ["delete", SERVICE],
    ]
    for connection in store._files.values():
        connection.execute("create trigger full before insert on pg begin "
                           "select raise(abort, 'disk is full'); end")  # fmt: skip
        connection.execute("create trigger gone before delete on pg begin "
                           "select raise(abort, 'disk is full'); end")  # fmt: skip
        for several in (operations, operations[:3], operations[-1:]):
            with pytest.raises(Unwritable, match="disk is full"):
                store.commit(several)
            assert plain(store.tree) == before
        connection.execute("drop trigger full")
        connection.execute("drop trigger gone")
        again = anew(store, tmp_path)
        assert plain(again.tree) == before
        again.close()
    store.commit(operations)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one" * 99, b""])
def test_a_file_that_is_no_repository(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lasting.db").write_bytes(content)
    if content:
        with pytest.raises(Unwritable, match=r"lasting\.db"):
            Store(str(tmp_path / "lasting.db"), str(tmp_path / "volatile.db"))
    else:
        Store(str(tmp_path / "lasting.db"), str(tmp_path / "volatile.db")).close()


def test_a_row_that_is_damaged_is_named(store: Store, tmp_path: Path) -> None:
    lasting = sqlite3.connect(tmp_path / "lasting.db")
    lasting.execute("update pg set body = '{'")
    lasting.commit()
    lasting.close()
    with pytest.raises(Unwritable, match="damaged"):
        anew(store, tmp_path)


def test_a_newer_repository_is_left_alone(store: Store, tmp_path: Path) -> None:
    store._files[True].execute("pragma user_version=2")
    with pytest.raises(Unwritable, match="version 2"):
        anew(store, tmp_path)


# -- whatever is done, the files have it -----------------------------------------------------------
ENTITIES = st.sampled_from([SERVICE, FMRI, "svc:/site/a:other", "svc:/b", "svc:/b:default"])
GROUPS = st.sampled_from(["general", "restarter", "config"])
SNAPSHOTS = st.sampled_from(["running", "start"])
FLAGS = st.sampled_from(["", "P"])


def operation(*parts: object) -> st.SearchStrategy[Operation]:
    return st.tuples(
        *(p if isinstance(p, st.SearchStrategy) else st.just(p) for p in parts)
    ).map(list)  # fmt: skip


WIRE = st.builds(
    lambda flags, text: {
        "type": "framework", "flags": flags, "gen": 0, "props": {"x": ["astring", text]}
    },
    FLAGS, st.sampled_from(["1", "2"]),
)  # fmt: skip
OPERATIONS = st.one_of(
    operation("add", ENTITIES),
    operation("delete", ENTITIES),
    operation("group", ENTITIES, GROUPS, "framework", FLAGS),
    operation("put", ENTITIES, GROUPS, WIRE),
    operation("ungroup", ENTITIES, GROUPS),
    operation("set", ENTITIES, GROUPS, "x", "astring", st.lists(st.text(), max_size=2)),
    operation("unset", ENTITIES, GROUPS, "x"),
    operation("snapshot", ENTITIES, SNAPSHOTS, st.sampled_from(["", "running"])),
    operation("unsnapshot", ENTITIES, SNAPSHOTS),
)


@given(st.lists(st.lists(OPERATIONS, max_size=6), max_size=8))
def test_a_restart_after_anything_changes_nothing(commits: list[list[Operation]]) -> None:
    with Local() as client:
        for operations in commits:
            before = plain(client.store.tree)
            try:
                client.store.commit(operations)
            except SmfError:
                assert plain(client.store.tree) == before
        again = Store(str(client.directory / "lasting.db"), str(client.directory / "volatile.db"))
        # A group that went away and came back is at another place in a dict: no difference.
        assert plain(again.tree) == plain(client.store.tree)
        again.close()
