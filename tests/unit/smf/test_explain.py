# SPDX-License-Identifier: MPL-2.0
"""Root causes, whatever the graph looks like."""

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf import view
from smf.cli import svcs_explain
from smf.explain import Explainer
from smf.fmri import MASTER
from smf.view import View
from tests.unit.smf.local import Local
from tests.unit.smf.made import group, instance

A, B, C, D = (f"svc:/site/{name}:default" for name in "abcd")


def look(local: Local) -> Explainer:
    return Explainer(view.read(local, kinds=("dependency",)))


def codes(local: Local, fmri: str) -> list[str]:
    explainer = look(local)
    return [each.code for each in explainer.reasons(explainer.view.instances[fmri])]


def troubles(local: Local) -> list[tuple[str, int]]:
    return [(each.fmri, impact) for each, impact in look(local).troubles()]


def roots(local: Local, fmri: str) -> list[list[str]]:
    """The way to each root cause."""
    explainer = look(local)
    found = explainer.roots(explainer.view.instances[fmri])
    return [[each.fmri for each in root.path] for root in found]


def test_all_is_well(local: Local) -> None:
    instance(local, A)
    instance(local, B, "degraded", needs=[("require_all", A)])
    instance(local, C, "disabled", enabled=False)
    assert troubles(local) == []


# -- one instance, without others ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "reason", "status", "code"),
    [
        ("maintenance", "none", "", "9C"),
        ("maintenance", "", "", "9C"),
        ("maintenance", "administrative_request", "", "63"),
        ("maintenance", "service_request", "", "R4"),
        ("maintenance", "dependency_cycle", "", "HP"),
        ("maintenance", "invalid_dependency", "", "JA"),
        ("maintenance", "invalid_restarter", "", "2A"),
        ("maintenance", "fault_threshold_reached", "0", "7Y"),
        ("maintenance", "fault_threshold_reached", "256", "KS"),
        ("maintenance", "method_failed", "0", "8Q"),
        ("maintenance", "method_failed", "24576", "KS"),
        ("maintenance", "restarting_too_quickly", "256", "L5"),
        ("maintenance", "something_new", "", "AR"),
        ("degraded", "administrative_request", "", "DX"),
        ("uninitialized", "none", "", "4D"),
        ("sideways", "none", "", "N3"),
        ("offline", "none", "", "AR"),
        ("disabled", "none", "", "PH"),
    ],
)
def test_reasons_of_its_own(local: Local, state: str, reason: str, status: str, code: str) -> None:
    instance(
        local, A, state, auxiliary_state=["astring", reason],
        start_method_waitstatus=["integer", *status.split()],
    )  # fmt: skip
    assert codes(local, A) == [code]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("fault_threshold_reached", "Its stop method failed, again and again."),
        ("method_failed", "Its stop method failed."),
        ("administrative_request", "An administrator put it in maintenance."),
    ],
)
def test_what_startd_has_written_down(local: Local, reason: str, text: str) -> None:
    instance(
        local, A, "maintenance", auxiliary_state=["astring", reason],
        auxiliary_text=["astring", "Its stop method failed"],
    )  # fmt: skip
    explainer = look(local)
    assert explainer.reasons(explainer.view.instances[A])[0].text == text


def test_beyond_the_milestone(local: Local) -> None:
    instance(local, MASTER)
    instance(local, A, "disabled")
    told = {"milestone": ["astring", "svc:/milestone/single-user:default"]}
    local.commit([["put", MASTER, "options_ovr", group("framework", "P", **told)]])
    (reason,) = look(local).reasons(look(local).view.instances[A])
    assert reason.code == "1S"
    assert reason.text.startswith("Milestone single-user does not need it")


def test_disabled_for_good_for_now_and_with_a_comment(local: Local) -> None:
    instance(local, A, "disabled", enabled=False)
    instance(local, B, "disabled", override=False)
    assert (codes(local, A), codes(local, B)) == (["05"], ["1S"])
    local.commit([["set", B, "general_ovr", "comment", "astring", ["moving"]]])
    explainer = look(local)
    assert '"moving"' in explainer.reasons(explainer.view.instances[B])[0].text


