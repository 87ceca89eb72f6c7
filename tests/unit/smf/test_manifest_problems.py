# SPDX-License-Identifier: MPL-2.0
"""What is said of manifests that are wrong: all of it, with its lines, whatever is in the file."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smf import dtd, manifest
from smf.document import MOST_DEPTH, MOST_INCLUDES
from smf.errors import SmfError
from smf.states import GROUPINGS
from tests.unit.smf.bundles import DATA, depends, xml

GOOD = sorted(DATA.glob("*.xml"))
NO_ENCODING = b"<?xml version='1.0' encoding='none'?><a/>"


def problems(name: str, *, strict: bool = True) -> list[str]:
    """What is wrong with a file: `LINE: text`."""
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.read(str(DATA / name), strict=strict)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith(f"{DATA}/") for problem in caught.value.problems)
    return [problem.partition(".xml:")[2] for problem in caught.value.problems]


BAD_START = "is no valid name: each part begins with a letter, a digit or _"
NO_COUNT = "is no count: a number from 0 to 18446744073709551615"
UNCLOSED = "4: not well-formed XML: mismatched tag; <service> of line 3 is not closed"
WRONG = {
    "grammar": [
        "3: <service> needs the attribute version",
        "3: there is text in <service>: and more",
        '4: enabled="yes" in <create_default_instance>: it is one of true, false',
        "5: <exec_method> needs the attribute timeout_seconds",
        "6: <execmethod> is unknown; it stands in <service>",
        "7: <dependency> must stand before <exec_method>",
        "7: <dependency> has no attribute colour",
        f'7: grouping="all" in <dependency>: it is one of {", ".join(GROUPINGS)}',
        "9: <service> has a second <stability>",
        "10: <propval> is not allowed in <service>",
        "11: <method_context> must stand before <stability>",
        "11: <method_environment> needs <envvar>",
    ],
    "values": [
        f'3: name in <service>: "-values" {BAD_START}',
        '6: value in <service_fmri>: "restarter" is no FMRI of a service: svc:/...',
        '8: value in <service_fmri>: "file:///etc/passwd" is no FMRI of a service: svc:/...',
        '9: value in <service_fmri>: "svc:/a/b:c/:properties/d/e" names a property, not a service',
        '12: value in <service_fmri>: "svc:/a/b" is no path: file://localhost/...',
        f'14: timeout_seconds in <exec_method name="start">: "soon" {NO_COUNT}',
        '15: "A=B" cannot be the name of an environment variable',
        "17: start is there twice",
        f'19: value in <propval name="workers">: "-4" {NO_COUNT}',
        "20: property workers is there twice",
        '21: name in <propval>: "a b" is no valid name: letters, digits, and _ - . , are allowed',
        "23: a property of type astring has a <astring_list>",
        "26: property group restarter is svc.startd's",
        "27: instance default is there twice",
        "29: service site/values is there twice",
    ],
    "entity": ["3: entity passwd is declared; write out what it stands for"],
    "reference": ["6: there is no entity background; a plain & is written &amp;"],
    "unclosed": [UNCLOSED],
    "include": [
        '3: "../postboot.xml" is not included: only files below the manifest\'s directory',
        '4: "/etc/passwd" is not included: only files below the manifest\'s directory',
        f"5: cannot be included: {DATA}/broken/absent.xml: No such file or directory",
        "7: include.xml includes itself",
        '8: "" is not included: only files below the manifest\'s directory',
        UNCLOSED,  # of unclosed.xml, on line 6
    ],
    "profile": ["4: a profile has no <template>: put it into the manifest"],
    "root": ["2: this is to be a <service_bundle>, and it is a <service>"],
}


@pytest.mark.parametrize("name", WRONG)
def test_all_that_is_wrong_is_told_at_once(name: str) -> None:
    assert problems(f"broken/{name}.xml") == WRONG[name]


def test_every_broken_file_is_in_the_table() -> None:
    assert {path.stem for path in (DATA / "broken").glob("*.xml")} == set(WRONG)


def test_only_a_strict_reader_minds_the_order() -> None:
    told = [line for line in WRONG["grammar"] if "must stand before" not in line]
    assert problems("broken/grammar.xml", strict=False) == told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "1: not well-formed XML: no element found"),
        (
            b"<a>\n<b>",
            "2: not well-formed XML: no element found; <b> of line 2 is not closed",
        ),
        (b"not XML", "1: not well-formed XML: syntax error"),
        ("<a/>".encode("utf-16"), "1: this is UTF-16; save it as UTF-8"),
        (
            b"<?xml version='1.0' encoding='none'?><a/>",
            "1: unknown encoding: none; save it as UTF-8",
        ),
        (b"<a>&b;</a>", "1: not well-formed XML: undefined entity"),
        (b"<a>" * (MOST_DEPTH + 1), f"1: elements are in one another more than {MOST_DEPTH} deep"),
    ],
    ids=lambda given: "" if isinstance(given, bytes) else given,
)
def test_what_is_no_document(given: bytes, said: str) -> None:
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(given, "f")
    assert caught.value.problems == [f"f:{said}"]


def test_entities_do_not_grow() -> None:
    laughs = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(10))
    bomb = f"<!DOCTYPE a [<!ENTITY e0 'ha'>{laughs}]><service_bundle name='&e10;'/>"
    with pytest.raises(manifest.ManifestError, match="entity e0 is declared"):
        manifest.parse(bomb.encode(), "f")


def test_a_doctype_of_its_own_adds_no_attributes() -> None:
    head = b"<!DOCTYPE service_bundle [<!ATTLIST service version CDATA '1'>]>"
    with pytest.raises(manifest.ManifestError, match="needs the attribute version"):
        manifest.parse(head + xml("").replace(b" version='1'", b""), "f")


def test_problems_are_fit_for_a_terminal() -> None:
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(xml("<a\u009b31m/>".replace("\u009b", "")), "f\x1b[31m")
    assert caught.value.problems == ["f?[31m:1: <a31m> is unknown; it stands in <service>"]
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(xml("<stability value='&#x9b;31m&#10;'/>"), "f")
    assert '"?31m?"' in caught.value.problems[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "<property_group name='general' type='application'/>",
            ["property group general is of type framework"],
        ),
        (
            depends("path", "file:relative"),
            ['value in <service_fmri>: "file:relative" is no path: file://localhost/...'],
        ),
        (  # one thing is wrong with it, not two
            depends("what", "svc:/a"),
            ['type="what" in <dependency>: it is one of service, path'],
        ),
        ("<restarter/>", ["<restarter> needs <service_fmri>"]),
        (
            "<method_context><method_profile name='a'/><method_profile name='b'/></method_context>",
            ["<method_context> has a second <method_profile>"],
        ),
    ],
    ids=lambda given: "" if isinstance(given, str) else given[0],
)
def test_one_thing_is_wrong(body: str, said: list[str]) -> None:
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.parse(xml(body), "f")
    assert caught.value.problems == [f"f:1: {each}" for each in said]


def test_an_event_that_there_is_not() -> None:
    notified = (
        "<notification_parameters><event value='to-bed'/><type name='smtp'/>"
        "</notification_parameters>"
    )
    with pytest.raises(manifest.ManifestError, match='there is no event "to-bed"'):
        manifest.parse(xml(notified), "f")


def test_a_text_includes_no_files() -> None:
    bundle = f"<service_bundle type='manifest' name='a'><xi:include href='{GOOD[0]}'/>"
    for href in (GOOD[0], "Makefile", "file:Makefile"):
        here = bundle.replace(str(GOOD[0]), str(href)) + "</service_bundle>"
        with pytest.raises(manifest.ManifestError, match="is not included: only files below"):
            manifest.parse(here.encode(), "f")


def test_a_root_without_its_attributes() -> None:
    with pytest.raises(manifest.ManifestError, match="needs the attribute name"):
        manifest.parse(xml("").replace(b" name='test'><s", b"><s"), "f")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SmfError, match="No such file"):
        manifest.read(str(tmp_path / "absent.xml"))
    with pytest.raises(SmfError, match="directory"):
        manifest.read(str(tmp_path))


def test_a_link_leads_out_of_no_directory(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outer.xml").write_bytes(xml(""))
    (inner / "link.xml").symlink_to("../outer.xml")
    top = inner / "top.xml"
    top.write_text(
        "<service_bundle type='manifest' name='a'><xi:include href='link.xml'/></service_bundle>"
    )
    with pytest.raises(manifest.ManifestError, match="only files below"):
        manifest.read(str(top))


def test_includes_do_not_grow(tmp_path: Path) -> None:
    """Each file includes the next one twice."""
    for number in range(20):
        includes = f"<xi:include href='{number + 1}.xml'/>" * 2
        bundle = f"<service_bundle type='manifest' name='a'>{includes}</service_bundle>"
        (tmp_path / f"{number}.xml").write_text(bundle)
    (tmp_path / "20.xml").write_bytes(xml(""))
    with pytest.raises(manifest.ManifestError, match=f"there are {MOST_INCLUDES} includes already"):
        manifest.read(str(tmp_path / "0.xml"))


def test_the_table_names_only_what_is_in_it() -> None:
    named = {tag for each in dtd._PARTICLES.values() for place in each for tag in place.tags}
    assert named | {"service_bundle"} == set(dtd.ELEMENTS)


@given(st.data())
def test_no_text_is_a_bug(data: st.DataObject) -> None:
    """Whatever is in a file: it is a bundle, or there are problems."""
    whole = (DATA / data.draw(st.sampled_from([path.name for path in GOOD]))).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    broken = whole[:start] + data.draw(st.binary(max_size=8)) + whole[start + length :]
    with contextlib.suppress(manifest.ManifestError):
        assert manifest.parse(broken, "f").kind in ("manifest", "profile", "archive")
