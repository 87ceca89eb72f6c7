# SPDX-License-Identifier: MPL-2.0
"""share/completion/hull.bash follows from the commands' tables."""

import pytest

from hull.cli import vmadm, zlogin
from hull.cli.command import Verb
from tools import completion


def test_the_committed_file_is_up_to_date() -> None:
    committed = completion.TARGET.read_text(encoding="utf-8")
    assert committed == completion.script(), "run tools/completion.py"


def test_every_launcher_is_completed() -> None:
    names = {command.name for command in completion.commands()}
    assert {"vmadm", "imgadm", "zlogin", "zoneadm", "hull", "mkimage", "imgapid"} <= names


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ("UUID [-F]", {"-F": ""}, ["UUID"]),
        ("UUID [-f FILE | PROPERTY=VALUE …]", {"-f": "FILE"}, ["UUID", "PROPERTY=VALUE…"]),
        ("create [-f FILE] | update BRAND", {"-f": "FILE"}, ["create|update", "BRAND"]),
        ("[-j [-o FIELD,…]] [-1] [FIELD=VALUE …]", {"-o": "FIELDS"}, ["FIELD=VALUE…"]),
        ("[-CQit] [-l USER] ZONE [COMMAND …]", {"-l": "USER"}, ["ZONE", "COMMAND…"]),
        ("[--pool FILE|DEVICE] [--root DIR]", {"--pool": "PATH", "--root": "DIR"}, []),
        ("[FILTER...]", {}, ["FILTER…"]),
        ("", {}, []),
    ],
)
def test_slots_of_a_synopsis(arguments: str, options: dict[str, str], expected: list[str]) -> None:
    verb = Verb("verb", lambda args: 0, arguments, "", options=options)
    assert completion.slots(verb) == expected


def test_a_command_that_speaks_argparse() -> None:
    (verb,) = completion.command("mkimage").verbs
    assert verb.arguments == "RECIPE"
    assert verb.options["-o"] == "DIR"
    assert verb.options["--quiet"] == ""


def test_a_command_with_a_table_is_taken_as_it_is() -> None:
    assert completion.command("vmadm") is vmadm.COMMAND
    assert completion.command("zlogin") is zlogin.COMMAND


def test_only_what_update_takes_here_is_a_property() -> None:
    names = completion.updatable()
    assert {"alias", "quota", "set_tags", "add_nics"} <= set(names)
    assert not {"uuid", "brand", "state", "bootrom"} & set(names)
