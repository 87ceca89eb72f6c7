# SPDX-License-Identifier: MPL-2.0
"""zoneadm: the zones of this host, from state to state."""

import os
import sys
from collections.abc import Callable

from hull.cli.command import Args, Command, Verb, query, quote, report
from hull.errors import Error, HostError, NotFound, Refused, Usage
from hull.wire import JsonObject

# What comes after -m, for SMF.
SMF_OPTIONS = ("quiet", "verbose", "debug")
MILESTONES = ("none", "single-user", "multi-user", "multi-user-server", "all")
GLOBAL: JsonObject = {
    "zoneid": 0,
    "zonename": "global",
    "state": "running",
    "zonepath": "/",
    "uuid": "",
    "brand": "liveimg",
    "ip_type": "shared",
    "zonedid": 0,
}


def list_(args: Args) -> int:
    args.end()
    if "-v" in args.options and "-p" in args.options:
        raise Usage("-v and -p are exclusive")
    if "-z" in args.options or "-u" in args.options:
        if "-i" in args.options or "-c" in args.options:
            raise Usage("-i and -c are not for one zone")
        zones = [GLOBAL] if args.options.get("-z") == "global" else [the_zone(args)]
    else:
        answer = args.call("GET", "/zones")
        assert isinstance(answer, list)
        zones = [zone for zone in answer if isinstance(zone, dict) and _shown(zone, args.options)]
        if "-n" not in args.options:
            zones.insert(0, GLOBAL)
    if "-p" in args.options:
        sys.stdout.writelines(f"{_parsable(zone)}\n" for zone in zones)
    elif "-v" in args.options:
        rows = [["ID", "NAME", "STATUS", "PATH", "BRAND", "IP"], *(_row(zone) for zone in zones)]
        sys.stdout.writelines(
            f"{i:>4} {name:<16} {status:<10} {path:<30} {brand:<8} {ip:<6}".rstrip() + "\n"
            for i, name, status, path, brand, ip in rows
        )
    else:
        sys.stdout.writelines(f"{zone['zonename']}\n" for zone in zones)
    return 0


def _shown(zone: JsonObject, options: dict[str, str]) -> bool:
    """Running zones; -i installed ones too; -c all."""
    if "-c" in options:
        return True
    if zone["state"] in ("configured", "incomplete"):
        return False
    return "-i" in options or zone["state"] in ("running", "shutting_down", "down")


def _row(zone: JsonObject) -> list[str]:
    return [
        _id(zone),
        *(str(zone[key]) for key in ("zonename", "state", "zonepath", "brand")),
        _ip(zone),
    ]


def _parsable(zone: JsonObject) -> str:
    """Eight fields: readers of SmartOS's output ignore a line with any other number."""
    path = str(zone["zonepath"]).replace(":", "\\:")
    names = [str(zone[key]) for key in ("zonename", "state")]
    rest = [str(zone["uuid"]), str(zone["brand"]), _ip(zone), str(zone["zonedid"] or 0)]
    return ":".join([_id(zone), *names, path, *rest])


def _id(zone: JsonObject) -> str:
    return "-" if zone["zoneid"] is None else str(zone["zoneid"])


def _ip(zone: JsonObject) -> str:
    return str(zone["ip_type"])


def the_zone(args: Args) -> JsonObject:
    """The zone of -u, or else of -z, as `list` shows it."""
    wanted = [args.options[flag] for flag in ("-u", "-z") if flag in args.options]
    if not wanted:
        raise Usage("no zone specified: -z ZONE or -u UUID comes first")
    if wanted == ["global"]:
        raise Refused("operation is invalid for the global zone.")
    for name in wanted:
        try:
            answer = args.call("GET", f"/zones{query(zone=name)}")
        except NotFound:
            continue
        assert isinstance(answer, list)
        zone = answer[0]
        assert isinstance(zone, dict)
        return zone
    # Tools rely on these very words.
    raise NotFound(f"{wanted[-1]}: No such zone configured")


def step(action: str) -> Callable[[Args], int]:
    """A verb that takes a zone from one state to another, and has no arguments of its own."""

    def run(args: Args) -> int:
        args.end()
        return do(args, action, {})

    return run


def do(args: Args, action: str, body: JsonObject) -> int:
    name = quote(str(the_zone(args)["uuid"]))
    args.call("POST", f"/zones/{name}?action={action}", body)
    return 0


def booting(action: str) -> Callable[[Args], int]:
    """boot and reboot: after `--` come the boot arguments."""

    def run(args: Args) -> int:
        return do(args, action, boot_arguments(args.words))

    return run


def boot_arguments(words: list[str]) -> JsonObject:
    """`-i INIT`, and what SMF in a native zone is told: `-s` and `-m OPTION,…`."""
    body: JsonObject = {}
    told: list[str] = []
    rest = list(words)
    while rest:
        match rest:
            case ["-i", path, *rest] if path.startswith("/"):
                body["init"] = path
            case ["-s", *rest]:
                told.append("-s")
            case ["-m", options, *rest]:
                _check_smf(options)
                told += ["-m", options]
            case _:
                raise Usage(f"bad boot arguments: {' '.join(words)}")
    return body | ({"boot_args": " ".join(told)} if told else {})


