# SPDX-License-Identifier: MPL-2.0
"""zlogin and the console: how root on this host gets into a running zone.

hulld only says how: the zlogin command runs the program itself, so a session outlives hulld.
"""

import json
import secrets

from hull.brand.privilege import capabilities
from hull.errors import Exists, InvalidState, NotFound
from hull.host.host import Host
from hull.linux import files
from hull.vm.view import state
from hull.wire import Json, JsonObject
from hull.zone.index import Zone

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/local/sbin:/opt/local/bin"
BODY: JsonObject = {
    "type": "object",
    "properties": {
        "user": {"type": "string", "description": "who to be in the zone"},
        "command": {"type": "string", "description": "a shell command; empty: a login"},
        "safe": {"type": "boolean", "description": "no su, no profile: for a zone that is broken"},
        "terminal": {"type": "boolean", "description": "give it a pty of the zone's own"},
        "term": {"type": "string", "description": "the caller's TERM"},
        "rows": {"type": "integer", "minimum": 1},
        "columns": {"type": "integer", "minimum": 1},
    },
    "required": ["user", "command", "terminal", "term", "rows", "columns"],
    "additionalProperties": False,
}


def find_zone(name: str, host: Host) -> Zone:
    """By uuid, or by an alias that only one VM has. Raises NotFound, or Exists for several."""
    zone = host.index.find(name)
    if zone is not None:
        return zone
    named = [zone for zone in host.index.all() if zone.vm.alias == name]
    if len(named) > 1:
        raise Exists(f'{len(named)} VMs have the alias "{name}"', hint="name one by its UUID")
    if not named:
        raise NotFound(f"zone '{name}' unknown", hint="`vmadm list` shows the zones")
    return named[0]


def login(name: str, wanted: JsonObject, host: Host) -> JsonObject:
    """A program, its process file (the caller removes it), and the socket that a pty comes on."""
    zone = find_zone(name, host)
    require_running(zone, host, f"zone {zone.uuid}")
    ticket = secrets.token_hex(8)
    process = host.paths.run / f"login-{ticket}.json"
    tty_socket = str(host.paths.run / f"login-{ticket}.sock") if wanted["terminal"] else ""
    files.write_file(
        process, json.dumps(oci_process(wanted, capabilities(zone.vm.limit_priv))), durable=False
    )
    argv = host.runtime.login_argv(zone.uuid, process, tty_socket=tty_socket)
    return {"argv": list(argv), "process": str(process), "tty_socket": tty_socket}


def oci_process(wanted: JsonObject, most: tuple[str, ...]) -> JsonObject:
    """The session as data. Who the user is, the zone's own `su` knows; root needs none."""
    user, command = str(wanted["user"]), str(wanted["command"])
    args = ["/bin/su", "-", user]
    if wanted.get("safe") is True:
        args = ["/bin/sh", "-c", command] if command else ["/bin/sh"]
    elif command:
        args = ["/bin/sh", "-c", command] if user == "root" else [*args, "-c", command]
    environment = {"PATH": PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root"}
    if wanted["term"]:
        environment["TERM"] = str(wanted["term"])
    # Not inheritable: a file's inheritable set would then grant them to any user's process.
    sets: JsonObject = {kind: list(most) for kind in ("bounding", "effective", "permitted")}
    process: JsonObject = {
        "terminal": wanted["terminal"],
        "user": {"uid": 0, "gid": 0},
        "cwd": "/root" if user == "root" and command else "/",
        "args": list[Json](args),
        "env": [f"{key}={value}" for key, value in environment.items()],
        "capabilities": sets,
        "noNewPrivileges": False,
    }
    if wanted["terminal"]:
        process["consoleSize"] = {"height": wanted["rows"], "width": wanted["columns"]}
    return process


def console(name: str, host: Host) -> JsonObject:
    """The sockets of the zone's console: its bytes, and its window's size."""
    zone = find_zone(name, host)
    require_running(zone, host, "console")
    socket = host.runtime.console(zone.uuid)
    return {"socket": str(socket), "control": str(socket.with_name("ctl"))}


def require_running(zone: Zone, host: Host, what: str) -> None:
    if host.boots.find(zone.uuid) is None:
        raise InvalidState(
            f'cannot connect to {what} when state is "{state(zone, host)}" must be "running".',
            hint=f"`vmadm start {zone.uuid}` boots it",
        )
