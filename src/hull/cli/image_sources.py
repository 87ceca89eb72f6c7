# SPDX-License-Identifier: MPL-2.0
"""imgadm sources: list, add, delete, edit and check the image sources."""

import os
import sys

from hull.cli.command import Args, print_json, query
from hull.cli.image_table import render
from hull.cli.image_words import CliError, objects, text, usage
from hull.wire import JsonObject

ACTIONS = ("-a", "-d", "-e", "-c")
HELP = """

#
# Enter sources, one per line, as follows:
#
#   URL TYPE [OPTIONS]
#
# where "TYPE" is one of "imgapi" (the default), "dsapi", "docker" or
# "simplestreams"; and where "OPTIONS" is the literal string "insecure" to
# skip TLS server certificate checking for this source.
#
# Comments beginning with "#" are stripped.
#
"""


def sources(args: Args) -> int:
    options = args.options
    if args.words:
        raise usage(f"unexpected args: {' '.join(args.words)}")
    if "--add-docker-hub" in options:
        options |= {"-a": "https://docker.io", "-t": "docker"}
    if len([action for action in ACTIONS if action in options]) > 1:
        raise usage('cannot specify more than one of "-a", "-d", "-e", and "-c"')
    if "-a" in options:
        return add(args, options["-a"])
    if "-d" in options:
        return delete(args, options["-d"])
    if "-e" in options:
        return edit(args)
    return check(args) if "-c" in options else show(args)


def show(args: Args) -> int:
    known = objects(args.call("GET", "/sources"))
    if "-j" in args.options:
        print_json([*known])
    elif "-v" in args.options:
        for line in render(known, ["url", "type", "insecure"], header=True):
            print(line)
    else:
        sys.stdout.write("".join(f"{text(source, 'url')}\n" for source in known))
    return 0


def check(args: Args) -> int:
    for line in render(
        objects(args.call("GET", "/sources/check")), ["url", "type", "ok", "error"], header=True
    ):
        print(line)
    return 0


def label(source: JsonObject) -> str:
    insecure = " (insecure)" if source.get("insecure") else ""
    return f'"{text(source, "type")}" image source "{text(source, "url")}"{insecure}'


def add(args: Args, url: str) -> int:
    insecure = "-k" in args.options
    body: JsonObject = {"url": url, "force": "-f" in args.options, "insecure": insecure}
    if "-t" in args.options:
        body["type"] = args.options["-t"]
    done = args.call("POST", "/sources", body)
    shown = label({"url": url, "type": text(done, "type"), "insecure": insecure})
    if isinstance(done, dict) and done.get("added"):
        print(f"Added {shown}")
    else:
        print(f"Already have {shown}, no change")
    return 0


def delete(args: Args, url: str) -> int:
    done = args.call("DELETE", f"/sources{query(url=url)}")
    if isinstance(done, dict) and done.get("deleted"):
        print(f"Deleted {label({'url': url, 'type': text(done, 'type')})}")
    else:
        print(f'Do not have image source "{url}", no change')
    return 0


# -- an editor -------------------------------------------------------------------------------------
def edit(args: Args) -> int:
    before = objects(args.call("GET", "/sources"))
    asked = to_text(before)
    status, answered = in_editor(asked)
    if status:
        sys.stderr.write(f"Error editing image sources: {status} (ignoring)\n")
        return 0
    after = from_text(answered)
    if after == before:
        print("Image sources unchanged")
        return 0
    body: JsonObject = {"sources": [*after], "force": "-f" in args.options}
    args.call("PUT", "/sources", body)
    for line in changes(before, after):
        print(line)
    return 0


def to_text(listed: list[JsonObject]) -> str:
    width = min(max((len(text(source, "url")) for source in listed), default=0), 50)
    lines = []
    for source in listed:
        options = "insecure" if source.get("insecure") else ""
        url, kind = text(source, "url"), text(source, "type")
        lines.append(f"{url:<{width}}  {kind:<6}  {options}".rstrip())
    return "\n".join(lines) + HELP


def from_text(edited: str) -> list[JsonObject]:
    """What a person has made of the list. Raises CliError."""
    found: list[JsonObject] = []
    for line in edited.splitlines():
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        source: JsonObject = {"url": parts[0], "type": parts[1] if len(parts) > 1 else "imgapi"}
        for option in parts[2].split(",") if len(parts) > 2 else []:
            if option != "insecure":
                raise usage(f"unknown source option: {option}")
            source["insecure"] = True
        found.append(source)
    return found


def changes(before: list[JsonObject], after: list[JsonObject]) -> list[str]:
    lines = [f"Deleted {label(source)}" for source in before if source not in after]
    if not lines:
        lines = ["Reordered image sources"]
    return lines + [f"Added {label(source)}" for source in after if source not in before]


def in_editor(asked: str) -> tuple[int, str]:
    """Let a person edit a text: the editor's exit status, and the text."""
    import shlex
    import tempfile

    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.NamedTemporaryFile("w", prefix="imgadm-sources-", suffix=".txt") as file:
        file.write(asked)
        file.flush()
        try:
            status = os.spawnvp(os.P_WAIT, editor[0], [*editor, file.name])
        except OSError as exc:
            raise CliError("InternalError", f"cannot run {editor[0]}: {exc.strerror}") from None
        with open(file.name, encoding="utf-8") as edited:  # an editor may have replaced it
            return status, edited.read()
