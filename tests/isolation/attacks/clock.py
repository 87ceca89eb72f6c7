# SPDX-License-Identifier: MPL-2.0
"""The machine's clock, its random numbers, and who runs first."""

import ctypes
import fcntl
import mmap
import os
import struct
import time

from tests.isolation.attacks.base import attack, last_error, libc, syscall

RNDADDTOENTCNT = 0x40045201
ADJ_TICK = 0x4000
PR_SET_MEMORY_MERGE = 67
MADV_MERGEABLE = 12
IOPRIO_WHO_PROCESS, IOPRIO_REALTIME = 1, 1 << 13


@attack(5, 10)
def clock_settime() -> str:
    """To what it is."""
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "done"


@attack(5, 10)
def settimeofday() -> str:
    """To nothing: whether it may be set is asked first."""
    syscall(164, 0, 0)
    return "done"


@attack(10)
def adjtimex() -> str:
    """The length of a tick, to what it is."""
    buffer = ctypes.create_string_buffer(256)
    last_error(libc.adjtimex(buffer))
    tick = struct.unpack_from("q", buffer.raw, 88)[0]
    struct.pack_into("I", buffer, 0, ADJ_TICK)
    struct.pack_into("q", buffer, 88, tick)
    last_error(libc.adjtimex(buffer))
    return "done"


@attack(23)
def entropy() -> str:
    """The kernel's account of randomness, by nothing."""
    with open("/dev/random", "rb") as device:
        fcntl.ioctl(device, RNDADDTOENTCNT, struct.pack("i", 0))
    return "done"


@attack(28)
def negative_nice() -> str:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    return "done"


@attack(28)
def realtime_io() -> str:
    """Read and write before everybody else."""
    syscall(251, IOPRIO_WHO_PROCESS, 0, IOPRIO_REALTIME)
    return "done"


@attack(24)
def merge_all_memory() -> str:
    """Merge one's pages with others': the time that writing takes would tell what they hold."""
    last_error(libc.prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
    return "done"


@attack(24)
def merge_memory() -> str:
    """The same, for a part of it."""
    mmap.mmap(-1, 1 << 20).madvise(MADV_MERGEABLE)
    return "done"
