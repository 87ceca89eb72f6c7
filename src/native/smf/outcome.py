# SPDX-License-Identifier: MPL-2.0
"""How a method ended, and what that means. Pure."""

import signal

from smf import states

OK, NODAEMON, DEGRADE, TEMP_DISABLE = "ok", "nodaemon", "degrade", "temp_disable"
FAILED, FATAL, TIMEOUT = "failed", "fatal", "timeout"
# What an exit status means that a shell, or smf_include.sh, gives a name.
MEANINGS = {
    states.EXIT_ERR_FATAL: "SMF_EXIT_ERR_FATAL",
    states.EXIT_ERR_CONFIG: "SMF_EXIT_ERR_CONFIG",
    states.EXIT_MON_OFFLINE: "SMF_EXIT_MON_OFFLINE",
    states.EXIT_ERR_NOSMF: "SMF_EXIT_ERR_NOSMF",
    states.EXIT_ERR_PERM: "SMF_EXIT_ERR_PERM",
    126: "its program cannot be executed",
    127: "its program was not found",
}
TRIES = 3  # of a method that fails, one after the other


class Outcome:
    """`kind`: one of the words above; `text` says it to a reader of the log."""

    __slots__ = ("kind", "text", "wait_status")

    def __init__(self, kind: str, text: str, wait_status: int = 0) -> None:
        self.kind = kind
        self.text = text
        self.wait_status = wait_status


def of_exit(method: str, code: int) -> Outcome:
    """What an exit status means, of a start, stop or refresh method."""
    meaning = f" ({MEANINGS[code]})" if code in MEANINGS else ""
    text = f"exited with status {code}{meaning}"
    if code == states.EXIT_OK:
        kind = OK
    elif code in states.FATAL_EXITS:
        kind = FATAL
    elif code == states.EXIT_NODAEMON:
        kind = NODAEMON if method == "start" else OK
    elif code == states.EXIT_MON_DEGRADE:
        kind = DEGRADE if method == "start" else OK
    elif code == states.EXIT_TEMP_DISABLE:
        kind = TEMP_DISABLE if method == "start" else OK
    else:
        kind = FAILED
    return Outcome(kind, text, code << 8)


def of_signal(number: int, *, core: bool) -> Outcome:
    """A method that a signal ended."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    text = f"was ended by {name}" + (", and dumped core" if core else "")
    return Outcome(FAILED, text, number | (0x80 if core else 0))


def of_wait_status(method: str, status: int) -> Outcome:
    """What waitpid(2) says."""
    if status & 0x7F:
        return of_signal(status & 0x7F, core=bool(status & 0x80))
    return of_exit(method, status >> 8 & 0xFF)


# Signals whose default is a core dump, whether the kernel wrote one or not.
CORES = frozenset((3, 4, 5, 6, 7, 8, 11, 24, 25, 31))


def cause_of_death(status: int) -> str:
    """What a process's end is to its contract: core, signal, or "" if it ended by itself."""
    number = status & 0x7F
    if not number:
        return ""
    return "core" if status & 0x80 or number in CORES else "signal"
