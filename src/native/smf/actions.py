# SPDX-License-Identifier: MPL-2.0
"""What an administrator asks of an instance, as operations on the repository (smf.store).

startd watches for them: enabled or not is a property, the rest are actions with the time when they
were asked for.
"""

import os
import time

from smf.fmri import is_exact
from smf.tree import RUNNING, Groups

Operations = list[list[object]]
ACTIONS = "restarter_actions"


def act(fmri: str, verb: str) -> Operations:
    """Ask startd for an action, and say who asks: a service, if SMF_FMRI says so, or a terminal."""
    asker = os.environ.get("SMF_FMRI", "")
    return [
        ["group", fmri, ACTIONS, "framework", "P"],
        ["set", fmri, ACTIONS, "auxiliary_tty", "boolean", ["true" if _at_tty() else "false"]],
        ["set", fmri, ACTIONS, "auxiliary_fmri", "astring", [asker] if is_exact(asker) else []],
        ["set", fmri, ACTIONS, verb, "integer", [str(time.time_ns())]],
    ]


def _at_tty() -> bool:
    return any(os.isatty(fd) for fd in (0, 1, 2))


def refresh(fmri: str) -> Operations:
    """What is configured becomes what runs."""
    return [["snapshot", fmri, RUNNING, ""], *act(fmri, "refresh")]


def enable(fmri: str, groups: Groups, *, wanted: bool, temporary: bool) -> Operations:
    """Enable or disable, for good or until the machine goes down. `groups`: what it has now."""
    value = ["true" if wanted else "false"]
    if temporary:
        return [
            ["group", fmri, "general_ovr", "framework", "P"],
            ["set", fmri, "general_ovr", "enabled", "boolean", value],
            *_unset(fmri, groups, "comment"),
        ]
    return [
        ["group", fmri, "general", "framework", ""],
        ["set", fmri, "general", "enabled", "boolean", value],
        *_unset(fmri, groups, "enabled"),
        *_unset(fmri, groups, "comment"),
    ]


def comment(fmri: str, text: str) -> Operations:
    """Why it was disabled; svcs shows it."""
    return [
        ["group", fmri, "general_ovr", "framework", "P"],
        ["set", fmri, "general_ovr", "comment", "astring", [text]],
    ]


def _unset(fmri: str, groups: Groups, prop: str) -> Operations:
    found = groups.get("general_ovr")
    return [["unset", fmri, "general_ovr", prop]] if found and prop in found.properties else []
