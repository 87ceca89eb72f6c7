# SPDX-License-Identifier: MPL-2.0
"""hull: bring a hosted host up on this machine, and take it down."""

import os
import sys

from hull.cli.command import Args, Command, Verb, print_json, say
from hull.errors import Usage

UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DEFAULT_SIZE = "20G"


def parse_size(text: str) -> int:
    """`20G` as bytes."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in UNITS or not number.isdigit() or not int(number):
        raise Usage(f"--pool-size {text}: a number and M, G or T, such as 20G")
    return int(number) * UNITS[unit]


def up(args: Args) -> int:
    args.end()
    from hull.cli import here

    here.up(
        here.paths_of(args.options.get("--root", "")),
        here.pool_path(args.options.get("--pool", "")),
        parse_size(args.options.get("--pool-size", DEFAULT_SIZE)),
        args.options.get("--netns", ""),
        say,
    )
    return 0


def down(args: Args) -> int:
    args.end()
    from hull.cli import here

    here.down(
        here.paths_of(args.options.get("--root", "")),
        destroy="--destroy" in args.options,
        say=say,
    )
    return 0


def status(args: Args) -> int:
    args.end()
    if "--root" in args.options:
        os.environ["HULL_ROOT"] = args.options["--root"]
    answer = args.call("GET", "/status")
    if "-j" in args.options:
        print_json(answer)
        return 0
    assert isinstance(answer, dict)
    pool, tags = answer["pool"], answer["nic_tags"]
    assert isinstance(pool, dict)
    assert isinstance(tags, list)
    rows = [
        ("root", answer["root"]),
        ("server_uuid", answer["server_uuid"]),
        ("pool", f"{pool['name']} {pool['state']} {pool['driver']} on {_join(pool['devices'])}"),
        ("space", f"{_gib(pool['allocated'])} of {_gib(pool['size'])} GiB used"),
        ("nic_tags", ", ".join(f"{t['name']} {t['address']}" for t in tags if isinstance(t, dict))),
        ("vms", f"{answer['vms']}, {answer['running']} of them running"),
    ]
    for name, value in rows:
        print(f"{name:<12} {value}")
    return 0


def _join(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else ""


def _gib(size: object) -> str:
    return f"{int(str(size)) / (1 << 30):.1f}"


ROOT = {"--root": "DIR"}
COMMAND = Command(
    "hull",
    "a hosted Hull host on this machine",
    (
        Verb(
            "up",
            up,
            "[--root DIR] [--pool FILE|DEVICE] [--pool-size N] [--netns NAME]",
            "Bring the host up: its pool (made if it is not there; size in M, G or T), its "
            "network, hulld, and the zones that boot by themselves.",
            options=ROOT | {"--pool": "PATH", "--pool-size": "N", "--netns": "NAME"},
        ),
        Verb(
            "down",
            down,
            "[--root DIR] [--destroy]",
            "Stop its zones and leave nothing of it but the pool; --destroy removes that too.",
            options=ROOT | {"--destroy": ""},
        ),
        Verb(
            "status", status, "[--root DIR] [-j]", "Say how the host is.", options=ROOT | {"-j": ""}
        ),
    ),
)


def main() -> None:
    sys.exit(COMMAND.main(sys.argv[1:]))
