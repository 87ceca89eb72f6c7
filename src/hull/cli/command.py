# SPDX-License-Identifier: MPL-2.0
"""The grammar of every command: verbs, options, --help, completion, exit statuses.

On the start path of every command (docs/style.md, "Start-up"): plain classes, few imports.
Exit status: 0 done, 1 failed, 2 wrong usage.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from io import TextIOBase

from hull.client.call import call as call_hulld
from hull.errors import Error, HostError, Usage
from hull.wire import Json, JsonObject

Call = Callable[..., Json]

# What a terminal would obey (C0 but tab and newline, DEL, C1) or write the other way round, and how
# it is shown; in JSON it still is what it was.
CONTROLS = {
    code: f"\\u{code:04x}"
    for codes in ((0, 9), (11, 32), (127, 160), (0x202A, 0x202F), (0x2066, 0x206A))
    for code in range(*codes)
}


class Shown:
    """A terminal that text is shown on and that obeys none of it: zones write some of the text.

    A carriage return is obeyed where a text begins: so progress is drawn.
    """

    __slots__ = ("stream",)

    def __init__(self, stream: TextIOBase) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        start = text[:1] if text[:1] == "\r" else ""
        return self.stream.write(start + text[len(start) :].translate(CONTROLS))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def guard_terminals() -> None:
    """From now on terminals obey nothing that is printed; files and pipes get it as it is."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream and stream.isatty() and not isinstance(stream, Shown):
            setattr(sys, name, Shown(stream))


class Args:
    """What the command line said: positional words, options, and the way to hulld."""

    __slots__ = ("call", "options", "verb", "words")

    def __init__(
        self, words: list[str], options: dict[str, str], call: Call, verb: str = ""
    ) -> None:
        self.words = words
        self.options = options
        self.call = call
        self.verb = verb

    def word(self, what: str) -> str:
        """The next positional word; it must be there."""
        if not self.words:
            raise Usage(f"{what} is missing")
        return self.words.pop(0)

    def uuid(self) -> str:
        """The next word, which must look like a UUID."""
        text = self.words.pop(0) if self.words else ""
        if len(text) != 36 or any(text[n] != "-" for n in (8, 13, 18, 23)):
            raise Usage(f"Invalid or missing UUID for {self.verb}")
        return text

    def end(self) -> None:
        """Nothing more may follow."""
        if self.words:
            raise Usage(f'too many arguments: "{self.words[0]}"')


class Verb:
    """One verb of a command; help, completion and the man page's check come from it."""

    __slots__ = ("aliases", "arguments", "doc", "name", "options", "respell", "run")

    def __init__(
        self,
        name: str,
        run: Callable[[Args], int],
        arguments: str,
        doc: str,
        *,
        options: dict[str, str] | None = None,  # flag -> name of its value, "" for none
        aliases: tuple[str, ...] = (),
        respell: Callable[[list[str]], list[str]] | None = None,  # of words that are no options
    ) -> None:
        self.name = name
        self.run = run
        self.respell = respell
        self.arguments = arguments
        self.doc = doc
        self.options = options or {}
        self.aliases = aliases


class Command:
    """A command: its verbs, or the one it is (a verb without a name)."""

    def __init__(self, name: str, doc: str, verbs: Sequence[Verb]) -> None:
        self.name = name
        self.doc = doc
        self.verbs = verbs

    def verb(self, name: str) -> Verb | None:
        return next((v for v in self.verbs if name == v.name or name in v.aliases), None)

    def usage(self) -> str:
        """What --help prints."""
        lines = [f"{self.name}: {self.doc}", ""]
        for verb in self.verbs:
            words = [self.name, verb.name, verb.arguments]
            lines += [" ".join(word for word in words if word), f"    {verb.doc}"]
            lines += [f"      {flag} {value}".rstrip() for flag, value in verb.options.items()]
        return "\n".join([*lines, "", f"See {self.name}(8).", ""])

    def main(self, argv: list[str]) -> int:
        """Run the command line; returns the exit status."""
        label = self.name
        guard_terminals()
        try:
            argv, call = transport(argv)
            if argv[:1] in (["--help"], ["-h"]) or (argv[:1] == ["help"] and self.verbs[0].name):
                sys.stdout.write(self.usage())
                return 0
            verb, rest = self._choose(argv)
            label = f"{self.name} {verb.name}".rstrip()
            if "--help" in rest[: rest.index("--") if "--" in rest else None]:
                sys.stdout.write(Command(self.name, verb.doc, [verb]).usage())
                return 0
            status = verb.run(parse(verb, rest, call))
            sys.stdout.flush()
        except Usage as exc:
            sys.stderr.write(f"{label}: {exc.message}\nTry `{label} --help`.\n")
            return 2
        except Error as exc:
            report(label, exc)
            return 1
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at exit
            return 0
        except KeyboardInterrupt:
            return 130
        except Exception as exc:
            if os.environ.get("HULL_DEBUG"):
                raise
            report(label, _unforeseen(exc))
            return 1
        return status

    def _choose(self, argv: list[str]) -> tuple[Verb, list[str]]:
        if not self.verbs[0].name:
            return self.verbs[0], argv
        if not argv:
            raise Usage("a command is missing")
        verb = self.verb(argv[0])
        if verb is None:
            near = _nearest(argv[0], [v.name for v in self.verbs])
            raise Usage(f'Invalid command: "{argv[0]}".{near}')
        return verb, argv[1:]


