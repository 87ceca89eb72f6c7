# SPDX-License-Identifier: MPL-2.0
"""svccfg: what services are made of, and how they are configured.

Its subcommands are one table, of which the help, the completion and the man page are made. They are
given as words, in a file, or at a prompt. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

import os
import sys

from smf.cli import svccfg_entity as entity
from smf.cli import svccfg_env as env
from smf.cli import svccfg_file as file
from smf.cli import svccfg_notify as notify
from smf.cli import svccfg_prop as prop
from smf.cli.options import Command, Usage, Verb, take_options
from smf.cli.svccfg_lang import Token, Unfinished, lines
from smf.cli.svccfg_session import NAME, Line, Session, on
from smf.cli.text import any_encoding
from smf.client import Client
from smf.errors import SmfError
from smf.places import Places

REPOSITORY = "SVCCFG_REPOSITORY"


def describe(line: Line) -> None:
    from smf.cli.svccfg_describe import describe  # dear, for it knows templates

    describe(line)


# -- running lines ---------------------------------------------------------------------------------
def execute(session: Session, text: str, tokens: list[Token]) -> None:
    """One line. SmfError."""
    name, *rest = tokens
    verb = COMMAND.verb(name.text)
    if verb is None or name.mark:
        raise Usage(f'there is no subcommand "{name.text}"; `help` lists them')
    if [token.text for token in rest] == ["--help"]:
        session.out(_usage(verb))
        return
    verb.run(Line(session, verb, text, rest))


def batch(session: Session, text: str) -> None:
    """All lines, until one fails or ends it. SmfError, with the line if there are several."""
    several = "\n" in text.strip()
    for tokens in lines(text):
        try:
            execute(session, text, tokens)
        except Unfinished:
            raise
        except SmfError as exc:
            if several and not str(exc).startswith("line "):
                raise type(exc)(f"line {tokens[0].line}: {exc}") from None
            raise
        if session.done:
            return


def interactive(session: Session) -> int:
    """Ask for lines until exit or the end of the input. What is wrong with one ends nothing."""
    from smf.cli import svccfg_complete

    svccfg_complete.start(session, COMMAND.verbs)
    text = ""
    while not session.done:
        try:
            text += input("> " if text else session.prompt)
            found = list(lines(text))
        except Unfinished:
            text += "\n"
            continue
        except EOFError:
            print()
            break
        except KeyboardInterrupt:
            print()
            text = ""
            continue
        except SmfError as exc:
            session.warn(str(exc))
            text = ""
            continue
        _each(session, text, found)
        text = ""
    return 0


def _each(session: Session, text: str, found: list[list[Token]]) -> None:
    for tokens in found:
        try:
            execute(session, text, tokens)
        except SmfError as exc:
            session.warn(str(exc))
        except KeyboardInterrupt:
            print()


# -- subcommands about svccfg itself ---------------------------------------------------------------
def help_(line: Line) -> None:
    names = line.take(0, 1)
    if not names:
        for verb in COMMAND.verbs:
            line.session.out(f"{verb.name:14}{verb.doc.partition('.')[0]}.")
        return
    found = COMMAND.verb(names[0])
    if found is None:
        raise Usage(f'there is no subcommand "{names[0]}"')
    line.session.out(_usage(found))


def _usage(verb: Verb) -> str:
    lines = [f"{verb.name} {verb.arguments}".strip(), f"    {verb.doc}"]
    return "\n".join(
        lines + [f"      {flag} {value}".rstrip() for flag, value in verb.options.items()]
    )


def set_(line: Line) -> None:
    session = line.session
    line.take(0, 0)
    if line.has("-v") and line.has("-V"):
        raise Usage("-v and -V exclude each other")
    if line.has("-v") or line.has("-V"):
        session.verbose = line.has("-v")
    else:
        session.out(f"set {'-v' if session.verbose else '-V'}")


def end(line: Line) -> None:
    line.take(0, 0)
    line.session.done = True


def repository(line: Line) -> None:
    (path,) = line.take(1, 1)
    line.session.use(path)


# -- the command -----------------------------------------------------------------------------------
class Svccfg(Command):
    """svccfg, here or in a zone; with a subcommand, a file, or neither."""

    def _run(self, argv: list[str]) -> int:
        options, words = take_options(self.options, argv)
        if "-f" in options and words:
            raise Usage("-f and a subcommand exclude each other")
        if words[1:] == ["--help"] and self.verb(words[0]):
            return super()._run(words)
        if "-z" in options:
            return _in_zone(options, words)
        places = Places()
        asks = not words and "-f" not in options and sys.stdin.isatty()
        session = Session(Client(places.door), places, interactive=asks)
        session.verbose = "-v" in options
        try:
            if path := os.environ.get(REPOSITORY):
                session.use(path)
            if "-s" in options:
                entity.choose(session, options["-s"][-1])
            if asks:
                return interactive(session)
            batch(session, " ".join(words) if words else _read(options.get("-f", ["-"])[-1]))
        finally:
            session.close()
        return 0


def _read(name: str) -> str:
    """A file of subcommands; - is standard input."""
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as found:
            return found.read().decode("utf-8", "surrogateescape")
    except OSError as exc:
        raise SmfError(f"cannot read {name}: {exc.strerror}") from None


def _in_zone(options: dict[str, list[str]], words: list[str]) -> int:
    """The same inside a zone. -f names a file out here, subcommands name the zone's own."""
    from smf.cli import zones

    zones.refuse_inside()
    zone = zones.find(options["-z"][-1])
    argv = ["-v"] * ("-v" in options)
    if "-s" in options:
        argv += ["-s", options["-s"][-1]]
    if "-f" in options:
        if (name := options["-f"][-1]) != "-":
            _as_input(name)
        argv += ["-f", "-"]
    elif not words and sys.stdin.isatty():
        return zones.enter(zone, NAME, argv)
    if words:
        zones.read_nothing()
    return zones.run(zone, NAME, [*argv, *words])


