# SPDX-License-Identifier: MPL-2.0
"""imgadm create and publish: images of this host's own."""

import json
import os
import sys

from hull.cli.command import Args
from hull.cli.image_progress import work
from hull.cli.image_words import (
    CliError,
    check_uuid,
    existing,
    read_manifest,
    text,
    usage,
    words,
)
from hull.wire import Json, JsonObject

TEXTS = ("name", "version", "description", "homepage", "eula")
COMPRESSIONS = ("none", "bzip2", "gzip", "xz", "zstd")


def create(args: Args) -> int:
    options = args.options
    if not args.words:
        words(args, 1)
    check_options(options)
    body: JsonObject = {
        "vm": check_uuid(args.words[0]),
        "manifest": manifest_of(args),
        "compression": options.get("-c", "none"),
        "incremental": "-i" in options,
    }
    if "--max-origin-depth" in options:
        body["max_origin_depth"] = int(options["--max-origin-depth"])
    if "-s" in options:
        body["script"] = read_script(options["-s"])
    if "-p" in options:
        body["publish"] = options["-p"]
    else:
        body["output"] = os.path.abspath(options.get("-o", "."))
    work(args, "create", body)
    return 0


def check_options(options: dict[str, str]) -> None:
    """Raises CliError."""
    compression = options.get("-c", "none")
    if compression not in COMPRESSIONS:
        known = '", "'.join(COMPRESSIONS)
        raise usage(f'invalid -c,--compression "{compression}": must be one of "{known}"')
    if "-o" in options and "-p" in options:
        raise usage("cannot specify both -o,--output-template and -p,--publish")
    depth = options.get("--max-origin-depth", "2")
    if not depth.isdecimal():
        what = f'arg for "--max-origin-depth" is not a positive integer: "{depth}"'
        raise CliError("Option", what)
    if int(depth) < 2:
        raise usage(f'invalid max-origin-depth "{depth}": must be greater than 1')


def manifest_of(args: Args) -> JsonObject:
    """What `-m` says, and `field=value` over it. Raises CliError."""
    fields: JsonObject = {}
    for word in args.words[1:]:
        field, equals, value = word.partition("=")
        if not equals:
            raise usage(f'invalid manifest field arg "{word}": must match "<field>=<value>"')
        fields[field] = value_of(field, value)
    return given_manifest(args.options.get("-m", "")) | fields


def value_of(field: str, word: str) -> Json:
    """JSON, or else a text; `version=1.0` is no number."""
    try:
        value: Json = json.loads(word)
    except ValueError:
        return word
    return word if field in TEXTS and not isinstance(value, str) else value


def given_manifest(path: str) -> JsonObject:
    where = "on stdin" if path == "-" else f'in "{path}"'
    try:
        if path == "-":
            given = json.load(sys.stdin)
        elif path:
            with open(existing(path, "manifest"), encoding="utf-8") as file:
                given = json.load(file)
        else:
            given = {}
    except (OSError, ValueError) as exc:
        raise usage(f"invalid manifest JSON {where}: {exc}") from None
    if not isinstance(given, dict):
        raise usage(f"invalid manifest JSON {where}: it must be an object")
    return given


def read_script(path: str) -> str:
    try:
        with open(existing(path, "script"), encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        raise usage(f'cannot read "{path}": {exc}') from None


def publish(args: Args) -> int:
    (url,) = words(args, 1)
    for option, what in (("-m", "manifest"), ("-f", "file")):
        if option not in args.options:
            raise usage(f"{option} <{what}> (string) is required")
    manifest = read_manifest(args.options["-m"])
    if not text(manifest, "uuid"):
        raise CliError("InvalidManifest", "manifest is invalid: it has no uuid")
    body: JsonObject = {
        "manifest": manifest,
        "file": existing(args.options["-f"], "file"),
        "url": url,
        "insecure": os.environ.get("IMGADM_INSECURE") == "1",
    }
    work(args, "publish", body)
    return 0
