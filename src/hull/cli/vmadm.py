# SPDX-License-Identifier: MPL-2.0
"""vmadm: manage VMs. It validates nothing itself: hulld decodes, decides and answers."""

import sys

from hull.cli.command import Args, Command, Verb, print_json, query, read_payload, say
from hull.errors import HostError, NotFound, Usage
from hull.wire import Json, JsonObject, problems_from_json

DEFAULT_COLUMNS = "uuid,type,ram,state,alias"
DEFAULT_SORT = "ram,uuid"


def create(args: Args) -> int:
    args.end()
    payload = read_payload(args, "create")
    done = args.call("POST", "/vms", payload, progress=lambda report: None)
    _warn("create", done)
    say(f"Successfully created VM {_field(done, 'uuid')}")
    return 0


def _warn(verb: str, done: Json) -> None:
    """Name what of a payload was ignored."""
    assert isinstance(done, dict)
    for problem in problems_from_json(done["warnings"]):
        say(f"vmadm {verb}: warning: {problem}")


def get(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    try:
        print_json(args.call("GET", f"/vms/{uuid}"))
    except NotFound:
        # Tools rely on these very words.
        raise NotFound(f"zoneadm: {uuid}: No such zone configured") from None
    return 0


def list_(args: Args) -> int:
    columns = args.options.get("-o", DEFAULT_COLUMNS)
    sort = args.options.get("-s", DEFAULT_SORT)
    target = query(columns=columns, sort=sort, filter=_filters(args))
    table = args.call("GET", "/vms" + target)
    assert isinstance(table, dict)
    parsable = "-p" in args.options
    headers, answered = table["columns"], table["rows"]
    assert isinstance(headers, list)
    assert isinstance(answered, list)
    rows = [row for row in answered if isinstance(row, list)]
    if "-h" in args.options or not (parsable or "-H" in args.options):
        rows = [[column["header"] for column in headers if isinstance(column, dict)], *rows]
    widths = [int(str(column["width"])) for column in headers if isinstance(column, dict)]
    for row in rows:
        if parsable:
            line = ":".join(map(_parsable, row))
        else:
            cells = zip(row, widths, strict=True)
            line = "  ".join(f"{_cell(value):<{width}}" for value, width in cells).rstrip()
        sys.stdout.write(line + "\n")
    return 0


def _filters(args: Args) -> str:
    """The filters, one a line."""
    return "\n".join(args.words)


def _cell(value: Json) -> str:
    if value is None or value is False or value == "":
        return "-"
    return _parsable(value)


def _parsable(value: Json) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "" if value is None else str(value)


def lookup(args: Args) -> int:
    whole = "-j" in args.options
    fields = args.options.get("-o", "")
    if fields and not whole:
        raise HostError("Cannot specify -o without -j")
    target = query(filter=_filters(args), whole="yes" if whole else "")
    found = args.call("GET", "/vms" + target)
    assert isinstance(found, list)
    if whole:
        names = fields.split(",") if fields else []
        found = [_only(vm, names) for vm in found]
    else:
        found = [_field(vm, "uuid") for vm in found]
    if "-1" in args.options:
        if len(found) != 1:
            raise HostError(f"Requested unique lookup but found {len(found)} results.")
        print_json(found[0]) if whole else print(found[0])
        return 0
    if whole:
        print_json(found)
    else:
        sys.stdout.writelines(f"{uuid}\n" for uuid in found)
    return 0


def _only(vm: Json, names: list[str]) -> Json:
    if not names or not isinstance(vm, dict):
        return vm
    return {name: vm[name] for name in names if name in vm}


def _field(answer: Json, name: str) -> str:
    assert isinstance(answer, dict)
    return str(answer[name])


def start(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    done = args.call("POST", f"/vms/{uuid}?action=start", {})
    if _field(done, "already") == "True":
        say(f"Unable to start VM {uuid}: VM {uuid} is already 'running'")
    else:
        say(f"Successfully started VM {uuid}")
    return 0


def stop(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    done = args.call("POST", f"/vms/{uuid}?action=stop", {"force": "-F" in args.options})
    if _field(done, "already") == "True":
        say(f"VM {uuid} is already not 'running' (currently: {_field(done, 'state')})")
    else:
        say(f"Successfully completed stop for VM {uuid}")
    return 0


def reboot(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    args.call("POST", f"/vms/{uuid}?action=reboot", {"force": "-F" in args.options})
    say(f"Successfully completed reboot for VM {uuid}")
    return 0


def delete(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    try:
        args.call("DELETE", f"/vms/{uuid}")
    except NotFound as exc:
        raise NotFound(f"Failed to delete VM {uuid}: {exc.message}") from None
    say(f"Successfully deleted VM {uuid}")
    return 0


def update(args: Args) -> int:
    uuid = args.uuid()
    payload: JsonObject = {}
    for word in args.words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Usage(f'"{word}" is not of the form property=value')
        payload[name] = value
    if not args.words:
        payload = read_payload(args, "update")
    _warn("update", args.call("POST", f"/vms/{uuid}?action=update", payload))
    say(f"Successfully updated VM {uuid}")
    return 0


def validate(args: Args) -> int:
    action = args.words.pop(0) if args.words else ""
    if action not in ("create", "update"):
        raise Usage("Will not validate without a valid action.")
    brand = ""
    if action == "update":
        if not args.words:
            raise Usage("Will not validate without a valid action and brand.")
        brand = args.words.pop(0)
    args.end()
    payload = read_payload(args, "validate")
    body: JsonObject = {"action": action, "brand": brand, "payload": payload}
    done = args.call("POST", "/vms?action=validate", body)
    assert isinstance(done, dict)
    if not done["valid"]:
        import json

        # SmartOS's object where SmartOS has it, and what is readable beside it.
        sys.stdout.writelines(f"{problem}\n" for problem in problems_from_json(done["problems"]))
        say(json.dumps(done["report"], indent=2))
        return 1
    say(f"VALID '{action}' payload for {_field(done, 'brand')} brand VMs.")
    return 0


def create_snapshot(args: Args) -> int:
    uuid, name = _snapshot(args, "create-snapshot")
    args.call("POST", f"/vms/{uuid}/snapshots", {"name": name})
    say(f"Created snapshot {name} for VM {uuid}")
    return 0


def rollback_snapshot(args: Args) -> int:
    uuid, name = _snapshot(args, "rollback-snapshot")
    args.call("POST", f"/vms/{uuid}/snapshots?action=rollback", {"name": name})
    say(f"Rolled back snapshot {name} for VM {uuid}")
    return 0


def delete_snapshot(args: Args) -> int:
    uuid, name = _snapshot(args, "delete-snapshot")
    args.call("DELETE", f"/vms/{uuid}/snapshots{query(name=name)}")
    say(f"Deleted snapshot {name} for VM {uuid}")
    return 0


def _snapshot(args: Args, verb: str) -> tuple[str, str]:
    if len(args.words) != 2:
        raise Usage(f'Wrong number of parameters to "{verb}"')
    return args.uuid(), args.word("NAME")


def events(args: Args) -> int:
    from hull.cli import events as printer

    uuid = args.uuid() if args.words else ""
    args.end()
    if uuid:
        args.call("GET", f"/vms/{uuid}")
    printer.follow(uuid, args.options)
    return 0


def console(args: Args) -> int:
    from hull.cli import terminal

    uuid = args.uuid()
    args.end()
    return terminal.console(args.call, uuid, escape=b"\x1d")


FILE = {"-f": "FILE"}
COMMAND = Command(
    "vmadm",
    "manage virtual machines: zones, described by JSON",
    (
        Verb(
            "create", create, "[-f FILE]", "Make the VM that a JSON object describes.", options=FILE
        ),
        Verb(
            "list",
            list_,
            "[-p] [-H] [-o FIELD,…] [-s FIELD,…] [FIELD=VALUE …]",
            "Print a table of the VMs; FIELD=~REGEXP filters by a regular expression.",
            options={"-p": "", "-H": "", "-h": "", "-o": "FIELDS", "-s": "FIELDS"},
        ),
        Verb("get", get, "UUID", "Print a VM as JSON.", aliases=("json",)),
        Verb(
            "lookup",
            lookup,
            "[-j [-o FIELD,…]] [-1] [FIELD=VALUE …]",
            "Print the UUIDs of the VMs that match; -1 fails unless it is exactly one.",
            options={"-j": "", "-1": "", "-o": "FIELDS"},
        ),
        Verb("start", start, "UUID", "Boot a stopped VM.", aliases=("boot",)),
        Verb(
            "stop",
            stop,
            "UUID [-F]",
            "Shut a VM down; -F kills it.",
            options={"-F": ""},
            aliases=("halt",),
        ),
        Verb("reboot", reboot, "UUID [-F]", "Shut a VM down and boot it.", options={"-F": ""}),
        Verb("delete", delete, "UUID", "Destroy a VM and its data.", aliases=("destroy",)),
        Verb(
            "update",
            update,
            "UUID [-f FILE | PROPERTY=VALUE …]",
            "Change properties of a VM.",
            options=FILE,
        ),
        Verb(
            "validate",
            validate,
            "create [-f FILE] | update BRAND [-f FILE]",
            "Say what is wrong with a payload, changing nothing.",
            options=FILE,
        ),
        Verb("create-snapshot", create_snapshot, "UUID NAME", "Freeze a VM's file system."),
        Verb("rollback-snapshot", rollback_snapshot, "UUID NAME", "Go back to a snapshot; boots."),
        Verb("delete-snapshot", delete_snapshot, "UUID NAME", "Destroy a snapshot."),
        Verb(
            "events",
            events,
            "[-f] [-j] [-r] [UUID]",
            "Print what happens to VMs, as it happens.",
            options={"-f": "", "-j": "", "-r": ""},
        ),
        Verb("console", console, "UUID", "Connect to a VM's console; ^] leaves it."),
    ),
)


def main() -> None:
    sys.exit(COMMAND.main(sys.argv[1:]))
