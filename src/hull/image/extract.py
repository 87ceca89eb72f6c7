# SPDX-License-Identifier: MPL-2.0
"""Unpack an image's archive below a directory, and nowhere else, however hostile the archive is.

GNU tar runs in a mount namespace of its own, below a root that holds nothing but the host's /usr,
read-only, and the target. It keeps too few capabilities to leave that root or to make a device
node, has no file open outside, and reaches no network. Devices below ./dev are left out: a
zone's are the host's business.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hull.errors import Corrupt
from hull.image.compression import HEAD, decompressor_argv, parse_compression
from hull.linux import pipe
from hull.linux.run import Process, spawn, wait

SCRATCH = "import-"  # how the directory of an unpacking under way begins

# $1: an empty directory to become the root; $2: where to unpack; $3: a file to be seen as /image,
# or nothing. No name is interpolated.
CAGE = r"""
mount -t tmpfs -o mode=755,size=1m,nosuid,nodev cage "$1"
mkdir "$1/usr" "$1/root"
mount --bind /usr "$1/usr"
mount -o remount,bind,ro,nosuid,nodev "$1/usr"
mount --bind "$2" "$1/root"
mount -o remount,bind,nosuid,nodev,noexec "$1/root"
if [ -n "$3" ]; then
    : >"$1/image"
    mount --bind "$3" "$1/image"
fi
for name in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "/$name" ] || cp -P "/$name" "$1/$name"
done
mount -o remount,ro,nosuid,nodev "$1"
cage=$1
shift 3
exec chroot "$cage" "$@"
"""

CAPABILITIES = "-all,+chown,+dac_override,+fowner,+fsetid,+setfcap"

TAR = (
    "tar", "--extract", "--directory=/root", "--numeric-owner", "--same-owner",
    "--preserve-permissions", "--acls", "--xattrs", "--xattrs-include=user.*",
    "--xattrs-include=security.capability", "--anchored", "--exclude=./dev/*", "--exclude=dev/*",
    "--delay-directory-restore", "--warning=no-timestamp",
)  # fmt: skip


def cage_argv(cage: Path, target: Path, program: Sequence[str], file: str = "") -> list[str]:
    """Run a program that sees `target` as /root, `file` as /image; `cage` is an empty directory."""
    return [
        "unshare", "--mount", "--propagation=private", "--net", "--ipc", "--",
        "sh", "-ec", CAGE, "sh", str(cage), str(target), file,
        "setpriv", "--no-new-privs", f"--inh-caps={CAPABILITIES}", f"--bounding-set={CAPABILITIES}",
        *program,
    ]  # fmt: skip


@dataclass(kw_only=True)
class Extraction:
    """An unpacking under way: write the file's bytes, then `finish`."""

    target: Path
    cage: Path
    errors: Path  # where the programs' last words go
    program: Sequence[str] = TAR  # reads the uncompressed archive
    head: bytes = b""
    compression: str = ""
    pipe: int = -1
    decompressor: Process | None = None
    tar: Process | None = None

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Write all of a file, and finish. Raises Corrupt."""
        for chunk in chunks:
            if not self.write(chunk):
                break
        self.finish()

    def write(self, data: bytes) -> bool:
        """False: the programs have stopped reading, `finish` says why."""
        if self.pipe < 0:
            self.head += data
            if len(self.head) < HEAD:
                return True
            data = self._start()
        try:
            pipe.write_all(self.pipe, data)
        except BrokenPipeError:
            return False
        return True

    def _start(self) -> bytes:
        """Start the programs; returns what is to be written first."""
        self.compression = parse_compression(self.head)
        argv = decompressor_argv(self.compression)
        with ExitStack() as ends, self.errors.open("wb") as errors:
            source, self.pipe = pipe.opened()
            ends.callback(os.close, source)
            if argv:
                middle, sink = pipe.opened()
                ends.callback(os.close, middle)
                ends.callback(os.close, sink)
                self.decompressor = spawn(*argv, stdin=source, stdout=sink, stderr=errors.fileno())
                source = middle
            argv = cage_argv(self.cage, self.target, self.program)
            self.tar = spawn(*argv, stdin=source, stderr=errors.fileno())
        return self.head

    def finish(self) -> None:
        """Wait until all is unpacked. Raises Corrupt if it cannot be."""
        if self.pipe < 0:
            self.write_rest()
        self._close()
        programs = {"the decompressor": self.decompressor, "tar": self.tar}
        statuses = [wait(each, name, None) for name, each in programs.items() if each]
        if any(statuses):
            words = self.errors.read_text(errors="replace").strip().splitlines()
            useful = [line for line in words if "not recoverable" not in line] or ["no message"]
            raise Corrupt(f"the image cannot be unpacked: {useful[0]}")

    def write_rest(self) -> None:
        """A file shorter than a tar header can still be an archive, once decompressed."""
        data = self._start()
        with suppress(BrokenPipeError):
            pipe.write_all(self.pipe, data)

    def _close(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def abandon(self) -> None:
        """End the programs, if they still run."""
        self._close()
        for each in (self.decompressor, self.tar):
            if each and each.returncode is None:
                each.kill()
                each.wait()


def scratch_directory(scratch: Path) -> "tempfile.TemporaryDirectory[str]":
    """For small files; what of it cannot be removed waits for hulld's next start."""
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch, ignore_cleanup_errors=True)


@contextmanager
def extraction(target: Path, scratch: Path, program: Sequence[str] = TAR) -> Iterator[Extraction]:
    """Unpack below `target`, an existing directory. `scratch` is a directory for small files.

    `program` does it: tar, or what lays a layer (layer.layer_argv) over what is there.
    """
    with scratch_directory(scratch) as work:
        cage = Path(work) / "cage"
        cage.mkdir()
        errors = Path(work) / "errors"
        under_way = Extraction(target=target, cage=cage, errors=errors, program=program)
        try:
            yield under_way
        finally:
            under_way.abandon()
