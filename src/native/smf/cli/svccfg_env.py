# SPDX-License-Identifier: MPL-2.0
"""svccfg: environment variables, and all properties at once in an editor."""

import os

from smf.actions import Operations
from smf.cli.options import Usage
from smf.cli.svccfg_lang import quote
from smf.cli.svccfg_session import Line, Session
from smf.errors import NotFound, SmfError
from smf.fmri import instance_of, service_of
from smf.tree import VOLATILE, Groups

ENVIRONMENT = "environment"
CONTEXT = "method_context"


def setenv(line: Line) -> None:
    """NAME VALUE: for a method, or with -i or -s for all methods."""
    words = line.words
    if len(words) == 1 and "=" in words[0]:
        words = list(words[0].partition("=")[::2])
    if len(words) != 2 or not words[0] or "=" in words[0]:
        raise Usage("setenv [-i | -s | -m METHOD] NAME VALUE")
    _change(line, words[0], f"{words[0]}={words[1]}")


def unsetenv(line: Line) -> None:
    (name,) = line.take(1, 1)
    _change(line, name, "")


def _change(line: Line, name: str, entry: str) -> None:
    session = line.session
    session.writable()
    fmri, group = _place(session, line)

    def make(groups: Groups) -> Operations:
        before = groups[group].values(ENVIRONMENT) if group in groups else ()
        left = [each for each in before if not each.startswith(f"{name}=")]
        if not entry and len(left) == len(before):
            raise NotFound(f"{fmri} sets no {name} in {group}/{ENVIRONMENT}")
        made: Operations = [] if group in groups else [["group", fmri, group, "framework", ""]]
        values = [*left, entry] if entry else left
        return [*made, ["set", fmri, group, ENVIRONMENT, "astring", values]]

    session.change(fmri, group, make)


def _place(session: Session, line: Line) -> tuple[str, str]:
    """(entity, group) whose environment is meant."""
    given = [flag for flag in ("-i", "-s", "-m") if line.has(flag)]
    if len(given) > 1:
        raise Usage("-i, -s and -m exclude each other")
    selected = session.entity()
    if given in (["-i"], ["-s"]):
        fmri = session.instance() if given == ["-i"] else service_of(selected)
        return fmri, CONTEXT
    methods = [line.value("-m")] if given else ["start", "inetd_start"]
    levels = [selected, service_of(selected)] if instance_of(selected) else [selected]
    for method in methods:
        for fmri in levels:
            if method in session.client.attached(fmri):
                return fmri, method
    raise NotFound(f"{selected} has no method {' or '.join(methods)}; -i or -s is for all methods")


def editprop(line: Line) -> None:
    """All properties as setprop commands, in $EDITOR; those that are uncommented are done."""
    import tempfile

    line.take(0, 0)
    session = line.session
    session.writable()
    descriptor, path = tempfile.mkstemp(prefix="svccfg-", text=True)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(listing(session))
    try:
        _edit(path)
    except SmfError:
        os.unlink(path)
        raise
    _perform(session, path)
    os.unlink(path)


def _perform(session: Session, path: str) -> None:
    """What was written is kept if it cannot be done: it may have been much work."""
    from smf.cli.svccfg import batch

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as edited:
            text = edited.read()
        batch(session, text)
    except OSError as exc:
        raise SmfError(f"cannot read {path}: {exc.strerror}; nothing has changed") from None
    except SmfError as exc:
        again = f"mend {path}, and `svccfg -s {session.fmri} -f {path}` does the rest"
        raise SmfError(f"{exc}\nwhat comes before that is done; {again}") from None


def listing(session: Session) -> str:
    """What is attached, as commands that are commented out."""
    lines = [
        f"# Properties of {session.fmri}. Change a line and remove its # to have it done;",
        "# everything else stays as it is. Refresh to have the changes take effect.",
    ]
    for name, group in session.groups().items():
        if name in VOLATILE:
            continue
        lines += ["", f'# Property group "{name}"', f"# addpg {name} {group.kind}"]
        for prop, found in group.properties.items():
            values = " ".join(map(quote, found.values))
            values = values if len(found.values) == 1 else f"({values})"
            command = f"setprop {name}/{prop} = {found.kind}: {values}"
            lines.append("# " + command.replace("\n", "\n# "))
    return "\n".join([*lines, ""])


def _edit(path: str) -> None:
    editor = (os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi").split()
    try:
        pid = os.posix_spawnp(editor[0], [*editor, path], os.environ)
    except OSError as exc:
        raise SmfError(f"cannot run {editor[0]}: {exc.strerror}; set EDITOR") from None
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SmfError(f"{editor[0]} ended with status {status}; nothing has changed")
