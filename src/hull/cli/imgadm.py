# SPDX-License-Identifier: MPL-2.0
"""imgadm: manage images. hulld finds, fetches and checks them; here is what a person sees.

Its words and exit statuses are SmartOS's: 1 for every error, 2 if it cannot run at all, 3 for an
image that is not installed.
"""

import os
import sys

from hull.cli.command import (
    Args,
    Call,
    Command,
    Verb,
    guard_terminals,
    may_run,
    parse,
    print_json,
    query,
    transport,
)
from hull.cli.image_make import create, publish
from hull.cli.image_progress import work
from hull.cli.image_sources import sources
from hull.cli.image_table import (
    DOCKER_COLUMNS,
    docker_rows,
    matching,
    parse_filters,
    render,
    row_of,
    sort_rows,
)
from hull.cli.image_words import (
    LEVELS,
    CliError,
    check_uuid,
    error_code,
    existing,
    log,
    log_level,
    objects,
    raise_all,
    read_manifest,
    text,
    usage,
    uuid_of,
    words,
)
from hull.errors import Error, ImageNotInstalled, NotFound, Usage
from hull.wire import Json, JsonObject

VERSION = "3.9.5"  # the imgadm whose behaviour this is
COLUMNS = "uuid,name,version,os,type,pub"
ANCESTRY = "uuid,name,version,published"
SORT = "published_at,name"


# -- looking ---------------------------------------------------------------------------------------
def fields_of(args: Args, option: str, default: str) -> list[str]:
    return [field.strip() for field in args.options.get(option, default).strip().split(",")]


def show_table(args: Args, entries: list[JsonObject], columns: str, sort: str) -> int:
    try:
        filters = parse_filters([] if columns == ANCESTRY else args.words)
    except ValueError as exc:
        raise usage(str(exc)) from None
    docker = "--docker" in args.options
    rows = [(row_of(entry), entry) for entry in entries]
    rows = [(row, entry) for row, entry in rows if matching(row, filters)]
    if docker:
        rows = [(row, entry) for row, entry in rows if row.get("type") == "docker"]
    rows = sort_rows(rows, ["published_at"] if docker else fields_of(args, "-s", sort))
    if "-j" in args.options:
        print_json([entry for _, entry in rows])
        return 0
    shown = [row for row, _ in rows]
    header = "-H" not in args.options
    if docker:
        lines = render(docker_rows(shown), DOCKER_COLUMNS, header=header)
    else:
        lines = render(shown, fields_of(args, "-o", columns), header=header)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def list_(args: Args) -> int:
    return show_table(args, objects(args.call("GET", "/images")), COLUMNS, SORT)


def avail(args: Args) -> int:
    """What sources that work have is shown, whatever others do."""
    answer = args.call("GET", f"/images/available{query(channel=args.options.get('-C', ''))}")
    found = answer if isinstance(answer, dict) else {}
    show_table(args, objects(found.get("images")), COLUMNS, SORT)
    raise_all(objects(found.get("errors")))
    return 0


def show(args: Args) -> int:
    (name,) = words(args, 1)
    answer = args.call("GET", f"/images/available/one{query(name=name)}")
    print_json(answer.get("manifest") if isinstance(answer, dict) else None)
    return 0


def on_pool(args: Args, path: str) -> str:
    return path + query(pool=args.options.get("-P", ""))


def get(args: Args) -> int:
    answer = args.call("GET", on_pool(args, f"/images/{uuid_of(args)}"))
    wanted = ["manifest", "zpool", "source", *(["children"] if "-r" in args.options else [])]
    found = answer if isinstance(answer, dict) else {}
    print_json({key: found[key] for key in wanted if key in found})
    return 0


def ancestry(args: Args) -> int:
    found = objects(args.call("GET", on_pool(args, f"/images/{uuid_of(args)}/ancestry")))
    return show_table(args, found, ANCESTRY, "")


def channels(args: Args) -> int:
    words(args, 0)
    found = objects(args.call("GET", "/images/channels"))
    if "-j" in args.options:
        print_json([*found])
        return 0
    columns = ["name", "default", "source", "description"]
    for line in render(found, columns, header="-H" not in args.options):
        print(line)
    return 0


