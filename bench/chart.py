# SPDX-License-Identifier: MPL-2.0
"""The times of a run as a picture: a line a row, a dot a contender, on a logarithmic axis. Pure."""

from collections.abc import Iterator, Mapping
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from bench.measure import median
from bench.rows import ROWS, Row, Samples, number

LEFT, WIDTH, RIGHT = 330, 560, 30  # pixels: titles, the axis, and what a number needs
ALL = LEFT + WIDTH + RIGHT
TOP, LINE, BOTTOM = 78, 30, 40
COLOURS = {
    "hull": "#1c4fd8",
    "podman": "#8e44ad",
    "incus": "#d9480f",
    "incus REST": "#f59f00",
    "lxc": "#2b8a3e",
    "crun": "#868e96",
    "nspawn": "#c2255c",
    "zstd alone": "#868e96",
    "disk alone": "#495057",
    "methods alone": "#868e96",
}
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #212529 }
.small { font-size: 11px; fill: #495057 }
.title { font-size: 16px; font-weight: 600 }
"""


def draw(results: Mapping[str, Samples], words: Mapping[str, object], heading: str) -> str:
    """The chart of all rows in milliseconds, as an SVG; the green reaches to the goal."""
    rows = [row for row in ROWS if row.unit == "ms" and results.get(row.key, {}).get(row.hull)]
    values = [value for row in rows for value in _medians(row, results[row.key]).values()]
    first, last = floor(log10(min(values))), ceil(log10(max(values)))

    def x(value: float) -> float:
        return LEFT + WIDTH * (log10(value) - first) / max(last - first, 1)

    height = TOP + LINE * len(rows) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{ALL}" height="{height}" role="img">',
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="title" x="12" y="24">{escape(heading)}</text>',
    ]
    lines += _legend({name for row in rows for name in _medians(row, results[row.key])})
    for power in range(first, last + 1):
        at = x(10.0**power)
        lines.append(f'<path d="M{at:.1f} {TOP - 8}V{height - BOTTOM}" stroke="#dee2e6"/>')
        label = f"{number(10.0**power)} ms"
        lines.append(
            f'<text class="small" x="{at:.1f}" y="{height - BOTTOM + 18}" '
            f'text-anchor="middle">{label}</text>'
        )
    for position, row in enumerate(rows):
        y = TOP + LINE * position + LINE // 2
        title = escape(row.title.format(**words).replace("`", ""))
        lines.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{title}</text>')
        if row.goal is not None:
            lines.append(
                f'<rect x="{LEFT}" y="{y - 9}" width="{x(row.goal) - LEFT:.1f}" height="18" '
                'fill="#d3f9d8"/>'
            )
        medians = _medians(row, results[row.key])
        lines += [_dot(name, x(value), y, value) for name, value in medians.items()]
    return "\n".join([*lines, "</svg>", ""])


def _medians(row: Row, samples: Samples) -> dict[str, float]:
    """By contender, Hull last: it is drawn over the others."""
    peers = {name: median(list(got)) for name, got in samples.items() if got and name in COLOURS}
    peers.pop("hull", None)
    return peers | {"hull": median(list(samples[row.hull]))}


def _dot(name: str, x: float, y: float, value: float) -> str:
    colour = COLOURS[name]
    if name == "hull":
        shape = f'<path d="M{x:.1f} {y - 8}l8 8-8 8-8-8z" fill="{colour}"/>'
    else:
        shape = f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}" fill-opacity=".8"/>'
    return f"<g><title>{name}: {number(value)} ms</title>{shape}</g>"


def _legend(names: set[str]) -> Iterator[str]:
    x = 20.0
    for name, label in [(name, name.replace("hull", "Hull")) for name in COLOURS if name in names]:
        yield _dot(name, x, 48, 0) + f'<text x="{x + 12}" y="52">{label}</text>'
        x += 36 + 7.5 * len(label)
    yield f'<rect x="{x - 8}" y="39" width="22" height="18" fill="#d3f9d8"/>'
    yield f'<text x="{x + 20}" y="52">the goal</text>'
