# SPDX-License-Identifier: MPL-2.0
"""Who is told what about a change of state."""

import json

import pytest

from smf.notify_message import (
    Message,
    Transition,
    expand,
    iso,
    load,
    macros,
    messages,
    webhook_body,
)
from smf.notify_params import GLOBAL
from smf.tree import Group, Groups, Property

FMRI = "svc:/site/a:default"
WHEN = "1795843770.500000000"


def params(**events: dict[str, list[str]]) -> Groups:
    """to_online={"smtp,to": [...]}: groups of notification parameters."""
    return {
        name.replace("_", "-"): Group(
            "notify_params", {prop: Property("astring", found) for prop, found in values.items()}
        )
        for name, values in events.items()
    }


def mail(*receivers: str) -> dict[str, list[str]]:
    return {"smtp,to": list(receivers)}


def told(
    before: str,
    after: str,
    instance: Groups | None = None,
    service: Groups | None = None,
    everywhere: Groups | None = None,
    problems: Groups | None = None,
) -> list[tuple[str, list[str]]]:
    levels = [
        (FMRI, instance or {}), ("svc:/site/a", service or {}), (GLOBAL, everywhere or {}),
    ]  # fmt: skip
    found = messages(Transition(FMRI, before, after, "none", WHEN), levels, problems or {})
    return [(message.value("to") or message.value("url"), message.events) for message in found]


def test_the_nearest_that_says_something_is_all_that_counts() -> None:
    near, middle, far = (params(to_online=mail(f"{each}@x")) for each in "abc")
    assert told("offline", "online", near, middle, far) == [("a@x", ["to-online"])]
    assert told("offline", "online", None, middle, far) == [("b@x", ["to-online"])]
    assert told("offline", "online", None, None, far) == [("c@x", ["to-online"])]
    assert told("offline", "online", params(from_online=mail("z@x")), None, far) == [
        ("c@x", ["to-online"])
    ]


def test_other_changes_say_nothing() -> None:
    everywhere = params(to_maintenance=mail("a@x"), from_maintenance=mail("b@x"))
    assert told("offline", "online", everywhere=everywhere) == []
    assert told("online", "maintenance", everywhere=everywhere) == [("a@x", ["to-maintenance"])]
    assert told("maintenance", "offline", everywhere=everywhere) == [("b@x", ["from-maintenance"])]


def test_one_destination_is_told_once() -> None:
    everywhere = params(to_offline=mail("a@x"), from_online=mail("a@x"))
    assert told("online", "offline", everywhere=everywhere) == [
        ("a@x", ["to-offline", "from-online"])
    ]


def test_mail_goes_to_all_at_once_and_webhooks_one_by_one() -> None:
    both = mail("a@x", "b@x") | {"webhook,url": ["http://h/1", "http://h/2"]}
    assert told("offline", "online", params(to_online=both)) == [
        ("a@x", ["to-online"]), ("http://h/1", ["to-online"]), ("http://h/2", ["to-online"]),
    ]  # fmt: skip


def test_what_is_inactive_is_not_used() -> None:
    groups = params(to_online=mail("a@x"))
    groups["to-online"].properties["smtp,active"] = Property("boolean", ["false"])
    assert told("offline", "online", groups) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("online", "maintenance", ["problem-diagnosed"]),
        ("online", "degraded", ["problem-diagnosed"]),
        ("maintenance", "offline", ["problem-repaired", "problem-resolved"]),
        ("online", "offline", []),
    ],
)
def test_problems(before: str, after: str, expected: list[str]) -> None:
    problems = params(
        problem_diagnosed=mail("a@x"), problem_repaired=mail("a@x"), problem_resolved=mail("a@x")
    )
    found = told(before, after, problems=problems)
    assert [events for _, events in found] == ([expected] if expected else [])


def test_a_class_is_of_all_below_it() -> None:
    problems = params(**{"ireport.os.smf": mail("a@x")})
    assert told("offline", "online", problems=problems) == [("a@x", ["ireport.os.smf"])]


@pytest.fixture
def message() -> Message:
    transition = Transition(FMRI, "online", "maintenance", "method_failed", WHEN)
    made = Message("webhook", {"url": ("https://me:secret@h.example:1/p",)}, transition)
    made.id, made.host, made.zone, made.events = "1-2-3", "host1", "global", ["to-maintenance"]
    return made


def test_a_message_survives_the_spool(message: Message) -> None:
    assert load(message.dump()).dump() == message.dump()
    assert load(message.dump()).server() == "https://h.example:1"


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"null", b'["a","b",1,2,3,4,5]', b"\xff"])
def test_what_is_no_message_is_told(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds
        load(text)


def test_a_template_is_filled_in(message: Message) -> None:
    text = "%<FMRI> %<TO-STATE> 100%% %<NO-SUCH> %h"
    assert expand(text, message) == f"{FMRI} maintenance 100% %<NO-SUCH> %h"
    assert set(macros(message)) >= {"HOSTNAME", "FMRI", "FROM-STATE", "TO-STATE", "SEVERITY"}


def test_a_webhook_gets_the_documented_fields(message: Message) -> None:
    assert json.loads(webhook_body(message)) == {
        "id": "1-2-3", "events": ["to-maintenance"], "host": "host1", "zone": "global",
        "fmri": FMRI, "from": "online", "to": "maintenance", "reason": "method_failed",
        "time": iso(WHEN), "severity": "major",
        "text": f"{FMRI} on host1 went from online to maintenance (method_failed)",
    }  # fmt: skip


def test_time_is_iso_8601() -> None:
    assert iso("0.5") == "1970-01-01T00:00:00.500000Z"
    assert iso("1.000000001") == "1970-01-01T00:00:01.000000Z"