def _check_smf(options: str) -> None:
    """Usage if SMF has no such options: inside, nobody would read what it says of them."""
    for option in options.split(","):
        if option not in SMF_OPTIONS and option.removeprefix("milestone=") not in MILESTONES:
            known = ", ".join(SMF_OPTIONS)
            names = ", ".join(MILESTONES)
            raise Usage(
                f'boot argument -m has no "{option}": there are {known} and milestone=NAME',
                hint=f"milestones are {names}",
            )


def shutdown(args: Args) -> int:
    if args.words and "-r" not in args.options:
        raise Usage("boot arguments need -r")
    once = boot_arguments(args.words)
    return do(args, "shutdown", {"reboot": "-r" in args.options, **once})


def install(args: Args) -> int:
    args.end()
    body: JsonObject = {}
    if image := args.options.get("-t"):
        body["image_uuid"] = image
    if quota := args.options.get("-q"):
        if not quota.isdigit():
            raise Usage(f"-q {quota}: a number of GiB")
        body["quota"] = int(quota)
    if args.options.get("-x", "nodataset") != "nodataset":
        raise Usage("-x is nodataset or nothing")
    return do(args, "install", body)


def uninstall(args: Args) -> int:
    args.end()
    name = args.options.get("-z") or args.options.get("-u", "")
    if "-F" not in args.options:
        if not os.isatty(0):
            raise HostError(
                "Input not from terminal and -F not specified:\nuninstall command ignored, exiting."
            )
        sys.stderr.write(f"Are you sure you want to uninstall zone {name} (y/[n])? ")
        sys.stderr.flush()
        if not sys.stdin.readline().strip().lower().startswith("y"):
            return 1
    return do(args, "uninstall", {})


def mark(args: Args) -> int:
    if args.word("STATE") != "incomplete":
        raise Usage("a zone can be marked incomplete, and nothing else")
    args.end()
    return do(args, "mark", {})


def verify(args: Args) -> int:
    args.end()
    args.call("GET", f"/zones/{quote(str(the_zone(args)['uuid']))}/verify")
    return 0


def plainly(run: Callable[[Args], int]) -> Callable[[Args], int]:
    """Messages begin with `zoneadm:` alone, whatever the verb: programs look for them."""

    def told(args: Args) -> int:
        try:
            return run(args)
        except Usage:
            raise
        except Error as exc:
            report("zoneadm", exc)
            return 1

    return told


def _verb(
    name: str,
    run: Callable[[Args], int],
    arguments: str,
    doc: str,
    options: dict[str, str] | None = None,
) -> Verb:
    """Every verb takes the zone's name, which stands before it on the command line."""
    return Verb(name, plainly(run), arguments, doc, options=ZONE | (options or {}))


ZONE = {"-z": "ZONE", "-u": "UUID"}
X = {"-X": ""}
ARGS = "[-i INIT] [-s] [-m OPTION,…]"
COMMAND = Command(
    "zoneadm",
    "administer zones",
    (
        _verb(
            "list",
            list_,
            "[-cinvp]",
            "List running zones; -i installed ones too, -c all, -n without the global zone, "
            "-v as a table, -p parsable.",
            {"-c": "", "-i": "", "-n": "", "-v": "", "-p": ""},
        ),
        _verb("boot", booting("boot"), f"[-X] [-- {ARGS}]", "Boot an installed or ready zone.", X),
        _verb("halt", step("halt"), "[-X]", "End a zone at once; nothing in it is asked.", X),
        _verb(
            "reboot", booting("reboot"), f"[-X] [-- {ARGS}]", "End a zone at once, and boot it.", X
        ),
        _verb("ready", step("ready"), "", "Build an installed zone up to its init."),
        _verb(
            "shutdown",
            shutdown,
            f"[-r [-- {ARGS}]]",
            "Ask a zone to end; -r boots it afterwards.",
            {"-r": ""},
        ),
        _verb(
            "install",
            install,
            "[-x nodataset] [-t IMAGE] [-q GIB]",
            "Give a configured zone its data, from its image.",
            {"-x": "nodataset", "-t": "IMAGE", "-q": "GIB"},
        ),
        _verb(
            "uninstall", uninstall, "[-F]", "Destroy a zone's data; its record stays.", {"-F": ""}
        ),
        _verb("detach", step("detach"), "", "Take an installed zone's data out of use."),
        _verb(
            "attach", step("attach"), "[-F]", "Give a configured zone its data back.", {"-F": ""}
        ),
        _verb("mark", mark, "incomplete", "Call an installed zone incomplete."),
        _verb("verify", verify, "", "Say what stands against booting or installing a zone."),
    ),
)


def verb_first(argv: list[str]) -> list[str]:
    """`-z ZONE` and `-u UUID` stand before the verb, and belong to it."""
    here = argv[:1] if argv[:1] == ["--here"] else []
    argv = argv[len(here) :]
    zone: list[str] = []
    while argv and argv[0][:2] in ZONE and len(argv[0]) > 1:
        size = 2 if len(argv[0]) == 2 else 1
        zone += argv[:size]
        argv = argv[size:]
    return [*here, *argv[:1], *zone, *argv[1:]]


def main() -> None:
    sys.exit(COMMAND.main(verb_first(sys.argv[1:])))
