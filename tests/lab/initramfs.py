# SPDX-License-Identifier: MPL-2.0
"""The guest's first file system: busybox, the modules that reach the host's files, initramfs.sh.

It is made anew for each guest (a tenth of a second), uncompressed, because the emulated CPU would
take longer to unpack it than QEMU takes to hand it over.
"""

import lzma
import re
from pathlib import Path

from hull.errors import HostError
from tests.lab.kernel import Kernel

BUSYBOX = Path("/bin/busybox")
SCRIPT = Path(__file__).with_name("initramfs.sh")
# What the guest needs before it sees the host's files, and so the rest of its modules. ext4 asks
# for crc32c by the algorithm's name, so modules.dep does not know.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p", "crc32c_generic", "ext4",
    "overlay",
)  # fmt: skip
DIRECTORY, FILE = 0o040755, 0o100755


def build_initramfs(kernel: Kernel, files: dict[str, bytes]) -> bytes:
    """The archive; `files` go to /lab/NAME in it."""
    if not BUSYBOX.exists():
        raise HostError("busybox is not installed", hint="apt-get install busybox-static")
    modules = modules_in_order((kernel.modules / "modules.dep").read_text(), MODULES)
    archive = Newc()
    for name in ("bin", "dev", "proc", "lower", "disk", "root", "modules", "lab"):
        archive.add(name, DIRECTORY)
    archive.add("bin/busybox", FILE, BUSYBOX.read_bytes())
    archive.add("init", FILE, SCRIPT.read_bytes())
    for path in modules:
        archive.add(f"modules/{module_name(path)}", FILE, read_module(kernel.modules / path))
    names = "".join(f"{module_name(path)}\n" for path in modules)
    archive.add("modules/order", FILE, names.encode())
    for name, data in files.items():
        archive.add(f"lab/{name}", FILE, data)
    return archive.end()


def modules_in_order(modules_dep: str, wanted: tuple[str, ...]) -> list[str]:
    """The files (relative to modules.dep) of the wanted modules, each after what it depends on.

    A module that modules.dep does not know is built into the kernel.
    """
    depends = {}
    for line in modules_dep.splitlines():
        path, _, needed = line.partition(":")
        # modprobe(8) loads the last one first.
        depends[module_name(path)] = [*reversed(needed.split()), path]
    order: dict[str, None] = {}
    for name in wanted:
        order.update(dict.fromkeys(depends.get(name, ())))
    return list(order)


def module_name(path: str) -> str:
    """`kernel/fs/9p/9p.ko.xz` is 9p; the kernel takes - and _ for the same."""
    return re.sub(r"\.ko(\.xz)?$", "", Path(path).name).replace("-", "_")


def read_module(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


class Newc:
    """A cpio archive in the form that the kernel unpacks (initramfs buffer format)."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.inode = 0

    def add(self, name: str, mode: int, content: bytes = b"") -> None:
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self.pad()
        self.data += content
        self.pad()

    def pad(self) -> None:
        self.data += bytes(-len(self.data) % 4)

    def end(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return bytes(self.data)
