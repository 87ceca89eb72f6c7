# SPDX-License-Identifier: MPL-2.0
"""svcs --graph: the dependency graph as DOT, or through Graphviz as SVG."""

import os
import sys

from smf import picture, view
from smf.cli.options import Args, Usage
from smf.cli.svcs import select
from smf.errors import SmfError

GRAPHVIZ = "/usr/bin/dot"


def graph(args: Args) -> int:
    """Draw what is named, or what is enabled, with all that it depends on directly."""
    target = args.value("--graph")
    if target != "-" and not target.endswith((".dot", ".svg")):
        raise Usage(f"--graph makes FILE.dot or FILE.svg, or - for standard output; not {target}")
    if target.endswith(".svg") and not os.access(GRAPHVIZ, os.X_OK):
        raise SmfError(
            "SVG is drawn by Graphviz, which is not installed: install the package graphviz, or "
            f"say --graph {target.removesuffix('.svg')}.dot"
        )
    found = view.read(args.client(), kinds=("dependency",))
    chosen, status = select(found, args)
    text = picture.dot(found, chosen)
    if target == "-":
        sys.stdout.write(text)
    elif target.endswith(".dot"):
        _write(target, text)
    else:
        _draw(target, text)
    return status


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise SmfError(f"cannot write {path}: {exc.strerror}") from None


def _draw(path: str, text: str) -> None:
    """A picture that could not be drawn leaves what was there."""
    source, drawn = f"{path}.{os.getpid()}.dot", f"{path}.{os.getpid()}"
    try:
        _write(source, text)
        argv = [GRAPHVIZ, "-Tsvg", "-o", drawn, source]
        pid = os.posix_spawn(GRAPHVIZ, argv, {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise SmfError(f"Graphviz could not draw {path}: dot ended with status {status}")
        os.replace(drawn, path)
    finally:
        for each in (source, drawn):
            if os.path.exists(each):
                os.unlink(each)
