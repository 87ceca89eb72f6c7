# SPDX-License-Identifier: MPL-2.0
"""The man page of the properties is what the table says."""

from hull.model.table import table
from tools import mkman


def test_page_is_up_to_date() -> None:
    assert mkman.PAGE.read_text() == mkman.page(), "run: PYTHONPATH=src python tools/mkman.py"


def test_every_property_has_its_section() -> None:
    headings = [line[4:] for line in mkman.page().splitlines() if line.startswith("### ")]
    assert headings == sorted(table())
