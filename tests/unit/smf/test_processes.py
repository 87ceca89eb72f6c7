# SPDX-License-Identifier: MPL-2.0
"""Processes of a contract, from files as the kernel writes them."""

import os
from pathlib import Path

import pytest

from smf import processes
from smf.places import Places

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Contract 7 has three processes, one of them in a cgroup of its own making."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroups"
    (cgroups / "7/below").mkdir(parents=True)
    (cgroups / "7/cgroup.procs").write_text("300\n0\n20\n999\n")
    (cgroups / "7/below/cgroup.procs").write_text("4000\n")
    (proc / "1").mkdir(parents=True)
    (proc / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
    for pid, name, started, line in (
        (20, "a b) (c", 100, b"/bin/a\0-x\0y z\0"),
        (300, "late", 200, b""),
        (4000, "deep", 300, b"deep\0"),
    ):
        (proc / str(pid)).mkdir()
        fields = ["S", *["0"] * 18, str(started * TICKS), "0"]
        (proc / f"{pid}/stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
        (proc / f"{pid}/cmdline").write_bytes(line)
    monkeypatch.setattr(processes, "PROC", str(proc))
    found = Places(str(tmp_path))
    Path(found.volatile).mkdir(parents=True)
    Path(found.volatile, "contracts").write_text(f"{cgroups}\n")
    return found


def test_what_is_there(places: Places) -> None:
    found = processes.of_contracts(places, ("7", "8"))
    assert [(each.pid, each.name, each.started, each.arguments) for each in found] == [
        (20, "a b) (c", 1700000100, "/bin/a -x y z"),
        (300, "late", 1700000200, "late"),
        (4000, "deep", 1700000300, "deep"),
    ]


def test_nothing_is_there(places: Places, tmp_path: Path) -> None:
    assert processes.of_contracts(places, ()) == []
    assert processes.of_contracts(places, ("8",)) == []
    assert processes.of_contracts(Places(str(tmp_path / "nowhere")), ("7",)) == []
