# SPDX-License-Identifier: MPL-2.0
"""Writes the part of docs/security.md that is made of the attack table and the seccomp list.

PYTHONPATH=src .venv/bin/python -m tests.isolation.document
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from hull.brand import seccomp
from tests.isolation.attacks import run
from tests.isolation.attacks.base import ROWS as ROWS_OF
from tests.isolation.table import ELSEWHERE, NOT_APPLICABLE, ROWS, TABLE

DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
BEGIN, END = "<!-- made by tests/isolation/document.py -->", "<!-- end -->"
assert run.MODULES


def rows() -> Iterator[str]:
    """The checklist: for each row its attacks by the walls that stop them."""
    yield "| # | what is attacked | attacks, and the walls that each stop them alone | more tests |"
    yield "|---|---|---|---|"
    for number, what in ROWS.items():
        tests = "<br>".join(f"`{test}`" for test in ELSEWHERE.get(number, ()))
        yield f"| {number} | {what} | {'<br>'.join(attacks(number))} | {tests} |"


def attacks(number: int) -> Iterator[str]:
    if number in NOT_APPLICABLE:
        yield NOT_APPLICABLE[number]
    by_walls: dict[str, list[str]] = {}
    for case in TABLE:
        names = [f"`{name}`" for name in case.names if number in ROWS_OF[name]]
        by_walls.setdefault(case.walls, []).extend(names)
    for walls, names in by_walls.items():
        if names:
            yield f"{' '.join(names)}: {walls}"


def calls() -> Iterator[str]:
    """The system calls that no zone may make."""
    text = ", ".join(f"`{name}`" for name in seccomp.DENIED)
    yield from textwrap.wrap(text, 130, break_long_words=False, break_on_hyphens=False)


def section() -> str:
    return "\n".join([BEGIN, "", *rows(), "", "Denied:", "", *calls(), "", END])


def made(text: str) -> str:
    """The document with this part anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + section() + after


if __name__ == "__main__":
    DOCUMENT.write_text(made(DOCUMENT.read_text()))
