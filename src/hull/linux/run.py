# SPDX-License-Identifier: MPL-2.0
"""The one door to other programs. Nothing else imports subprocess."""

import logging
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hull.errors import CommandFailed, HostError, Timeout
from hull.linux import ready

log = logging.getLogger("hull.run")

T = TypeVar("T")
Process = subprocess.Popen[bytes]

# A fixed environment: what the operator's shell exports must not change what Hull does.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
# Seconds in which a program that may take its time neither reads, writes nor computes: it hangs.
STALL = 600.0


def run(
    *argv: str,
    stdin: str | int = "",
    stdout: int | None = None,
    timeout: float | None = 60,
    pass_fds: tuple[int, ...] = (),
    env: dict[str, str] | None = None,
) -> str:
    """Run a program to its end and return its standard output as text.

    `stdin` is text, or a file descriptor to read from; `stdout`, if given, is a file descriptor
    that receives the output instead (the result is then empty). `timeout` is in seconds; None is
    for one that may take its time as long as it does something (see STALL). `env` adds to the
    fixed environment. Raises CommandFailed with the program's last words, Timeout (the program is
    killed), or HostError if it is not installed.
    """
    text = stdin.encode() if isinstance(stdin, str) else None
    process = _start(
        argv,
        stdin=subprocess.PIPE if isinstance(stdin, str) else stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
        env=env,
    )
    output, words = _patiently(
        process, argv[0], lambda seconds: process.communicate(text, seconds), timeout
    )
    if process.returncode != 0:
        raise CommandFailed(argv, process.returncode, words.decode(errors="replace"))
    return output.decode(errors="replace") if stdout is None else ""


def spawn(
    *argv: str,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: tuple[int, ...] = (),
    env: dict[str, str] | None = None,
    new_session: bool = False,
    cwd: str = "/",
) -> Process:
    """Start a program and return at once. The caller waits for it, and ends it if it must.

    File descriptors default to /dev/null.
    """
    null = subprocess.DEVNULL
    return _start(
        argv,
        stdin=null if stdin is None else stdin,
        stdout=null if stdout is None else stdout,
        stderr=null if stderr is None else stderr,
        pass_fds=pass_fds,
        env=env,
        new_session=new_session,
        cwd=cwd,
    )


def wait(process: Process, name: str, timeout: float | None) -> int:
    """Wait for a program's end: its status. `timeout` as for `run`. Raises Timeout."""
    with open(os.pidfd_open(process.pid), "rb", buffering=0) as end:

        def ended(seconds: float) -> int:
            # Popen's own wait with a limit sleeps, and ever longer.
            if not ready.readable(end.fileno(), seconds):
                raise subprocess.TimeoutExpired(name, seconds)
            return process.wait()

        return _patiently(process, name, ended, timeout)


def _start(
    argv: tuple[str, ...],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: tuple[int, ...],
    env: dict[str, str] | None,
    new_session: bool = False,
    cwd: str = "/",
) -> Process:
    log.debug("+ %s", shlex.join(argv))
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=ENVIRONMENT | (env or {}),
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=new_session,
        )
    except FileNotFoundError as exc:
        raise HostError(f"{argv[0]} is not installed", hint="run `make setup` once") from exc


def _patiently(process: Process, name: str, step: Callable[[float], T], timeout: float | None) -> T:
    """What `step(SECONDS)` returns as soon as it does not time out. A program that is waited for in
    vain is killed. Raises Timeout."""
    done, since = _activity(process.pid), time.monotonic()
    try:
        while True:
            try:
                return step(STALL / 4 if timeout is None else timeout)
            except subprocess.TimeoutExpired:
                if timeout is not None:
                    raise Timeout(f"{name} did not end within {timeout} seconds") from None
                now = _activity(process.pid)
                if now != done:
                    done, since = now, time.monotonic()
                elif time.monotonic() - since >= STALL:
                    raise Timeout(f"{name} has done nothing for {STALL:.0f} seconds") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _activity(pid: int) -> tuple[str, ...]:
    """What a process has read, written and computed so far."""
    try:
        io = Path(f"/proc/{pid}/io").read_text()
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
    except OSError:
        return ()
    return (io, *times)