def transport(argv: list[str]) -> tuple[list[str], Call]:
    """`--here` before the verb runs the use case in this process; else hulld does it."""
    if argv[:1] != ["--here"]:
        return argv, call_hulld
    import site

    site.main()  # launchers start Python with -S; the daemon's library is in dist-packages
    from hull.cli.here import call

    return argv[1:], call


def _unforeseen(exc: Exception) -> HostError:
    """What to say of an exception that is none of ours."""
    if isinstance(exc, ModuleNotFoundError) and exc.name == "h11":
        return HostError("python3-h11 is not installed", hint="run `make setup` once")
    hint = "that is a bug in Hull; HULL_DEBUG=1 shows where"
    return HostError(f"failed in a way it should not have: {exc!r}", hint=hint)


def may_run(argv: list[str]) -> bool:
    """Root may; others may ask for help."""
    return os.geteuid() == 0 or argv[:1] in (["help"], ["-h"]) or "--help" in argv


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


def parse(verb: Verb, argv: list[str], call: Call) -> Args:
    """Options may stand anywhere before `--`; one that the verb does not have is refused."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = verb.respell(argv) if verb.respell else list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        flag, value = _split(verb, word, rest)
        options[flag] = value
    return Args(words, options, call, verb.name)


def _split(verb: Verb, word: str, rest: list[str]) -> tuple[str, str]:
    """One option with its value; `-pH` is put back as `-H` after `-p` is taken."""
    flag, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
    if flag not in verb.options:
        raise Usage(f"unknown option: {flag}")
    if not verb.options[flag]:
        if equals:
            raise Usage(f"option {flag} takes no value")
        if value:
            rest.insert(0, f"-{value}")
        return flag, "yes"
    if not value and not equals:
        if not rest:
            raise Usage(f"option {flag} needs a value: {verb.options[flag]}")
        value = rest.pop(0)
    return flag, value


def report(label: str, error: Error) -> None:
    """One line a problem, then what to do about it."""
    if error.problems:
        for problem in error.problems:
            sys.stderr.write(f"{label}: {problem}\n")
    else:
        sys.stderr.write(f"{label}: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"{' ' * len(label)}  {error.hint}\n")


def read_payload(args: Args, what: str) -> JsonObject:
    """The JSON object of `-f FILE`, or of standard input."""
    import json

    name = args.options.get("-f", "-")
    if name == "-" and os.isatty(0):
        raise Usage(f"Will not {what} from stdin when stdin is a tty.")
    try:
        with open(0 if name == "-" else name, encoding="utf-8", closefd=name != "-") as file:
            payload = json.load(file)
    except FileNotFoundError:
        raise HostError(f"File: {name} does not exist.") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise HostError(f"cannot read {name}: {exc}") from None
    except ValueError as exc:
        raise HostError(f"Invalid JSON payload: {exc}") from None
    if not isinstance(payload, dict):
        raise HostError("Invalid JSON payload: it must be an object, { … }")
    return payload


def quote(text: str) -> str:
    """Percent-encode a query value; urllib.parse would cost as much as the whole request."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
    return "".join(chr(c) if c in safe else f"%{c:02X}" for c in text.encode())


def query(**values: str) -> str:
    """`?a=1&b=2` of what is not empty."""
    pairs = [f"{name}={quote(value)}" for name, value in values.items() if value]
    return "?" + "&".join(pairs) if pairs else ""


def say(message: str) -> None:
    """Messages go to standard error; standard output is for data."""
    sys.stderr.write(message + "\n")


def print_json(value: Json) -> None:
    import json

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
