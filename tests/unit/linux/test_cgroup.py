# SPDX-License-Identifier: MPL-2.0
"""Limits as files to write, on each of the three kinds of host."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hull.linux import cgroup
from hull.linux.cgroup import Group, Layout, Values
from hull.linux.mount import parse_mountinfo

TOP = Path("/sys/fs/cgroup")
NAMES = ("cpu", "cpuacct", "memory", "pids")
V1 = Layout({name: TOP / name for name in NAMES})
HYBRID = Layout(V1.v1, TOP / "unified", frozenset(("hugetlb",)))
V2 = Layout({}, TOP, frozenset(("cpu", "memory", "pids", "io")))

MOUNTS = """\
24 20 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
26 24 0:24 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
27 24 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
28 24 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""


def writes(layout: Layout, values: Values) -> list[tuple[str, str]]:
    group = Group(layout, "hull-0001", "U")
    return [
        (str(path.relative_to(TOP)), value) for path, value in cgroup.limit_writes(group, values)
    ]


def test_the_hierarchies_of_a_hybrid_host() -> None:
    layout = cgroup.parse_layout(parse_mountinfo(MOUNTS))
    assert layout.hybrid
    assert layout.unified == TOP / "unified"
    assert layout.v1 == {
        "cpu": TOP / "cpu,cpuacct",
        "cpuacct": TOP / "cpu,cpuacct",
        "memory": TOP / "memory",
        "name=systemd": TOP / "systemd",
    }


def test_the_hierarchies_of_other_hosts() -> None:
    v1 = cgroup.parse_layout(parse_mountinfo("\n".join(MOUNTS.splitlines()[:-1])))
    assert v1.unified is None
    assert not v1.hybrid
    v2 = cgroup.parse_layout(parse_mountinfo("24 1 0:2 / /sys/fs/cgroup rw - cgroup2 none rw"))
    assert v2 == Layout({}, TOP)
    assert not v2.hybrid


def test_a_process_enters_every_hierarchy_once() -> None:
    shared = Layout({"cpu": TOP / "cpu,cpuacct", "cpuacct": TOP / "cpu,cpuacct"}, TOP / "unified")
    assert Group(shared, "hull-0001", "U").entrances() == [
        TOP / "cpu,cpuacct/hull-0001/U/tasks",
        TOP / "unified/hull-0001/U/zone/cgroup.procs",
    ]


def test_limits_on_v2() -> None:
    values = Values(memory=100, swap=20, processes=5, cpu_shares=250, cpu_cap=50, io_weight=2000)
    assert writes(V2, values) == [
        ("hull-0001/U/memory.max", "100"),
        ("hull-0001/U/memory.swap.max", "20"),
        ("hull-0001/U/pids.max", "5"),
        ("hull-0001/U/cpu.weight", "250"),
        ("hull-0001/U/cpu.max", "50000 100000"),
        ("hull-0001/U/io.weight", "default 2000"),
        ("hull-0001/U/io.bfq.weight", "default 1000"),
    ]


def test_limits_on_v1() -> None:
    values = Values(memory=100, swap=20, processes=5, cpu_shares=250, cpu_cap=50)
    expected = [
        ("memory/hull-0001/U/memory.memsw.limit_in_bytes", "-1"),
        ("memory/hull-0001/U/memory.limit_in_bytes", "100"),
        ("memory/hull-0001/U/memory.memsw.limit_in_bytes", "120"),
        ("memory/hull-0001/U/memory.kmem.tcp.limit_in_bytes", "50"),
        ("pids/hull-0001/U/pids.max", "5"),
        ("cpu/hull-0001/U/cpu.shares", "2560"),
        ("cpu/hull-0001/U/cpu.cfs_quota_us", "50000"),
    ]
    assert writes(V1, values) == expected
    assert writes(HYBRID, values) == expected


def test_no_limits() -> None:
    assert writes(V2, Values()) == [
        ("hull-0001/U/memory.max", "max"),
        ("hull-0001/U/memory.swap.max", "max"),
        ("hull-0001/U/pids.max", "max"),
        ("hull-0001/U/cpu.weight", "100"),
        ("hull-0001/U/cpu.max", "max 100000"),
        ("hull-0001/U/io.weight", "default 100"),
        ("hull-0001/U/io.bfq.weight", "default 100"),
    ]
    assert [value for _, value in writes(V1, Values())] == ["-1", "-1", "-1", "max", "1024", "-1"]


@given(st.integers(0, 10**9))
def test_shares_are_what_the_kernel_takes(shares: int) -> None:
    v1 = dict(writes(V1, Values(cpu_shares=shares)))
    v2 = dict(writes(V2, Values(cpu_shares=shares)))
    assert 2 <= int(v1["cpu/hull-0001/U/cpu.shares"]) <= 262_144
    assert 1 <= int(v2["hull-0001/U/cpu.weight"]) <= 10_000


def test_a_cpuset_that_another_boot_has_just_made_is_filled(tmp_path: Path) -> None:
    """Two zones boot at once: one makes the parent, the other must not go on while it is empty."""
    mine = tmp_path / "hull-1234"
    mine.mkdir()
    for name, value in (("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")):
        (tmp_path / name).write_text(value)
        (mine / name).write_text("\n")
    cgroup._make(mine, v1=True)
    assert (mine / "cpuset.cpus").read_text() == "0-1\n"
    assert (mine / "cpuset.mems").read_text() == "0\n"
    (mine / "cpuset.cpus").write_text("1\n")
    cgroup._make(mine, v1=True)
    assert (mine / "cpuset.cpus").read_text() == "1\n"
