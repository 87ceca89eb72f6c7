# SPDX-License-Identifier: MPL-2.0
"""Dates as svcs writes them, and harmless text."""

import pytest

from smf.cli.text import clean, long_time, short_time
from tests.unit.smf.made import NOON

DAY = 86400


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NOON, "12:00:00"),
        (NOON - 3 * 3600 + 7, " 9:00:07"),
        (NOON - DAY + 1, "12:00:01"),
        (NOON - DAY, "Nov_14"),
        (NOON - 7 * DAY, "Nov_08"),
        (NOON - 360 * DAY + 1, "Nov_20"),
        (NOON - 360 * DAY, "2022"),
        (NOON + 3600, "13:00:00"),
        (None, "-"),
    ],
)
def test_short(moment: int | None, expected: str) -> None:
    assert short_time(moment, NOON) == expected


def test_long() -> None:
    assert long_time(1677872650) == "March  3, 2023 at 07:44:10 PM UTC"
    assert long_time(None) == "-"


def test_clean() -> None:
    assert clean("plain, ünïcödé") == "plain, ünïcödé"
    assert clean("a\x1b[1mb\tc\x7f\udcff") == "a?[1mb?c??"
