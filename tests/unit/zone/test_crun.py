# SPDX-License-Identifier: MPL-2.0
"""The pure parts of the crun driver."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.errors import Corrupt, HostError
from hull.linux.cgroup import Values
from hull.zone import conmon, crun
from hull.zone.runtime import Limits

RUN = Path("/run/hull/zones/U")


def test_a_limited_zone_has_no_more_swap_than_given() -> None:
    assert crun.cgroup_values(Limits()) == Values()
    assert crun.cgroup_values(Limits(memory=5)) == Values(memory=5, swap=0)
    everything = Limits(memory=5, swap=6, processes=7, cpu_shares=8, cpu_cap=9)
    assert crun.cgroup_values(everything) == Values(
        memory=5, swap=6, processes=7, cpu_shares=8, cpu_cap=9
    )


def test_the_way_into_the_cgroups() -> None:
    argv = crun.enter_argv([Path("/a b"), Path("/c")], "then; ", ["crun", "exec"])
    assert argv[:2] == ["/bin/sh", "-c"]
    assert argv[2].endswith('then; exec "$@"')
    assert argv[3:] == ["hull", "/a b", "/c", "--", "crun", "exec"]


def test_conmon_argv() -> None:
    files = conmon.Files(log=Path("/log"))
    argv = conmon.conmon_argv(RUN, "U", files, ["/bin/sh", "-c", "x y"])
    assert argv[0] == "/usr/bin/conmon"
    assert "--terminal" in argv
    assert argv[argv.index("--bundle") + 1] == str(RUN)
    assert argv[argv.index("--log-path") + 1] == "k8s-file:/log"
    assert argv[-3:] == ["/bin/sh", "--runtime-arg=-c", "--runtime-arg=x y"]


def test_conmon_without_a_terminal() -> None:
    assert conmon.files_argv(conmon.Files(log=None, terminal=False)) == ["--log-path", "none"]
    files = conmon.Files(log=Path("/log"), limit=99, terminal=False, stdin=True)
    assert conmon.files_argv(files) == [
        "--stdin", "--leave-stdin-open", "--log-path", "k8s-file:/log", "--log-size-max", "99",
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [b'{"data": 12}\n', b'{"pid": 12}\n'])
def test_conmon_names_the_pid(answer: bytes) -> None:
    assert conmon.parse_answer(answer) == 12


def test_conmon_passes_on_what_crun_says() -> None:
    with pytest.raises(HostError, match="no such file"):
        conmon.parse_answer(b'{"data": -1, "message": "exec /sbin/init: no such file"}\n')


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"null", b'{"pid": "x"}'])
def test_conmon_without_an_answer(answer: bytes) -> None:
    with pytest.raises(HostError):
        conmon.parse_answer(answer)


@given(st.integers(0, 128))
def test_an_exit_status_is_one(code: int) -> None:
    assert conmon.parse_exit(f"{code}", 1.0).code == code


@given(st.integers(1, 64))
def test_an_exit_by_signal(number: int) -> None:
    assert conmon.parse_exit(f"{128 + number}", 1.0).code == -number


def test_a_damaged_exit_status() -> None:
    with pytest.raises(Corrupt):
        conmon.parse_exit("", 1.0)
