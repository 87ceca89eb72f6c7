# SPDX-License-Identifier: MPL-2.0
"""Runs attacks in a zone, each in a process and with a mount table of its own."""

import json
import os
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module

from tests.isolation.attacks.base import (
    ATTACKS,
    CLONE_NEWNS,
    GIVEN,
    libc,
    outcome,
    volunteer,
)

MODULES = (
    "calls", "clock", "devices", "entry", "files", "frames", "ids", "namespaces", "neighbours",
    "own", "settings", "sockets", "take",
)  # fmt: skip
for _module in MODULES:  # each registers its attacks
    import_module(f"tests.isolation.attacks.{_module}")

MARK = "/root/this-is-a-zone"
SECONDS = 60


def run(name: str) -> str:
    """What comes of one attack; what it mounts goes with it."""
    said, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setsid()
            volunteer(500)
            libc.unshare(CLONE_NEWNS)
            os.write(tell, outcome(ATTACKS[name]).encode() or b"nothing")
        os._exit(0)
    os.close(tell)
    heard, _, _ = select.select([said], [], [], SECONDS)
    word = os.read(said, 65536).decode() if heard else "hung"
    os.close(said)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return word or "died"


def main(names: list[str], given: dict[str, str]) -> None:
    """Print `{attack: word}`."""
    require_zone()
    GIVEN.update(given)
    print(json.dumps({name: run(name) for name in names}))


def hold(name: str, given: dict[str, str]) -> None:
    """Print the word for one attack, and hold what it has got until standard input ends."""
    require_zone()
    GIVEN.update(given)
    print(outcome(ATTACKS[name]), flush=True)
    sys.stdin.read()


def require_zone() -> None:
    if not os.path.exists(MARK):
        sys.exit("attacks run in zones only")
