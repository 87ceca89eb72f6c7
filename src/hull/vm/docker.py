# SPDX-License-Identifier: MPL-2.0
"""VMs with docker: true: what they run is in their internal_metadata, in sdc-docker's words.

    docker:cmd, docker:entrypoint   a JSON array, or a line for /bin/sh
    docker:env                      a JSON array of NAME=VALUE
    docker:workdir  docker:user     NAME or ID, optionally :GROUP
    docker:tty  docker:open_stdin   true or false
    docker:stopsignal               SIGTERM
    docker:logdriver                json-file (stdio.log), none
    docker:restartpolicy            no, on-failure[:N], always, unless-stopped

What a payload leaves out is the image's.
"""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from hull.brand.docker import Container
from hull.errors import HostError, InvalidPayload, NotFound, Problem
from hull.host.host import Host
from hull.image import store
from hull.image.tag import tags_of
from hull.linux import inroot
from hull.model.prop import Flat
from hull.model.vm import VM
from hull.wire import Json
from hull.zone.index import Zone
from hull.zone.runtime import ExitStatus

POLICY = re.compile(r"(no|always|unless-stopped|on-failure(?::(\d{1,9}))?)?")
LOG_DRIVERS = ("json-file", "none")
STDIO_LOG = "logs/stdio.log"
ACCOUNTS = 1 << 20  # bytes of /etc/passwd that are read
# How long a container that ends again and again is left down: ever longer.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0
LIVED = 10.0  # seconds after which an end is not "again"
# What an image says, and the metadata that it becomes.
FROM_IMAGE = {
    "Cmd": "docker:cmd", "Entrypoint": "docker:entrypoint", "Env": "docker:env",
    "WorkingDir": "docker:workdir", "User": "docker:user", "StopSignal": "docker:stopsignal",
}  # fmt: skip


# -- what to run -----------------------------------------------------------------------------------
def with_image(vm: VM, host: Host) -> VM:
    """A VM that is to be made, with what its image says of what it runs."""
    if not vm.docker:
        return vm
    said = from_image(config_of(vm, host))
    return replace(vm, internal_metadata=merge(vm.internal_metadata, said))


def reimaged(vm: VM, image_uuid: str, host: Host) -> VM:
    """A VM with another image: what the old one said of what it runs is the new one's to say."""
    moved = replace(vm, image_uuid=image_uuid)
    if not vm.docker:
        return moved
    own = without(vm.internal_metadata, from_image(config_of(vm, host)))
    return with_image(replace(moved, internal_metadata=own), host)


def config_of(vm: VM, host: Host) -> Mapping[str, Json]:
    """What a VM's image says of what it runs; nothing if the image is not here."""
    if not store.is_installed(host.paths, vm.image_uuid, vm.zpool):
        return {}
    config = tags_of(store.get(host.paths, vm.image_uuid, vm.zpool).manifest).get("docker:config")
    return config if isinstance(config, dict) else {}


def from_image(config: Mapping[str, Json]) -> dict[str, Flat]:
    """An image's configuration as metadata."""
    found: dict[str, Flat] = {}
    for name, key in FROM_IMAGE.items():
        value = config.get(name)
        if value:
            found[key] = value if isinstance(value, str) else json.dumps(value)
    return found


def merge(given: Mapping[str, Flat], image: Mapping[str, Flat]) -> dict[str, Flat]:
    """As `docker run`: an entrypoint of one's own has no use for the image's command."""
    own = dict(image)
    if "docker:entrypoint" in given:
        own.pop("docker:cmd", None)
    merged = own | dict(given)
    if "docker:env" in own and "docker:env" in given:
        with suppress(ValueError):  # check_docker says what is wrong
            env = environment(own["docker:env"]) | environment(given["docker:env"])
            merged["docker:env"] = json.dumps([f"{name}={value}" for name, value in env.items()])
    return merged


