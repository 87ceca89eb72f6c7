#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Write share/completion/hull.bash: bash completion of all commands, from the commands' own tables.

Usage: tools/completion.py. A unit test says when the committed file is out of date.
"""

import argparse
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "src"), str(TOP / "src/native")]

from hull.cli.command import Args, Command, Verb  # noqa: E402  # the path comes first
from hull.model.columns import COLUMNS  # noqa: E402  # the path comes first
from hull.model.prop import BRANDS, SUPPORTED  # noqa: E402  # the path comes first
from hull.model.table import payload_rows  # noqa: E402  # the path comes first
from smf.cli import options as smf  # noqa: E402  # the path comes first
from smf.cli.columns import COLUMNS as SVCS_COLUMNS  # noqa: E402  # the path comes first

# SMF also runs in zones, and so has a table of its own, of the same shape.
AnyCommand = Command | smf.Command
AnyVerb = Verb | smf.Verb

TARGET = TOP / "share/completion/hull.bash"
# hulld takes no arguments.
NOT_COMPLETED = {"hulld"}
WORD = re.compile(r"[\[\]]|[^\s\[\]]+")


def commands() -> list[AnyCommand]:
    """Every launcher in bin/ that takes arguments."""
    names = sorted(path.name for path in (TOP / "bin").iterdir() if path.name not in NOT_COMPLETED)
    return [command(name) for name in names]


def module_of(name: str) -> ModuleType:
    """The module that a launcher in bin/ starts."""
    is_smf = importlib.util.find_spec(f"smf.cli.{name}") is not None
    return importlib.import_module(f"{'smf' if is_smf else 'hull'}.cli.{name}")


def command(name: str) -> AnyCommand:
    """A command's table; the few that are not on anybody's way to a VM speak argparse."""
    module = module_of(name)
    if hasattr(module, "COMMAND"):
        table: AnyCommand = module.COMMAND
        return table
    parser: argparse.ArgumentParser = module.parser()
    arguments: list[str] = []
    options: dict[str, str] = {}
    for action in parser._actions:
        value = str(action.metavar or action.dest.upper()) if action.nargs != 0 else ""
        options |= dict.fromkeys(action.option_strings, value)
        arguments += [] if action.option_strings else [value]
    doc = parser.description or ""
    return Command(name, doc, [Verb("", no_run, " ".join(arguments), doc, options=options)])


def no_run(args: Args) -> int:
    raise NotImplementedError


def slots(verb: AnyVerb) -> list[str]:
    """What may stand at each position, from the synopsis: `A|B` are alternatives, `…` repeats."""
    found: list[str] = []
    position, starts, takes_value = 0, [0], False
    # `FIELD,…` is one word.
    synopsis = verb.arguments.replace("...", "…").replace(",…", "").replace("…", " …")
    for word in WORD.findall(synopsis):
        if word == "[":
            starts.append(position)
        elif word == "]":
            starts.pop()
        elif word == "|":
            position = starts[-1]
        elif word.startswith("-") and word != "-":
            takes_value = bool(verb.options.get(f"-{word[-1]}" if word[1] != "-" else word))
            continue
        elif takes_value and word != "…":
            pass
        elif word == "…":
            found[-1] += "…"
        else:
            if position == len(found):
                found.append(word)
            else:
                found[position] += f"|{word}"
            position += 1
        takes_value = False
    return found


def updatable() -> list[str]:
    """The properties that `vmadm update` takes for some brand that runs here."""
    return sorted(
        name
        for name, row in payload_rows().items()
        if row.acted and any(row.allows(brand, "u") for brand in SUPPORTED)
    )


def brands() -> list[str]:
    return [name for name, letter in BRANDS.items() if letter in SUPPORTED]


def array(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    lines = [f'    ["{key}"]="{value}"' for key, value in pairs]
    return "\n".join([f"declare -gA {name}=(", *lines, ")"])


def tables(known: list[AnyCommand]) -> str:
    """The commands as bash arrays; keys are `COMMAND VERB`, or `COMMAND` alone."""
    verbs = [
        (f"{command.name} {name}".rstrip(), verb)
        for command in known
        for verb in command.verbs
        for name in (verb.name, *verb.aliases)
    ]
    names = [
        (command.name, " ".join(verb.name for verb in command.verbs))
        for command in known
        if command.verbs[0].name
    ]
    options = [
        (key, " ".join(f"{flag}={value}" for flag, value in verb.options.items()))
        for key, verb in verbs
    ]
    return "\n".join(
        [
            array("_hull_verbs", names),
            array("_hull_options", options),
            array("_hull_slots", ((key, " ".join(slots(verb))) for key, verb in verbs)),
            f'_hull_columns="{" ".join(sorted(COLUMNS))}"',
            f'_hull_svcs_columns="{" ".join(map(str.lower, SVCS_COLUMNS))}"',
            f'_hull_properties="{" ".join(updatable())}"',
            f'_hull_brands="{" ".join(brands())}"',
        ]
    )


def script() -> str:
    known = commands()
    names = " ".join(command.name for command in known)
    template = (TOP / "tools/completion.bash").read_text(encoding="utf-8")
    return template.replace("# TABLES", tables(known)).replace("COMMANDS", names)


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(script(), encoding="utf-8")