# -- coming ----------------------------------------------------------------------------------------
def import_(args: Args) -> int:
    (name,) = words(args, 1)
    if "--zstream" in args.options:
        raise CliError("NotSupported", "images of this host are no ZFS streams")
    if not name or name.startswith("/") or any(char.isspace() for char in name):
        raise usage(f'invalid image-id arg: "{name}"')
    body: JsonObject = {"name": name.lower() if is_uuid(name) else name}
    for option, field in (("-S", "source"), ("-C", "channel"), ("-P", "pool")):
        if option in args.options:
            body[field] = args.options[option]
    work(args, "import", body)
    return 0


def is_uuid(name: str) -> bool:
    try:
        check_uuid(name)
    except CliError:
        return False
    return True


def install(args: Args) -> int:
    if args.words:
        raise usage(f'unexpected args ({len(args.words)}): "{" ".join(args.words)}"')
    for option, what in (("-m", "manifest"), ("-f", "file")):
        if option not in args.options:
            raise usage(f"{option} <{what}> (string) is required")
    path = existing(args.options["-f"], "file")
    manifest = read_manifest(args.options["-m"])
    check_uuid(text(manifest, "uuid"))
    body: JsonObject = {"manifest": manifest, "file": path}
    if "-P" in args.options:
        body["pool"] = args.options["-P"]
    work(args, "install", body)
    return 0


def reinstall(args: Args) -> int:
    body: JsonObject = {"uuid": uuid_of(args)}
    if "-P" in args.options:
        body["pool"] = args.options["-P"]
    work(args, "reinstall", body)
    return 0


def update(args: Args) -> int:
    uuids: list[Json] = [check_uuid(word) for word in args.words]
    try:
        done = work(args, "update", {"uuids": uuids, "dry_run": "-n" in args.options})
    except NotFound as exc:
        raise usage(exc.message) from None
    raise_all(objects(done.get("errors")))
    return 0


# -- going -----------------------------------------------------------------------------------------
def delete(args: Args) -> int:
    uuid = uuid_of(args)
    args.call("DELETE", on_pool(args, f"/images/{uuid}"))
    print(f"Deleted image {uuid}")
    return 0


def vacuum(args: Args) -> int:
    if args.words:
        raise usage(f"unexpected arguments: {' '.join(args.words)}")
    unused = objects(args.call("GET", "/images/unused"))
    named = [f"{text(image, 'uuid')} ({text(image, 'title')})" for image in unused]
    if not unused:
        return 0
    if "-f" not in args.options:
        print("\n    ".join(["This will delete the following images:", *named]), flush=True)
        what = "this image" if len(named) == 1 else f"these {len(named)} images"
        if not agreed(f"Delete {what}? [y/N] "):
            print("Aborting")
            return 1
        print()
    if "-n" in args.options:
        sys.stdout.write("".join(f"[dry-run] Deleted image {image}\n" for image in named))
        return 0
    uuids: list[Json] = [text(image, "uuid") for image in unused]
    work(args, "vacuum", {"uuids": uuids})
    return 0


def agreed(question: str) -> bool:
    """Ask at the terminal, whatever standard input is."""
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:
            terminal.write(question.encode())
            return terminal.readline().strip().lower() == b"y"
    except OSError as exc:
        hint = "-f does not ask"
        raise CliError("InternalError", f"cannot ask: /dev/tty: {exc.strerror}", hint) from None


# -- the table of verbs ----------------------------------------------------------------------------
LONG = {
    "--help": "-h", "--json": "-j", "--quiet": "-q", "--force": "-f", "--dry-run": "-n",
    "--channel": "-C", "--source": "-S", "--verbose": "-v", "--check": "-c", "--type": "-t",
    "--insecure": "-k", "--output-template": "-o", "--compression": "-c", "--incremental": "-i",
    "--publish": "-p",
}  # fmt: skip


def short(argv: list[str]) -> list[str]:
    """SmartOS's long options as the short ones that they stand for."""
    made: list[str] = []
    for index, word in enumerate(argv):
        if word == "--":
            return made + argv[index:]
        flag, equals, value = word.partition("=")
        made += [LONG[flag], *([value] if equals else [])] if flag in LONG else [word]
    return made


TABLE = {"-j": "", "-H": "", "-o": "FIELD,...", "-s": "FIELD,..."}
POOL = {"-P": "POOL"}
EDITING = {"-a": "URL", "-d": "URL", "-e": "", "-c": "", "-t": "TYPE", "-k": "", "-f": ""}

