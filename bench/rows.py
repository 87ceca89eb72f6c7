# SPDX-License-Identifier: MPL-2.0
"""The rows of design/budgets.md, and how a table of results is drawn. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.measure import median

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`goal` in `unit` is an upper bound, or a lower one if `at_least`; none: for information.

    `ratios` says how many times Hull's median a peer's must be.
    """

    key: str
    title: str
    goal: float | None = None
    unit: str = "ms"
    hull: str = "hull"
    at_least: bool = False
    ratios: Mapping[str, float] = field(default_factory=dict)


ROWS = (
    Row(key="create API", title="create at the API until the zone answers ping", goal=45,
        hull="hull API", ratios={"podman": 3, "incus REST": 4, "lxc": 1 / 1.5}),
    Row(key="create", title="the same by `vmadm create`", goal=60,
        ratios={"podman": 2.3, "incus": 3.9}),
    Row(key="ready", title="ready: create, start, first `zlogin`", goal=80,
        ratios={"podman": 2.9, "incus": 3.3}),
    Row(key="stop", title="stop of a co-operative init, at the API", goal=15, hull="hull API",
        ratios={"podman": 12}),
    Row(key="delete", title="delete, at the API", goal=10, hull="hull API",
        ratios={"podman": 4, "incus REST": 2}),
    Row(key="list", title="`vmadm list`, {many} zones", goal=25,
        ratios={"podman": 2, "incus": 10}),
    Row(key="list 1000", title="`vmadm list`, 1,000 zones", goal=60),
    Row(key="lookup 1000", title="`vmadm lookup alias=NAME`, 1,000 zones", goal=60),
    Row(key="exec", title="`zlogin UUID true`", goal=40, ratios={"podman": 2, "incus": 2}),
    Row(key="systemd", title="lx zone with systemd, until it says running", goal=800,
        ratios={"incus": 1}),
    Row(key="native", title="native zone (base-64), until provisioned", goal=800),
    Row(key="native memory", title="idle native zone, all of it (PSS)", goal=15, unit="MiB"),
    Row(key="smf memory", title="startd and configd in it (PSS)", goal=8, unit="MiB"),
    Row(key="clones", title="{few} running clones of a {size} MB image, together", goal=2,
        unit="MiB"),
    Row(key="image", title="the image itself, in the pool", hull="hull API", unit="MiB"),
    Row(key="supervision", title="supervision per idle zone (PSS)", goal=0.5, unit="MiB",
        ratios={"incus": 26}),
    Row(key="rss", title="the daemon (RSS), with {few} zones", goal=60, unit="MiB",
        ratios={"incus": 1.5}),
    Row(key="cpu", title="the daemon's CPU, {few} zones idle", goal=0.05, unit="%"),
    Row(key="wakeups", title="the daemon's wake-ups, {few} zones idle", unit="/s"),
    Row(key="tenth", title="create at the API, the 10th zone", hull="hull API"),
    Row(key="last", title="the same, the {most:,}th", hull="hull API"),
    Row(key="growth", title="the {most:,}th against the 10th", goal=1.5, hull="hull API", unit="x"),
    Row(key="total", title="{most:,} zones, one after the other", goal=45, hull="hull API",
        unit="s"),
    Row(key="memory", title="memory of the machine, an idle zone of {most:,}", hull="hull API",
        unit="MiB"),
    Row(key="rss many", title="the daemon (RSS), with {most:,} zones", goal=60, hull="hull API",
        unit="MiB"),
    Row(key="cpu many", title="the daemon's CPU, {most:,} zones idle", goal=0.05, hull="hull API",
        unit="%"),
    Row(key="import", title="`imgadm import` of the {size} MB image, local server, zstd"),
    Row(key="import share", title="the same, against the slower of decompressor and disk", goal=80,
        unit="%", at_least=True),
    Row(key="smf boot", title="500 services, 20 deep: svc.init until the milestone",
        ratios={"methods alone": 1 / 2, "systemd": 1}),
    Row(key="smf restart", title="restart of the first of them, and so of all"),
    Row(key="smf svcs", title="`svcs -a`, 500 services", goal=60),
    Row(key="smf memory 500", title="startd and configd, 500 services (PSS)", unit="MiB"),
    Row(key="smf wakeups", title="wake-ups of all three at rest", goal=0, unit="/s"),
)  # fmt: skip

HEAD = ("row", "Hull, median (min)", "goal", "peers, median", "ratio got / wanted", "holds")


def cells(row: Row, samples: Samples, words: Mapping[str, object]) -> tuple[str, ...] | None:
    """One line of the table; nothing if Hull has no sample."""
    hull = samples.get(row.hull)
    if not hull:
        return None
    mine = median(list(hull))
    peers = {name: median(list(got)) for name, got in samples.items() if _is_peer(name) and got}
    goal, holds = "-", True
    if row.goal is not None:
        goal = f"{'≥' if row.at_least else '≤'} {number(row.goal)}"
        holds = mine >= row.goal if row.at_least else mine <= row.goal
    ratios = []
    for name, wanted in row.ratios.items():
        if name in peers:
            got = peers[name] / mine if mine else float("inf")
            ratios.append(f"{name} {number(got)}x / {number(wanted)}x")
            holds = holds and got >= wanted
    judged = row.goal is not None or ratios
    return (
        row.title.format(**words),
        f"{number(mine)} {row.unit} ({number(min(hull))})",
        goal,
        ", ".join(f"{name} {number(value)}" for name, value in peers.items()) or "-",
        ", ".join(ratios) or "-",
        ("yes" if holds else "**no**") if judged else "-",
    )


def _is_peer(name: str) -> bool:
    return not name.startswith("hull")


def number(value: float) -> str:
    """Three digits are as much as these figures are worth."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(results: Mapping[str, Samples], words: Mapping[str, object]) -> str:
    """In Markdown, aligned to be read as text too."""
    lines: list[tuple[str, ...]] = [HEAD]
    for row in ROWS:
        if line := cells(row, results.get(row.key, {}), words):
            lines.append(line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )
