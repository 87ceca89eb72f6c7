# SPDX-License-Identifier: MPL-2.0
"""The graph in Graphviz's language: what is drawn, and how it differs."""

import re
from pathlib import Path

import pytest

from smf import picture, view
from tests.unit.smf.local import Local
from tests.unit.smf.made import group, instance

A, B, C = "svc:/site/a:default", "svc:/site/b:default", "svc:/network/c:x"


def draw(local: Local, *chosen: str) -> str:
    found = view.read(local, kinds=("dependency",))
    return picture.dot(found, [found.instances[fmri] for fmri in chosen or found.instances])


def node(text: str, name: str) -> str:
    (line,) = re.findall(rf'^ *"{re.escape(name)}" \[.*', text, re.MULTILINE)
    return str(line)


def edges(text: str) -> list[str]:
    return re.findall(r'^ *"[^"]*" -> .*', text, re.MULTILINE)


def test_boxes_are_in_their_category_and_have_their_state(local: Local) -> None:
    instance(local, A)
    instance(local, B, "offline", next_state=["astring", "online"])
    instance(local, C, "", enabled=None)
    text = draw(local)
    site = text[text.index('"cluster_site"') :]
    assert 'label="site";' in site
    assert A in site
    assert 'subgraph "cluster_network"' in text
    assert 'label="a"' in node(text, A)
    assert 'label="b\\noffline*"' in node(text, B)
    assert 'label="c:x\\nno state"' in node(text, C)
    fills = {re.findall(r'fillcolor="(.*?)"', node(text, each))[0] for each in (A, B, C)}
    assert len(fills) == 3


def test_each_grouping_and_each_restart_on_looks_different(local: Local) -> None:
    instance(local, B)
    kinds = [f"{grouping}/none" for grouping in picture.LINES]
    kinds += [f"require_all/{name}" for name in ("error", "restart", "refresh")]
    instance(local, A, needs=[(kind, B) for kind in kinds])
    drawn = [re.sub(r" tooltip=.*", "", line) for line in edges(draw(local))]
    assert len(set(drawn)) == len(kinds)
    assert all(line.strip().startswith(f'"{B}" -> "{A}"') for line in drawn)
    assert sum("constraint=false" in line for line in drawn) == 1


def test_what_is_needed_is_drawn_with_it(local: Local) -> None:
    instance(local, A, needs=[("require_all", B), ("exclude_all", C)])
    instance(local, B, needs=[("require_all", C)])
    instance(local, C)
    text = draw(local, A)
    assert node(text, B)
    assert node(text, C)
    assert len(edges(text)) == 2


def test_services_with_several_instances_files_and_what_is_absent(
    local: Local, tmp_path: Path
) -> None:
    there = f"file://localhost{tmp_path}"
    entities = f"svc:/site/two svc:/site/gone {there} file:///nonexistent"
    instance(local, "svc:/site/two:a")
    instance(local, "svc:/site/two:b")
    instance(local, A, needs=[("require_any", entities), ("require_all", "svc:/site/two")])
    text = draw(local)
    assert "ellipse" in node(text, "svc:/site/two")
    assert "dashed" in node(text, "svc:/site/gone")
    assert "dashed" not in node(text, there)
    assert "dashed" in node(text, "file:///nonexistent")
    assert len(edges(text)) == 5 + 2


def test_names_stay_in_their_quotes(local: Local) -> None:
    instance(local, A, needs=[("require_all", 'file:///a"]\\b')])
    assert '"file:///a\\"]\\\\b" ->' in draw(local)


def test_a_script_is_no_box(local: Local) -> None:
    local.commit([
        ["add", "svc:/smf/legacy_run"],
        ["put", "svc:/smf/legacy_run", "rc2_d_S20a", group("framework")],
    ])  # fmt: skip
    instance(local, A)
    text = draw(local)
    assert "lrc:" not in text
    assert node(text, A)


@pytest.mark.parametrize("state", list(picture.FILLS))
def test_the_legend_has_all_states(local: Local, state: str) -> None:
    assert f">{state}</td>" in draw(local)
