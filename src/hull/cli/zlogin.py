# SPDX-License-Identifier: MPL-2.0
"""zlogin: enter a zone. Interactive with a pty of the zone's own, or one command with pipes."""

import os
import sys

from hull.cli.command import Args, Command, Verb, query, quote, say
from hull.errors import Usage

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from hull.cli import terminal


def zlogin(args: Args) -> int:
    zone = args.options.get("-z") or args.word("ZONE")
    options = args.options
    if "-S" in options and "-l" in options:
        raise Usage("-S and -l exclude each other: the safe way in knows no users")
    if "-E" in options and "-e" in options:
        raise Usage("-E and -e exclude each other")
    if len(options.get("-e", "~").encode()) != 1:
        raise Usage("-e takes one ASCII character")
    if "-C" in options or "-I" in options:
        args.end()
        return console(args, zone)
    if "-d" in options:
        raise Usage("-d belongs to -C")
    return session(args, zone)


def console(args: Args, zone: str) -> int:
    """-C, the zone's console; -I, what its init reads and writes, which is the same here."""
    from hull.cli import terminal
    from hull.client.call import stream

    answer = args.call("GET", f"/zones{query(zone=zone)}")
    assert isinstance(answer, list)
    found = answer[0]
    assert isinstance(found, dict)
    uuid = str(found["uuid"])
    return terminal.watch_console(
        args.call,
        uuid,
        escape_of(args),
        changes=terminal.Changes(uuid, lambda: stream("/events")),
        until_halt="-d" in args.options or "-I" in args.options,
        quiet="-Q" in args.options,
    )


def session(args: Args, zone: str) -> int:
    """A login, or a command."""
    from hull.cli import terminal

    options = args.options
    if "-N" in options:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    has_tty = "-i" not in options and (not args.words or "-t" in options)
    if has_tty and not terminal.interactive():
        if not args.words and "-i" not in options:
            args.words = ["/bin/sh"]  # a script on standard input, as `ssh host` takes it
        has_tty = False
    body = terminal.process(
        options.get("-l", "root"), args.words, terminal=has_tty, safe="-S" in options
    )
    plan = args.call("POST", f"/vms/{quote(zone)}?action=login", body)
    assert isinstance(plan, dict)
    argv = plan["argv"]
    assert isinstance(argv, list)
    words = [str(word) for word in argv]
    try:
        if not has_tty:
            return terminal.command(words)
        if "-Q" in options:
            return terminal.login(words, str(plan["tty_socket"]), escape_of(args))
        say(f"[Connected to zone '{zone}' pts]")
        status = terminal.login(words, str(plan["tty_socket"]), escape_of(args))
        say(f"\n[Connection to zone '{zone}' pts closed]")
        return status
    finally:
        os.unlink(str(plan["process"]))


def escape_of(args: Args) -> "terminal.Escape":
    from hull.cli import terminal

    return terminal.Escape(b"" if "-E" in args.options else args.options.get("-e", "~").encode())


def parse_first(argv: list[str]) -> list[str]:
    """Options end at the zone's name: what follows is the command's own."""
    takes_value = {"-l", "-e", "-z"}
    position = 0
    named = False  # by -z: then no word is the zone's
    while position < len(argv) and argv[position].startswith("-") and argv[position] != "--":
        named = named or argv[position].startswith("-z")
        position += 2 if argv[position] in takes_value else 1
    if position >= len(argv) or argv[position] == "--":
        return argv
    if named:
        return [*argv[:position], "--", *argv[position:]]
    return [*argv[: position + 1], "--", *argv[position + 1 :]]


COMMAND = Command(
    "zlogin",
    "enter a zone",
    (
        Verb(
            "",
            zlogin,
            "[-CdEIiNQSt] [-e CHAR] [-l USER] ZONE [COMMAND …]",
            "Log in to ZONE (uuid or alias), stay at its console (-C), or run COMMAND and end as "
            "it ends. -S goes in without a login, -i never makes a terminal, -t makes one for "
            "COMMAND too. `~.` at the start of a line leaves.",
            options={
                **dict.fromkeys(("-C", "-d", "-E", "-I", "-i", "-N", "-Q", "-S", "-t"), ""),
                "-e": "CHAR",
                "-l": "USER",
                "-z": "ZONE",
            },
        ),
    ),
)


def main() -> None:
    argv = sys.argv[1:]
    if not argv:
        argv = ["--help"]
    here = argv[:1] if argv[:1] == ["--here"] else []
    sys.exit(COMMAND.main([*here, *parse_first(argv[len(here) :])]))
