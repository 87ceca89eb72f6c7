# SPDX-License-Identifier: MPL-2.0
"""The dependency graph as a picture, in Graphviz's language. Pure: a View goes in, text comes out.

An arrow goes from what is needed to what needs it, so that the order of start is read from left to
right. Its line is the grouping, its colour is restart_on; a box's colour is the state.
"""

from collections.abc import Iterator

from smf import states
from smf.fmri import file_path, is_file, name_of
from smf.states import EXCLUDE_ALL, OPTIONAL_ALL, REQUIRE_ALL, REQUIRE_ANY
from smf.view import Instance, View, dependencies, path_exists

# state: (fill, border)
FILLS = {
    states.ONLINE: ("#d8f0d8", "#3c8a3c"),
    states.DEGRADED: ("#fdf0b8", "#a8860a"),
    states.OFFLINE: ("#dbe8fa", "#3e6ea8"),
    states.MAINTENANCE: ("#f8cccc", "#b02020"),
    states.DISABLED: ("#eeeeee", "#8a8a8a"),
    states.UNINITIALIZED: ("#ffffff", "#8a8a8a"),
}
NOT_THERE = ("#ffffff", "#b02020")
# grouping: how the line is drawn
LINES = {
    REQUIRE_ALL: "style=solid arrowhead=normal",
    REQUIRE_ANY: "style=dashed arrowhead=normal",
    OPTIONAL_ALL: "style=dotted arrowhead=empty",
    EXCLUDE_ALL: "style=bold arrowhead=tee dir=both arrowtail=tee",
}
# restart_on: the line's colour
COLOURS = {"none": "#9a9a9a", "error": "#d08000", "restart": "#2060c0", "refresh": "#8020a0"}
FONT = 'fontname="Helvetica,Arial,sans-serif"'
BOX = 'shape=box style="rounded,filled" height=0.3 margin="0.1,0.04"'


def dot(view: View, chosen: list[Instance]) -> str:
    """A digraph of these instances, with what they depend on; and a legend."""
    return "\n".join([
        "digraph smf {",
        # Room between ranks, so that lines can be followed.
        "  rankdir=LR; ranksep=1.1; nodesep=0.12; newrank=true; concentrate=false;",
        f"  graph [{FONT} fontsize=11 color=\"#c8c8c8\" style=rounded];",
        f"  node [{FONT} fontsize=10 {BOX}];",
        "  edge [arrowsize=0.6];",
        *_clusters(view, _with_needed(view, chosen)),
        *_edges(view, chosen),
        *_legend(),
        "}",
        "",
    ])  # fmt: skip


def _with_needed(view: View, chosen: list[Instance]) -> dict[str, Instance]:
    found = {each.fmri: each for each in chosen if each.state != states.LEGACY}
    for instance in chosen:
        for dependency in dependencies(instance.running):
            for entity in dependency.entities:
                found.update((each.fmri, each) for each in view.services_of(entity))
    return found


def _clusters(view: View, shown: dict[str, Instance]) -> Iterator[str]:
    """A box around each category."""
    categories: dict[str, list[Instance]] = {}
    for fmri, instance in shown.items():
        categories.setdefault(name_of(fmri).partition("/")[0], []).append(instance)
    for category, members in sorted(categories.items()):
        yield f"  subgraph {_quoted('cluster_' + category)} {{"
        yield f"    label={_quoted(category)};"
        for instance in members:
            yield "    " + _node(view, instance)
        yield "  }"


def _node(view: View, instance: Instance) -> str:
    state = instance.state or "no state"
    fill, border = FILLS.get(instance.state, NOT_THERE)
    label = [_short(view, instance)]
    if instance.state not in FILLS or instance.state != states.ONLINE:
        label.append(state + ("*" if instance.next_state else ""))
    tooltip = f"{instance.fmri} {state}"
    return (
        f'{_quoted(instance.fmri)} [label={_quoted(*label)} fillcolor="{fill}" '
        f'color="{border}" tooltip={_quoted(tooltip)}];'
    )


def _short(view: View, instance: Instance) -> str:
    """Its name below its category; the instance's only where there are others or it says more."""
    service, _, name = instance.fmri.removeprefix("svc:/").partition(":")
    service = service.partition("/")[2] or service
    alone = len(view.services.get(f"svc:/{name_of(instance.fmri)}", [])) == 1
    return service if alone and name == "default" else f"{service}:{name}"


def _edges(view: View, chosen: list[Instance]) -> Iterator[str]:
    drawn: set[str] = set()
    for instance in chosen:
        for dependency in dependencies(instance.running):
            line = LINES.get(dependency.grouping, LINES[REQUIRE_ALL])
            colour = COLOURS.get(dependency.restart_on, COLOURS["none"])
            said = f"{dependency.grouping}/{dependency.restart_on}"
            # What is excluded says nothing about the order.
            loose = " constraint=false" if dependency.grouping == EXCLUDE_ALL else ""
            for entity in dependency.entities:
                source, lines = _source(view, entity)
                yield from (each for each in lines if each not in drawn)
                drawn.update(lines)
                tooltip = f"{instance.fmri} {said} {entity}"
                yield (
                    f"  {_quoted(source)} -> {_quoted(instance.fmri)} "
                    f'[{line} color="{colour}"{loose} tooltip={_quoted(tooltip)}];'
                )


def _source(view: View, entity: str) -> tuple[str, list[str]]:
    """The node that an entity is, and what draws it if it is no single instance."""
    if is_file(entity):
        fill, border = ("#fffdf0", "#8a8a8a") if path_exists(entity) else NOT_THERE
        return entity, [_extra(entity, file_path(entity), "note", fill, border)]
    found = view.services_of(entity)
    if len(found) == 1:
        return found[0].fmri, []
    if not found:
        return entity, [_extra(entity, entity.removeprefix("svc:/"), "box", *NOT_THERE)]
    lines = [_extra(entity, f"any {name_of(entity)}", "ellipse", "#ffffff", "#8a8a8a")]
    for each in found:
        lines.append(
            f'  {_quoted(each.fmri)} -> {_quoted(entity)} [color="#c8c8c8" arrowhead=none];'
        )
    return entity, lines


def _extra(node: str, label: str, shape: str, fill: str, border: str) -> str:
    style = "dashed" if (fill, border) == NOT_THERE else "filled"
    return (
        f'  {_quoted(node)} [label={_quoted(label)} shape={shape} style="{style}" '
        f'fillcolor="{fill}" color="{border}"];'
    )


def _legend() -> Iterator[str]:
    cells = [
        f'<td bgcolor="{fill}" border="1" color="{border}">{state}</td>'
        for state, (fill, border) in FILLS.items()
    ]
    lines = {REQUIRE_ALL: "──▶", REQUIRE_ANY: "╌╌▶", OPTIONAL_ALL: "···▷", EXCLUDE_ALL: "┣━━┫"}
    cells += [f"<td>{sample} {grouping}</td>" for grouping, sample in lines.items()]
    cells.append("<td>restart_on:</td>")
    cells += [
        f'<td><font color="{colour}">━━ {name}</font></td>' for name, colour in COLOURS.items()
    ]
    row = "".join(cells)
    table = f'<table border="0" cellspacing="4" cellborder="0"><tr>{row}</tr></table>'
    yield "  labelloc=b;"
    yield f"  label=<{table}>;"


def _quoted(*lines: str) -> str:
    """A string of the language, on as many lines as there are."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(escaped) + '"'
