# SPDX-License-Identifier: MPL-2.0
"""pibuild: build a platform."""

import argparse
import os
import sys
import time
from pathlib import Path

from hull.errors import Error
from hull.image.build import MIRROR, release_epoch
from pibuild.build import CHECKOUT, Options, build_platform
from pibuild.config import read_config

CACHE = Path(os.environ.get("HULL_PLATFORM", "/var/cache/hull/platform"))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pibuild",
        description="Build a platform: kernel, initramfs, squashfs, and what they are booted from.",
        epilog="SOURCE_DATE_EPOCH sets its date, and so its stamp; else it is that of the suite.",
    )
    made.add_argument("description", nargs="?", type=Path, metavar="FILE",
                      default=CHECKOUT / "platform/platform.toml",
                      help="what is in it (default: platform/platform.toml)")  # fmt: skip
    made.add_argument(
        "-o",
        "--output",
        type=Path,
        default=CACHE / "built",
        metavar="DIR",
        help=f"where the directory STAMP is put (default: {CACHE}/built)",
    )
    made.add_argument("--effort", choices=("fast", "normal", "small"), default="normal",
                      help="of compression")  # fmt: skip
    made.add_argument("--no-image", action="store_true", help="nothing for sticks and discs")
    return made


def main() -> None:
    options = parser().parse_args()
    begun = time.monotonic()

    def report(text: str) -> None:
        print(f"[{time.monotonic() - begun:4.0f}s] {text}", file=sys.stderr, flush=True)

    try:
        config = read_config(options.description)
        made = build_platform(
            config,
            Options(
                output=options.output.absolute(),
                cache=CACHE / "layers",
                epoch=release_epoch(config.suite, MIRROR),
                effort=options.effort,
                image=not options.no_image,
            ),
            report,
        )
    except Error as exc:
        print(f"pibuild: {exc.message}", file=sys.stderr)
        for problem in getattr(exc, "problems", ()):
            print(f"    {problem.path}: {problem.message}", file=sys.stderr)
        if exc.hint:
            print(f"         {exc.hint}", file=sys.stderr)
        sys.exit(1)
    print(made)
