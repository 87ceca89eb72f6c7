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
from hull.image.repository import Repository
from hull.image.server import Server

DEFAULT_LISTEN = "127.0.0.1:8080"
MIN_TOKEN = 16


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
    made.add_argument(
        "--writable", action="store_true", help="take images, too: from who shows the token, "
        "without a token from this machine's own users only",
    )  # fmt: skip
    made.add_argument("--token-file", type=Path, metavar="FILE", help="who writes must know it")
    made.add_argument("-v", "--verbose", action="store_true", help="log every request to stderr")
    return made


def read_token(path: Path | None) -> str:
    """Raises ValueError for a file that holds none, or that others than its owner can read."""
    if path is None:
        return ""
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} can be read by others than its owner")
    token = path.read_text().strip()
    if len(token) < MIN_TOKEN or not token.isascii():
        raise ValueError(f"{path} holds no token of {MIN_TOKEN} characters at least")
    return token


def main() -> None:
    options = parser().parse_args()
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="imgapid: %(message)s")
    if not options.directory.is_dir():
        sys.exit(f"imgapid: {options.directory} is not a directory")
    directory = options.directory.absolute()
    try:
        token = read_token(options.token_file)
    except (OSError, ValueError) as exc:
        sys.exit(f"imgapid: {exc}")
    catalog = Repository(directory) if options.writable else Catalog(directory)
    try:
        server = Server(options.listen, catalog, token)
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