def _as_input(name: str) -> None:
    try:
        fd = os.open(name, os.O_RDONLY)
    except OSError as exc:
        raise SmfError(f"cannot read {name}: {exc.strerror}") from None
    os.dup2(fd, 0)
    os.close(fd)


COMMAND = Svccfg(
    NAME,
    "configure services; without a subcommand it asks for them",
    (
        Verb("help", on(help_), "[SUBCOMMAND]", "Say what there is, or what one does."),
        Verb("set", on(set_), "[-v|-V]", "Say what is done, or not.", options={"-v": "", "-V": ""}),
        Verb("end", on(end), "", "Leave.", aliases=("exit", "quit")),
        Verb("repository", on(repository), "FILE", "Work on a repository that nobody serves."),
        # Manifests
        Verb(
            "import",
            on(file.import_),
            "[-V] [-p FILE] FILE|DIRECTORY ...",
            "Import manifests. What an administrator has changed stays. -V: not if templates are "
            "violated. -p: write each file's name to FILE when it is done.",
            options={"-V": "", "-p": "FILE"},
        ),
        Verb(
            "export",
            on(file.export),
            "[-a] SERVICE [> FILE]",
            "Print a service as a manifest. -a: protected values, too.",
            options={"-a": ""},
        ),
        Verb("validate", on(file.validate), "[FILE|FMRI]", "Say what is wrong with it."),
        Verb("inventory", on(file.inventory), "FILE", "List what a manifest makes."),
        Verb(
            "archive",
            on(file.archive),
            "[-a] [> FILE]",
            "Print the whole repository. -a: protected values, too.",
            options={"-a": ""},
        ),
        Verb("restore", on(file.restore), "FILE", "Bring back what an archive has."),
        Verb(
            "cleanup",
            on(file.cleanup),
            "[-a]",
            "Delete services whose manifests are gone. -a: wherever the manifests were.",
            options={"-a": ""},
        ),
        Verb(
            "delhash",
            on(file.delhash),
            "[-d] FILE",
            "Have a manifest imported again at the next boot. -d: FILE need not be there.",
            options={"-d": ""},
        ),
        # Profiles
        Verb(
            "apply",
            on(file.apply),
            "[-n] FILE|DIRECTORY ...",
            "Apply profiles. -n: only say what would be done.",
            options={"-n": ""},
        ),
        Verb("extract", on(file.extract), "[> FILE]", "Print a profile of what is enabled."),
        # Services and instances
        Verb("list", on(entity.list_), "[PATTERN]", "List what is below the selection."),
        Verb("select", on(entity.select), "NAME|FMRI", "Select a service or an instance."),
        Verb("unselect", on(entity.unselect), "", "Select what is above."),
        Verb("add", on(entity.add), "NAME", "Add a service, or an instance of the selected one."),
        Verb(
            "delete",
            on(entity.delete),
            "[-f] NAME|FMRI",
            "Delete a service or an instance. -f: even if it runs.",
            options={"-f": ""},
        ),
        # Properties
        Verb("listpg", on(prop.listpg), "[PATTERN]", "List property groups."),
        Verb(
            "addpg",
            on(prop.addpg),
            "NAME TYPE [P]",
            "Add a property group. P: it ends with the machine's run.",
        ),
        Verb("delpg", on(prop.delpg), "NAME", "Delete a property group."),
        Verb("listprop", on(prop.listprop), "[PATTERN]", "List groups and their properties."),
        Verb(
            "setprop",
            on(prop.setprop),
            "GROUP/PROPERTY = [TYPE:] VALUE|(VALUE ...)",
            "Set a property. A new one needs its type. What has blanks is put in quotes that the "
            "shell leaves: '\"a b\"'.",
        ),
        Verb("delprop", on(prop.delprop), "GROUP[/PROPERTY]", "Delete a property, or a group."),
        Verb(
            "addpropvalue",
            on(prop.addpropvalue),
            "GROUP/PROPERTY [TYPE:] VALUE",
            "Add a value to a property.",
        ),
        Verb(
            "delpropvalue",
            on(prop.delpropvalue),
            "GROUP/PROPERTY PATTERN",
            "Take values from a property.",
        ),
        Verb("editprop", on(env.editprop), "", "Edit properties in $EDITOR."),
        Verb(
            "describe",
            on(describe),
            "[-v] [-t] [PATTERN]",
            "Say what properties mean. -v: and what is allowed. -t: what could be there.",
            options={"-v": "", "-t": ""},
        ),
        Verb(
            "setenv",
            on(env.setenv),
            "[-i|-s|-m METHOD] NAME VALUE",
            "Set an environment variable of the start method; -m: of another one; -i, -s: of all "
            "methods of the instance, or of the service.",
            options={"-i": "", "-s": "", "-m": "METHOD"},
        ),
        Verb(
            "unsetenv",
            on(env.unsetenv),
            "[-i|-s|-m METHOD] NAME",
            "Unset an environment variable.",
            options={"-i": "", "-s": "", "-m": "METHOD"},
        ),
        # Snapshots
        Verb("listsnap", on(entity.listsnap), "", "List an instance's snapshots."),
        Verb("selectsnap", on(entity.selectsnap), "[NAME]", "Look at a snapshot, or leave it."),
        Verb("revert", on(entity.revert), "[SNAPSHOT]", "Configure as it was in a snapshot."),
        Verb("refresh", on(entity.refresh), "", "Have what is configured take effect."),
        # Notifications
        Verb(
            "setnotify",
            on(notify.setnotify),
            "[-g] EVENT,... WAY ...",
            "Say who is told: mailto:ADDRESS, https://URL, mailto:inactive. -g: of all services.",
            options={"-g": ""},
        ),
        Verb(
            "listnotify",
            on(notify.listnotify),
            "[-g] [EVENT,...]",
            "List who is told.",
            options={"-g": ""},
        ),
        Verb(
            "delnotify",
            on(notify.delnotify),
            "[-g] EVENT,...",
            "Tell nobody any more.",
            options={"-g": ""},
        ),
    ),
    {"-f": "FILE", "-s": "FMRI", "-v": "", "-z": "ZONE"},
)


def main() -> None:
    any_encoding()
    sys.exit(COMMAND.main(sys.argv[1:]))
