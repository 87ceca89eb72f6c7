# SPDX-License-Identifier: MPL-2.0
"""sysinfo: what it makes of the kernel's files."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from hull.host import sysinfo
from hull.wire import JsonObject

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu svm

processor\t: 1
model name\t: AMD EPYC
physical id\t: 1
core id\t\t: 0
flags\t\t: fpu svm

"""


def test_cpus() -> None:
    cpus = sysinfo.parse_cpuinfo(CPUINFO)
    assert [cpu["processor"] for cpu in cpus] == ["0", "1"]
    assert cpus[1]["physical id"] == "1"
    assert sysinfo.parse_cpuinfo("Hardware\t: some board\n") == []


def test_times_and_sizes_are_texts() -> None:
    assert sysinfo.parse_boot_time("cpu 1 2\nbtime 1763693000\nprocesses 1\n") == "1763693000"
    assert sysinfo.parse_memory("MemTotal:        4019240 kB\nMemFree: 1 kB\n") == "3925"
    assert sysinfo.parse_boot_time("") == sysinfo.parse_memory("") == ""


def test_boot_parameters_end_where_inits_begin() -> None:
    found = sysinfo.parse_boot_parameters("console=ttyS0 quiet root=UUID=a=b -- --verbose\n")
    assert found == {"console": "ttyS0", "quiet": "true", "root": "UUID=a=b"}


def test_parsable() -> None:
    known: JsonObject = {
        "Live Image": "hosted",
        "CPU Type": "AMD EPYC",
        "VM Capable": True,
        "CPU Count": 2,
        "Disks": {"vda": {"Size in GB": 100}},
        "Boot Parameters": {"console": "ttyS0"},
        "Virtual Network Interfaces": {"h1.admin": {"ip4addr": "10.0.0.1"}},
    }
    assert sysinfo.parsable(known, {"admin": "h1.admin"}).splitlines() == [
        "Live_Image=hosted",
        "CPU_Type='AMD EPYC'",
        "VM_Capable=true",
        "CPU_Count=2",
        "Disk_vda_Size_in_GB=100",
        "Bootparam_console=ttyS0",
        "Virtual_Network_Interfaces_h1_admin_ip4addr=10.0.0.1",
        "NIC_admin=h1.admin",
    ]


@given(st.dictionaries(st.text(min_size=1), st.text(st.characters(exclude_characters="\n\r"))))
def test_a_shell_reads_what_was_meant(parameters: dict[str, str]) -> None:
    """One word a line, whatever the kernel's command line says."""
    text = sysinfo.parsable({"Boot Parameters": dict(parameters)}, {})
    words = shlex.split(text)
    assert len(words) == len(parameters)
    assert [word.partition("=")[2] for word in words] == list(parameters.values())
    assert all(word.partition("=")[0].replace("_", "a").isalnum() for word in words)
