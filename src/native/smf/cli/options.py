# SPDX-License-Identifier: MPL-2.0
"""The grammar of SMF's commands, as getopt(3) has it: options first, `-xv` is `-x -v`.

A command is a table of verbs (svcs and svcprop: one without a name); --help and completion are made
of it. The shape is that of hull.cli.command, which is not to be had inside a zone.
Exit status: 0 done, 1 failed, 2 wrong usage; svcadm has 3 and 4 as well.
"""

import os
import sys
from collections.abc import Callable, Sequence

from smf.client import Client
from smf.errors import SmfError
from smf.places import Places


class Usage(SmfError):
    """Wrong words on the command line."""

    code = "usage"


class Args:
    """What the command line said. An option that came twice has both values."""

    __slots__ = ("command", "given", "options", "places", "verb", "words")

    def __init__(self, verb: str, words: list[str], given: list[tuple[str, str]]) -> None:
        self.verb = verb
        self.words = words
        self.given = given  # options with their values, in their order
        self.options = _by_flag(given)
        self.command: dict[str, list[str]] = {}  # those before the verb
        self.places = Places()

    def has(self, flag: str) -> bool:
        return flag in self.options or flag in self.command

    def value(self, flag: str, default: str = "") -> str:
        """An option's last value."""
        return (self.options.get(flag) or self.command.get(flag) or [default])[-1]

    def client(self) -> Client:
        return Client(self.places.door)


class Verb:
    """One verb: `options` maps a flag to the name of its value, "" if it has none."""

    __slots__ = ("aliases", "arguments", "doc", "name", "options", "run")

    def __init__(
        self,
        name: str,
        run: Callable[[Args], int],
        arguments: str,
        doc: str,
        *,
        options: dict[str, str] | None = None,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.run = run
        self.arguments = arguments
        self.doc = doc
        self.options = options or {}
        self.aliases = aliases


class Command:
    """A command: its verbs, or the one that it is; and the options that stand before a verb."""

    def __init__(
        self, name: str, doc: str, verbs: Sequence[Verb], options: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.doc = doc
        self.verbs = verbs
        self.options = options or {}

    def verb(self, name: str) -> Verb | None:
        return next((v for v in self.verbs if name == v.name or name in v.aliases), None)

    def usage(self) -> str:
        """What --help prints."""
        lines = [f"{self.name}: {self.doc}", ""]
        lines += [f"      {flag} {value}".rstrip() for flag, value in self.options.items()]
        for verb in self.verbs:
            words = [self.name, verb.name, verb.arguments]
            lines += [" ".join(word for word in words if word), f"    {verb.doc}"]
            lines += [f"      {flag} {value}".rstrip() for flag, value in verb.options.items()]
        return "\n".join([*lines, ""])

    def main(self, argv: list[str]) -> int:
        """Run the command line; returns the exit status."""
        try:
            if argv[:1] in (["--help"], ["-?"]):
                sys.stdout.write(self.usage())
                status = 0
            else:
                status = self._run(argv)
            sys.stdout.flush()
        except Usage as exc:
            sys.stderr.write(f"{self.name}: {exc}\nTry `{self.name} --help`.\n")
            return 2
        except SmfError as exc:
            sys.stderr.write(f"{self.name}: {exc}\n")
            return 1
        except OSError as exc:
            if exc.filename is not None:  # a file that somebody has forgotten to check
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at exit
            if isinstance(exc, BrokenPipeError):
                return 0
            sys.stderr.write(f"{self.name}: cannot write standard output: {exc.strerror}\n")
            return 1
        except KeyboardInterrupt:
            return 130
        return status

    def _run(self, argv: list[str]) -> int:
        if not self.verbs[0].name:
            return self.verbs[0].run(parse(self.verbs[0], argv))
        before, rest = take_options(self.options, argv)
        if not rest:
            raise Usage("a subcommand is missing")
        verb = self.verb(rest[0])
        if verb is None:
            raise Usage(f'there is no subcommand "{rest[0]}"')
        if rest[1:2] == ["--help"]:
            sys.stdout.write(Command(self.name, verb.doc, [verb]).usage())
            return 0
        args = parse(verb, rest[1:])
        args.command = before
        return verb.run(args)


def parse(verb: Verb, argv: list[str]) -> Args:
    """Usage if there is an option that the verb has not."""
    given, words = _take(verb.options, argv)
    return Args(verb.name, words, given)


def take_options(
    known: dict[str, str], argv: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """(options with their values, the words from the first one on that is no option). Usage."""
    given, rest = _take(known, argv)
    return _by_flag(given), rest


def _by_flag(given: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for flag, value in given:
        found.setdefault(flag, []).append(value)
    return found


def _take(known: dict[str, str], argv: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    found: list[tuple[str, str]] = []
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
        else:
            flag, equals, value = word[:2], "", word[2:]
        if flag not in known:
            raise Usage(f"there is no option {flag}")
        if not known[flag]:
            if equals:
                raise Usage(f"option {flag} takes no value")
            if value:
                rest.insert(0, f"-{value}")
        elif not value and not equals:
            if not rest:
                raise Usage(f"option {flag} needs a value: {known[flag]}")
            value = rest.pop(0)
        found.append((flag, value if known[flag] else ""))
    return found, rest