def without(metadata: Mapping[str, Flat], image: Mapping[str, Flat]) -> dict[str, Flat]:
    """What `merge` was given: what is as the image says is taken to be the image's."""
    own = {key: value for key, value in metadata.items() if image.get(key) != value}
    if "docker:env" in own and "docker:env" in image:
        said = environment(image["docker:env"])
        kept = environment(own["docker:env"]).items() - said.items()
        own["docker:env"] = json.dumps([f"{name}={value}" for name, value in sorted(kept)])
    return own


def strings(value: Flat) -> list[str]:
    """A JSON array of strings. Raises ValueError."""
    try:
        listed = json.loads(value) if isinstance(value, str) and value else []
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise ValueError("must be a JSON array of strings")
    if any("\0" in item for item in listed):
        raise ValueError("must have no NUL in it")
    return listed


def command(value: Flat) -> list[str]:
    """A command, as an array or as a line for a shell. Raises ValueError."""
    if isinstance(value, str) and value and not value.lstrip().startswith("["):
        return strings(json.dumps(["/bin/sh", "-c", value]))
    return strings(value)


def environment(value: Flat) -> dict[str, str]:
    """Raises ValueError."""
    pairs = (item.partition("=") for item in strings(value))
    return {name: text for name, equals, text in pairs if equals and name}


def arguments(vm: VM) -> tuple[str, ...]:
    """What is run. Raises ValueError."""
    said = vm.internal_metadata
    words = command(said.get("docker:entrypoint", "")) + command(said.get("docker:cmd", ""))
    return (vm.init_name, *words[1:]) if vm.init_name else tuple(words)


def is_set(vm: VM, key: str) -> bool:
    return vm.internal_metadata.get(key) in (True, "true", 1, "1")


def stop_signal(vm: VM) -> int:
    """The signal by which the container is asked to end. Raises ValueError."""
    said = str(vm.internal_metadata.get("docker:stopsignal") or "SIGTERM").upper()
    if said.isdigit() and 0 < int(said) < signal.NSIG:
        return int(said)
    name = said if said.startswith("SIG") else f"SIG{said}"
    if base := re.fullmatch(r"SIGRT(MIN|MAX)([+-]\d{1,2})?", name):
        return int(getattr(signal, f"SIGRT{base[1]}")) + int(base[2] or 0)
    try:
        return signal.Signals[name].value
    except KeyError:
        raise ValueError(f"{said} is no signal") from None


def container(vm: VM, root: Path) -> Container:
    """All that is to be run, as whom. Raises InvalidPayload if the image has no such user."""
    workdir = str(PurePosixPath("/") / str(vm.internal_metadata.get("docker:workdir") or "/"))
    uid, gid, home, name = user_of(vm, root)
    return Container(
        args=arguments(vm),
        env=environment(vm.internal_metadata.get("docker:env", "")),
        cwd=workdir,
        uid=uid,
        gid=gid,
        groups=groups_of(root, name) if name else (),
        home=home,
        tty=is_set(vm, "docker:tty"),
        stop_signal=stop_signal(vm),
    )


def make_workdir(vm: VM, root: Path) -> None:
    """As Docker: a directory that the image has not got is made."""
    inroot.make_dirs(root, str(vm.internal_metadata.get("docker:workdir") or "/"))


# -- as whom ---------------------------------------------------------------------------------------
def user_of(vm: VM, root: Path) -> tuple[int, int, str, str]:
    """Uid, gid, home, and the name if groups are to be looked up for it."""
    user, _, group = str(vm.internal_metadata.get("docker:user") or "0").partition(":")
    accounts = _lines(root, "/etc/passwd", 7)
    found = next((line for line in accounts if user in (line[0], line[2])), None)
    if found is None and not user.isdigit():
        raise _no_such("user", user)
    uid = int(found[2]) if found else int(user)
    gid = int(found[3]) if found else 0
    home = (found[5] if found else "") or "/"
    if group:
        gid = _gid_of(root, group)
    return uid, gid, home, "" if group or not found else found[0]


def _gid_of(root: Path, group: str) -> int:
    groups = _lines(root, "/etc/group", 4)
    found = next((line for line in groups if group in (line[0], line[2])), None)
    if found is None and not group.isdigit():
        raise _no_such("group", group)
    return int(found[2]) if found else int(group)


