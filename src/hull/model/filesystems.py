# SPDX-License-Identifier: MPL-2.0
"""A VM's file systems together: the update's forms applied, no two on one target."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hull.errors import Problem
from hull.model.decode import Context, Values, build
from hull.model.disk import Filesystem
from hull.model.nics import is_spoiled


def new_filesystems(name: str, elements: Sequence[Values], ctx: Context) -> list[Filesystem]:
    """The file systems of object-array `name`, but for those with problems already."""
    return [
        build(Filesystem, values)
        for index, values in enumerate(elements)
        if not is_spoiled(f"{name}[{index}]", ctx.problems)
    ]


def check_filesystems(name: str, filesystems: Sequence[Filesystem]) -> Iterable[Problem]:
    """Which of them hide another: each target can be taken once."""
    seen = set()
    for each in filesystems:
        target = posixpath.normpath("/" + each.target.lstrip("/"))
        if target in seen:
            yield Problem(name, f"two file systems on {target}", "use another target")
        seen.add(target)


def update_filesystems(
    old: Sequence[Filesystem], forms: Values, ctx: Context
) -> tuple[Filesystem, ...]:
    """The file systems after remove_, update_ and add_filesystems."""
    kept = {each.target: each for each in old}
    for target in forms.get("remove_filesystems", ()):
        if kept.pop(target, None) is None:
            known = f"it has: {', '.join(kept) or 'none'}"
            ctx.warn("remove_filesystems", f"the VM has no file system on {target}", known)
    for index, values in enumerate(forms.get("update_filesystems", ())):
        path = f"update_filesystems[{index}]"
        if is_spoiled(path, ctx.problems):
            continue
        target = values["target"]
        if target in kept:
            kept[target] = replace(kept[target], **values)
        else:
            known = f"it has: {', '.join(kept) or 'none'}"
            ctx.say(f"{path}.target", f"the VM has no file system on {target}", known)
    added = new_filesystems("add_filesystems", forms.get("add_filesystems", ()), ctx)
    filesystems = (*kept.values(), *added)
    ctx.problems.extend(check_filesystems("add_filesystems", filesystems))
    return filesystems
