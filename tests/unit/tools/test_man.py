# SPDX-License-Identifier: MPL-2.0
"""tools/man.py: markdown to roff, on small things and on every page that there is."""

from pathlib import Path

import pytest

from tools.man import roff

PAGES = sorted((Path(__file__).parents[3] / "docs/man").glob("*.md"))
HEAD = "# x(8) -- what it is\n\n"


def body(markdown: str) -> str:
    return roff(HEAD + markdown).partition("what it is\n")[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page(page: Path) -> None:
    made = roff(page.read_text(encoding="utf-8"))
    name, section, _ = page.name.rsplit(".", 2)
    assert made.startswith(f".TH {name.upper()} {section} ")
    assert "`" not in made
    assert "**" not in made


def test_title() -> None:
    made = roff("# mdata-get(8) -- see mdata(8)\n")
    assert made.splitlines()[0] == '.TH MDATA-GET 8 "" Hull "Hull\'s manual"'
    assert made.splitlines()[-2:] == [".SH NAME", "mdata\\-get \\- see mdata(8)"]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("## EXIT STATUS\n", '.SH "EXIT STATUS"\n'),
        ("### get UUID\n", '.SS "get UUID"\n'),
        ("Two\nlines.\n", ".PP\nTwo lines.\n"),
        ("One.\n\nTwo.\n", ".PP\nOne.\n.PP\nTwo.\n"),
        ("* `-f`: a\n  b\n* c\n", ".IP \\[u2022] 2\n\\fB\\-f\\fR: a b\n.IP \\[u2022] 2\nc\n"),
        ("**a** and *b*, 2 * 3\n", ".PP\n\\fBa\\fR and \\fIb\\fR, 2 * 3\n"),
        ("`nics.*.ip` and `tags.*`\n", ".PP\n\\fBnics.*.ip\\fR and \\fBtags.*\\fR\n"),
        ("[hull(8)](hull.8.md)\n", ".PP\nhull(8)\n"),
        ("`.x` 'y' \\z ^] ~.\n", ".PP\n\\fB\\&.x\\fR \\(aqy\\(aq \\ez \\(ha] \\(ti.\n"),
        ("    # a -b\n      c\n", ".PP\n.RS 4\n.nf\n# a \\-b\n  c\n.fi\n.RE\n"),
        ("    a\n\n    b\n\nc\n", ".PP\n.RS 4\n.nf\na\n\nb\n.fi\n.RE\n.PP\nc\n"),
        ("- a\n- b\n", ".IP \\[u2022] 2\na\n.IP \\[u2022] 2\nb\n"),
        ("<!-- a comment -->\n", ""),
    ],
)
def test_kinds_of_lines(markdown: str, expected: str) -> None:
    assert body(markdown) == expected


@pytest.mark.parametrize(
    "line", ["| a | b |", "1. one", "```sh", "> quote", "#### deep", "  odd", "a `b"]
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        body(f"{line}\n")


def test_what_it_is_may_stand_in_a_section() -> None:
    made = roff("# x(8)\n\n## NAME\n\nx - what it is\n")
    assert made.endswith('.ad l\n.SH "NAME"\n.PP\nx \\- what it is\n')


def test_a_page_without_a_title_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        roff("# vmadm\n")
