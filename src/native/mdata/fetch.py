# SPDX-License-Identifier: MPL-2.0
"""svc:/smartdc/mdata:fetch: what the metadata of this zone asks for, written where it belongs.

Root's ssh keys stay as they are when the metadata has none; the other files are there only if the
metadata has them now.
"""

import os
import sys
import time
from contextlib import suppress

from mdata.client import Failed, ask

PAUSE = 1.0  # seconds; how long in all is the service's timeout
# key, file, mode, whether the file goes with the key
FILES = (
    (b"root_authorized_keys", "/root/.ssh/authorized_keys", 0o600, False),
    (b"sdc:operator-script", "/var/svc/mdata-operator-script", 0o700, True),
    (b"user-script", "/var/svc/mdata-user-script", 0o700, True),
    (b"user-data", "/var/db/mdata-user-data", 0o600, True),
)


def main() -> int:
    """Fetch all of them; waits for a metadata service that is not there yet."""
    for key, path, mode, goes in FILES:
        value = _wait_for(key)
        if value:
            _write(path, value, mode)
        elif goes:
            _remove(path)
    return 0


def _wait_for(key: bytes) -> "bytes | None":
    said = ""
    while True:
        try:
            return ask("GET", key)
        except Failed as exc:
            if str(exc) != said:
                said = str(exc)
                sys.stderr.write(f"{key.decode()}: {said}; asking again\n")
                sys.stderr.flush()
        time.sleep(PAUSE)


def _write(path: str, value: bytes, mode: int) -> None:
    """Whole or not at all, never with another mode."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, 0o700 if mode == 0o600 else 0o755)
    new = f"{path}.new"
    _remove(new)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(value if value.endswith(b"\n") else value + b"\n")
    os.replace(new, path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
