# SPDX-License-Identifier: MPL-2.0
"""conmon, the small C program that holds a zone's console and its init's exit status.

It lives as long as the zone, whether hulld does or not. In the zone's run directory it keeps

    attach   the console: a SOCK_SEQPACKET socket for any number of clients. What a client sends is
             typed on the console; each packet it receives is one byte that says which stream (2 for
             a terminal) and then what init wrote. It closes when the zone halts; a zone that boots
             again has a new one.
    ctl      a fifo: the line `1 ROWS COLUMNS` sets the console's window size.
    exit/    UUID holds init's exit status, 128+N for signal N.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt, HostError, Timeout
from hull.linux import ready
from hull.linux.run import spawn, wait
from hull.zone.runtime import ExitStatus

CONMON = "/usr/bin/conmon"
LOG_LIMIT = 4 * 1024 * 1024  # bytes; conmon starts the file anew when it is full
CREATE_TIMEOUT = 60.0  # seconds
SIGNALS = 64


@dataclass(frozen=True, kw_only=True)
class Files:
    """What init's standard files are, and where its output is kept."""

    log: Path | None  # None: nowhere
    limit: int = LOG_LIMIT
    terminal: bool = True  # a console; otherwise pipes
    stdin: bool = False  # a pipe that who attaches writes to; otherwise there is nothing to read


def files_argv(files: Files) -> list[str]:
    if files.log is None:
        log = ["--log-path", "none"]
    else:
        log = ["--log-path", f"k8s-file:{files.log}", "--log-size-max", str(files.limit)]
    if files.terminal:
        return ["--terminal", *log]
    return [*(["--stdin", "--leave-stdin-open"] if files.stdin else []), *log]


def conmon_argv(run: Path, uuid: str, files: Files, runtime: list[str]) -> list[str]:
    """The command that creates a zone with `runtime`, a program that takes OCI's arguments."""
    return [
        CONMON, "--api-version", "1",
        "--cid", uuid, "--cuuid", uuid, "--name", uuid,
        "--bundle", str(run),
        "--container-pidfile", str(run / "init.pid"),
        "--conmon-pidfile", str(run / "conmon.pid"),
        "--exit-dir", str(run / "exit"),
        "--full-attach",
        "--no-sync-log",
        *files_argv(files),
        "--log-level", "error",
        "--runtime", runtime[0],
        *(f"--runtime-arg={arg}" for arg in runtime[1:]),
    ]  # fmt: skip


def parse_answer(answer: bytes) -> int:
    """Init's pid from what conmon says of the creation, or HostError with crun's words."""
    try:
        said = json.loads(answer)
        number = int(said.get("data", said.get("pid", -1)))
    except (ValueError, AttributeError, TypeError) as exc:
        raise HostError("conmon ended before it had made the zone") from exc
    if number <= 0:
        words = str(said.get("message", "")).strip() or "crun gave no reason"
        raise HostError(f"the zone cannot be made: {words}")
    return number


def parse_exit(text: str, when: float) -> ExitStatus:
    """The status in an exit file. A status above 128 is taken for the signal it stands for."""
    try:
        code = int(text)
    except ValueError as exc:
        raise Corrupt(f"exit status {text!r}") from exc
    return ExitStatus(code=128 - code if 128 < code <= 128 + SIGNALS else code, when=when)


def create(argv: list[str], run: Path, meanwhile: Callable[[], None]) -> int:
    """Run conmon until it has created the zone, and `meanwhile` beside it; returns init's pid.

    `run` is where it leaves the file `oom` when the zone has run out of memory. Raises HostError,
    and what `meanwhile` raises; conmon has then done all that it will do.
    """
    said, sync = os.pipe()
    try:
        try:
            # Where it meets crun for the console; a conmon that is killed leaves a file there. Not
            # in the zone's own directory: a socket's name has room for 107 characters.
            environment = {"_OCI_SYNCPIPE": str(sync), "TMPDIR": str(run.parent.parent)}
            conmon = spawn(*argv, pass_fds=(sync,), env=environment, cwd=str(run))
        finally:
            os.close(sync)
        try:
            meanwhile()
        finally:
            wait(conmon, CONMON, CREATE_TIMEOUT)  # the parent; the one that stays has left it
            answer = _read_answer(said)
        return parse_answer(answer)
    finally:
        os.close(said)


def _read_answer(fd: int) -> bytes:
    """One line of JSON; nothing if conmon ended without a word."""
    answer = b""
    while b"\n" not in answer:
        if not ready.readable(fd, CREATE_TIMEOUT):
            raise Timeout(f"the zone was not made within {CREATE_TIMEOUT:.0f} seconds")
        part = os.read(fd, 65536)
        if not part:
            break
        answer += part
    return answer
