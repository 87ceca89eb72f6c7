# SPDX-License-Identifier: MPL-2.0
"""Makes the repository that new zones begin with, so that a first boot imports nothing.

To be run where the platform is, with the Python and the paths that the zone will have.
"""

import os
import shutil
import sqlite3
import sys
import tempfile

from smf.direct import Direct
from smf.errors import SmfError
from smf.manifest_import import boot
from smf.places import Places


def make(places: Places) -> None:
    """Make the seed for hosts, or zones, of the kind of this one. SmfError, OSError."""
    with tempfile.TemporaryDirectory(prefix="svc.seed-") as directory:
        made = f"{directory}/repository.db"
        client = Direct(made, places)
        try:
            boot(client, places)
        finally:
            client.close()
        _pack(made)
        os.makedirs(os.path.dirname(places.seed), exist_ok=True)
        new = places.seed + ".new"
        shutil.copyfile(made, new)
        os.chmod(new, 0o644)  # a zone's root is not the host's
        os.rename(new, places.seed)


def _pack(path: str) -> None:
    """One small file. That it has a log beside it is kept in it: to change that takes its time."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("vacuum")
    connection.close()  # the last one takes the log away


if __name__ == "__main__":
    try:
        make(Places())
    except (SmfError, OSError, sqlite3.Error) as exc:
        sys.exit(f"manifest_seed: {exc}")
