# SPDX-License-Identifier: MPL-2.0
"""archive_on_delete: what is kept of a deleted VM, where there is a directory /zones/archive."""

import logging
import shutil

from hull.errors import HostError
from hull.host.host import Host
from hull.linux import files
from hull.zone.index import Zone, zone_to_json

log = logging.getLogger("hull.archive")


def archive(zone: Zone, host: Host) -> None:
    """Keep the zone's record and logs in archive/UUID. A failure is logged and stops nobody."""
    top = host.paths.zones / "archive"
    if not zone.vm.archive_on_delete or not top.is_dir():
        return
    new, final = top / f".{zone.uuid}.new", top / zone.uuid
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        files.write_json(new / f"{zone.uuid}.json", zone_to_json(zone))
        logs = host.paths.zones / zone.uuid / "logs"
        if logs.is_dir():
            shutil.copytree(logs, new / "logs", symlinks=True)
        shutil.rmtree(final, ignore_errors=True)
        new.rename(final)
        files.sync_directory(top)
    except (OSError, HostError) as exc:
        log.warning("VM %s is deleted without an archive: %s", zone.uuid, exc)
