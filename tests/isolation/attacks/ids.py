# SPDX-License-Identifier: MPL-2.0
"""Being somebody else: user ids, capabilities, file attributes of the host's."""

import array
import fcntl
import os
import shutil
import struct
import subprocess

from tests.isolation.attacks.base import GIVEN, attack, last_error, libc

OUTSIDE = 70_000  # an id that no zone has
CAP_VERSION_3 = 0x20080522
CAP_SYS_TIME = 25
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL = 0x80086601, 0x40086602, 0x10


@attack(1)
def user_outside() -> str:
    os.setresuid(OUTSIDE, OUTSIDE, OUTSIDE)
    return "done"


@attack(1)
def file_outside() -> str:
    """Give a file to somebody who is not in the zone."""
    with open("/tmp/given", "w"):
        os.chown("/tmp/given", OUTSIDE, OUTSIDE)
    return "done"


@attack(1)
def ids_of_the_zone() -> str:
    """Which id of the machine the zone's root is."""
    with open("/proc/self/uid_map") as file:
        inside, outside, _ = file.read().split()
    return "root" if (inside, outside) == ("0", "0") else "somebody"


@attack(3)
def more_capabilities() -> str:
    """All that this machine has, in one's own sets."""
    most = int(GIVEN["capabilities"])
    low, high = most & 0xFFFFFFFF, most >> 32
    last_error(
        libc.capset(
            struct.pack("Ii", CAP_VERSION_3, 0), struct.pack("6I", low, low, 0, high, high, 0)
        )
    )
    return "done"


@attack(3)
def file_capability() -> str:
    """One that the zone has not got, by a program that brings it along."""
    program = "/root/capable"
    shutil.copy("/usr/bin/cat", program)
    bit = 1 << CAP_SYS_TIME
    os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, bit, 0, 0, 0))
    status = subprocess.run(
        [program, "/proc/self/status"], capture_output=True, text=True, check=True
    ).stdout
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return "done" if int(effective.split()[1], 16) & bit else "nothing"


@attack(1, 18)
def immutable_file() -> str:
    """A file that the host could not delete with the zone."""
    with open("/root/immutable", "w") as file:
        flags = array.array("l", [0])
        fcntl.ioctl(file, FS_IOC_GETFLAGS, flags)
        before = flags[0]
        fcntl.ioctl(file, FS_IOC_SETFLAGS, array.array("l", [before | FS_IMMUTABLE_FL]))
        fcntl.ioctl(file, FS_IOC_SETFLAGS, array.array("l", [before]))
    return "done"


@attack(1, 18)
def trusted_attribute() -> str:
    """What the host itself keeps on files, such as a dataset's record."""
    with open("/root/trusted", "w"):
        os.setxattr("/root/trusted", "trusted.hull", b"x")
    return "done"
