# SPDX-License-Identifier: MPL-2.0
"""What svccfg's subcommands share: what is selected, the repository, a line taken apart."""

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase

from smf import actions
from smf.actions import Operations
from smf.cli.operands import complain
from smf.cli.options import Args, Usage, Verb, take_options
from smf.cli.svccfg_lang import BadLine, Token, glue
from smf.client import Client, retry_stale
from smf.errors import BadName, Exists, NotFound, SmfError
from smf.fmri import SCHEME, canonical, instance_of, is_exact, is_glob, matching, parse, service_of
from smf.places import Places
from smf.tree import Groups

NAME = "svccfg"


class Session:
    """One run of svccfg."""

    def __init__(self, client: Client, places: Places, *, interactive: bool = False) -> None:
        self.client = client
        self.places = places
        self.interactive = interactive
        self.verbose = False
        self.fmri = ""  # what is selected; "" is everything
        self.snapshot = ""
        self.done = False
        self._opened: Client | None = None

    @property
    def prompt(self) -> str:
        snapshot = f"[{self.snapshot}]" if self.snapshot else ""
        return f"{self.fmri or 'svc:'}{snapshot}> "

    # -- what is selected --------------------------------------------------------------------------
    def entity(self) -> str:
        """The service or instance that is selected. Usage."""
        if not self.fmri:
            raise Usage("select a service or an instance first, or give -s FMRI")
        return self.fmri

    def writable(self) -> str:
        """The same, to be changed: a snapshot is not."""
        if self.snapshot:
            raise SmfError("a snapshot cannot be changed; `selectsnap` leaves it")
        return self.entity()

    def instance(self) -> str:
        fmri = self.entity()
        if not instance_of(fmri):
            raise Usage(f"{fmri} is a service: select one of its instances")
        return fmri

    def groups(self) -> Groups:
        """What is attached to what is selected; nothing is composed. NotFound."""
        fmri = self.entity()
        if self.snapshot:
            return self.client.read(fmri, self.snapshot)[0]
        return self.client.attached(fmri)

    def instances(self, fmri: str) -> list[str]:
        """An instance itself, or all of a service."""
        if instance_of(fmri):
            return [fmri]
        return matching(fmri, [each for each in self.client.entities() if instance_of(each)])

    def resolve(self, word: str) -> str:
        """The one service or instance that a word means here. NotFound, BadName, SmfError."""
        entities = self.client.entities()
        child = f"{self.fmri}:{word.removeprefix(':')}" if self.fmri else SCHEME + word
        if child in entities:
            return child
        if is_exact(word):
            if parse(word).group:
                raise BadName(f'"{word}" names a property, not a service or an instance')
            found = [each for each in entities if each == canonical(word)]
        else:
            found = _abbreviated(word, entities)
        if not found:
            raise NotFound(f'"{word}" matches no service and no instance')
        if len(found) > 1:
            lines = "".join(f"\n    {each}" for each in found)
            raise SmfError(f'"{word}" matches several; say which:{lines}')
        return found[0]

    def use(self, path: str) -> None:
        """Work on a repository in a file from now on. SmfError."""
        from smf.direct import Direct

        client = Direct(path, self.places)
        self.close()
        self.client = self._opened = client
        self.fmri = self.snapshot = ""

    def close(self) -> None:
        """What `use` has opened."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # -- what is done ------------------------------------------------------------------------------
    def commit(self, operations: Operations) -> None:
        self.client.commit(operations)

    def change(self, fmri: str, name: str, make: Callable[[Groups], Operations]) -> None:
        """Commit what follows from a group, unless it changes meanwhile: then from what it is then.

        `make` is given the groups of `fmri`.
        """

        def attempt() -> None:
            groups = self.client.attached(fmri)
            group = groups.get(name)
            self.client.commit(make(groups), [(fmri, name, group.generation if group else 0)])

        retry_stale(attempt)

    def refresh(self, fmri: str) -> Operations:
        """What makes a change of an instance, or of a service's instances, take effect."""
        return [each for found in self.instances(fmri) for each in actions.refresh(found)]

    def say(self, text: str) -> None:
        """With -v, what is being done."""
        if self.verbose:
            self.out(text)

    def out(self, text: str) -> None:
        """A line for the user, of which a terminal obeys nothing."""
        print("".join(c if c.isprintable() or c in "\n\t" else "?" for c in text))

    def warn(self, text: str) -> None:
        complain(NAME, text)


def _abbreviated(word: str, entities: list[str]) -> list[str]:
    """Services first: a word that means one means not its instances."""
    services = [each for each in entities if not instance_of(each)]
    instances = [each for each in entities if instance_of(each)]
    if is_glob(word):
        whole = word if word.startswith("svc:") else SCHEME + word
        found = [each for each in services if fnmatchcase(each, whole)]
        return found or matching(word, instances)
    found = [each for each in services if matching(word, [each])]
    if found or ":" in word:
        return found or matching(word, instances)
    return [each for each in instances if service_of(each) + ":" + word == each]


class Line(Args):
    """A subcommand with its options and words."""

    __slots__ = ("raw", "session", "target", "text", "tokens")

    def __init__(self, session: Session, verb: Verb, text: str, raw: list[Token]) -> None:
        """`raw`: the tokens after the subcommand, `text`: what they are from. Usage."""
        self.session = session
        self.text = text
        self.raw = raw
        self.target = ""  # the file after >
        self.tokens = glue(raw)
        if any(token.is_mark(">") for token in self.tokens):
            self._redirect(verb)
        words = [token.text for token in self.tokens]
        options, rest = take_options(verb.options, words)
        super().__init__(verb.name, rest, [])
        self.options = options
        self.tokens = self.tokens[len(words) - len(rest) :]

    def _redirect(self, verb: Verb) -> None:
        at = next(i for i, token in enumerate(self.tokens) if token.is_mark(">"))
        if "> FILE" not in verb.arguments:
            raise self.bad(self.tokens[at], f"{verb.name} writes to no file")
        if len(self.tokens) != at + 2:
            raise self.bad(self.tokens[at], "one file name comes after >, at the end")
        self.target = self.tokens[-1].text
        self.tokens = self.tokens[:at]

    def bad(self, token: Token, problem: str) -> BadLine:
        """What is wrong with a token, to be raised."""
        return BadLine(self.text, problem, token.line, token.column)

    def take(self, least: int, most: int) -> list[str]:
        """The words, so many. Usage."""
        if not least <= len(self.words) <= most:
            wanted = "no operand" if most == 0 else "more" if len(self.words) < least else "less"
            raise Usage(f"{self.verb} takes {wanted}; see `help {self.verb}`")
        return self.words

    def write(self, text: str) -> None:
        """To the file after >, or to standard output."""
        if not self.target:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())  # as XML says, whatever the terminal's is
            return
        try:
            with open(self.target, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as exc:
            raise SmfError(f"cannot write {self.target}: {exc.strerror}") from None


def on(function: Callable[[Line], None]) -> Callable[[Args], int]:
    """A subcommand as the table of verbs has it."""

    def run(args: Args) -> int:
        assert isinstance(args, Line)
        function(args)
        return 0

    return run


def names_of(word: str) -> tuple[str, str]:
    """Group and property of GROUP/PROPERTY. Usage."""
    group, slash, prop = word.partition("/")
    if not slash or not group or not prop:
        raise Usage(f'"{word}" is no property: GROUP/PROPERTY')
    return group, prop


def must_be_new(groups: Groups, name: str, where: str) -> None:
    if name in groups:
        raise Exists(f"{where} has a property group {name} already, of type {groups[name].kind}")
