# SPDX-License-Identifier: MPL-2.0
"""Files on the host itself, written so that a crash leaves the old one or the new one, whole."""

import errno
import json
import logging
import os
from pathlib import Path

from hull.errors import Corrupt, HostError
from hull.wire import Json

log = logging.getLogger("hull.files")


def write_file(path: Path, data: str | bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Replace `path` as a whole. `durable` waits until a power loss cannot undo it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    raw = data.encode() if isinstance(data, str) else data
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(raw)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "delete VMs, snapshots or images that are not needed" if full else ""
        raise HostError(f"cannot write {path}: {exc.strerror}", hint=hint) from exc
    if durable:
        try:
            sync_directory(path.parent)
        except OSError as exc:  # it is written all the same: to fail now would be a lie
            log.error("%s may not survive a power loss: %s", path, exc.strerror)


def remove_temporaries(*directories: Path) -> None:
    """Remove what a `write_file` that did not live to its end has left in these directories."""
    for directory in directories:
        for path in directory.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_json(path: Path, value: Json, *, durable: bool = True) -> None:
    """What is kept is laid out for people, too."""
    write_file(path, json.dumps(value, indent=2 if durable else None) + "\n", durable=durable)


def read_json(path: Path) -> Json:
    """Raises FileNotFoundError, or Corrupt if the file is not JSON."""
    text = path.read_text()
    try:
        value: Json = json.loads(text)
    except ValueError as exc:
        raise Corrupt(f"{path} is not JSON: {exc}", hint="restore it from a backup") from exc
    return value
