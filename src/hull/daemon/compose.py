# SPDX-License-Identifier: MPL-2.0
"""The composition root: which driver serves which port. Nothing else knows the drivers."""

from pathlib import Path

from hull.host import config
from hull.host.host import Attendant, Host, Nobody
from hull.linux import files
from hull.net import dhcp
from hull.net.address import Leases
from hull.net.datalink import Datalinks, NicTag
from hull.net.kernel import KernelDatalinks
from hull.paths import Paths
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import BtrfsHealth
from hull.vm.start import IDS_PER_ZONE
from hull.zone.boots import MAX_ZONEID, Boots
from hull.zone.crun import Crun
from hull.zone.index import Index
from hull.zone.runtime import Runtime

POOL = "zones"
PLATFORM = "hosted"  # the live platform says its build stamp here
CHECKOUT = Path(__file__).resolve().parents[3]


def make_host(paths: Paths, attendant: Attendant | None = None) -> Host:
    """The host whose pool and run directory are mounted (daemon.lifecycle does that)."""
    settings = config.read(paths)
    admin = config.admin_tag(settings, paths.host_id)
    assert admin.address is not None
    served = dhcp.directory(paths.run, admin.name)
    leases = Leases(paths.var / "leases-admin.json", admin.address, served)
    pool = BtrfsPool(POOL, paths.zones)
    pool.recover()
    return Host(
        paths=paths,
        server_uuid=settings["server_uuid"],
        platform=PLATFORM,
        datacenter=settings.get("datacenter_name", ""),
        id_base=id_base(paths),
        native=CHECKOUT / "src/native",
        pool=pool,
        health=BtrfsHealth(POOL, paths.zones),
        runtime=make_runtime(paths),
        datalinks=make_datalinks(paths, admin),
        leases={"admin": leases},
        index=Index(paths.etc_zones),
        boots=Boots(paths.boots),
        attendant=attendant or Nobody(),
    )


def make_runtime(paths: Paths) -> Runtime:
    """For itself, it needs no pool."""
    return Crun(paths.run, host_id=paths.host_id)


def make_datalinks(paths: Paths, *networks: NicTag) -> Datalinks:
    """For itself, it needs no pool; without its networks it can still take them down."""
    return KernelDatalinks(paths.run, host_id=paths.host_id, networks=networks)


def id_base(paths: Paths) -> int:
    """The first id of this host's window; `hull up` claimed it (lifecycle.claim_window)."""
    record = files.read_json(paths.run / "window.json")
    assert isinstance(record, int)
    return (record + 1) * (MAX_ZONEID + 1) * IDS_PER_ZONE
