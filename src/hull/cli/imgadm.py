# SPDX-License-Identifier: MPL-2.0
"""imgadm: manage images. hulld finds, fetches and checks them; here is what a person sees.

Its words and exit statuses are SmartOS's: 1 for every error, 3 for an image that is not installed.
"""

import json
import os
import sys
import time

from hull.cli.command import Args, Command, Verb, parse, print_json, query
from hull.cli.image_table import matching, parse_filters, render, row_of, sort_rows
from hull.client.call import call
from hull.errors import Error, ImageNotInstalled, Usage
from hull.wire import Json, JsonObject

VERSION = "3.9.5"  # the imgadm whose behaviour this is
COLUMNS = "uuid,name,version,os,type,pub"
SORT = "published_at,name"


class CliError(Exception):
    """An error of the command line itself; SmartOS gives each a code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def words(args: Args, count: int) -> list[str]:
    if len(args.words) != count:
        given = '", "'.join(args.words)
        raise CliError("Usage", f'incorrect number of args ({len(args.words)}): "{given}"')
    return args.words


def uuid_of(args: Args) -> str:
    """The one argument: a UUID."""
    (uuid,) = words(args, 1)
    digits = uuid.replace("-", "")
    dashes = [index for index, char in enumerate(uuid) if char == "-"]
    if len(uuid) != 36 or dashes != [8, 13, 18, 23] or digits.strip("0123456789abcdefABCDEF"):
        raise CliError("InvalidUUID", f'invalid uuid: "{uuid}"')
    return uuid.lower()


def text(answer: Json, key: str) -> str:
    return str(answer.get(key) or "") if isinstance(answer, dict) else ""


def objects(answer: Json) -> list[JsonObject]:
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


# -- looking ---------------------------------------------------------------------------------------
def show_table(args: Args, entries: list[JsonObject]) -> int:
    try:
        filters = parse_filters(args.words)
    except ValueError as exc:
        raise CliError("Usage", str(exc)) from None
    rows = [(row_of(entry), entry) for entry in entries]
    rows = [(row, entry) for row, entry in rows if matching(row, filters)]
    rows = sort_rows(rows, args.options.get("-s", SORT))
    if "-j" in args.options:
        print_json([entry for _, entry in rows])
        return 0
    columns = args.options.get("-o", COLUMNS).split(",")
    lines = render([row for row, _ in rows], columns, header="-H" not in args.options)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def list_(args: Args) -> int:
    return show_table(args, objects(args.call("GET", "/images")))


def avail(args: Args) -> int:
    return show_table(args, objects(args.call("GET", "/images/available")))


def show(args: Args) -> int:
    answer = args.call("GET", f"/images/available/{uuid_of(args)}")
    print_json(answer.get("manifest") if isinstance(answer, dict) else None)
    return 0


def get(args: Args) -> int:
    answer = args.call("GET", f"/images/{uuid_of(args)}")
    wanted = ["manifest", "zpool", "source", *(["children"] if "-r" in args.options else [])]
    found = answer if isinstance(answer, dict) else {}
    print_json({key: found[key] for key in wanted if key in found})
    return 0


# -- sources ---------------------------------------------------------------------------------------
def sources(args: Args) -> int:
    words(args, 0)
    options = args.options
    if "-a" in options and "-d" in options:
        raise CliError("Usage", 'cannot specify more than one of "-a" and "-d"')
    if "-a" in options:
        return add_source(args, options["-a"])
    if "-d" in options:
        return delete_source(args, options["-d"])
    known = objects(args.call("GET", "/sources"))
    if "-j" in options:
        print_json([*known])
    elif "-v" in options:
        for line in render(known, ["url", "type", "insecure"], header=True):
            sys.stdout.write(f"{line}\n")
    else:
        sys.stdout.write("".join(f"{text(source, 'url')}\n" for source in known))
    return 0


def add_source(args: Args, url: str) -> int:
    body: JsonObject = {
        "url": url,
        "force": "-f" in args.options,
        "insecure": "-k" in args.options,
    }
    if "-t" in args.options:
        body["type"] = args.options["-t"]
    done = args.call("POST", "/sources", body)
    label = f'"{text(done, "type")}" image source "{url}"'
    if isinstance(done, dict) and done.get("added"):
        print(f"Added {label}")
    else:
        print(f"Already have {label}, no change")
    return 0


def delete_source(args: Args, url: str) -> int:
    done = args.call("DELETE", f"/sources{query(url=url)}")
    if isinstance(done, dict) and done.get("deleted"):
        print(f'Deleted "{text(done, "type")}" image source "{url}"')
    else:
        print(f'Do not have image source "{url}", no change')
    return 0


# -- coming and going ------------------------------------------------------------------------------
def size(count: float) -> str:
    """2.83MB"""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f}{unit}" if unit == "B" else f"{count:.2f}{unit}"
        count /= 1024
    return f"{count:.2f}TB"


def duration(seconds: float) -> str:
    """19m28s"""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def bar(name: str, done: int, total: int, seconds: float, width: int) -> str:
    """One line: name, bar, per cent, bytes, rate, time to go; it fits into `width` columns."""
    share = min(done / total, 1.0) if total else 0.0
    rate = done / seconds if seconds > 0 else 0.0
    left = (total - done) / rate if rate else 0.0
    figures = f"{share * 100:3.0f}% {size(done):>8} {size(rate) + '/s':>10} {duration(left):>6}"
    label = name[: max(width // 4, 8)]
    room = width - len(label) - len(figures) - 6
    if room < 5:
        return figures[:width]
    filled = int(share * room)
    drawn = "=" * filled if filled == room else ("=" * filled + ">").ljust(room)
    return f"{label}  [{drawn}]  {figures}"


class Progress:
    """Says what an import is doing: a line at its start, a bar while it runs."""

    def __init__(self, verb: str, *, quiet: bool) -> None:
        self.verb = verb  # Importing, Installing
        self.bar = not quiet and os.isatty(2)
        self.name = ""
        self.begun = time.monotonic()

    def __call__(self, report: JsonObject) -> None:
        if report.get("phase") == "start":
            self.name = text(report, "uuid")
            title = f"{text(report, 'name')}@{text(report, 'version')}"
            origin = f' from "{text(report, "source")}"' if report.get("source") else ""
            image = "image " if not origin else ""
            print(f"{self.verb} {image}{self.name} ({title}){origin}", flush=True)
            self.begun = time.monotonic()
        elif self.bar:
            done, total = report.get("done"), report.get("total")
            if isinstance(done, int) and isinstance(total, int):
                seconds = time.monotonic() - self.begun
                width = os.get_terminal_size(2).columns or 80
                sys.stderr.write("\r" + bar(self.name, done, total, seconds, width - 1))
                sys.stderr.flush()

    def end(self) -> None:
        if self.bar and self.name:
            sys.stderr.write("\n")


def fetch(args: Args, verb: str, body: JsonObject) -> JsonObject:
    """Run an import or install with its progress; returns its result."""
    progress = Progress(f"{verb.capitalize()}ing", quiet="-q" in args.options)
    try:
        done = args.call("POST", f"/images?action={verb}", body, progress=progress)
    finally:
        progress.end()
    return done if isinstance(done, dict) else {}


def import_(args: Args) -> int:
    body: JsonObject = {"uuid": uuid_of(args)}
    if "-S" in args.options:
        body["source"] = args.options["-S"]
    done = fetch(args, "import", body)
    name, version = text(done, "name"), text(done, "version")
    if done.get("already"):
        print(f"Image {text(done, 'uuid')} ({name} {version}) is already installed, skipping")
    else:
        print(f"Imported image {text(done, 'uuid')} ({name}@{version})")
    return 0


def install(args: Args) -> int:
    words(args, 0)
    for option, what in (("-m", "manifest"), ("-f", "file")):
        if option not in args.options:
            raise CliError("Usage", f"{option} <{what}> (string) is required")
    try:
        with open(args.options["-m"], encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError) as exc:
        raise CliError("InvalidManifest", f"{args.options['-m']}: {exc}") from None
    path = os.path.abspath(args.options["-f"])
    done = fetch(args, "install", {"manifest": manifest, "file": path})
    name, version = text(done, "name"), text(done, "version")
    if done.get("already"):
        print(f"Image {text(done, 'uuid')} ({name} {version}) is already installed, skipping")
    else:
        print(f"Installed image {text(done, 'uuid')} ({name}@{version})")
    return 0


def delete(args: Args) -> int:
    uuid = uuid_of(args)
    args.call("DELETE", f"/images/{uuid}")
    print(f"Deleted image {uuid}")
    return 0


FLAGS = {"-f": "", "-k": ""}
TABLE = {"-j": "", "-H": "", "-o": "FIELD,...", "-s": "FIELD,..."}

COMMAND = Command(
    "imgadm",
    "manage images",
    [
        Verb(
            "sources", sources, "[-v | -j] | -a URL [-fk] [-t TYPE] | -d URL",
            "List the image sources, add (-a) or delete (-d) one; -f without asking it first, "
            "-k without checking its certificate.",
            options={"-v": "", "-j": "", "-a": "URL", "-d": "URL", "-t": "TYPE"} | FLAGS,
        ),
        Verb(
            "avail", avail, "[-jH] [-o FIELD,...] [-s FIELD,...] [FILTER...]",
            "List the images of all sources.", options=TABLE,
        ),
        Verb("show", show, "UUID", "Show the manifest of an image of the sources."),
        Verb(
            "import", import_, "[-q] [-S URL] UUID",
            "Import an image from a source.", options={"-q": "", "-S": "URL"},
        ),
        Verb(
            "install", install, "[-q] -m MANIFEST -f FILE",
            "Install an image from files.", options={"-q": "", "-m": "MANIFEST", "-f": "FILE"},
        ),
        Verb(
            "list", list_, "[-jH] [-o FIELD,...] [-s FIELD,...] [FILTER...]",
            "List the installed images.", options=TABLE,
        ),
        Verb(
            "get", get, "[-r] UUID", "Show an installed image; -r with its clones.",
            options={"-r": ""}, aliases=("info",),
        ),
        Verb("delete", delete, "UUID", "Delete an installed image.", aliases=("destroy",)),
    ],
)  # fmt: skip


def help_(about: list[str]) -> str:
    verb = COMMAND.verb(about[0]) if about else None
    return Command("imgadm", verb.doc, [verb]).usage() if verb else COMMAND.usage()


def run(argv: list[str]) -> int:
    """Raises CliError, hull's errors."""
    if not argv:
        sys.stdout.write(help_([]))
        return 1
    if argv[0] == "--version":
        print(f"imgadm {VERSION}")
        return 0
    if argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_(argv[1:]))
        return 0
    verb = COMMAND.verb(argv[0])
    if verb is None:
        code = "Option" if argv[0].startswith("-") else "UnknownCommand"
        what = "option" if code == "Option" else "command"
        raise CliError(code, f'unknown {what}: "{argv[0]}"')
    if "--help" in argv or argv[1:] == ["-h"]:
        sys.stdout.write(help_(argv))
        return 0
    return verb.run(parse(verb, argv[1:], call))


def main() -> None:
    argv = sys.argv[1:]
    label = f"imgadm {argv[0]}" if argv and not argv[0].startswith("-") else "imgadm"
    try:
        status = run(argv)
        sys.stdout.flush()
    except CliError as exc:
        status = fail(label, exc.code, str(exc))
    except Usage as exc:
        status = fail(label, "Option", exc.message)
    except Error as exc:
        status = fail(label, exc.code, exc.message, exc.hint)
        status = 3 if isinstance(exc, ImageNotInstalled) else status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at exit
        status = 0
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def fail(label: str, code: str, message: str, hint: str = "") -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{label}: error ({code}): {message}\n")
    if hint:
        sys.stderr.write(f"{' ' * len(label)}  {hint}\n")
    return 1
