# SPDX-License-Identifier: MPL-2.0
"""svccfg: services, instances and their snapshots."""

from fnmatch import fnmatchcase

from smf.actions import Operations
from smf.cli.options import Usage
from smf.cli.svccfg_session import Line, Session
from smf.errors import Exists, NotFound, SmfError
from smf.fmri import check_name, instance_of, name_of, service_of
from smf.states import RUNNING_STATES
from smf.tree import VOLATILE, Group, Groups, to_wire, value

PROPERTIES = ":properties"
# What reverting leaves as it is: whether an instance runs is not how it is configured.
KEPT = ("enabled", "restarter")


def list_(line: Line) -> None:
    """Services, or what is below the one that is selected."""
    pattern = (line.take(0, 1) or ["*"])[0]
    session = line.session
    if not session.fmri:
        names = [name_of(each) for each in session.client.entities() if not instance_of(each)]
    else:
        names = [PROPERTIES]
        if not instance_of(session.fmri):
            names += [instance_of(each) for each in session.instances(session.fmri)]
    for name in names:
        if fnmatchcase(name, pattern):
            session.out(name)


def select(line: Line) -> None:
    (word,) = line.take(1, 1)
    choose(line.session, word)


def choose(session: Session, word: str) -> None:
    """Select what a word means. NotFound, SmfError."""
    session.fmri = session.resolve(word)
    session.snapshot = ""


def unselect(line: Line) -> None:
    """To what is above."""
    line.take(0, 0)
    session = line.session
    if session.snapshot:
        session.snapshot = ""
    elif not session.fmri:
        raise Usage("nothing is selected")
    else:
        session.fmri = service_of(session.fmri) if instance_of(session.fmri) else ""


def add(line: Line) -> None:
    """A service, or an instance of the selected service."""
    (name,) = line.take(1, 1)
    session = line.session
    if session.fmri and instance_of(session.fmri):
        raise Usage("an instance has no children; `unselect` first")
    for part in [name] if session.fmri else name.split("/"):
        check_name(part, name)
    fmri = f"{session.fmri}:{name}" if session.fmri else f"svc:/{name}"
    if fmri in session.client.entities():
        raise Exists(f"{fmri} is there already")
    session.commit([["add", fmri]])


def delete(line: Line) -> None:
    """An instance, or a service with its instances; and what they have put into others."""
    from smf.importer import withdraw
    from smf.plan import Plan

    (word,) = line.take(1, 1)
    session = line.session
    fmri = session.resolve(word)
    now = session.client.dump(["restarter"])
    gone = [each for each in now if each == fmri or service_of(each) == fmri]
    for each in gone:
        if value(now[each], "restarter", "state") in RUNNING_STATES and not line.has("-f"):
            raise SmfError(f"{each} is running: disable it first, or delete -f")
    plan = Plan(session.client)
    for each in gone:
        withdraw(plan, each)
    plan.delete(fmri)
    plan.commit()
    if session.fmri in gone:
        session.snapshot = ""
        session.fmri = service_of(fmri) if instance_of(fmri) else ""


# -- snapshots -------------------------------------------------------------------------------------
def listsnap(line: Line) -> None:
    line.take(0, 0)
    for name in line.session.client.snapshots(line.session.instance()):
        line.session.out(name)


def selectsnap(line: Line) -> None:
    """A snapshot; without a name, what is there now."""
    names = line.take(0, 1)
    session = line.session
    fmri = session.instance()
    if names and names[0] not in session.client.snapshots(fmri):
        raise NotFound(f'{fmri} has no snapshot "{names[0]}"')
    session.snapshot = names[0] if names else ""


def revert(line: Line) -> None:
    """Back to a snapshot, the one that is named or selected; takes effect with a refresh."""
    names = line.take(0, 1)
    session = line.session
    fmri = session.instance()
    name = names[0] if names else session.snapshot
    if not name:
        raise Usage("revert takes a snapshot, or selectsnap one first")
    then, now = session.client.read(fmri, name), session.client.read(fmri)
    operations: Operations = []
    for entity, old, new in zip((fmri, service_of(fmri)), then, now, strict=True):
        operations += _back(entity, old, new)
    session.commit(operations)
    session.snapshot = ""


def _back(entity: str, old: Groups, new: Groups) -> Operations:
    operations: Operations = [
        ["ungroup", entity, name]
        for name, group in new.items()
        if group.persistent and name not in old and name not in (*VOLATILE, "general")
    ]
    for name, group in old.items():
        properties = dict(group.properties)
        if name == "general":
            current = new.get(name, Group("")).properties
            properties = {key: prop for key, prop in properties.items() if key not in KEPT}
            properties |= {key: prop for key, prop in current.items() if key in KEPT}
        operations.append(["put", entity, name, to_wire(Group(group.kind, properties))])
    return operations


def refresh(line: Line) -> None:
    """What is configured takes effect: of an instance, or of all of a service."""
    line.take(0, 0)
    session = line.session
    session.commit(session.refresh(session.writable()))
