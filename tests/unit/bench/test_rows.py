# SPDX-License-Identifier: MPL-2.0
"""The benchmark's table: who holds what, and nothing claimed that was not measured."""

from xml.etree import ElementTree as ET

import pytest

from bench import measure
from bench.chart import draw
from bench.rows import ROWS, Row, cells, number, table

ROW = Row(key="stop", title="stop, {few} zones", goal=15, hull="hull API", ratios={"podman": 12})


def test_a_row_holds_with_its_goal_and_its_ratio() -> None:
    line = cells(ROW, {"hull API": [9, 10, 30], "podman": [120, 121, 119]}, {"few": 20})
    assert line == (
        "stop, 20 zones", "10 ms (9)", "≤ 15", "podman 120", "podman 12x / 12x", "yes",
    )  # fmt: skip


@pytest.mark.parametrize(
    "samples",
    [
        {"hull API": [16.0], "podman": [900.0]},  # too slow
        {"hull API": [10.0], "podman": [119.0]},  # the peer is too near
    ],
)
def test_a_row_does_not_hold(samples: dict[str, list[float]]) -> None:
    line = cells(ROW, samples, {"few": 20})
    assert line is not None
    assert line[-1] == "**no**"


def test_a_peer_that_is_not_there_claims_nothing() -> None:
    line = cells(ROW, {"hull API": [10.0]}, {"few": 20})
    assert line is not None
    assert line[3:] == ("-", "-", "yes")


def test_another_way_to_call_hull_is_no_peer() -> None:
    line = cells(ROW, {"hull API": [10.0], "hull": [20.0]}, {"few": 20})
    assert line is not None
    assert line[3] == "-"


def test_what_was_not_measured_has_no_line() -> None:
    assert cells(ROW, {"podman": [120.0]}, {"few": 20}) is None


def test_a_lower_bound() -> None:
    row = Row(key="share", title="share", goal=80, unit="%", at_least=True)
    for value, holds in ((81.0, "yes"), (79.0, "**no**")):
        line = cells(row, {"hull": [value]}, {})
        assert line is not None
        assert line[-1] == holds


def test_the_table_is_one_column_wide_everywhere() -> None:
    words = {"few": 20, "many": 50, "most": 1000, "size": 500}
    lines = table({row.key: {row.hull: [1.0]} for row in ROWS}, words).splitlines()
    assert len(lines) == len(ROWS) + 2
    assert len({len(line) for line in lines}) == 1
    assert not any("{" in line for line in lines)


@pytest.mark.parametrize(("value", "shown"), [(0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1234")])
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_everybody_comes_first_in_turn() -> None:
    names = ["a", "b", "c"]
    assert [measure.rotated(names, turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
    assert measure.rotated([], 3) == []


def test_an_echo_request_has_the_checksum_that_makes_its_sum_zero() -> None:
    assert measure.checksum(measure.echo_request(0x1234, 7)) == 0


def test_btrfs_df_counts_data_and_metadata_once() -> None:
    text = (
        "Data, single: total=8388608, used=65536\n"
        "System, DUP: total=8388608, used=16384\n"
        "Metadata, DUP: total=268435456, used=131072\n"
        "GlobalReserve, single: total=3670016, used=4096\n"
    )
    assert measure.parse_btrfs_df(text) == 65536 + 16384 + 131072


def test_a_field_of_proc() -> None:
    assert measure.status_field("Rss:  10 kB\nPss:   7 kB\n", "Pss") == 7
    assert measure.status_field("Rss:  10 kB\n", "Pss") == 0


def test_the_chart_draws_what_was_measured_and_nothing_else() -> None:
    results = {
        "stop": {"hull API": [9.0, 11.0], "podman": [120.0]},
        "list": {"podman": [50.0]},  # Hull was not measured
        "rss": {"hull": [50.0]},  # no time
    }
    picture = draw(results, {"few": 20, "many": 50, "most": 1000, "size": 500}, "a <run>")
    tree = ET.fromstring(picture)
    said = [element.text for element in tree.iter() if element.text and element.text.strip()]
    assert {"a <run>", "hull: 10 ms", "podman: 120 ms"} <= set(said)
    assert not [text for text in said if "list" in text or "RSS" in text]