def groups_of(root: Path, name: str) -> tuple[int, ...]:
    """The groups that somebody is a member of beside his own."""
    groups = _lines(root, "/etc/group", 4)
    return tuple(sorted({int(line[2]) for line in groups if name in line[3].split(",")}))


def _no_such(what: str, name: str) -> InvalidPayload:
    message = f'the image has no {what} "{name}"'
    return InvalidPayload([Problem("internal_metadata.docker:user", message, "use its number")])


def _lines(root: Path, path: str, fields: int) -> list[list[str]]:
    """The sound lines of passwd or group in the zone."""
    try:
        text = inroot.read_file(root, path, ACCOUNTS).decode(errors="replace")
    except (NotFound, HostError):
        return []
    lines = [line.split(":") for line in text.splitlines()]
    numbers = slice(2, 4 if fields > 4 else 3)
    return [
        line
        for line in lines
        if len(line) == fields
        and all(word.isascii() and word.isdigit() and len(word) < 10 for word in line[numbers])
    ]


# -- checks ----------------------------------------------------------------------------------------
def check_docker(vm: VM) -> Iterator[Problem]:
    """What is wrong with the metadata of a docker VM."""
    if not vm.docker:
        return
    said = vm.internal_metadata
    readers = (
        ("docker:cmd", command), ("docker:entrypoint", command), ("docker:env", environment),
    )  # fmt: skip
    sound = True
    for key, read in readers:
        try:
            read(said.get(key, ""))
        except ValueError as exc:
            sound = False
            yield Problem(f"internal_metadata.{key}", str(exc), 'such as ["a", "b"]')
    if sound and not arguments(vm):
        yield Problem(
            "internal_metadata.docker:cmd",
            "neither the payload nor the image says what to run",
            'such as ["/bin/sh", "-c", "…"]',
        )
    try:
        stop_signal(vm)
    except ValueError as exc:
        yield Problem("internal_metadata.docker:stopsignal", str(exc))
    if not POLICY.fullmatch(policy(vm)):
        hint = "no, on-failure, on-failure:N, always or unless-stopped"
        yield Problem("internal_metadata.docker:restartpolicy", f"unknown: {policy(vm)}", hint)
    if log_driver(vm) not in LOG_DRIVERS:
        hint = f"one of {', '.join(LOG_DRIVERS)}"
        yield Problem("internal_metadata.docker:logdriver", f"unknown: {log_driver(vm)}", hint)


def log_driver(vm: VM) -> str:
    return str(vm.internal_metadata.get("docker:logdriver") or LOG_DRIVERS[0])


def log_mode(vm: VM) -> str:
    """zlog_mode: kept in the host, a terminal, kept in the zone."""
    kept = "-" if log_driver(vm) == "none" else "g"
    return f"{kept}{'t' if is_set(vm, 'docker:tty') else '-'}-"


# -- after its end ---------------------------------------------------------------------------------
def policy(vm: VM) -> str:
    return str(vm.internal_metadata.get("docker:restartpolicy") or "no")


def pause_before_restart(zone: Zone, status: ExitStatus, lived: float) -> float | None:
    """Seconds until a container that ended by itself is started again, None if it is not."""
    matched = POLICY.fullmatch(policy(zone.vm))
    if matched is None or matched[1] in (None, "no"):
        return None
    if matched[1].startswith("on-failure"):
        limit = int(matched[2] or 0)
        if status.code == 0 or (limit and zone.restarts >= limit):
            return None
    if lived >= LIVED:
        return FIRST_PAUSE
    return float(min(FIRST_PAUSE * 2 ** min(zone.restarts, 30), LONGEST_PAUSE))


def boots_with_host(zone: Zone) -> bool:
    """Whether a container that is down is started when hulld is. Only `always` forgets a stop."""
    match policy(zone.vm).partition(":")[0]:
        case "always":
            return True
        case "unless-stopped":
            return zone.vm.autoboot
        case "on-failure":
            return zone.vm.autoboot and zone.exit_status != 0
        case _:
            return zone.vm.autoboot and zone.exit_status is None