COMMAND = Command(
    "imgadm",
    "manage images",
    [
        Verb(
            "sources", sources, "[-v | -j] | -a URL [-fk] [-t TYPE] | -d URL | -e | -c",
            "List the image sources; add (-a), delete (-d), edit (-e) or check (-c) them.",
            options={"-v": "", "-j": "", **EDITING, "--add-docker-hub": ""}, respell=short,
        ),
        Verb(
            "avail", avail, "[-jH] [-C CHANNEL] [-o FIELD,...] [-s FIELD,...] [FILTER...]",
            "List the images of all sources.",
            options=TABLE | {"-C": "CHANNEL"}, aliases=("available",), respell=short,
        ),
        Verb(
            "show", show, "UUID|NAME[@VERSION]|REPO:TAG",
            "Show the manifest of an image of the sources.",
        ),
        Verb(
            "channels", channels, "[-jH]", "List the channels of the sources.",
            options={"-j": "", "-H": ""}, respell=short,
        ),
        Verb(
            "import", import_, "[-q] [-C CHANNEL] [-P POOL] [-S URL] UUID|NAME[@VERSION]|REPO:TAG",
            "Import an image from a source.",
            options={"-q": "", "-C": "CHANNEL", **POOL, "-S": "URL", "--zstream": ""},
            respell=short,
        ),
        Verb(
            "install", install, "[-q] [-P POOL] -m MANIFEST -f FILE",
            "Install an image from files.",
            options={"-q": "", **POOL, "-m": "MANIFEST", "-f": "FILE"}, respell=short,
        ),
        Verb(
            "reinstall", reinstall, "[-q] [-P POOL] UUID",
            "Make an installed image, of which nothing was made, anew from its source.",
            options={"-q": "", **POOL}, respell=short,
        ),
        Verb(
            "list", list_, "[-jH] [--docker] [-o FIELD,...] [-s FIELD,...] [FILTER...]",
            "List the installed images.", options=TABLE | {"--docker": ""}, respell=short,
        ),
        Verb(
            "get", get, "[-r] [-P POOL] UUID", "Show an installed image; -r with its clones.",
            options={"-r": "", **POOL}, aliases=("info",), respell=short,
        ),
        Verb(
            "update", update, "[-n] [UUID...]",
            "Take over what the sources say of installed images by now.",
            options={"-n": ""}, respell=short,
        ),
        Verb(
            "delete", delete, "[-P POOL] UUID", "Delete an installed image.",
            options=POOL, aliases=("destroy",), respell=short,
        ),
        Verb(
            "ancestry", ancestry, "[-jH] [-o FIELD,...] [-P POOL] UUID",
            "List an installed image and what it was laid over.",
            options={"-j": "", "-H": "", "-o": "FIELD,...", **POOL}, respell=short,
        ),
        Verb(
            "vacuum", vacuum, "[-n] [-f]", "Delete the images that nothing depends on.",
            options={"-n": "", "-f": ""}, respell=short,
        ),
        Verb(
            "create", create,
            "[-m MANIFEST] [-o PATH | -p URL] [-c COMPRESSION] [-i] [--max-origin-depth NUMBER] "
            "[-s SCRIPT] [-q] UUID [FIELD=VALUE...]",
            "Make an image of a VM.",
            options={
                "-m": "MANIFEST", "-o": "PATH", "-p": "URL", "-c": "COMPRESSION", "-i": "",
                "--max-origin-depth": "NUMBER", "-s": "SCRIPT", "-q": "",
            },
            respell=short,
        ),
        Verb(
            "publish", publish, "[-q] -m MANIFEST -f FILE URL",
            "Send an image to an image server.",
            options={"-q": "", "-m": "MANIFEST", "-f": "FILE"}, respell=short,
        ),
    ],
)  # fmt: skip


# -- the command -----------------------------------------------------------------------------------
def help_(about: list[str]) -> str:
    if not about:
        return COMMAND.usage()
    return Command("imgadm", verb_named(about[0]).doc, [verb_named(about[0])]).usage()


def verb_named(name: str) -> Verb:
    """Raises CliError."""
    verb = COMMAND.verb(name)
    if verb is None:
        raise CliError("UnknownCommand", f'unknown command: "{name}"')
    return verb


class CannotRun(Exception):
    """Not here, or not by this user."""


