# SPDX-License-Identifier: MPL-2.0
"""The attack table is whole: every row of the checklist, every attack, and the document of it."""

import ast
from pathlib import Path

import pytest

from tests.isolation import document
from tests.isolation.attacks import run
from tests.isolation.attacks.base import ATTACKS
from tests.isolation.attacks.base import ROWS as ROWS_OF
from tests.isolation.table import ELSEWHERE, NOT_APPLICABLE, OWN, ROWS, TABLE, Case
from tests.isolation.walls import WALLS

TESTS = Path(__file__).parents[1]
CASES = [pytest.param(case, id=case.names[0]) for case in TABLE]
NAMES = [name for case in TABLE for name in case.names]


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_not_stopped_look_different(case: Case) -> None:
    assert case.defended
    assert case.works
    assert not set(case.defended.split()) & set(case.works.split())


@pytest.mark.parametrize("case", CASES)
def test_its_walls_can_be_taken_away(case: Case) -> None:
    assert case.wall_names
    assert case.wall_names <= set(WALLS)


def test_every_wall_stops_something() -> None:
    assert set(WALLS) == {wall for case in TABLE for wall in case.wall_names}


def test_every_attack_is_tried_somewhere() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) <= set(ATTACKS)
    modules = [path.read_text() for path in (TESTS / "isolation").glob("test_*.py")]
    for name in set(ATTACKS) - set(NAMES) - set(OWN):
        assert any(f'"{name}"' in text for text in modules), name


def test_an_attack_belongs_to_rows_of_the_checklist() -> None:
    assert set(ROWS) == set(range(1, 31))
    for name, rows in ROWS_OF.items():
        assert rows, name
        assert set(rows) <= set(ROWS), name


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_attacked_or_says_why_not(row: int) -> None:
    attacked = {number for name in NAMES for number in ROWS_OF[name]} | set(ELSEWHERE)
    assert (row in attacked) != (row in NOT_APPLICABLE)


@pytest.mark.parametrize("test", sorted({t for tests in ELSEWHERE.values() for t in tests}))
def test_what_is_elsewhere_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not name or name in functions


def test_the_document_is_made_of_it() -> None:
    assert run.MODULES
    text = document.DOCUMENT.read_text()
    assert document.made(text) == text, "run tests/isolation/document.py, as it says"
