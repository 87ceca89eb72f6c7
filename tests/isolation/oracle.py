# SPDX-License-Identifier: MPL-2.0
"""Files of the machine's that no zone must change, nor see what is in them."""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = (
    "hostname", "hosts", "resolv.conf", "passwd", "group", "provisioning", "provision_success",
    "meta-data", "user-data", "victim",
)  # fmt: skip


class Oracle:
    """A directory with what a zone would like to write to, or to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = secrets.token_hex(12)
        for name in FILES:
            (path / name).write_text(f"{self.token}:x:0:0:{self.token}:/{self.token}:/bin/sh\n")
        (path / "seed/nocloud").mkdir(parents=True)
        self.before = self.look()

    def look(self) -> dict[str, tuple[int, ...] | str]:
        """All that a change would change."""
        found: dict[str, tuple[int, ...] | str] = {}
        for directory, names, files in os.walk(self.path):
            for name in (*names, *files):
                path = Path(directory) / name
                status = path.lstat()
                facts = (status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns)
                found[str(path)] = facts
                if stat.S_ISREG(status.st_mode):
                    found[f"{path} says"] = path.read_text()
        return found

    def is_unharmed(self) -> bool:
        return self.look() == self.before


@contextmanager
def new_oracle() -> Iterator[Oracle]:
    """Where a path from anywhere in a zone leads to it, if it leads out at all."""
    path = Path("/var/tmp") / f"hull-oracle-{secrets.token_hex(4)}"
    path.mkdir()
    try:
        yield Oracle(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
