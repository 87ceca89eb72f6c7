# SPDX-License-Identifier: MPL-2.0
"""zlogin: enter a zone. Interactive with a pty of the zone's own, or one command with pipes."""

import os
import sys

from hull.cli.command import Args, Command, Verb, quote, say


def zlogin(args: Args) -> int:
    from hull.cli import terminal

    zone = args.word("ZONE")
    if "-C" in args.options:
        args.end()
        escape = args.options.get("-e", "\x1d").encode()[:1]
        return terminal.console(args.call, quote(zone), escape=escape)
    has_tty = "-i" not in args.options and (not args.words or "-t" in args.options)
    if has_tty and not terminal.interactive():
        if not args.words and "-i" not in args.options:
            args.words = ["/bin/sh"]  # a script on standard input, as `ssh host` takes it
        has_tty = False
    body = terminal.process(args.options.get("-l", "root"), args.words, terminal=has_tty)
    plan = args.call("POST", f"/vms/{quote(zone)}?action=login", body)
    assert isinstance(plan, dict)
    argv = plan["argv"]
    assert isinstance(argv, list)
    words = [str(word) for word in argv]
    try:
        if has_tty:
            if "-Q" not in args.options:
                say(f"[Connected to zone '{zone}' pts]")
            return terminal.login(words, str(plan["tty_socket"]))
        return terminal.command(words)
    finally:
        os.unlink(str(plan["process"]))


def parse_first(argv: list[str]) -> list[str]:
    """Options end at the zone's name: what follows is the command's own."""
    takes_value = {"-l", "-e"}
    position = 0
    while position < len(argv) and argv[position].startswith("-") and argv[position] != "--":
        position += 2 if argv[position] in takes_value else 1
    if position >= len(argv) or argv[position] == "--":
        return argv
    return [*argv[: position + 1], "--", *argv[position + 1 :]]


COMMAND = Command(
    "zlogin",
    "enter a zone",
    (
        Verb(
            "",
            zlogin,
            "[-CQit] [-e KEY] [-l USER] ZONE [COMMAND …]",
            "Log in to ZONE (uuid or alias), join its console (-C), or run COMMAND and end as it "
            "ends; -i never makes a terminal, -t makes one for COMMAND too.",
            options={"-C": "", "-Q": "", "-i": "", "-t": "", "-e": "KEY", "-l": "USER"},
        ),
    ),
)


def main() -> None:
    argv = sys.argv[1:]
    if not argv:
        argv = ["--help"]
    here = argv[:1] if argv[:1] == ["--here"] else []
    sys.exit(COMMAND.main([*here, *parse_first(argv[len(here) :])]))
