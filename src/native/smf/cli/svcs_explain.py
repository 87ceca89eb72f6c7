# SPDX-License-Identifier: MPL-2.0
"""svcs -x: what explain.py has found, in blocks."""

import os
import sys
from collections.abc import Iterator

from smf import view
from smf.cli.options import Args
from smf.cli.svcs import logfile, select
from smf.cli.text import clean, long_time
from smf.explain import Explainer, Reason, Root, state_word
from smf.fmri import MASTER, instance_of
from smf.tree import Group, of_type, value
from smf.view import Instance, View

MESSAGES = "http://illumos.org/msg/"
# Frames of explain.py for one step along a chain of dependencies.
FRAMES = 2


def explanations(args: Args) -> int:
    client = args.client()
    found = view.read(client, groups=("msg",), kinds=("dependency", "template"))
    # As deep as the longest chain can be.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES * len(found.instances) + 500))
    explainer = Explainer(found)
    status = 0
    if args.words or args.has("-R"):
        chosen, status = select(found, args)
    else:
        chosen = [instance for instance, _ in explainer.troubles()]
    base = _base(found)
    blocks = [
        "".join(f"{label:>6}: {clean(text)}\n" if label else f"{text}\n"
                for label, text in _block(args, explainer, instance, base))
        for instance in chosen
    ]  # fmt: skip
    sys.stdout.write("\n".join(blocks))
    return status


def _base(found: View) -> str:
    """What a message's code is appended to."""
    master = found.instances.get(MASTER)
    return (value(master.running, "msg", "base") if master else "") or MESSAGES


def _block(
    args: Args, explainer: Explainer, instance: Instance, base: str
) -> Iterator[tuple[str, str]]:
    """(label, text) of each line; without a label the whole line."""
    name = view.common_name(instance.running) or "?"
    yield "", clean(f"{instance.fmri} ({name})")
    if zone := os.environ.get("SMF_ZONE"):
        yield "Zone", zone
    yield "State", f"{instance.state or '-'} since {long_time(instance.since)}"
    for root in explainer.roots(instance):
        yield from _reasons(args, explainer, root, base)
    yield from _documents(args, instance)
    if value(instance.groups, "restarter", "logfile"):
        yield "See", logfile(args, instance)
        yield from _room(args, instance)
    yield from _impact(args, explainer, instance)


def _reasons(args: Args, explainer: Explainer, root: Root, base: str) -> Iterator[tuple[str, str]]:
    first, last = root.path[0], root.instance
    if first is last:
        found = [each for each in explainer.reasons(first) if each.culprit is None]
    else:
        found = [_elsewhere(explainer, root)]
    for reason in found:
        yield "Reason", reason.text
        yield "See", f"{base}SMF-8000-{reason.code}"
    if args.has("-v") and first is not last:
        yield "Path", first.fmri
        for depth, each in enumerate(root.path[1:], 1):
            yield "", " " * (8 + 2 * depth) + clean(each.fmri)


def _elsewhere(explainer: Explainer, root: Root) -> Reason:
    """The cause is another instance: that one is named, and how the way to it begins."""
    first, step = root.path[:2]
    code = next(each.code for each in explainer.reasons(first) if each.culprit is step)
    state = state_word(root.instance)
    if code == "5H" and root.instance is step:
        return Reason(code, f"Its restarter {step.fmri} is {state}.")
    return Reason(code, f"It needs {root.instance.fmri}, which is {state}.")


def _documents(args: Args, instance: Instance) -> Iterator[tuple[str, str]]:
    """Its man pages and other documents, as its template names them."""
    pages = [group for name, group in of_type(instance.running, "template")
             if name.startswith("tm_man_")]  # fmt: skip
    for group in pages:
        yield "See", _man(group, command=args.has("-v"))
    for name, group in of_type(instance.running, "template"):
        if name.startswith("tm_doc_") and (uri := group.value("uri")):
            yield "See", uri


def _room(args: Args, instance: Instance) -> Iterator[tuple[str, str]]:
    """Many a service fails for want of room, and its log cannot say so then."""
    try:
        full = not instance.is_running and not os.statvfs(args.places.log).f_bavail
    except OSError:  # there is no log yet
        full = False
    if full:
        where = os.environ.get("SMF_ZONE_ROOT", "") + args.places.log
        yield "Disk", f"The file system of {where} is full: the log may lack its end."


def _man(group: Group, *, command: bool) -> str:
    title, section = group.value("title"), group.value("section")
    if not command:
        return f"{title}({section})"
    path = group.value("manpath", ":default")
    where = "" if path == ":default" else f"-M {path} "
    return f"man {where}-s {section} {title}"


def _impact(args: Args, explainer: Explainer, instance: Instance) -> Iterator[tuple[str, str]]:
    impacted = explainer.impacted(instance)
    if not impacted:
        running = instance.is_running or not instance_of(instance.fmri)
        yield "Impact", "None." if running else "This service is not running."
        return
    text = f"{len(impacted)} dependent services are not running"
    if len(impacted) == 1:
        text = "1 dependent service is not running"
    if not args.has("-v"):
        yield "Impact", f"{text}.  (Use -v for a list.)"
        return
    yield "Impact", f"{text}:"
    for each in impacted:
        yield "", " " * 8 + clean(each.fmri)
