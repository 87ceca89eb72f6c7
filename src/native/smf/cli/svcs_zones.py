# SPDX-License-Identifier: MPL-2.0
"""svcs -z ZONE and -Z: its lines, from inside zones; with -Z as one table."""

import sys

from smf.cli import columns, zones
from smf.cli.options import Args, Usage
from smf.cli.svcs import no_match

IN_BLOCKS = ("-l", "-n", "-x")  # a blank line comes between them


def svcs(args: Args, mode: str) -> int:
    zones.refuse_inside()
    if args.has("-z") and args.has("-Z"):
        raise Usage("-z and -Z exclude each other")
    if mode == "--graph":
        raise Usage("--graph shows one zone: draw it inside, with `zlogin -i ZONE`")
    zones.read_nothing()
    argv = [word for flag, value in args.given for word in _again(flag, value)]
    if args.has("-z"):
        return zones.run(zones.find(args.value("-z")), "svcs", [*argv, "--", *args.words])
    asked = zones.running()
    if mode in ("", "-d", "-D"):
        argv += _as_one_table(args)
    return _everywhere(asked, [*argv, "--", *args.words], args.words, apart=mode in IN_BLOCKS)


def _again(flag: str, value: str) -> list[str]:
    if flag in ("-z", "-Z"):
        return []
    return [flag, value] if value else [flag]


def _as_one_table(args: Args) -> list[str]:
    """Print the header; what is then said to each zone's svcs."""
    if args.has("-o"):
        chosen = [name for value in args.options["-o"] for name in value.split(",")]
    else:
        chosen = ["ZONE", *(columns.VERBOSE if args.has("-v") else columns.DEFAULT)]
    if not args.has("-H"):
        sys.stdout.write(columns.Table(chosen, "").header() + "\n")
        sys.stdout.flush()
    said = ["-H"]
    if not args.has("-o"):
        said += ["-o", ",".join(chosen)]
        if not args.has("-s") and not args.has("-S"):
            said += [word for name in columns.DEFAULT_ORDER for word in ("-s", name)]
    return said


def _everywhere(
    asked: list[zones.Zone], argv: list[str], patterns: list[str], *, apart: bool
) -> int:
    """One zone after the other. A pattern is wrong only if no zone at all knows it."""
    known_lines = {f"svcs: {no_match(pattern)}": pattern for pattern in patterns}
    unmatched = dict.fromkeys(patterns, 0)
    status = 0
    something = False
    for zone in asked:
        lines: list[str] = []
        errors: list[str] = []
        ended = zones.run(zone, "svcs", argv, lines.append, errors.append)
        if apart and lines and something:
            sys.stdout.write("\n")
        something = something or bool(lines)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        strange = [line for line in errors if line not in known_lines]
        for line in set(errors) - set(strange):
            unmatched[known_lines[line]] += 1
        sys.stderr.writelines(f"{zone.name}: {line}\n" for line in strange)
        if ended and (strange or not errors):
            status = 1
    for pattern, zones_without in unmatched.items():
        if zones_without == len(asked):
            sys.stderr.write(f"svcs: {no_match(pattern)}\n")
            status = 1
    return status
