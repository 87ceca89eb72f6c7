# SPDX-License-Identifier: MPL-2.0
"""imgapid: an image server over a plain directory."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from hull.image.catalog import Catalog
from hull.image.server import Server

DEFAULT_LISTEN = "127.0.0.1:8080"


def parse_address(text: str) -> tuple[str, int]:
    """ADDRESS:PORT, with an IPv6 address in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and int(port) < 65536):
        raise ValueError("ADDRESS:PORT")
    return host, int(port)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="imgapid",
        description="Serve the images of a directory (*.imgmanifest and their files) by IMGAPI.",
    )
    made.add_argument("directory", type=Path, metavar="DIR")
    made.add_argument(
        "--listen", type=parse_address, default=DEFAULT_LISTEN, metavar="ADDRESS:PORT",
        help=f"default: {DEFAULT_LISTEN}; port 0 takes a free one",
    )  # fmt: skip
    made.add_argument("-v", "--verbose", action="store_true", help="log every request to stderr")
    return made


def main() -> None:
    options = parser().parse_args()
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="imgapid: %(message)s")
    if not options.directory.is_dir():
        sys.exit(f"imgapid: {options.directory} is not a directory")
    try:
        server = Server(options.listen, Catalog(options.directory.absolute()))
    except OSError as exc:
        sys.exit(f"imgapid: cannot listen on {':'.join(map(str, options.listen))}: {exc.strerror}")

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host, port = server.server_address[:2]
    shown = f"[{host!s}]" if ":" in str(host) else str(host)
    print(f"http://{shown}:{port}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.2)
