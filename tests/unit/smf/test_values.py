# SPDX-License-Identifier: MPL-2.0
"""Values: what each type takes, how it writes it, and what it says of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf import values
from smf.errors import BadValue


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        ("boolean", "1", "true"), ("boolean", "FALSE", "false"), ("boolean", "0", "false"),
        ("count", "0x10", "16"), ("count", "18446744073709551615", "18446744073709551615"),
        ("integer", "-5", "-5"), ("integer", "-9223372036854775808", "-9223372036854775808"),
        ("time", "1", "1.000000000"), ("time", "12.5", "12.500000000"),
        ("time", "-0.5", "-0.500000000"), ("time", "-12.25", "-12.250000000"),
        ("opaque", "ABC", "0abc"), ("opaque", "", ""),
        ("astring", "", ""), ("astring", "a b", "a b"), ("astring", "\udcff", "\udcff"),
        ("ustring", "ä", "ä"), ("uri", "https://a/b", "https://a/b"),
        ("uri", "mailto:a", "mailto:a"),
        ("fmri", "svc:/a:b", "svc:/a:b"), ("fmri", "file:///x", "file:///x"),
        ("host", "10.0.0.1", "10.0.0.1"), ("host", "a.example", "a.example"),
        ("hostname", "a-b.c.", "a-b.c."), ("net_address", "fe80::1", "fe80::1"),
        ("net_address_v4", "10.0.0.1/8", "10.0.0.1/8"), ("net_address_v6", "::/0", "::/0"),
    ],
)  # fmt: skip
def test_the_canonical_form(kind: str, text: str, canonical: str) -> None:
    assert values.canonical(kind, text) == canonical
    assert values.canonical(kind, canonical) == canonical


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("boolean", "yes"), ("boolean", ""), ("count", "-1"), ("count", "18446744073709551616"),
        ("count", ""), ("count", "1_0"), ("count", "0x"), ("integer", "9223372036854775808"),
        ("integer", "--1"), ("integer", "1.5"), ("time", "1.0000000001"), ("time", ".5"),
        ("time", "x"), ("opaque", "xy"), ("astring", "a\0b"), ("uri", "nothing"), ("uri", ":x"),
        ("fmri", "site/a"), ("hostname", "-a"), ("hostname", "a..b"), ("hostname", ""),
        ("hostname", "a" * 64), ("host", "a b"), ("net_address", "300.1.1.1"),
        ("net_address_v4", "::1"), ("net_address_v6", "10.0.0.1"), ("astring", "x" * 4096),
        ("ustring", "ä" * 2048), ("ustring", "\ud800"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_it(kind: str, text: str) -> None:
    with pytest.raises(BadValue) as said:
        values.canonical(kind, text)
    assert "invalid literal" not in str(said.value)


def test_a_type_that_there_is_not_names_those_that_there_are() -> None:
    with pytest.raises(BadValue, match="astring"):
        values.canonical("string", "x")


@pytest.mark.parametrize(
    ("kind", "other", "yes"),
    [
        ("fmri", "uri", True), ("fmri", "ustring", True), ("net_address_v4", "host", True),
        ("astring", "ustring", False), ("uri", "fmri", False), ("count", "integer", False),
    ],
)  # fmt: skip
def test_kinds_of_kinds(kind: str, other: str, yes: bool) -> None:
    assert values.is_kind_of(kind, other) is yes


@given(st.sampled_from(sorted(values.TYPES)), st.text(max_size=40))
def test_any_text_is_a_value_or_bad(kind: str, text: str) -> None:
    try:
        found = values.canonical(kind, text)
    except BadValue:
        return
    assert values.canonical(kind, found) == found
