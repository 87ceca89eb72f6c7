# SPDX-License-Identifier: MPL-2.0
"""The guest's first file system: busybox, the modules that reach the host's files, initramfs.sh.

It is made anew for each guest (a tenth of a second), uncompressed, because the emulated CPU would
take longer to unpack it than QEMU takes to hand it over.
"""

import lzma
from pathlib import Path

from hull.errors import HostError
from pibuild.cpio import DIRECTORY, PROGRAM, Newc
from pibuild.initramfs import module_name
from tests.lab.kernel import Kernel

BUSYBOX = Path("/bin/busybox")
SCRIPT = Path(__file__).with_name("initramfs.sh")
# What the guest needs before it sees the host's files, and so the rest of its modules. ext4 asks
# for crc32c by the algorithm's name, so modules.dep does not know.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p", "crc32c_generic", "ext4",
    "overlay",
)  # fmt: skip


def build_initramfs(kernel: Kernel, files: dict[str, bytes]) -> bytes:
    """The archive; `files` go to /lab/NAME in it."""
    if not BUSYBOX.exists():
        raise HostError("busybox is not installed", hint="apt-get install busybox-static")
    modules = modules_in_order((kernel.modules / "modules.dep").read_text(), MODULES)
    archive = Newc()
    for name in ("bin", "dev", "proc", "lower", "disk", "root", "modules", "lab"):
        archive.add(name, DIRECTORY)
    archive.add("bin/busybox", PROGRAM, BUSYBOX.read_bytes())
    archive.add("init", PROGRAM, SCRIPT.read_bytes())
    for path in modules:
        archive.add(f"modules/{module_name(path)}", PROGRAM, read_module(kernel.modules / path))
    names = "".join(f"{module_name(path)}\n" for path in modules)
    archive.add("modules/order", PROGRAM, names.encode())
    for name, data in files.items():
        archive.add(f"lab/{name}", PROGRAM, data)
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


def read_module(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data