class Globals:
    """The options before the verb."""

    def __init__(self, argv: list[str]) -> None:
        """Raises CliError."""
        self.flags: set[str] = set()
        rest = list(argv)
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = LONG.get(rest[0], rest[0])
            rest.pop(0)
            flags = [word] if word.startswith("--") else [f"-{letter}" for letter in word[1:]]
            self.flags |= set(flags)
        self.rest = rest

    def check(self) -> None:
        for flag in sorted(self.flags - {"-h", "-v", "-E", "--version"}):
            raise CliError("Option", f'unknown option: "{flag}"')


def run(given: Globals, call: Call) -> int:
    """Raises CliError, hull's errors."""
    given.check()
    argv = given.rest
    if "--version" in given.flags:
        print(f"imgadm {VERSION}")
        return 0
    if "-h" in given.flags or argv[:1] == ["help"]:
        sys.stdout.write(help_(argv[1:]))
        return 0
    if not argv:
        sys.stdout.write(help_([]))
        if "-E" in given.flags:
            raise CliError("NoCommand", "no command given")
        return 1
    verb = verb_named(argv[0])
    ahead = argv[1 : argv.index("--") if "--" in argv else None]
    if "--help" in ahead or "-h" in ahead:
        sys.stdout.write(help_(argv))
        return 0
    args = parse(verb, argv[1:], call)
    if os.geteuid() != 0:
        raise CannotRun("you are not root")
    return verb.run(args)


def logging_call(call: Call) -> Call:
    """The same, with a record of each request to hulld."""

    def logged(method: str, target: str, body: Json = None, **more: object) -> Json:
        log(LEVELS["debug"], "request", method=method, target=target)
        answer: Json = call(method, target, body, **more)
        log(LEVELS["trace"], "answer", method=method, target=target)
        return answer

    return logged


def main() -> None:
    guard_terminals()
    if not (may_run(sys.argv[1:]) or sys.argv[1:] == ["--version"]):
        sys.stderr.write("imgadm: error: cannot run: you are not root\n")
        sys.exit(2)
    argv, call = transport(sys.argv[1:])
    given = Globals(argv)
    level = log_level(verbose="-v" in given.flags)
    if level <= LEVELS["debug"]:
        log(LEVELS["debug"], "cli init", args=[*argv], cli=True)
        call = logging_call(call)
    status = attempt(given, call, level)
    if level <= LEVELS["debug"]:
        log(LEVELS["debug"], "cli exit", exitStatus=status, cli=True)
    sys.exit(status)


def attempt(given: Globals, call: Call, level: int) -> int:
    """Run it; the exit status."""
    name = given.rest[0] if given.rest else ""
    fail = Failure(f"imgadm {name}".rstrip(), structured="-E" in given.flags, level=level)
    try:
        status = run(given, call)
        sys.stdout.flush()
    except CannotRun as exc:
        sys.stderr.write(f"imgadm: error: cannot run: {exc}\n")
        return 2
    except CliError as exc:
        return fail(exc.code, str(exc), exc.hint)
    except Usage as exc:
        return fail("Option", option_message(exc.message))
    except Error as exc:
        fail(error_code(exc), exc.message, exc.hint)
        return 3 if isinstance(exc, ImageNotInstalled) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at exit
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def option_message(message: str) -> str:
    """command.parse's complaints, in SmartOS's words."""
    unknown = message.removeprefix("unknown option: ")
    if unknown != message:
        return f'unknown option: "{unknown}"'
    if message.startswith("option ") and "needs a value" in message:
        return f'do not have enough args for "{message.split()[1]}" option'
    return message


class Failure:
    """Says what went wrong: for a person, or with -E as one record for a program."""

    def __init__(self, label: str, *, structured: bool, level: int) -> None:
        self.label = label
        self.structured = structured
        self.level = level

    def __call__(self, code: str, message: str, hint: str = "") -> int:
        sys.stdout.flush()
        if self.structured:
            name = code if code.endswith("Error") else f"{code}Error"
            error: JsonObject = {
                "message": message, "name": name, "stack": self.stack(name, message), "code": code,
            }  # fmt: skip
            log(LEVELS["error"], message, err=error)
            return 1
        sys.stderr.write(f"{self.label}: error ({code}): {message}\n")
        if self.level <= LEVELS["debug"]:
            sys.stderr.write(self.stack(code, message) + "\n")
        elif hint and os.isatty(2):  # a script compares what it reads
            sys.stderr.write(f"{' ' * len(self.label)}  {hint}\n")
        return 1

    def stack(self, name: str, message: str) -> str:
        import traceback

        return f"{name}: {message}\n{''.join(traceback.format_exc())}".rstrip()
