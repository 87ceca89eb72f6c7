# SPDX-License-Identifier: MPL-2.0
"""Run a command as root in a throwaway guest: python -m tests.lab.vm [-t SECONDS] COMMAND

The guest is a stock Debian kernel in QEMU (software emulation) on a plain cgroup v2 machine. It
sees the host's own files read-only at the same paths, this checkout among them; what it writes goes
to a sparse disk that nobody else sees and that ends with it. It has no network.
"""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import IO

from hull.errors import Error, HostError, Timeout
from hull.linux.run import run, spawn
from tests.lab.initramfs import build_initramfs
from tests.lab.kernel import Kernel, fetch_kernel

CHECKOUT = Path(__file__).resolve().parents[2]
DISK_BYTES = 8 << 30
# An oops or a panic ends the guest at once; so does the end of process 1, because it is a panic.
CMDLINE = "console=ttyS0 rdinit=/init quiet panic=-1 oops=panic mitigations=off"
CONSOLE_LINES = 60  # of the guest's console, shown when it fails


class LostGuest(HostError):
    """The guest ended without an exit status: it panicked, or QEMU failed."""


def run_in_vm(command: str, *, timeout: float, memory: int = 1536, cpus: int = 2) -> int:
    """Run a shell command in the checkout, in a guest of its own; returns its exit status.

    Its output, both streams, goes to our standard output as it comes. `timeout` is in seconds and
    holds for the boot as well; `memory` is in MiB. A command that was ended by signal N has the
    status 128 + N, the shell's way. Raises LostGuest, or Timeout; no guest outlives the call.
    """
    kernel = fetch_kernel()
    with ExitStack() as undo:
        disk = undo.enter_context(tempfile.TemporaryFile(dir="/var/tmp"))
        make_disk(disk)
        initrd = undo.enter_context(tempfile.TemporaryFile())
        initrd.write(build_initramfs(kernel, guest_files(command, kernel)))
        initrd.flush()
        console = undo.enter_context(tempfile.TemporaryFile())
        status = undo.enter_context(tempfile.TemporaryFile())
        output, output_in = os.pipe()
        undo.callback(os.close, output)
        with open(output_in, "wb"):
            fds = (disk.fileno(), initrd.fileno(), console.fileno(), status.fileno(), output_in)
            qemu = spawn(*qemu_argv(kernel, fds, memory=memory, cpus=cpus), stderr=2, pass_fds=fds)
        undo.callback(end, qemu)
        if not pass_on(output, time.monotonic() + timeout):
            show(console)
            raise Timeout(f"the guest did not end within {timeout} seconds")
        return parse_status(status.read(), console)


def guest_files(command: str, kernel: Kernel) -> dict[str, bytes]:
    """What the guest is told, as files."""
    environment = f"CHECKOUT={quote(str(CHECKOUT))}\nMODULES={quote(str(kernel.modules))}\n"
    return {"environment": environment.encode(), "command": command.encode()}


def make_disk(disk: IO[bytes]) -> None:
    """An empty ext4 without a journal: nobody will ever recover it."""
    os.truncate(disk.fileno(), DISK_BYTES)
    path = f"/proc/self/fd/{disk.fileno()}"
    run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", path, pass_fds=(disk.fileno(),))


def qemu_argv(kernel: Kernel, fds: Sequence[int], *, memory: int, cpus: int) -> list[str]:
    """The guest; `fds` are its disk, initramfs, console log, exit status and output.

    None of them has a name, so that nothing is left behind however we end; setpriv sees to it
    that QEMU ends when we do.
    """
    disk, initrd, console, status, output = (f"/proc/self/fd/{fd}" for fd in fds)
    return [
        "setpriv", "--pdeathsig", "KILL", "--",
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        # One thread for all CPUs: with one each, a CPU now and then still runs the breakpoint of a
        # jump label that another has just patched, and the kernel dies of it ("Oops: int3").
        "-machine", "q35", "-accel", "tcg,thread=single",
        # A plain CPU: each extension would cost emulation. With rdrand the random pool is ready at
        # once.
        "-cpu", "qemu64,+rdrand", "-smp", str(cpus), "-m", str(memory),
        "-kernel", str(kernel.image), "-initrd", initrd, "-append", CMDLINE,
        *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe,discard=unmap"),
        *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
        "-device", "virtio-serial-pci",
        *("-chardev", f"file,id=status,path={status}"),
        *("-device", "virtserialport,chardev=status,name=lab.status"),
        *("-chardev", f"file,id=output,path={output}"),
        *("-device", "virtserialport,chardev=output,name=lab.output"),
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
    ]  # fmt: skip


def pass_on(output: int, deadline: float) -> bool:
    """Copy the guest's output to ours until QEMU ends; False if it has not by the deadline."""
    while select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data = os.read(output, 65536)
        if not data:
            return True
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return False


def end(qemu: "subprocess.Popen[bytes]") -> None:
    qemu.kill()
    qemu.wait()


def parse_status(data: bytes, console: IO[bytes]) -> int:
    """The exit status that the guest sent as its last act; LostGuest if it sent none."""
    text = data.decode(errors="replace").strip()
    if not text.isdecimal():
        show(console)
        raise LostGuest("the guest ended without an exit status", hint="see its console above")
    return int(text)


def show(console: IO[bytes]) -> None:
    """Print the last lines of the guest's console."""
    console.seek(0)
    lines = console.read().decode(errors="replace").splitlines()[-CONSOLE_LINES:]
    print("lab: the guest's console:", *lines, sep="\n    ", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.vm")
    parser.add_argument("command", help="for the guest's /bin/sh, in this checkout")
    parser.add_argument("-t", "--timeout", type=float, default=600, help="seconds (default: 600)")
    parser.add_argument("-m", "--memory", type=int, default=1536, help="MiB (default: 1536)")
    arguments = parser.parse_args()
    start = time.monotonic()
    try:
        code = run_in_vm(arguments.command, timeout=arguments.timeout, memory=arguments.memory)
    except Error as exc:
        print(f"lab: {exc.message}", file=sys.stderr)
        return 125
    print(f"lab: exit status {code} after {time.monotonic() - start:.1f} s", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
