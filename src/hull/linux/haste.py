# SPDX-License-Identifier: MPL-2.0
"""Processes that move into a v2 cgroup without a wait.

The first move after a while takes a lock that the kernel gives only when all CPUs have passed a
certain point: 5 to 14 ms later, in which no cgroup can be made or removed either. Moves within 10
ms of another get it at once. So who will start something in a zone says so when he begins, and for
a moment from then on a thread moves hulld to the cgroup where it is, again and again.
"""

import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from hull.errors import HostError
from hull.linux import cgroup

MOMENT = 0.15  # seconds: a zone is made in less
PAUSE = 0.005

_guard = threading.Lock()
_until = 0.0


def hasten() -> None:
    """Have moves into v2 cgroups not wait for the next moment, but for its very beginning."""
    global _until  # one thread does it for everybody
    with _guard:
        begun = _until != 0
        _until = time.monotonic() + MOMENT
    if not begun and (place := _place()):
        threading.Thread(target=_move, args=(place,), name="hasten", daemon=True).start()


@cache
def _place() -> Path | None:
    """The file that moves this process to the v2 cgroup that it is in."""
    with suppress(HostError, OSError):
        place = cgroup.own_v2()
        return place / "cgroup.procs" if place else None
    return None


def _move(place: Path) -> None:
    global _until  # see above
    while True:
        with suppress(OSError):
            place.write_text("0")
        time.sleep(PAUSE)
        with _guard:
            if time.monotonic() >= _until:
                _until = 0.0
                return
