# SPDX-License-Identifier: MPL-2.0
"""System calls that reach past namespaces, by all doors into an x86-64 kernel."""

import ctypes
import mmap
import os
import struct
from functools import partial

from tests.isolation.attacks.base import (
    CLONE_NEWUSER,
    Argument,
    add,
    attack,
    last_error,
    libc,
    syscall,
)

X32 = 0x40000000
SIGCHLD = 17
NOWHERE = b"/root/no-such-file\0"
SYSCTL_READ_LOG = 3
PROCESS_KEYRING = -2
IORING_ENTRIES = 1


def _done(number: int, *arguments: Argument) -> str:
    syscall(number, *arguments)
    return "done"


# Arguments that do no harm where they are let through.
PLAIN: dict[str, tuple[int, tuple[Argument, ...], tuple[int, ...]]] = {
    "kexec_load": (246, (0, 0, 0, 0), (5,)),
    "kexec_file_load": (320, (-1, -1, 0, 0, 0), (5,)),
    "init_module": (175, (b"x" * 64, 64, b""), (5, 22)),
    "finit_module": (313, (-1, b"", 0), (5, 22)),
    "delete_module": (176, (b"no_such_module", 0), (5, 22)),
    "dmesg": (103, (SYSCTL_READ_LOG, ctypes.create_string_buffer(128), 128), (5, 9)),
    "acct": (163, (0,), (5,)),
    "swapon": (167, (NOWHERE, 0), (5,)),
    "swapoff": (168, (NOWHERE,), (5,)),
    "add_key": (248, (b"user", b"hull", b"x", 1, PROCESS_KEYRING), (5, 11)),
    "request_key": (249, (b"user", b"hull-no-such-key", 0, 0), (5, 11)),
    "keyctl": (250, (0, PROCESS_KEYRING, 1), (5, 11)),
    "quotactl": (179, (0x80000100, 0, 0, 0), (5,)),
    "iopl": (172, (3,), (5, 23)),
    "ioperm": (173, (0x80, 1, 1), (5, 23)),
    "modify_ldt": (154, (0, ctypes.create_string_buffer(16), 16), (5,)),
    "userfaultfd": (323, (1,), (5,)),
    "io_uring_setup": (425, (IORING_ENTRIES, ctypes.create_string_buffer(120)), (5,)),
    "bpf": (321, (0, struct.pack("5I", 2, 4, 4, 1, 0) + bytes(100), 120), (5, 20)),
    "bpf_x32": (X32 + 321, (0, struct.pack("5I", 2, 4, 4, 1, 0) + bytes(100), 120), (5, 20)),
    "kexec_load_x32": (X32 + 528, (0, 0, 0, 0), (5,)),
    "unshare_user": (272, (CLONE_NEWUSER,), (2, 5)),
}
for _name, (_number, _arguments, _rows) in PLAIN.items():
    add(_name, partial(_done, _number, *_arguments), *_rows)


@attack(5, 20)
def perf_event_open() -> str:
    """Of all processes on a CPU."""
    software_clock = struct.pack("=IIQ", 1, 112, 0) + bytes(96)
    return _done(298, software_clock, -1, 0, -1, 0)


@attack(5)
def open_by_handle_at() -> str:
    """A file by its number, whatever lies between it and the zone's root."""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    last_error(libc.name_to_handle_at(-100, b"/root", handle, ctypes.byref(mount_id), 0))
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    return _done(304, top, handle, os.O_RDONLY)


@attack(2, 5)
def clone_user() -> str:
    """A child in a user namespace of its own."""
    child = syscall(56, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return "done"


@attack(2, 5)
def clone3_user() -> str:
    """The same, with flags that no filter sees."""
    arguments = struct.pack("=8Q", CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0)
    child = syscall(435, arguments, len(arguments))
    if child == 0:
        os._exit(0)
    return "done"


@attack(5)
def reboot() -> str:
    """Ctrl-Alt-Del as it is: whoever may set it may reboot the machine."""
    with open("/proc/sys/kernel/ctrl-alt-del") as file:
        on = int(file.read())
    return _done(169, 0xFEE1DEAD, 672274793, 0x89ABCDEF if on else 0, 0)


# push rbx; the call's number and arguments from where they are on x86-64 to where they are on i386;
# int 0x80; pop rbx; ret
INT80 = bytes.fromhex("53 89f8 89f3 4189c8 89d1 4489c2 cd80 5b 4898 c3")


def call32(number: int, *arguments: int) -> str:
    """A system call by the 32-bit door; its pointers would need to be below 4 GiB."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(INT80)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)
    result = kind(address)(number, *arguments)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return "done"


add("keyctl32", partial(call32, 288, 0, PROCESS_KEYRING, 1), 5, 11)
add("swapoff32", partial(call32, 115, 0, 0, 0), 5)
add("unshare_user32", partial(call32, 310, CLONE_NEWUSER, 0, 0), 2, 5)
add("socketcall32", partial(call32, 102, 1, 0, 0), 5, 19)
