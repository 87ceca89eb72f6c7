# SPDX-License-Identifier: MPL-2.0
"""sysinfo: what this host is made of."""

import sys

from hull.cli.command import Args, Command, Verb, print_json, query


def sysinfo(args: Args) -> int:
    args.end()
    fresh = "yes" if "-f" in args.options or "-u" in args.options else ""
    answer = args.call("GET", f"/sysinfo{query(refresh=fresh)}")
    assert isinstance(answer, dict)
    if "-u" in args.options:
        return 0
    if "-p" in args.options:
        sys.stdout.write(str(answer["parsable"]))
    else:
        print_json(answer["sysinfo"])
    return 0


COMMAND = Command(
    "sysinfo",
    "what this host is made of",
    (
        Verb(
            "",
            sysinfo,
            "[-f] [-p] [-u]",
            "Print it as JSON; -p as KEY=VALUE for a shell, -f found out anew, -u only found out.",
            options={"-f": "", "-p": "", "-u": ""},
        ),
    ),
)


def main() -> None:
    sys.exit(COMMAND.main(sys.argv[1:]))
