# SPDX-License-Identifier: MPL-2.0
"""-z and -Z: the same command, run inside zones as zlogin would.

Nothing that a zone says is parsed here, and none of its paths is followed: what its command prints
goes to the terminal without control characters.
"""

import os
import sys
from collections.abc import Callable

from smf.cli.text import clean
from smf.errors import NotFound, SmfError

# A zone has its metadata socket here; a host has not.
OF_ZONES = "/.zonecontrol"
# What the command inside is told: the zone's name and where its root is, seen from outside.
NAME, ROOT = "SMF_ZONE", "SMF_ZONE_ROOT"
NATIVE = "/native/smf/bin/"
OWN = os.path.realpath(__file__).rsplit("/", 2)[0] + "/bin/"
CHECKOUT = os.path.realpath(__file__).rsplit("/", 5)[0]


class Zone:
    """A running zone; the global one has no root of its own."""

    __slots__ = ("brand", "name", "root")

    def __init__(self, name: str, brand: str, root: str) -> None:
        self.name = name
        self.brand = brand
        self.root = root

    @property
    def is_global(self) -> bool:
        return self.name == "global"

    @property
    def has_smf(self) -> bool:
        return self.is_global or self.brand.startswith("joyent")


def own_name() -> str:
    """What the zone is called that this command runs in."""
    if said := os.environ.get(NAME):
        return clean(said)
    return os.uname().nodename if inside() else "global"


def inside() -> bool:
    """Whether this is not the global zone."""
    return os.path.isdir(OF_ZONES)


def refuse_inside() -> None:
    """SmfError in a zone: only the global zone sees others."""
    if inside():
        raise SmfError("-z and -Z are for the global zone; here there is only this zone")


def read_nothing() -> None:
    """Standard input is not for the command inside: a loop around this one may read from it."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def program(name: str) -> str:
    """Where one of Hull's commands is: on the path, or beside this package."""
    for directory in (*os.environ.get("PATH", "").split(":"), CHECKOUT + "/bin"):
        path = f"{directory}/{name}"
        if directory and os.access(path, os.X_OK):
            return path
    raise SmfError(f"{name} was not found on PATH; it comes with Hull")


def running() -> list[Zone]:
    """All running zones that have SMF, by name. SmfError if hulld does not say."""
    found = [zone for zone in _listed() if zone.has_smf]
    return sorted(found, key=lambda zone: zone.name)


def find(name: str) -> Zone:
    """A running zone with SMF, by UUID or alias. NotFound, SmfError."""
    if name == "global":
        return Zone("global", "", "")
    found = _listed("-z", name)
    if not found:
        raise NotFound(f'there is no running zone "{clean(name)}": see `zoneadm list -cv`')
    if not found[0].has_smf:
        raise SmfError(f"zone {found[0].name} is of brand {found[0].brand}, which has no SMF")
    return found[0]


def _listed(*which: str) -> list[Zone]:
    lines: list[str] = []
    errors: list[str] = []
    status = _spawn([program("zoneadm"), *which, "list", "-p"], lines.append, errors.append)
    if status:
        raise SmfError("\n".join(errors) or f"zoneadm ended with status {status}")
    found = []
    for line in lines:
        # id:name:state:path:uuid:brand:...; a colon in the path is escaped
        fields = line.replace("\\:", "\0").split(":")
        path = fields[3].replace("\0", ":").rstrip("/")
        if fields[2] == "running":
            found.append(Zone(fields[1], fields[5], path and path + "/root"))
    return found


def run(
    zone: Zone,
    command: str,
    argv: list[str],
    out: Callable[[str], object] | None = None,
    error: Callable[[str], object] | None = None,
) -> int:
    """Run a command of SMF inside a zone; its exit status. Its lines go to standard output and
    error, or to these functions, clean and without their end.
    """
    environment = [f"{NAME}={zone.name}", f"{ROOT}={zone.root}"]
    if zone.is_global:
        argv = ["/usr/bin/env", *environment, OWN + command, *argv]
        return _spawn(argv, out or _say, error or _complain)
    # zlogin joins its words as ssh does, and a shell takes them apart.
    words = map(_quoted, ["/usr/bin/env", *environment, NATIVE + command, *argv])
    return _spawn([program("zlogin"), "-i", zone.name, *words], out or _say, error or _complain)


def enter(zone: Zone, command: str, argv: list[str]) -> int:
    """Talk to a command of SMF inside a zone, on a terminal of the zone's own; its exit status."""
    if zone.is_global:
        return _wait(os.posix_spawn(OWN + command, [command, *argv], os.environ))
    words = ["zlogin", "-Qt", zone.name, *map(_quoted, [NATIVE + command, *argv])]
    return _wait(os.posix_spawn(program("zlogin"), words, os.environ))


def _wait(pid: int) -> int:
    while True:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except KeyboardInterrupt:  # it is the command's, which goes on
            continue


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")


def _spawn(argv: list[str], out: Callable[[str], object], error: Callable[[str], object]) -> int:
    import select

    pipes = {}
    actions: list[tuple[int, int, int]] = []
    ends = []
    for number, tell in ((1, out), (2, error)):
        ours, theirs = os.pipe()
        pipes[ours] = _Lines(tell)
        ends.append(theirs)
        actions.append((os.POSIX_SPAWN_DUP2, theirs, number))
    try:
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    except OSError as exc:
        raise SmfError(f"cannot run {argv[0]}: {exc.strerror}") from None
    finally:
        for end in ends:
            os.close(end)
    while pipes:
        for fd in select.select(list(pipes), [], [])[0]:  # noqa: TID251  # few descriptors are open here
            chunk = os.read(fd, 1 << 16)
            pipes[fd].add(chunk)
            if not chunk:
                os.close(fd)
                del pipes[fd]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Lines:
    """What has come through a pipe, line by line."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Nothing at all is the end."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk and self._rest:
            whole, self._rest = [self._rest], b""
        for line in whole:
            self._tell(clean(line.decode("utf-8", "replace")))
