# SPDX-License-Identifier: MPL-2.0
"""Operands of svcadm: which instances they mean, and what is said of those that mean none."""

import sys
from collections.abc import Iterable

from smf import fmri
from smf.cli.text import clean
from smf.errors import BadName


def complain(command: str, text: str) -> None:
    """A message on standard error, without what a terminal would obey."""
    sys.stderr.write("\n".join(map(clean, f"{command}: {text}".split("\n"))) + "\n")


def choose(patterns: Iterable[str], instances: list[str]) -> tuple[list[str], list[str]]:
    """(the instances that are meant, each once; what is wrong with the other patterns).

    An abbreviation that several instances have is wrong: who acts must know on what.
    """
    chosen: dict[str, None] = {}
    problems: list[str] = []
    for pattern in patterns:
        try:
            found = _matching(pattern, instances)
        except BadName as exc:
            problems.append(str(exc))
            continue
        if not found:
            problems.append(f'"{pattern}" matches no instance')
        elif len(found) > 1 and not (fmri.is_glob(pattern) or fmri.is_exact(pattern)):
            candidates = "".join(f"\n    {each}" for each in found)
            problems.append(f'"{pattern}" matches several instances:{candidates}')
        else:
            chosen |= dict.fromkeys(found)
    return list(chosen), problems


def _matching(pattern: str, instances: list[str]) -> list[str]:
    if pattern.startswith(fmri.LEGACY):
        raise BadName(f'"{pattern}" is a legacy script: svcadm has no say over it')
    if fmri.is_exact(pattern) and fmri.parse(pattern).group:
        raise BadName(f'"{pattern}" names a property, not an instance')
    return fmri.matching(pattern, instances)
