# SPDX-License-Identifier: MPL-2.0
"""The first file system: what finds the platform's squashfs, checks it and makes it the root."""

from pathlib import Path

from pibuild.cpio import DIRECTORY, FILE, PROGRAM, Newc
from pibuild.kernel import parse_dep

DIRECTORIES = (
    "bin",
    "dev",
    "etc",
    "lib",
    "lib/modules",
    "media",
    "mnt",
    "newroot",
    "proc",
    "run",
    "sys",
)


def make_initramfs(busybox: Path, init: Path, modules: Path, wanted: tuple[str, ...]) -> bytes:
    """The archive, not compressed. `modules` is the kernel's own directory of them."""
    archive = Newc()
    for name in DIRECTORIES:
        archive.add(name, DIRECTORY)
    archive.add("bin/busybox", PROGRAM, busybox.read_bytes())
    archive.add("init", PROGRAM, init.read_bytes())
    place = f"lib/modules/{modules.name}"
    archive.add(place, DIRECTORY)
    needed = with_what_they_need((modules / "modules.dep").read_text(), wanted)
    made: set[str] = set()
    for path in needed:
        above = Path(path).parents
        for directory in [str(each) for each in reversed(above) if str(each) != "."]:
            if directory not in made:
                archive.add(f"{place}/{directory}", DIRECTORY)
                made.add(directory)
        archive.add(f"{place}/{path}", FILE, (modules / path).read_bytes())
    archive.add(f"{place}/modules.dep", FILE, dep_of(modules, needed))
    archive.add(f"{place}/modules.alias", FILE, aliases_of(modules, needed))
    return archive.end()


def with_what_they_need(modules_dep: str, wanted: tuple[str, ...]) -> list[str]:
    """The files of modules, and of those that they depend on. What is not there is built in."""
    depends = parse_dep(modules_dep)
    by_name = {module_name(path): path for path in depends}
    found: dict[str, None] = {}
    for name in wanted:
        if path := by_name.get(module_name(name)):
            found.update(dict.fromkeys([path, *depends[path]]))
    return sorted(found)


def module_name(path: str) -> str:
    """`kernel/fs/9p/9p.ko` is 9p; the kernel takes - and _ for the same."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def dep_of(modules: Path, kept: list[str]) -> bytes:
    depends = parse_dep((modules / "modules.dep").read_text())
    return "".join(f"{path}: {' '.join(depends[path])}\n" for path in kept).encode()


def aliases_of(modules: Path, kept: list[str]) -> bytes:
    names = {module_name(path) for path in kept}
    lines = (modules / "modules.alias").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.split()[-1].replace("-", "_") in names).encode()
