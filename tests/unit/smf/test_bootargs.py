# SPDX-License-Identifier: MPL-2.0
"""What zoneadm boot -- ARGUMENTS means to svc.startd."""

import pytest

from smf import bootargs
from smf.fmri import MASTER
from smf.tree import value
from tests.unit.smf.local import Local
from tests.unit.smf.made import instance

SINGLE = {"milestone": "svc:/milestone/single-user:default"}


@pytest.mark.parametrize(
    ("words", "options", "unknown"),
    [
        ("", {}, []),
        ("-s", SINGLE, []),
        ("-m milestone=single-user", SINGLE, []),
        ("-m milestone=svc:/milestone/single-user:default", SINGLE, []),
        ("-m milestone=none", {"milestone": "none"}, []),
        ("-m verbose,milestone=all", {"boot_messages": "verbose", "milestone": "all"}, []),
        ("-m quiet", {"boot_messages": "quiet"}, []),
        ("-m", {}, ["-m"]),
        ("-m none", {}, ["none"]),
        ("-m milestone=network", {}, ["milestone=network"]),
        ("-v -m loud,debug -s", {"boot_messages": "debug", **SINGLE}, ["-v", "loud"]),
    ],
)
def test_arguments(words: str, options: dict[str, str], unknown: list[str]) -> None:
    assert bootargs.parse(words.split()) == (options, unknown)


def test_only_the_first_startd_of_a_boot_is_told(local: Local) -> None:
    bootargs.remember(local, SINGLE)
    groups = local.attached(MASTER)
    assert value(groups, "options_ovr", "milestone") == SINGLE["milestone"]
    assert not groups["options_ovr"].persistent
    instance(local, MASTER)  # now there is a startd
    bootargs.remember(local, {"milestone": "none"})
    assert value(local.attached(MASTER), "options_ovr", "milestone") == SINGLE["milestone"]
