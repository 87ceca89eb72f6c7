# SPDX-License-Identifier: MPL-2.0
"""mkimage: build an image from a recipe."""

import argparse
import os
import sys
import time
from pathlib import Path

from hull.errors import Error, HostError, NotFound
from hull.image.build import MIRROR, Built, Report, build
from hull.image.manifest import check_uuid
from hull.image.recipe import parse_recipe


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="mkimage",
        description="Build an image (NAME-VERSION.tar.zst and .imgmanifest) from a recipe.",
        epilog="SOURCE_DATE_EPOCH sets the image's date; else it is that of the suite.",
    )
    made.add_argument("recipe", type=Path, metavar="RECIPE", help="a TOML file, see image/*.toml")
    made.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR")
    made.add_argument("--suite", help="Debian suite to build from, instead of the recipe's")
    made.add_argument("--mirror", default=MIRROR, metavar="URL", help=f"default: {MIRROR}")
    made.add_argument("--uuid", default="", help="the image's UUID; else it follows its content")
    made.add_argument("-q", "--quiet", action="store_true", help="no progress")
    return made


def build_from(options: argparse.Namespace, report: Report) -> Built:
    if os.geteuid() != 0:
        raise HostError("mkimage needs root: it makes files of many owners")
    try:
        text = options.recipe.read_text()
    except OSError as exc:
        raise NotFound(f"{options.recipe}: {exc.strerror}") from exc
    recipe = parse_recipe(text, options.recipe.absolute().parent)
    suite = options.suite or recipe.suite
    if options.uuid:
        check_uuid(options.uuid)
    return build(
        recipe,
        options.output.absolute(),
        report,
        suite=suite,
        mirror=options.mirror,
        uuid=options.uuid,
    )


def main() -> None:
    sys.exit(run())


def run() -> int:
    options = parser().parse_args()
    started = time.monotonic()

    def report(line: str) -> None:
        if not options.quiet:
            print(f"[{time.monotonic() - started:4.0f}s] {line}", file=sys.stderr, flush=True)

    try:
        built = build_from(options, report)
    except Error as error:
        for line in str(error).splitlines() if not error.problems else map(str, error.problems):
            print(f"mkimage: {line}", file=sys.stderr)
        if error.hint:
            print(f"mkimage: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{built.manifest}\n{built.file}")
    return 0
