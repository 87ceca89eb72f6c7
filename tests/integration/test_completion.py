# SPDX-License-Identifier: MPL-2.0
"""share/completion/hull.bash in a real bash, with stand-ins for the commands that it asks."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "share/completion/hull.bash"
UUIDS = ("59aaecb6-467d-4116-92bd-f31842d44c90", "7f1e0c8a-1111-4222-8333-444444444444")
IMAGE, REMOTE = "398deede-c025-11e3-8b24-f3ba141900bd", "c3321aac-a07c-11e3-9430-fbb1cc12d1df"
VMADM = f"""#!/bin/sh
case $1 in
lookup) printf '%s\\n' {UUIDS[0]} {UUIDS[1]} ;;
list) printf '%s  %s\\n' {UUIDS[0]} nsa-box ;;
get) printf '{{\\n  "snapshots": [\\n    {{\\n      "name": "monday"\\n    }}\\n  ],\\n' ;;
esac
"""
IMGADM = f"""#!/bin/sh
case $1 in
list) echo {IMAGE} ;;
avail) echo {REMOTE} ;;
esac
"""
SVCS = """#!/bin/sh
[ "$*" = "-H -a -o svc" ] && printf '%s\\n' network/ssh site/app
"""


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    for name, text in (("vmadm", VMADM), ("imgadm", IMGADM), ("svcs", SVCS)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def complete(bin_: Path, *words: str) -> list[str]:
    """What bash offers when TAB is pressed at the end of the last word."""
    code = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hull; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-uc", code, "bash", str(SCRIPT), *words],
        env={"PATH": f"{bin_}:{os.environ['PATH']}"},
        cwd=bin_,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout.split()


def test_verbs(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "st") == ["start", "stop"]
    assert complete(bin_, "vmadm", "--here", "rol") == ["rollback-snapshot"]
    assert complete(bin_, "hull", "") == ["up", "down", "status", "help"]


def test_uuids_are_asked_for(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "start", "") == list(UUIDS)
    assert complete(bin_, "/opt/hull/bin/vmadm", "destroy", "7") == [UUIDS[1]]
    assert complete(bin_, "zlogin", "nsa") == ["nsa-box"]
    assert complete(bin_, "imgadm", "delete", "") == [IMAGE]
    assert set(complete(bin_, "imgadm", "import", "")) == {REMOTE}


def test_nothing_follows_the_last_argument(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "start", UUIDS[0], "") == []


def test_options(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "stop", UUIDS[0], "-") == ["--help", "-F", "-t"]
    assert complete(bin_, "vmadm", "create", "-f", "im") == ["imgadm"]
    assert complete(bin_, "zlogin", "-l", "root", "nsa") == ["nsa-box"]


def test_properties_and_columns(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "update", UUIDS[0], "quo") == ["quota="]
    assert complete(bin_, "vmadm", "update", UUIDS[0], "quota", "=") == []
    assert complete(bin_, "vmadm", "list", "-o", "uuid,ali") == ["uuid,alias"]
    assert complete(bin_, "vmadm", "list", "-s", "-ali") == ["-alias"]
    assert complete(bin_, "vmadm", "list", "zone_s") == ["zone_state="]
    assert complete(bin_, "vmadm", "validate", "update", "joy") == ["joyent", "joyent-minimal"]
    assert complete(bin_, "vmadm", "validate", "") == ["create", "update"]


def test_snapshots(bin_: Path) -> None:
    assert complete(bin_, "vmadm", "rollback-snapshot", UUIDS[0], "") == ["monday"]
    assert complete(bin_, "vmadm", "create-snapshot", UUIDS[0], "") == []


def test_services(bin_: Path) -> None:
    assert complete(bin_, "svcs", "net") == ["network/ssh"]
    assert complete(bin_, "svcprop", "-p", "general", "s") == ["site/app"]
    assert complete(bin_, "svcs", "-o", "state,st") == ["state,state", "state,sta", "state,stime"]
    assert "--graph" in complete(bin_, "svcs", "-")
