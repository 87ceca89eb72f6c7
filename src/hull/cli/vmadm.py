# SPDX-License-Identifier: MPL-2.0
"""vmadm: manage VMs. It validates nothing itself: hulld decodes, decides and answers."""

import sys

from hull.cli.command import Args, Command, Verb, may_run, print_json, query, read_payload, say
from hull.errors import Error, HostError, NotFound, Usage
from hull.wire import Json, JsonObject, problems_from_json

DEFAULT_COLUMNS = "uuid,type,ram,state,alias"
DEFAULT_SORT = "ram,uuid"
DRIVES = ("disk", "cdrom")

# What SmartOS's vmadm says of a VM that is not there, where it is not `VM U not found`.
GONE = "bad statusCode: 404"
MISSING = {
    # Tools rely on these very words.
    "get": "zoneadm: {}: No such zone configured",
    **dict.fromkeys(
        ("start", "reboot", "kill", "console", "sysrq", "send", "rollback-snapshot", "info"), GONE
    ),
}
# How it begins to say that it has failed.
FAILED = {
    "start": "Unable to start VM {}: ",
    "delete": "Failed to delete VM {}: ",
    "reprovision": "Failed to reprovision VM {}: ",
    "info": "Unable to get VM info for VM {}: ",
}


def _ask(
    args: Args,
    uuid: str,
    method: str,
    tail: str = "",
    body: Json = None,
    **more: int,
) -> Json:
    """Ask something of one VM; what goes wrong is told in SmartOS's words."""
    try:
        return args.call(method, f"/vms/{uuid}{tail}", body, **more)
    except Usage:
        raise
    except Error as exc:
        missing = isinstance(exc, NotFound) and exc.message == f"VM {uuid} not found"
        said = MISSING.get(args.verb, "") if missing else ""
        prefix = FAILED.get(args.verb, "")
        if not said and not prefix:
            raise
        hint = f"{exc.message}; {exc.hint}" if said else exc.hint
        raise HostError(
            prefix.format(uuid) + (said.format(uuid) or exc.message), hint=hint
        ) from None


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
    print_json(_ask(args, uuid, "GET"))
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
    # Only what is printed: whole objects take time.
    wanted = "" if whole and not fields else fields or "uuid"
    target = query(filter=_filters(args), whole="" if wanted else "yes", fields=wanted)
    found = args.call("GET", "/vms" + target)
    assert isinstance(found, list)
    if not whole:
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


def _field(answer: Json, name: str) -> str:
    assert isinstance(answer, dict)
    return str(answer[name])


def start(args: Args) -> int:
    uuid = args.uuid()
    _check_boot_words(args.words)
    done = _ask(args, uuid, "POST", "?action=start", {})
    if _field(done, "already") == "True":
        say(f"Unable to start VM {uuid}: VM {uuid} is already 'running'")
    else:
        say(f"Successfully started VM {uuid}")
    return 0


def _check_boot_words(words: list[str]) -> None:
    """What a guest boots from. Zones have no drives: it is read, and has no effect."""
    orders = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in ("order", "once", *DRIVES):
            raise Usage(f'Invalid parameter: "{word}"')
        if name in DRIVES and len(value.split(",")) != 2:
            raise Usage(f"Parameter to {name} must be: path,model")
        if name in orders:
            raise Usage(f"You can only specify '{name}' once when starting a VM")
        if name not in DRIVES:
            orders.append(name)


