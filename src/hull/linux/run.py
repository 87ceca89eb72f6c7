# SPDX-License-Identifier: MPL-2.0
"""The one door to other programs. Nothing else imports subprocess."""

import logging
import shlex
import subprocess

from hull.errors import CommandFailed, HostError, Timeout

log = logging.getLogger("hull.run")

# A fixed environment: what the operator's shell exports must not change what Hull does.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}


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
    that receives the output instead (the result is then empty). `timeout` is in seconds, None for
    none. `env` adds to the fixed environment. Raises CommandFailed with the program's last words,
    Timeout (the program is killed), or HostError if it is not installed.
    """
    log.debug("+ %s", shlex.join(argv))
    is_text = isinstance(stdin, str)
    try:
        done = subprocess.run(
            argv,
            input=stdin.encode() if isinstance(stdin, str) else None,
            stdin=None if is_text else int(stdin),
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            timeout=timeout,
            env=ENVIRONMENT | (env or {}),
            cwd="/",
            pass_fds=pass_fds,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise Timeout(f"{argv[0]} did not end within {timeout} seconds") from exc
    except FileNotFoundError as exc:
        raise HostError(f"{argv[0]} is not installed", hint="run `make setup` once") from exc
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace") if stdout is None else ""


def spawn(
    *argv: str,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: tuple[int, ...] = (),
    env: dict[str, str] | None = None,
    new_session: bool = False,
    cwd: str = "/",
) -> "subprocess.Popen[bytes]":
    """Start a program and return at once. The caller waits for it, and ends it if it must.

    File descriptors default to /dev/null.
    """
    log.debug("+ %s &", shlex.join(argv))
    null = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            argv,
            stdin=null if stdin is None else stdin,
            stdout=null if stdout is None else stdout,
            stderr=null if stderr is None else stderr,
            env=ENVIRONMENT | (env or {}),
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=new_session,
        )
    except FileNotFoundError as exc:
        raise HostError(f"{argv[0]} is not installed", hint="run `make setup` once") from exc
