# SPDX-License-Identifier: MPL-2.0
"""zoneadm: the zones of this host, as zones know themselves."""

import sys

from hull.cli.command import Args, Command, Verb, query
from hull.errors import Usage
from hull.wire import JsonObject

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
    name = args.options.get("-z", "")
    answer = [GLOBAL] if name == "global" else args.call("GET", f"/zones{query(zone=name)}")
    assert isinstance(answer, list)
    zones = [zone for zone in answer if isinstance(zone, dict) and _shown(zone, args.options)]
    if "-n" not in args.options and "-z" not in args.options:
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
    if "-c" in options or "-z" in options or zone["zoneid"] is not None:
        return True
    return "-i" in options and zone["state"] == "installed"


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


COMMAND = Command(
    "zoneadm",
    "administer zones",
    (
        Verb(
            "list",
            list_,
            "[-z ZONE] [-cinvp]",
            "List running zones; -i installed ones too, -c all, -n without the global zone, "
            "-v as a table, -p parsable.",
            options={"-z": "ZONE", "-c": "", "-i": "", "-n": "", "-v": "", "-p": ""},
        ),
    ),
)


def main() -> None:
    argv = sys.argv[1:]
    if argv[:1] == ["-z"] and len(argv) > 2:
        argv = [argv[2], "-z", argv[1], *argv[3:]]
    sys.exit(COMMAND.main(argv))