def test_methods_at_work(local: Local) -> None:
    instance(local, A, "offline", next_state=["astring", "online"])
    instance(local, B, "offline", next_state=["astring", "maintenance"])
    assert (codes(local, A), codes(local, B)) == (["C4"], ["PH"])
    assert troubles(local) == [(A, 0), (B, 0)]


@pytest.mark.parametrize(
    ("restarter", "code"), [("svc:/site/b", "2A"), ("file:/x", "2A"), (B, "5H"), (C, "3P")]
)
def test_restarters(local: Local, restarter: str, code: str) -> None:
    instance(local, A, "uninitialized")
    instance(local, B, "maintenance")
    local.commit([["set", A, "general", "restarter", "fmri", [restarter]]])
    assert codes(local, A) == [code]
    assert roots(local, A) == ([[A, B]] if code == "5H" else [[A]])


def test_the_master_restarter_need_not_be_in_the_repository(local: Local) -> None:
    instance(local, A, "uninitialized")
    local.commit([["set", A, "general", "restarter", "fmri", [MASTER]]])
    assert codes(local, A) == ["4D"]
    instance(local, MASTER, "offline")
    assert codes(local, A) == ["5H"]


# -- dependencies ----------------------------------------------------------------------------------
def test_13_of_the_acceptance_tests(local: Local) -> None:
    instance(local, A, "offline", needs=[("require_all/restart", B)])
    instance(local, B, "disabled", enabled=False)
    assert codes(local, A) == ["GE"]
    assert roots(local, A) == [[A, B]]
    assert troubles(local) == [(B, 1)]


def test_along_a_chain_and_the_worst_first(local: Local) -> None:
    instance(local, D, "maintenance")
    instance(local, A, "offline", needs=[("require_all", B)])
    instance(local, B, "offline", needs=[("require_all", "svc:/site/c")])
    instance(local, C, "disabled", enabled=False)
    assert roots(local, A) == [[A, B, C]]
    assert troubles(local) == [(C, 2), (D, 0)]
    explainer = look(local)
    waiting = explainer.impacted(explainer.view.instances[B])
    assert [each.fmri for each in waiting] == [A]


@pytest.mark.parametrize(
    ("kind", "state", "enabled", "code"),
    [
        ("require_all", "offline", True, "GE"),
        ("require_all", "degraded", True, "AR"),
        ("require_any", "disabled", False, "GE"),
        ("optional_all", "disabled", False, "AR"),
        ("optional_all", "maintenance", True, "AR"),
        ("optional_all", "uninitialized", True, "GE"),
        ("optional_all", "disabled", True, "GE"),  # it has just been told to come up
        ("exclude_all", "online", True, "FJ"),
        ("exclude_all", "offline", True, "FJ"),
        ("exclude_all", "maintenance", True, "AR"),
        ("exclude_all", "disabled", False, "AR"),
        ("require_most", "disabled", False, "JA"),
    ],
)
def test_groupings(local: Local, kind: str, state: str, enabled: bool, code: str) -> None:
    instance(local, A, "offline", needs=[(kind, B)])
    instance(local, B, state, enabled=enabled)
    assert codes(local, A) == [code]


def test_one_of_several_is_enough(local: Local) -> None:
    instance(local, A, "offline", needs=[("require_any", f"{B} {C} file:///nonexistent")])
    instance(local, B, "maintenance")
    instance(local, C)
    assert codes(local, A) == ["AR"]
    instance(local, C, "disabled", enabled=False)
    assert codes(local, A) == ["GE", "GE", "E2"]
    assert roots(local, A) == [[A], [A, B], [A, C]]


@pytest.mark.parametrize("kind", ["require_all", "require_any", "optional_all"])
def test_a_file_that_is_not_there(local: Local, kind: str) -> None:
    instance(local, A, "offline", needs=[(kind, "file://localhost/nonexistent/file")])
    assert codes(local, A) == ["E2"]
    assert troubles(local) == [(A, 0)]


def test_a_file_that_is_there(local: Local) -> None:
    instance(
        local, A, "offline", needs=[("exclude_all", "file:///etc"), ("require_all", "file:///etc")]
    )
    assert codes(local, A) == ["FJ"]


