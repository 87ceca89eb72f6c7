# SPDX-License-Identifier: MPL-2.0
"""vminfo: ask vminfod, the port that tells what the VMs are and become."""

import json
import os
import sys
from _socket import AF_INET, SOCK_STREAM, socket
from collections.abc import Iterator

from hull import wire
from hull.cli.command import Args, Command, Verb, print_json
from hull.client.call import DEFAULT_ROOT
from hull.errors import HostError, NotFound, Usage
from hull.wire import Json, JsonObject

PORT = 9090


def port_of(args: Args) -> int:
    """-p, or what the host's /usbkey/config says, or SmartOS's."""
    text = args.options.get("-p") or configured()
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Usage(f"-p {text}: no port")
    return int(text)


def configured() -> str:
    root = os.environ.get("HULL_ROOT") or DEFAULT_ROOT
    try:
        with open(f"{root}/usbkey/config", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.strip().partition("=")
                if name == "vminfod_port":
                    return value.strip("\"'")
    except OSError:
        pass
    return str(PORT)


def ask(args: Args, target: str) -> wire.Response:
    port = port_of(args)
    sock = socket(AF_INET, SOCK_STREAM)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError as exc:
        raise HostError(
            f"cannot reach vminfod on port {port}: {exc.strerror}",
            hint="vminfod_port in the host's /usbkey/config says where it is",
        ) from None
    response = wire.request(sock, "GET", target)
    if response.status >= 400:
        raise wire.error_from_json(json.loads(response.read()))
    return response


def get(args: Args, target: str) -> Json:
    answer: Json = json.loads(ask(args, target).read())
    return answer


def ping(args: Args) -> int:
    args.end()
    answer = get(args, "/ping")
    if not isinstance(answer, dict) or answer.get("ping") != "pong":
        raise HostError("what answers there is not vminfod")
    print("pong")
    return 0


def status(args: Args) -> int:
    args.end()
    answer = get(args, "/status")
    assert isinstance(answer, dict)
    if "-j" in args.options:
        print_json(answer)
    else:
        names = list(answer) if "-f" in args.options else ["state", "uptime", "vms"]
        sys.stdout.writelines(f"{name}: {answer[name]}\n" for name in names)
    return 0


def vms(args: Args) -> int:
    args.end()
    print_json(get(args, "/vms"))
    return 0


def vm(args: Args) -> int:
    uuid = args.uuid()
    args.end()
    try:
        print_json(get(args, f"/vms/{uuid}"))
    except NotFound:
        raise NotFound(f"VM {uuid} not found") from None
    return 0


def events(args: Args) -> int:
    from hull.cli import events as printer

    uuid = args.uuid() if args.words else ""
    args.end()
    if uuid:
        get(args, f"/vms/{uuid}")
    printer.follow(uuid, args.options, _events(args))
    return 0


def _events(args: Args) -> Iterator[JsonObject]:
    for line in ask(args, "/events").lines():
        yield json.loads(line)


P = {"-p": "PORT"}
COMMAND = Command(
    "vminfo",
    "what vminfod knows of the VMs",
    (
        Verb("ping", ping, "[-p PORT]", "Say whether vminfod is there.", options=P),
        Verb(
            "status",
            status,
            "[-jf] [-p PORT]",
            "Say how it is; -f all of it, -j as JSON.",
            options=P | {"-j": "", "-f": ""},
        ),
        Verb("vms", vms, "[-p PORT]", "Print all VMs as JSON.", options=P),
        Verb("vm", vm, "[-p PORT] UUID", "Print one VM as JSON.", options=P),
        Verb(
            "events",
            events,
            "[-f] [-j] [-r] [-p PORT] [UUID]",
            "Print what happens to VMs, as it happens.",
            options=P | {"-f": "", "-j": "", "-r": ""},
        ),
    ),
)


def main() -> None:
    sys.exit(COMMAND.main(sys.argv[1:]))
