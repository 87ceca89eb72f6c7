# SPDX-License-Identifier: MPL-2.0
"""Names: how they are taken apart, which are none, and what an abbreviation means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf import fmri
from smf.errors import BadName

MAIL = "svc:/network/smtp:sendmail"
INSTANCES = [MAIL, "svc:/site/dup/x:one", "svc:/site/dup2/x:one", "svc:/site/dup/x:two",
             "lrc:/etc/rc2_d/S20foo"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("svc://localhost/system/system-log:default", "svc:/system/system-log:default"),
        ("svc://localhost@localhost/a/b:i", "svc:/a/b:i"),
        ("svc:/system/system-log:default", "svc:/system/system-log:default"),
        ("system/system-log:default", "svc:/system/system-log:default"),
        ("svc:/system/system-log", "svc:/system/system-log"),
        ("/a/b", "svc:/a/b"),
        ("svc:/a/b:VENDOR,x_1.2-3", "svc:/a/b:VENDOR,x_1.2-3"),
    ],
)
def test_the_canonical_form(text: str, entity: str) -> None:
    assert fmri.canonical(text) == entity


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("svc:/a/b:i/:properties/pg", ("a/b", "i", "pg", "")),
        ("svc:/a/b/:properties/pg", ("a/b", "", "pg", "")),
        ("svc:/a/b:i/:properties/pg/prop", ("a/b", "i", "pg", "prop")),
    ],
)
def test_properties_have_names_too(text: str, parts: tuple[str, str, str, str]) -> None:
    found = fmri.parse(text)
    assert (found.service, found.instance, found.group, found.prop) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", "svc:", "svc:/", "svc:/:default", "svc:/a/b:", "svc://elsewhere/a:b", "svc:/a//b",
        "svc:/a b:c", "svc:/a:b:c", "svc:/-a", "svc:/a/.b", "svc:/a:b/c", "svc:/ä",
        "lrc:/etc/rc2_d/S20foo", "file:///etc/passwd", "svc:/" + "a" * 120, "svc:/a\n:b",
    ],
)  # fmt: skip
def test_what_is_no_fmri(text: str) -> None:
    with pytest.raises(BadName):
        fmri.parse(text)


@pytest.mark.parametrize("pattern", [
    "sendmail", ":sendmail", "smtp", "smtp:sendmail", "network/smtp", "network/smtp:sendmail",
    "svc:/network/smtp", "svc:/network/smtp:sendmail", "*smtp*", "network/*", "*:sendmail",
    "svc:/network/smtp:*", "*[s]endmail",
])  # fmt: skip
def test_an_abbreviation_that_means_it(pattern: str) -> None:
    assert fmri.matching(pattern, INSTANCES) == [MAIL]


@pytest.mark.parametrize("pattern", [
    "mail", "network", "network/smt", "smtp:send", "smtp*", "mtp", "work/smtp", ":smtp", "",
    "svc:/network", "svc:/smtp", "sendmail:", "rc2_d/S20foo",
])  # fmt: skip
def test_an_abbreviation_that_does_not(pattern: str) -> None:
    assert fmri.matching(pattern, INSTANCES) == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("x", ["svc:/site/dup/x:one", "svc:/site/dup2/x:one", "svc:/site/dup/x:two"]),
        ("x:one", ["svc:/site/dup/x:one", "svc:/site/dup2/x:one"]),
        ("dup/x", ["svc:/site/dup/x:one", "svc:/site/dup/x:two"]),
        ("svc:/site/dup/x", ["svc:/site/dup/x:one", "svc:/site/dup/x:two"]),
        ("svc:/site/dup*/x:one", ["svc:/site/dup/x:one", "svc:/site/dup2/x:one"]),
        ("lrc:/etc/rc2_d/S20foo", ["lrc:/etc/rc2_d/S20foo"]),
    ],
)
def test_several_are_meant(pattern: str, found: list[str]) -> None:
    assert fmri.matching(pattern, INSTANCES) == found


@pytest.mark.parametrize(
    ("text", "path"),
    [("file:///p/q", "/p/q"), ("file://localhost/p", "/p"), ("file:/p", "/p")],
)
def test_a_path(text: str, path: str) -> None:
    assert fmri.is_file(text)
    assert fmri.file_path(text) == path


NAMES = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}\Z")


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
def test_taken_apart_and_put_together(parts: list[str], instance: str) -> None:
    entity = f"svc:/{'/'.join(parts)}:{instance}"
    assert fmri.canonical(entity) == entity
    assert fmri.service_of(entity) == f"svc:/{fmri.name_of(entity)}"
    assert fmri.instance_of(entity) == instance
    for first in range(len(parts)):
        for ends in ("", f":{instance}"):
            assert fmri.matching("/".join(parts[first:]) + ends, [entity]) == [entity]


@given(st.text(max_size=30))
def test_any_text_is_an_fmri_or_bad(text: str) -> None:
    try:
        found = fmri.canonical(text)
    except BadName:
        return
    assert fmri.canonical(found) == found
