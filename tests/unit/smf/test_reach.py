# SPDX-License-Identifier: MPL-2.0
"""Whether an instance can come up as things are: each row of the facts about dependencies."""

from itertools import pairwise

import pytest

from smf.fmri import MASTER
from smf.graph import NEVER, NO, YES
from smf.reach import Closure, World, reach
from smf.tree import Group, Groups, Property

A, B, C = "svc:/site/a:default", "svc:/site/b:default", "svc:/site/c:default"
FILES = {"/there"}


def now(state: str, *, enabled: bool | None = True) -> Groups:
    groups = {"restarter": Group("framework", {"state": Property("astring", [state])})}
    if enabled is not None:
        value = Property("boolean", ["true" if enabled else "false"])
        groups["general"] = Group("framework", {"enabled": value})
    return groups


def dependency(grouping: str, *entities: str) -> Group:
    return Group(
        "dependency",
        {"grouping": Property("astring", [grouping]), "entities": Property("fmri", entities)},
    )


def world(states: dict[str, Groups], **needs: list[Group]) -> World:
    """`needs`: of the instance that is called so, default."""
    configured = {
        f"svc:/site/{name}:default": {f"d{n}": group for n, group in enumerate(groups)}
        for name, groups in needs.items()
    }
    return World(states, lambda fmri: configured.get(fmri, {}), lambda path: path in FILES)


STATES = {
    "online": now("online"), "degraded": now("degraded"), "offline": now("offline"),
    "uninitialized": now("uninitialized"), "enabled just now": now("disabled"),
    "disabled": now("disabled", enabled=False), "maintenance": now("maintenance"),
    "being disabled": now("online", enabled=False), "incomplete": now("", enabled=None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("grouping", "expected"),
    [
        (
            "require_all",
            {YES: "online degraded", NO: "offline uninitialized enabled-just-now",
             NEVER: "disabled maintenance being-disabled incomplete absent"},
        ),
        (
            "require_any",
            {YES: "online degraded", NO: "offline uninitialized enabled-just-now",
             NEVER: "disabled maintenance being-disabled incomplete absent"},
        ),
        (
            "optional_all",
            {YES: "online degraded disabled maintenance being-disabled incomplete absent",
             NO: "offline uninitialized enabled-just-now"},
        ),
        (
            "exclude_all",
            {YES: "disabled maintenance incomplete absent enabled-just-now",
             NO: "offline uninitialized being-disabled", NEVER: "online degraded"},
        ),
    ],
)  # fmt: skip
def test_one_entity(grouping: str, expected: dict[str, str]) -> None:
    for wanted, names in expected.items():
        for name in names.split():
            states = {A: now("offline")}
            if name != "absent":
                states[B] = STATES[name.replace("-", " ")]
            found = reach(world(states, a=[dependency(grouping, B)]), A)
            assert found == wanted, name


@pytest.mark.parametrize(
    ("grouping", "path", "expected"),
    [
        ("require_all", "/there", YES), ("require_all", "/not", NEVER),
        ("optional_all", "/not", NEVER), ("exclude_all", "/there", NEVER),
        ("exclude_all", "/not", YES),
    ],
)  # fmt: skip
def test_files(grouping: str, path: str, expected: str) -> None:
    states = {A: now("offline")}
    assert reach(world(states, a=[dependency(grouping, f"file://localhost{path}")]), A) == expected


def test_several_groups_and_entities() -> None:
    states = {A: now("offline"), B: now("online"), C: now("disabled", enabled=False)}
    for grouping, expected in (("require_all", NEVER), ("require_any", YES)):
        assert reach(world(states, a=[dependency(grouping, B, C)]), A) == expected
    both = [dependency("require_any", B, C), dependency("require_all", C)]
    assert reach(world(states, a=both), A) == NEVER
    assert reach(world(states, a=[dependency("require_all")]), A) == YES


def test_a_service_is_any_of_its_instances() -> None:
    states = {A: now("offline"), B: now("disabled", enabled=False), "svc:/site/b:x": now("online")}
    assert reach(world(states, a=[dependency("require_all", "svc:/site/b")]), A) == YES
    states[B] = now("offline")
    assert reach(world(states, a=[dependency("optional_all", "svc:/site/b")]), A) == YES


def test_what_is_behind_a_dependency_counts() -> None:
    states = {A: now("offline"), B: now("offline"), C: now("disabled", enabled=False)}
    behind = world(states, a=[dependency("require_all", B)], b=[dependency("require_all", C)])
    assert reach(behind, A) == NEVER
    optional = world(states, a=[dependency("optional_all", B)], b=[dependency("require_all", C)])
    assert reach(optional, A) == YES


def test_a_circle_ends() -> None:
    states = {A: now("offline"), B: now("offline")}
    both = world(states, a=[dependency("require_all", B)], b=[dependency("require_all", A)])
    assert reach(both, A) == NO


def test_a_restarter_is_required() -> None:
    service = {"general": Group("framework", {"restarter": Property("fmri", [B])})}
    states = {
        A: now("offline"), "svc:/site/a": service,
        B: now("disabled", enabled=False), MASTER: now("online"),
    }  # fmt: skip
    made = world(states)
    assert reach(made, A) == NEVER
    closure = Closure(made)
    closure.add(A)
    assert list(closure.found) == [A, B]


def layers(depth: int) -> World:
    """Each instance of a layer needs both of the next one."""
    names = [(f"a{n}", f"b{n}") for n in range(depth)]
    needs = {
        name: [dependency("require_all", *(f"svc:/site/{each}:default" for each in following))]
        for layer, following in pairwise(names)
        for name in layer
    }
    states = {f"svc:/site/{name}:default": now("offline") for layer in names for name in layer}
    return world(states, **needs)


def test_deep_and_wide() -> None:
    """Neither recursion nor 2^300 ways."""
    deep = layers(300)
    assert reach(deep, "svc:/site/a0:default") == NO
    deep = layers(300)
    deep.now["svc:/site/b299:default"] = now("maintenance")
    assert reach(deep, "svc:/site/a0:default") == NEVER
    closure = Closure(deep)
    closure.add("svc:/site/a0:default")
    assert len(closure.found) == 599
    assert not closure.problems
