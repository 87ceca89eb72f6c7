# SPDX-License-Identifier: MPL-2.0
"""svcs -n: who is told of which changes, of all services or of those that are named."""

import sys
from collections.abc import Iterator

from smf import notify_params, view
from smf.cli.options import Args
from smf.cli.svcs import select
from smf.cli.svcs_details import running
from smf.cli.text import clean
from smf.client import Client
from smf.errors import NotFound
from smf.fmri import instance_of
from smf.tree import Group, Groups, of_type

SYSTEM = {
    notify_params.PROBLEMS: "Notification parameters for problems:",
    notify_params.GLOBAL: "Notification parameters for all services:",
}


def notifications(args: Args) -> int:
    """What the operands have; without any what the system has, then each instance's own."""
    client = args.client()
    found = view.read(client, kinds=(notify_params.TYPE,))
    chosen, status = select(found, args, everything=True)
    blocks = [] if args.words else list(_of_the_system(client))
    for instance in chosen:
        if not args.words and instance.fmri in SYSTEM:
            continue
        parameters = dict(of_type(instance.running, notify_params.TYPE))
        if parameters or (args.words and instance_of(instance.fmri)):
            blocks.append([f"{instance.fmri}:", *_events(parameters)])
    sys.stdout.write("\n".join("".join(f"{clean(line)}\n" for line in block) for block in blocks))
    return status


def _of_the_system(client: Client) -> Iterator[list[str]]:
    for fmri, title in SYSTEM.items():
        try:
            groups = running(client, fmri)
        except NotFound:
            continue
        if parameters := dict(of_type(groups, notify_params.TYPE)):
            yield [title, *_events(parameters)]


def _events(parameters: Groups) -> Iterator[str]:
    for event, group in parameters.items():
        yield f"    Event: {event}"
        yield from _ways(group)


def _ways(group: Group) -> Iterator[str]:
    for way in notify_params.ways(group):
        yield f"        Notification Type: {way.protocol}"
        yield f"            Active: {str(way.active).lower()}"
        for name, values in way.parameters.items():
            yield f"            {name}: {', '.join(values)}"
