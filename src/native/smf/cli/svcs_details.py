# SPDX-License-Identifier: MPL-2.0
"""svcs -l and -L: everything about an instance; where its log is."""

import os
import sys
from collections.abc import Iterator

from smf import view
from smf.cli.options import Args
from smf.cli.svcs import logfile, select
from smf.cli.text import clean, long_time
from smf.client import Client
from smf.errors import NotFound
from smf.fmri import instance_of
from smf.states import NONE
from smf.tree import RUNNING, Groups, of_type
from smf.view import Instance, View

LABEL = 13


def details(args: Args) -> int:
    client = args.client()
    found = view.read(client)
    chosen, status = select(found, args, everything=True)
    blocks = []
    for instance in chosen:
        if instance_of(instance.fmri):
            instance.running = running(client, instance.fmri)
        lines = (
            f"{label:<{LABEL}}{clean(text)}\n" if label else f"{clean(text)}\n"
            for label, text in _lines(args, found, instance)
        )
        blocks.append("".join(lines))
    sys.stdout.write("\n".join(blocks))
    return status


def logs(args: Args) -> int:
    chosen, status = select(view.read(args.client()), args, everything=True)
    for instance in chosen:
        path = logfile(args, instance) if instance_of(instance.fmri) else "-"
        sys.stdout.write(clean(path) + "\n")
    return status


def running(client: Client, fmri: str) -> Groups:
    """An instance as it runs; as it is now, if nobody has refreshed it yet."""
    try:
        return client.composed(fmri, RUNNING)
    except NotFound:
        return client.composed(fmri)


def _lines(args: Args, found: View, instance: Instance) -> Iterator[tuple[str, str]]:
    """(label, text) of each line; without a label the whole line."""
    yield "fmri", instance.fmri
    if name := view.common_name(instance.running):
        yield "name", name
    if zone := os.environ.get("SMF_ZONE"):
        yield "zone", zone
    yield from _enabled(instance)
    yield "state", instance.state or "-"
    yield "next_state", instance.next_state or NONE
    yield "state_time", long_time(instance.since)
    if not instance_of(instance.fmri):
        return
    yield from _restarted(args, instance)
    for dependency in view.dependencies(instance.running):
        entities = [f"{entity} ({found.word(entity)})" for entity in dependency.entities]
        kind = f"{dependency.grouping}/{dependency.restart_on}"
        yield "dependency", " ".join([kind, *entities])
    if args.has("-p"):
        yield from _processes(args, instance)
    if args.has("-v"):
        yield from _application(instance.running)


def _enabled(instance: Instance) -> Iterator[tuple[str, str]]:
    if instance.enabled is None:
        return
    differs = instance.for_now not in (None, instance.for_good)
    yield "enabled", str(instance.enabled).lower() + (" (temporary)" if differs else "")
    override = instance.groups.get("general_ovr")
    if override and not instance.enabled and (comment := override.value("comment")):
        yield "comment", comment


def _restarted(args: Args, instance: Instance) -> Iterator[tuple[str, str]]:
    """What its restarter has written."""
    group = instance.groups.get("restarter")
    if group and (path := group.value("alt_logfile")):
        yield "alt_logfile", path
    if group and group.value("logfile"):
        yield "logfile", logfile(args, instance)
    yield "restarter", instance.restarter
    if group and "contract" in group.properties:
        yield "contract_id", "".join(f"{number} " for number in instance.contracts)


def _processes(args: Args, instance: Instance) -> Iterator[tuple[str, str]]:
    from smf import processes

    for each in processes.of_contracts(args.places, instance.all_contracts):
        yield "process", f"{each.pid} {each.arguments}"


def _application(groups: Groups) -> Iterator[tuple[str, str]]:
    """What the service's own programs read."""
    for name, group in of_type(groups, "application"):
        yield "", f"{name} ({group.kind})"
        for prop, found in group.properties.items():
            yield "", f"{name}/{prop} ({found.kind}) = {' '.join(found.values)}"
