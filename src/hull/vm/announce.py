# SPDX-License-Identifier: MPL-2.0
"""Telling the event stream what became of a VM; its readers get the difference."""

from collections.abc import Iterator
from contextlib import contextmanager

from hull.host.host import Host


@contextmanager
def operation(uuid: str, host: Host) -> Iterator[None]:
    """Hold the VM's lock for one operation, and announce what became of the VM, also on failure."""
    with host.lock_zone(uuid):
        try:
            yield
        finally:
            announce(uuid, host)


def announce(uuid: str, host: Host) -> None:
    """Called whenever a state was reached that somebody may wait for."""
    host.attendant.changed(uuid)