@pytest.mark.parametrize(
    ("entity", "kind", "code"),
    [
        ("svc:/site/gone", "require_all", "E2"),
        ("svc:/site/gone:x", "optional_all", "AR"),
        ("svc:/-bad", "require_all", "JA"),
        ("svc:/-bad", "exclude_all", "AR"),
    ],
)
def test_what_is_absent_or_no_name(local: Local, entity: str, kind: str, code: str) -> None:
    instance(local, A, "offline", needs=[(kind, entity)])
    assert codes(local, A) == [code]


def test_what_nobody_has_enabled_is_absent(local: Local) -> None:
    instance(local, A, "offline", needs=[("require_all", B)])
    instance(local, B, "", enabled=None)
    assert codes(local, A) == ["E2"]
    assert codes(local, B) == ["05"]
    assert troubles(local) == [(A, 0)]


def test_optional_and_hopeless(local: Local) -> None:
    """What waits for something that cannot come is not waited for."""
    instance(local, A, "offline", needs=[("optional_all", B)])
    instance(local, B, "offline", needs=[("require_all", C)])
    instance(local, C, "maintenance")
    assert codes(local, A) == ["AR"]
    instance(local, C, "offline", next_state=["astring", "online"])
    assert codes(local, A) == ["GE"]
    instance(local, B, "offline", needs=[("exclude_all", D)])
    assert codes(local, A) == ["GE"]
    instance(local, D)
    assert codes(local, A) == ["AR"]
    instance(local, B, "offline", needs=[("require_any", "file:///nonexistent svc:/site/gone")])
    assert codes(local, A) == ["AR"]


def test_a_cycle_has_an_end(local: Local) -> None:
    instance(local, A, "offline", needs=[("require_all", B)])
    instance(local, B, "offline", needs=[("require_all", C)])
    instance(local, C, "offline", needs=[("require_all", A)])
    assert {fmri for fmri, _ in troubles(local)} <= {A, B, C}
    assert troubles(local)


def test_a_long_chain(local: Local) -> None:
    length = 1500
    names = [f"svc:/site/s{number}:default" for number in range(length)]
    instance(local, names[0], "maintenance")
    for before, after in itertools.pairwise(names):
        instance(local, after, "offline", needs=[("optional_all", before), ("require_all", before)])
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(svcs_explain.FRAMES * length + 500)
        assert troubles(local) == [(names[0], length - 1)]
        assert len(roots(local, names[-1])[0]) == length
    finally:
        sys.setrecursionlimit(limit)


# -- any graph -------------------------------------------------------------------------------------
STATES = st.sampled_from(
    ["online", "offline", "disabled", "maintenance", "uninitialized", "degraded"]
)
NEEDS = st.tuples(
    st.sampled_from(["require_all", "require_any", "optional_all", "exclude_all"]),
    st.lists(st.integers(0, 7), min_size=1, max_size=3),
)
GRAPHS = st.lists(
    st.tuples(STATES, st.booleans(), st.lists(NEEDS, max_size=2)), min_size=8, max_size=8
)


@given(GRAPHS)
def test_whoever_does_not_run_has_a_root_that_explains_itself(
    graph: list[tuple[str, bool, list[tuple[str, list[int]]]]],
) -> None:
    names = [f"svc:/site/{letter}:default" for letter in "abcdefgh"]
    with Local() as client:
        for name, (state, enabled, needs) in zip(names, graph, strict=True):
            kinds = [(kind, " ".join(names[n] for n in members)) for kind, members in needs]
            instance(client, name, state, enabled=enabled, needs=kinds)
        explainer = look(client)
    for found in explainer.view.instances.values():
        ends = [root.instance for root in explainer.roots(found)]
        assert bool(ends) == (found.state != "online")
        for end in ends:
            assert end is found or found in explainer.impacted(end) or not found.enabled
            assert not end.is_running or end is found
    reported = [each for each, _ in explainer.troubles()]
    assert len(reported) == len({each.fmri for each in reported})
    waiting = [e for e in explainer.view.instances.values() if e.enabled and not e.is_running]
    assert bool(reported) == bool(waiting)
    assert not any(each.is_running for each in reported)


def test_a_view_of_nothing() -> None:
    assert Explainer(View({}, {})).troubles() == []
