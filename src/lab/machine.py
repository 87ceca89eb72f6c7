# SPDX-License-Identifier: MPL-2.0
"""A machine of the lab: the platform in QEMU, with disks and nics, and a hand in it.

    with Machine(platform, disks=3) as machine:
        machine.run("zpool", "list")

Needs no root. Everything is in a directory that goes with the machine.
"""

import base64
import json
import os
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hull.errors import HostError, Timeout
from hull.linux import ready
from hull.linux.run import Process, spawn

QEMU = "qemu-system-x86_64"
CPU = "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+svm"
PORT = "org.hull.lab"
BOOT_SECONDS = 300.0  # under emulation, on a busy machine
COMMAND_SECONDS = 600.0
CONSOLE_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What a machine has."""

    memory: int = 2048  # MiB
    cpus: int = 2
    disks: tuple[int, ...] = ()  # bytes
    nics: int = 1
    options: str = ""  # for the kernel
    shared: Path | None = None  # a directory that it may read, as 9p `host`


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a command."""

    status: int
    stdout: str
    stderr: str


@dataclass
class Machine:
    """One machine. Leaving it ends it."""

    platform: Path  # a directory that pibuild has made
    hardware: Hardware = field(default_factory=Hardware)

    def __post_init__(self) -> None:
        self._undo = ExitStack()
        self._asked = 0
        self._received = b""

    def __enter__(self) -> "Machine":
        self.directory = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="lab-")))
        for number, size in enumerate(self.hardware.disks):
            with (self.directory / f"disk{number}").open("wb") as file:
                file.truncate(size)
        try:
            self.power_on()
        except BaseException:
            self.console_to_stderr()
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._undo.close()

    # -- power -------------------------------------------------------------------------------------
    def power_on(self) -> None:
        """Boot, until it does what is asked of it."""
        path = self.directory / "agent"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with listener:
            listener.bind(str(path))
            listener.listen()
            self._qemu = spawn(*qemu_argv(self.platform, self.hardware, self.directory), stderr=2)
            if not ready.readable(listener.fileno(), 30):
                raise HostError("QEMU did not start")
            self._agent, _ = listener.accept()
        self._received = b""
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            try:
                self.run("true", timeout=2)
            except Timeout:
                if time.monotonic() > deadline or self._qemu.poll() is not None:
                    raise
                continue
            return

    def power_off(self) -> None:
        """As if the plug was pulled."""
        end(self._qemu)
        self._agent.close()

    # -- commands ----------------------------------------------------------------------------------
    def run(self, *argv: str, stdin: bytes = b"", timeout: float = COMMAND_SECONDS) -> Result:
        """Run a program as root; its status is not looked at. Timeout."""
        self._asked += 1
        asked = {"id": self._asked, "argv": argv, "stdin": base64.b64encode(stdin).decode()}
        self._agent.sendall(json.dumps(asked).encode() + b"\n")
        deadline = time.monotonic() + timeout
        while True:
            *lines, self._received = self._received.split(b"\n")
            for number, line in enumerate(lines):
                answer = json.loads(line)
                if answer["id"] == self._asked:
                    self._received = b"\n".join([*lines[number + 1 :], self._received])
                    return Result(
                        status=answer["status"],
                        stdout=base64.b64decode(answer["stdout"]).decode(errors="replace"),
                        stderr=base64.b64decode(answer["stderr"]).decode(errors="replace"),
                    )
            if not ready.readable(self._agent.fileno(), deadline - time.monotonic()):
                raise Timeout(f"{' '.join(argv)} did not end within {timeout:.0f} seconds")
            part = self._agent.recv(1 << 20)
            if not part:
                raise HostError("the machine has gone")
            self._received += part

    def console(self) -> str:
        """What the serial console has shown."""
        return (self.directory / "console").read_text(errors="replace")

    def console_to_stderr(self) -> None:
        lines = self.console().splitlines()[-CONSOLE_LINES:]
        os.write(2, ("\n".join(["the machine's console:", *lines]) + "\n").encode())


def end(qemu: Process) -> None:
    qemu.kill()
    qemu.wait()


def qemu_argv(platform: Path, hardware: Hardware, directory: Path) -> list[str]:
    """The machine as a command; dies with us."""
    argv = [
        "setpriv", "--pdeathsig", "KILL", "--", QEMU, "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-machine", "q35",
        # One thread for all CPUs: with one each, a CPU now and then still runs the breakpoint of a
        # jump label that another has just patched, and the kernel dies of it ("Oops: int3").
        "-accel", "tcg,thread=single",
        "-cpu", CPU, "-smp", str(hardware.cpus), "-m", str(hardware.memory),
        "-kernel", str(platform / "platform/kernel"), "-initrd", str(platform / "boot-archive"),
        "-append", f"console=ttyS0 quiet panic=-1 mitigations=off {hardware.options}",
        *("-chardev", f"file,id=console,path={directory}/console", "-serial", "chardev:console"),
        "-device", "virtio-serial-pci",
        *("-chardev", f"socket,id=agent,path={directory}/agent"),
        *("-device", f"virtserialport,chardev=agent,name={PORT}"),
    ]  # fmt: skip
    for number in range(len(hardware.disks)):
        drive = f"file={directory}/disk{number},if=none,id=d{number},format=raw,cache=unsafe"
        argv += ["-drive", drive, "-device", f"virtio-blk-pci,drive=d{number},serial=LAB{number}"]
    for number in range(hardware.nics):
        nic = f"virtio-net-pci,netdev=n{number},mac=52:54:00:00:00:{number:02x}"
        argv += ["-netdev", f"user,id=n{number},restrict=on", "-device", nic]
    if hardware.shared:
        files = f"local,id=host,path={hardware.shared},security_model=none,readonly=on"
        argv += ["-fsdev", f"{files},multidevs=remap"]
        argv += ["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]
    return argv
