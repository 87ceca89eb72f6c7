# SPDX-License-Identifier: MPL-2.0
"""vmadm events: the event stream, one line a change."""

import json
import sys
from collections.abc import Iterator

from hull.client.call import stream
from hull.wire import Json, JsonObject

ALIAS_WIDTH = 30


def follow(uuid: str, options: dict[str, str], events: Iterator[JsonObject] | None = None) -> None:
    """Print events, hulld's if not others, until interrupted; `uuid` limits them to one VM."""
    for event in events or stream("/events"):
        if event["type"] == "ready":
            if "-r" in options:
                _write(_json(event) if "-j" in options else ready_line(event, "-f" in options))
        elif not uuid or event.get("zonename") == uuid:
            if "-j" in options:
                _write(_json(event))
            else:
                for line in lines(event, full="-f" in options):
                    _write(line)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ready_line(event: JsonObject, full: bool) -> str:  # noqa: FBT001  # a flag of the command line
    return f"[{_time(event, full=full)}] ready" + (f" (uuid {event.get('uuid')})" if full else "")


def lines(event: JsonObject, *, full: bool) -> list[str]:
    """One event as text: a line a change, or one line for create and delete."""
    zone = str(event.get("zonename"))
    vm = event.get("vm")
    alias = str(vm.get("alias") or "-") if isinstance(vm, dict) else "-"
    if len(alias) > ALIAS_WIDTH:
        alias = alias[: ALIAS_WIDTH - 3] + "..."
    head = f"[{_time(event, full=full)}] {zone if full else zone[:8]} {alias} {event['type']}"
    changes = event.get("changes")
    if event["type"] != "modify" or not isinstance(changes, list):
        return [head]
    return [f"{head}: {_change(change)}" for change in changes]


def _change(change: Json) -> str:
    assert isinstance(change, dict)
    old, new = _json(change.get("oldValue")), _json(change.get("newValue"))
    return f"{change['prettyPath']} {change['action']} :: {old} -> {new}"


def _json(value: Json) -> str:
    """As JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _time(event: JsonObject, *, full: bool) -> str:
    when = str(event.get("date"))
    return when if full else when.partition("T")[2]
