# SPDX-License-Identifier: MPL-2.0
"""What of an instance cannot work, and what its templates do not allow."""

import pytest

from smf.check import problems
from smf.templates import PG_PATTERN, PROP_PATTERN
from smf.tree import Group, Groups, Property


def group(kind: str, **values: str | list[str]) -> Group:
    return Group(kind, {
        name: Property("astring", [value] if isinstance(value, str) else value)
        for name, value in values.items()
    })  # fmt: skip


def templates(**limits: str | list[str]) -> Groups:
    """The group config is required, and of its property port `limits` are said."""
    return {
        "tm_pg": group(
            PG_PATTERN, name="config", type="application", required="true", target="this"
        ),
        "tm_prop": group(PROP_PATTERN, pg_pattern="tm_pg", name="port", **limits),
    }  # fmt: skip


def config(kind: str, *values: str) -> Groups:
    return {"config": Group("application", {"port": Property(kind, values)})}


@pytest.mark.parametrize(
    ("limits", "found", "expected"),
    [
        ({"required": "true"}, config("count", "1"), []),
        ({"type": "count"}, config("count", "1"), []),
        ({"type": "ustring"}, config("hostname", "a"), []),
        ({"type": "count"}, config("astring", "1"), ["config/port is of type astring, not count"]),
        (
            {"cardinality_min": "1", "cardinality_max": "2"},
            config("count"),
            ["config/port has 0 values, not 1 to 2"],
        ),
        ({"constraint_name": ["a", "b"]}, config("astring", "b"), []),
        (
            {"constraint_name": ["a", "b"]},
            config("astring", "b", "c"),
            ['config/port may not be "c"'],
        ),
        ({"constraint_range": ["1,5", "8,9"]}, config("count", "9"), []),
        ({"constraint_range": ["1,5"]}, config("count", "6"), ['config/port may not be "6"']),
        ({"constraint_range": ["1,5"]}, config("astring", "x"), ['config/port may not be "x"']),
        ({}, {}, ["property group config is required"]),
        ({"required": "true"}, {"config": Group("application")}, ["config/port is required"]),
        (
            {},
            {"config": Group("other")},
            ["property group config is of type other, not application"],
        ),
    ],
)
def test_templates(limits: dict[str, str | list[str]], found: Groups, expected: list[str]) -> None:
    assert problems({**templates(**limits), **found}) == expected


def test_templates_about_others_say_nothing_here() -> None:
    pattern = group(PG_PATTERN, name="config", type="", required="true", target="delegate")
    assert problems({"tm_pg": pattern}) == []


def test_what_cannot_work() -> None:
    right = group(
        "dependency", grouping="require_all", restart_on="none", type="path", entities="file:///x"
    )
    wrong = group("dependency", grouping="all", restart_on="none", type="path", entities="svc:/x")
    method = group("method", exec=":true")
    assert problems({"right": right, "start": method}) == []
    found = problems({"wrong": wrong, "stop": group("method")})
    assert len(found) == 3
    assert 'grouping is "all"' in found[0]
    assert "svc:/x is not of type path" in found[1]
    assert found[2] == "method stop has no exec"
