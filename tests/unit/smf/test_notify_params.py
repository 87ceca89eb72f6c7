# SPDX-License-Identifier: MPL-2.0
"""Sets of events, ways of telling, and what of several levels counts."""

import pytest

from smf import notify_params
from smf.errors import SmfError
from smf.notify_params import change, events, lookup, parse, ways
from smf.tree import Group


def test_events() -> None:
    assert events("to-maintenance") == ["to-maintenance"]
    assert events("offline,to-offline") == ["to-offline", "from-offline"]
    assert len(events("from-all")) == 6
    assert len(events("all")) == 12
    assert events("list.suspect") == events("problem-diagnosed") == ["problem-diagnosed"]
    assert events("ireport.os.smf.*") == ["ireport.os.smf"]


@pytest.mark.parametrize(
    "text", ["", "to-", "to-up", "up", "to-online,problem-repaired", "list.a b", "list.", "on-all"]
)
def test_no_events(text: str) -> None:
    with pytest.raises(SmfError):
        events(text)


def test_mail() -> None:
    (way,) = parse(["mailto:a@x.org,b@x.org?reply-to=c%40x.org&msg_template=/t"])
    assert (way.protocol, way.active) == ("smtp", True)
    assert way.parameters == {
        "to": ("a@x.org", "b@x.org"), "reply-to": ("c@x.org",), "msg_template": ("/t",),
    }  # fmt: skip


def test_several_ways_in_a_word() -> None:
    mail, hook = parse(["mailto:root,https://h/a,b", "http://h/c"])
    assert mail.parameters == {"to": ("root",)}
    assert hook.parameters == {"url": ("https://h/a,b", "http://h/c")}


@pytest.mark.parametrize(
    "text",
    [
        "", "a@x", "mailto:", "mailto:a", "mailto:@", "mailto:a@x?to=b", "mailto:a@x?cc",
        "snmp:active", "https:", "https://", "https:///", "https://a b", "mailto:a@x?cc=%0a",
        "mailto:a@x%0aBcc:b@y", "ftp://x",
    ],
)  # fmt: skip
def test_no_way(text: str) -> None:
    with pytest.raises(SmfError):
        parse([text])


def test_nothing_is_no_way() -> None:
    with pytest.raises(SmfError, match="say how"):
        parse([])


def test_what_is_changed_and_what_stays() -> None:
    group = change(None, parse(["mailto:a@x", "https://h/"]))
    group = change(group, parse(["mailto:inactive"]))
    group = change(group, parse(["https://other/"]))
    mail, hook = ways(group)
    assert (mail.protocol, mail.active, mail.parameters) == ("smtp", False, {"to": ("a@x",)})
    assert (hook.protocol, hook.active, hook.parameters["url"]) == (
        "webhook", True, ("https://other/",),
    )  # fmt: skip
    with pytest.raises(SmfError, match="no parameters yet"):
        change(None, parse(["mailto:active"]))


def test_the_first_level_that_has_the_event_counts() -> None:
    near, far = Group(notify_params.TYPE), Group(notify_params.TYPE)
    other = Group("application")
    levels = [("i", {"to-online": other}), ("s", {"to-online": near}), ("g", {"to-online": far})]
    assert lookup(levels, "to-online") == ("s", near)
    assert lookup(levels, "to-offline") is None
