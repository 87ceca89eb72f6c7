# SPDX-License-Identifier: MPL-2.0
"""The language of svccfg: what is a word, where errors are; what is quoted reads as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf.cli.svccfg_lang import BadLine, Unfinished, glue, lines, quote


def words(text: str) -> list[list[str]]:
    return [[token.text for token in line] for line in lines(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\n# nothing\n   # here either", []),
        ("list", [["list"]]),
        ("a b\nc", [["a", "b"], ["c"]]),
        ("a \\\n b", [["a", "b"]]),
        ("a\\\nb", [["a", "b"]]),
        ('a "b c" ""', [["a", "b c", ""]]),
        (r'"a\"b\\c\d"', [['a"b\\cd']]),
        ('"two\nlines" x\ny', [["two\nlines", "x"], ["y"]]),
        ("p/q=(a\n b)\nc", [["p/q", "=", "(", "a", "b", ")"], ["c"]]),
        ("p/q = astring: x", [["p/q", "=", "astring:", "x"]]),
        ("export a > b", [["export", "a", ">", "b"]]),
        ("a # b", [["a", "#", "b"]]),
        (r"a\b", [[r"a\b"]]),
        ("a\r\nb", [["a"], ["b"]]),
    ],
)
def test_words(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ['a "b', "a (b", "a \\", '"\\', "(("])
def test_more_must_come(text: str) -> None:
    with pytest.raises(Unfinished):
        words(text)


def test_an_error_points_at_the_column() -> None:
    with pytest.raises(BadLine) as raised:
        words('list\nsetprop\ta/b = "x')
    assert str(raised.value).splitlines() == [
        'line 2, column 15: the quote is not closed by "',
        '    setprop a/b = "x',
        "                  ^",
    ]
    with pytest.raises(BadLine, match="column 3: there is no"):
        words("a )")


def test_glue() -> None:
    (line,) = lines('mailto:a?b=c "x"y > f(1)')
    assert [token.text for token in glue(line)] == ["mailto:a?b=c", "xy", ">", "f(1)"]


@given(st.lists(st.text(), max_size=5))
def test_what_is_quoted_reads_as_it_was(values: list[str]) -> None:
    assert words(" ".join(map(quote, ["x", *values]))) == [["x", *values]]


@given(st.text(alphabet='ab"\\=()>#: \n\t', max_size=40))
def test_any_text_reads_or_is_refused(text: str) -> None:
    try:
        found, problem = words(text), None
    except BadLine as exc:
        found, problem = [], exc
    assert all(found)
    if problem:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1
