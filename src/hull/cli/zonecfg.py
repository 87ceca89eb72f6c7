# SPDX-License-Identifier: MPL-2.0
"""zonecfg: show and change how a zone is configured, in statements."""

import functools
import os
import sys
from collections.abc import Callable

from hull.cli.command import Args, Command, Verb, report, say
from hull.cli.zonecfg_lang import statements
from hull.cli.zonecfg_session import FINISH, Session, commit
from hull.errors import Error, HostError, Refused, Usage


def zonecfg(args: Args) -> int:
    name = args.options.get("-z") or args.options.get("-u", "")
    if not name and args.words == ["help"]:
        sys.stdout.write(COMMAND.usage())
        return 0
    if not name:
        raise Usage("no zone specified: -z ZONE or -u UUID")
    if "-f" in args.options and args.words:
        raise Usage("-f and statements exclude each other")
    session = Session(args, name, args.options.get("-u", ""))
    if "-f" in args.options:
        status = batch(session, _read(args.options["-f"]))
    elif args.words:
        status = batch(session, " ".join(args.words))
    elif os.isatty(0):
        return interactive(session)
    else:
        status = batch(session, sys.stdin.read())
    return status


def _read(name: str) -> str:
    try:
        with open(0 if name == "-" else name, encoding="utf-8", closefd=name != "-") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise HostError(f"cannot read {name}: {exc}") from None


def batch(session: Session, text: str) -> int:
    """All statements, and then a commit; the first that fails ends it, and nothing is committed."""
    for words in statements(text):
        session.run(words)
        if session.done:
            break
    if session.resource:
        raise Refused(f"{session.resource.kind} is not finished", hint=FINISH)
    if session.config is not None and session.config != session.saved:
        commit(session, [])
    return 0


def interactive(session: Session) -> int:
    """Ask for statements until exit or the end of the input."""
    import readline  # line editing, by being imported

    del readline
    if session.config is None:
        say(f"{session.name}: No such zone configured")
        say("Use 'create' to begin configuring a new zone.")
    while not session.done:
        try:
            line = input(session.prompt)
        except EOFError:
            sys.stdout.write("\n")
            break
        _try(functools.partial(_run, session, line))
    if session.resource is None and session.config is not None:
        return 0 if _try(lambda: commit(session, [])) else 1
    return 0


def _run(session: Session, line: str) -> None:
    for words in statements(line):
        session.run(words)


def _try(act: Callable[[], object]) -> bool:
    try:
        act()
    except Error as exc:
        report("zonecfg", exc)
        return False
    return True


def plainly(args: Args) -> int:
    """Messages begin with `zonecfg:`; wrong usage of a statement is an error of the whole."""
    try:
        return zonecfg(args)
    except Usage:
        raise
    except Error as exc:
        report("zonecfg", exc)
        return 1


COMMAND = Command(
    "zonecfg",
    "how a zone is configured",
    (
        Verb(
            "",
            plainly,
            "-z ZONE | -u UUID [-f FILE | STATEMENT …]",
            "Show or change a zone by statements: as words with `;` between them, from FILE, from "
            "standard input, or one after the other at a prompt.",
            options={"-z": "ZONE", "-u": "UUID", "-f": "FILE"},
        ),
    ),
)


def statements_last(argv: list[str]) -> list[str]:
    """Options end at the first word: what follows are statements, with options of their own."""
    position = 0
    while position < len(argv) and argv[position].startswith("-") and argv[position] != "--":
        position += 2 if argv[position] in ("-z", "-u", "-f") else 1
    if position >= len(argv) or argv[position] == "--":
        return argv
    return [*argv[:position], "--", *argv[position:]]


def main() -> None:
    argv = sys.argv[1:]
    here = argv[:1] if argv[:1] == ["--here"] else []
    sys.exit(COMMAND.main([*here, *statements_last(argv[len(here) :])]))
