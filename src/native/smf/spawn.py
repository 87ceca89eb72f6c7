# SPDX-License-Identifier: MPL-2.0
"""A method's process: in its contract from before its first instruction, and out of startd's hands.

The child is a fork of startd that does a few system calls; its exit status until exec is what a
method would say of the same trouble.
"""

import os
import signal

from smf.context import Context, enter
from smf.states import EXIT_ERR_CONFIG

SHELL = "/bin/sh"
EXIT_EXEC = 10  # the shell could not be executed
# What the shell is and exec cannot: a method may be as short as `exit 94`.
BUILTIN = frozenset(("exit", ":"))
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM)


def start(command: str, context: Context, procs: str, log: int) -> tuple[int, int]:
    """Fork `sh -c "exec COMMAND"`, which is not empty; its pid, and a pipe: see Contracts.expect.

    `procs`: the cgroup's file; `log`: a descriptor.
    """
    startd = os.getpid()
    pipe, inside = os.pipe2(os.O_CLOEXEC)
    # A signal to the contract must end the method, not be taken by a handler that is startd's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(inside)
        if pid < 0:
            os.close(pipe)
    if pid:
        return pid, pipe
    status = EXIT_ERR_CONFIG
    try:
        _enter(procs, inside, startd)
        _detach(log)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        enter(context)
        status = EXIT_EXEC
        text = command if command.split()[0] in BUILTIN else f"exec {command}"
        os.execve(SHELL, [SHELL, "-c", text], context.environment)
    except OSError as exc:
        why = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
        os.write(log, f"cannot start the method: {why}\n".encode())
    finally:
        os._exit(status)  # whatever happened: this process must not go on as startd


def _enter(procs: str, inside: int, startd: int) -> None:
    """Be in the contract, and say so. OSError if there is none any more, or another startd is."""
    with open(procs, "w", encoding="ascii") as file:
        file.write("0")
    os.close(inside)
    if os.getppid() != startd:
        raise OSError("svc.startd has died; the next one has not seen this method")


def _detach(log: int) -> None:
    """Nothing of startd's own is left: neither its terminal, nor its descriptors and handlers."""
    # A session of its own: no signal of a terminal that startd may have gets there.
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.set_wakeup_fd(-1)
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)