def stop(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    body: JsonObject = {"force": "-F" in args.options}
    if "-t" in args.options:
        if not args.options["-t"].isdecimal():
            raise Usage(f'Invalid timeout: "{args.options["-t"]}"')
        body["timeout"] = int(args.options["-t"])
    done = _ask(args, uuid, "POST", "?action=stop", body)
    if _field(done, "already") == "True":
        say(f"VM {uuid} is already not 'running' (currently: {_field(done, 'state')})")
    else:
        say(f"Successfully completed stop for VM {uuid}")
    return 0


def reboot(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    _ask(args, uuid, "POST", "?action=reboot", {"force": "-F" in args.options})
    say(f"Successfully completed reboot for VM {uuid}")
    return 0


def delete(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    _ask(args, uuid, "DELETE")
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
    uuid, name = _snapshot(args)
    _ask(args, uuid, "POST", "/snapshots", {"name": name})
    say(f"Created snapshot {name} for VM {uuid}")
    return 0


def rollback_snapshot(args: Args) -> int:
    uuid, name = _snapshot(args)
    _ask(args, uuid, "POST", "/snapshots?action=rollback", {"name": name})
    say(f"Rolled back snapshot {name} for VM {uuid}")
    return 0


def delete_snapshot(args: Args) -> int:
    uuid, name = _snapshot(args)
    _ask(args, uuid, "DELETE", f"/snapshots{query(name=name)}")
    say(f"Deleted snapshot {name} for VM {uuid}")
    return 0


def _snapshot(args: Args) -> tuple[str, str]:
    if len(args.words) != 2:
        raise Usage(f'Wrong number of parameters to "{args.verb}"')
    return args.uuid(), args.word("NAME")


def reprovision(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    _ask(args, uuid, "POST", "?action=reprovision", read_payload(args, "reprovision"))
    say(f"Successfully reprovisioned VM {uuid}")
    return 0


def kill(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    done = _ask(args, uuid, "POST", "?action=kill", {"signal": args.options.get("-s", "SIGTERM")})
    say(f'Sent signal "{_field(done, "signal")}" to init process for VM {uuid}')
    return 0


def _signal_option(argv: list[str]) -> list[str]:
    """`-9` and `-HUP` as `-s 9` and `-s HUP`."""
    words = []
    for word in argv:
        name = word[1:]
        is_signal = name.isdecimal() or (len(name) > 1 and name.isupper() and name.isalnum())
        words += ["-s", name] if word.startswith("-") and is_signal else [word]
    return words


def sysrq(args: Args) -> int:
    uuid = args.uuid()
    kind = args.words.pop(0) if args.words else "undefined"
    args.end()
    if kind not in ("nmi", "screenshot"):
        raise Usage(f"Invalid sysrq type: {kind}")
    _ask(args, uuid, "POST", "?action=sysrq", {"type": kind})
    say(f"Sent {'NMI' if kind == 'nmi' else 'screenshot sysrq'} to VM {uuid}")
    return 0


def info(args: Args) -> int:
    uuid = args.uuid()
    del args.words[:1]  # types of information: a zone has none
    args.end()
    print_json(_ask(args, uuid, "GET", "/info"))
    return 0


def send(args: Args) -> int:
    from hull.cli import transfer

    uuid = args.uuid()
    target = args.words.pop(0) if args.words else ""
    args.end()

    def write(fd: int) -> None:
        _ask(args, uuid, "POST", "?action=send", {}, fd=fd)

    if target:
        _ask(args, uuid, "GET")  # before anybody is asked to receive it
        transfer.to_host(target, write)
    else:
        transfer.to_stdout(write)
    say(f"Successfully sent VM {uuid}")
    return 0


def receive(args: Args) -> int:
    from hull.cli import transfer

    args.end()
    with transfer.source(args.options.get("-f", "-")) as file:
        done = args.call("POST", "/vms?action=receive", {}, fd=file.fileno())
    say(f"Successfully received VM {_field(done, 'uuid')}")
    return 0


def install(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    args.call("POST", f"/zones/{uuid}?action=install", {})
    say(f"Successfully installed VM {uuid}")
    return 0


def events(args: Args) -> int:
    from hull.cli import events as printer

    uuid = args.uuid() if args.words else ""
    args.end()
    if uuid:
        _ask(args, uuid, "GET")
    printer.follow(uuid, args.options)
    return 0


def console(args: Args) -> int:
    from hull.cli import terminal

    uuid = args.uuid()
    args.end()
    _ask(args, uuid, "GET")

    def ask(method: str, target: str) -> Json:
        return _ask(args, uuid, method, target.removeprefix(f"/vms/{uuid}"))

    return terminal.console(ask, uuid, escape=b"\x1d")


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
        Verb(
            "start",
            start,
            "UUID [order=ORDER] [once=ORDER] [disk=PATH,MODEL …] [cdrom=PATH,MODEL …]",
            "Boot a stopped VM.",
            aliases=("boot",),
        ),
        Verb(
            "stop",
            stop,
            "UUID [-F] [-t SECONDS]",
            "Shut a VM down; -F kills it.",
            options={"-F": "", "-t": "SECONDS"},
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
            "reprovision",
            reprovision,
            "UUID [-f FILE]",
            "Replace a VM's root by a clone of another image; its data stay.",
            options=FILE,
        ),
        Verb(
            "kill",
            kill,
            "[-s SIGNAL | -SIGNAL] UUID",
            "Send a signal to a VM's init.",
            options={"-s": "SIGNAL"},
            respell=_signal_option,
        ),
        Verb("sysrq", sysrq, "UUID nmi|screenshot", "Press a key of a guest's."),
        Verb("info", info, "UUID [TYPE,…]", "Print what a guest's hypervisor knows, as JSON."),
        Verb("send", send, "UUID [HOST]", "Stop a VM, and write it as a stream, or to a host."),
        Verb(
            "receive",
            receive,
            "[-f FILE]",
            "Make a VM of a stream that `vmadm send` has written.",
            options=FILE,
            aliases=("recv",),
        ),
        Verb("install", install, "UUID", "Give a configured zone its data."),
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
    if not may_run(sys.argv[1:]):
        say("FATAL: cannot run because: you are not root.")
        sys.exit(2)
    sys.exit(COMMAND.main(sys.argv[1:]))
