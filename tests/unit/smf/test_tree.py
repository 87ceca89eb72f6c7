# SPDX-License-Identifier: MPL-2.0
"""Composition is per property; what is enabled; and the wire keeps everything."""

import json

from hypothesis import given
from hypothesis import strategies as st

from smf import tree
from smf.tree import Group, Property


def group(kind: str = "application", **props: str) -> Group:
    return Group(kind, {name: Property("astring", [value]) for name, value in props.items()})


def test_an_instance_falls_back_to_its_service_property_by_property() -> None:
    instance = {"config": group("framework", a="mine")}
    service = {"config": group(a="theirs", b="theirs"), "start": group("method", exec="x")}
    view = tree.compose(instance, service)
    assert view["config"].kind == "framework"
    assert (view["config"].value("a"), view["config"].value("b")) == ("mine", "theirs")
    assert tree.value(view, "start", "exec") == "x"
    assert instance["config"].value("b") == ""


def test_what_is_not_there_is_the_default() -> None:
    assert tree.value({}, "start", "exec", "x") == "x"
    empty = Group("method", {"exec": Property("astring")})
    assert tree.value({"start": empty}, "start", "exec", "x") == "x"
    assert empty.values("exec") == empty.values("none") == ()


def test_enabled_for_now_comes_before_enabled_for_good() -> None:
    yes, no = group(enabled="true"), group(enabled="false")
    assert tree.enabled({}) is None
    assert tree.enabled({"general": group()}) is None
    assert tree.enabled({"general": yes}) is True
    assert tree.enabled({"general": yes, "general_ovr": no}) is False
    assert tree.enabled({"general": no, "general_ovr": yes}) is True
    assert tree.enabled({"general": yes, "general_ovr": group(comment="x")}) is True


def test_groups_of_a_type() -> None:
    groups = {"a": group("dependency"), "b": group("method"), "c": group("dependency")}
    assert [name for name, _ in tree.of_type(groups, "dependency")] == ["a", "c"]


def test_instances_of_all_and_of_one() -> None:
    whole = tree.Tree()
    whole.entities = {"svc:/a": {}, "svc:/a:x": {}, "svc:/a:y": {}, "svc:/b": {}, "svc:/b:x": {}}
    assert whole.services() == ["svc:/a", "svc:/b"]
    assert whole.instances("svc:/a") == ["svc:/a:x", "svc:/a:y"]
    assert len(whole.instances()) == 3


PROPERTIES = st.builds(Property, st.sampled_from(["astring", "count"]), st.lists(st.text()))
GROUPS = st.builds(
    lambda kind, props, persistent, gen: Group(kind, props, persistent=persistent, generation=gen),
    st.text(), st.dictionaries(st.text(), PROPERTIES), st.booleans(), st.integers(0),
)  # fmt: skip


@given(GROUPS)
def test_over_the_wire_and_back(sent: Group) -> None:
    got = tree.from_wire(json.loads(json.dumps(tree.to_wire(sent))))
    assert got.same(sent)
    assert (got.persistent, got.generation) == (sent.persistent, sent.generation)
