# SPDX-License-Identifier: MPL-2.0
"""The repository that a new zone begins with: a copy of the platform's seed.

See manifest_seed.py for how that is made. One that is missing or old costs time and nothing else:
what it does not have, or has otherwise, is imported at the boot.
"""

import os

from smf.errors import Unwritable
from smf.places import Places


def plant(places: Places) -> None:
    """Copy the seed to where the repository belongs, if there is no repository yet. Unwritable."""
    if os.path.exists(places.repository) or not os.path.exists(places.seed):
        return
    new = places.repository + ".new"
    try:
        with open(places.seed, "rb") as seed, open(new, "wb") as copy:
            copy.write(seed.read())  # some hundred KiB
            copy.flush()
            os.fsync(copy.fileno())
        os.rename(new, places.repository)
    except OSError as exc:
        raise Unwritable(f"{places.repository}: {exc.strerror}") from exc
