# SPDX-License-Identifier: MPL-2.0
"""svccfg's prompt: line editing and completion, where Python has readline."""

from collections.abc import Sequence

from smf.cli.options import Verb
from smf.cli.svccfg_session import Session
from smf.errors import SmfError
from smf.fmri import instance_of, name_of
from smf.values import TYPES

# What may stand after a subcommand.
ENTITIES = ("select", "delete", "export", "validate")
GROUPS = ("listpg", "delpg", "listprop", "describe")
PROPERTIES = ("setprop", "delprop", "addpropvalue", "delpropvalue")
SNAPSHOTS = ("selectsnap", "revert")
FILES = ("import", "apply", "restore", "inventory", "validate", "delhash", "repository")


def start(session: Session, verbs: Sequence[Verb]) -> None:
    """Have TAB complete what is typed at the prompt from now on."""
    try:
        import readline
    except ImportError:  # a Python without it still asks
        return
    names = [name for verb in verbs for name in (verb.name, *verb.aliases)]
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            before = readline.get_line_buffer()[: readline.get_begidx()].split()
            found[:] = candidates(session, names, before, text)
        return found[state] if state < len(found) else None

    readline.set_completer_delims(" \t\n")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")


def candidates(session: Session, names: list[str], before: list[str], text: str) -> list[str]:
    """What may stand here: `before` are the words before it, `text` is what there is of it."""
    if not before:
        return _starting(names, text)
    try:
        return _starting(_words(session, before, text), text)
    except SmfError:  # nobody is helped by a message in the middle of a line
        return []


def _starting(words: list[str], text: str) -> list[str]:
    return [word + " " for word in words if word.startswith(text)]


def _words(session: Session, before: list[str], text: str) -> list[str]:
    verb = before[0]
    if verb in PROPERTIES and len(before) > 1:
        return [f"{kind}:" for kind in TYPES]
    found: list[str] = []
    if verb in ENTITIES:
        found += _entities(session)
    if verb in FILES:
        found += _files(text)
    if verb in SNAPSHOTS:
        found += session.client.snapshots(session.instance())
    if verb in (*GROUPS, *PROPERTIES):
        groups = session.groups()
        if verb in GROUPS:
            found += groups
        if verb not in ("listpg", "delpg"):
            found += [f"{name}/{prop}" for name in groups for prop in groups[name].properties]
    return found


def _entities(session: Session) -> list[str]:
    entities = session.client.entities()
    if not session.fmri:
        return [name_of(each) for each in entities if not instance_of(each)] + entities
    return [instance_of(each) for each in session.instances(session.fmri)] + entities


def _files(text: str) -> list[str]:
    import glob

    return glob.glob(glob.escape(text) + "*")
