# SPDX-License-Identifier: MPL-2.0
"""Boot arguments: what svc.startd is told for one run of the machine, as `zoneadm boot --` does it.

`-s` is single-user. `-m OPTION,...` has milestone=NAME; and verbose, debug or quiet: whether what
startd writes into services' logs is said on the console as well.
"""

from smf.actions import Operations
from smf.client import Client
from smf.fmri import MASTER, MILESTONES, matching
from smf.record import RESTARTER

MESSAGES = ("quiet", "verbose", "debug")


def parse(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """(properties of options_ovr, what is no boot argument)."""
    options: dict[str, str] = {}
    unknown: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-s":
            options["milestone"] = MILESTONES[0]
        elif word == "-m" and rest:
            for option in rest.pop(0).split(","):
                _take(option, options, unknown)
        else:
            unknown.append(word)
    return options, unknown


def _take(option: str, options: dict[str, str], unknown: list[str]) -> None:
    name = option.removeprefix("milestone=")
    found = [name] if name in ("all", "none") else matching(name, MILESTONES)
    if option in MESSAGES:
        options["boot_messages"] = option
    elif name != option and len(found) == 1:
        options["milestone"] = found[0]
    else:
        unknown.append(option)


def remember(client: Client, options: dict[str, str]) -> None:
    """Until the machine's end, and only as it begins: startd may have been killed, and an
    administrator have said otherwise meanwhile. SmfError."""
    if not options or RESTARTER in client.dump([RESTARTER]).get(MASTER, {}):
        return
    do: Operations = [["add", MASTER], ["group", MASTER, "options_ovr", "framework", "P"]]
    for name, text in options.items():
        do.append(["set", MASTER, "options_ovr", name, "astring", [text]])
    client.commit(do)
