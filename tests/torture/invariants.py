# SPDX-License-Identifier: MPL-2.0
"""What holds of a host at rest, whatever has happened to it: each thing has an owner."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from hull.host.host import Host
from hull.linux import cgroup, nft
from hull.net.datalink import Link
from hull.zone.index import CONFIGURED, INSTALLED

SYSTEM = frozenset(("config", "var", "opt", "usbkey"))  # datasets that are no zones
SNAPSHOTS = ("vmsnap-", "indestructible", "final")


def strays(host: Host) -> list[str]:
    """Everything that nobody owns, or that is not as its owner says; in words."""
    return [
        *_records(host),
        *_datasets(host),
        *_leases(host),
        *_up(host),
        *_links(host),
        *_cgroups(host),
        *_processes(host),
        *_mounts(host),
        *_files(host),
    ]


def _records(host: Host) -> Iterator[str]:
    for zone in host.index.all():
        if zone.zone_state not in (CONFIGURED, INSTALLED) and not zone.kept:
            yield f"zone {zone.uuid} is {zone.zone_state}"
    yield from (f"record {name}: {why}" for name, why in host.index.corrupt.items())


def _datasets(host: Host) -> Iterator[str]:
    zones = {zone.uuid: zone for zone in host.index.all()}
    images = {path.stem.partition("-")[2] for path in (host.paths.imgadm / "images").glob("*")}
    found = {dataset.name.partition("/")[2] for dataset in host.pool.datasets(usage=False)} - {""}
    tops = {name for name in found if "/" not in name}
    yield from (f"dataset {name}" for name in tops - zones.keys() - images - SYSTEM)
    yield from (f"no dataset {name}" for name in (images | SYSTEM) - found)
    for uuid, zone in zones.items():
        if zone.zone_state == INSTALLED and uuid not in found:
            yield f"zone {uuid} has no dataset"
        elif zone.vm.delegate_dataset and uuid in found and f"{uuid}/data" not in found:
            yield f"zone {uuid} has no delegated dataset"
    for snapshot in host.pool.snapshots():
        if not snapshot.short_name.startswith(SNAPSHOTS):
            yield f"snapshot {snapshot.name}"
    # An empty directory there is rubbish that the next start takes away.
    staging = (host.paths.zones / ".staging").glob("*/*")
    yield from (f"staging {path.name}" for path in staging)


def _leases(host: Host) -> Iterator[str]:
    wanted = {
        (zone.uuid, nic.mac)
        for zone in host.index.all()
        for nic in zone.vm.nics
        if "dhcp" in nic.ips
    }
    path = host.paths.var / "leases-admin.json"
    listed = json.loads(path.read_text())["leases"] if path.exists() else []
    held = {(lease["uuid"], lease["mac"]) for lease in listed}
    yield from (f"lease {lease}" for lease in held - wanted)
    yield from (f"no lease for {lease}" for lease in wanted - held)


def _up(host: Host) -> Iterator[str]:
    """Zones that are up run, and are known to be up."""
    up = {entry.uuid: entry for entry in host.boots.all()}
    zones = {zone.uuid for zone in host.index.all()}
    yield from (f"{uuid} is up and has no record" for uuid in up.keys() - zones)
    yield from (f"{uuid} has a runtime record" for uuid in set(host.runtime.zones()) - up.keys())
    for uuid, entry in up.items():
        if host.runtime.pid(uuid) != entry.pid or not entry.pid:
            yield f"{uuid} is {entry.state} and does not run"
        if not entry.held and entry.state != "running":
            yield f"{uuid} is {entry.state}"


def _links(host: Host) -> Iterator[str]:
    owned = {link for entry in host.boots.all() for link in entry.links}
    found: list[Link] = host.datalinks.links()
    yield from (f"link {link.name}" for link in found if link.name not in owned)
    yield from (f"no link {name}" for name in owned - {link.name for link in found})
    records = {path.name for path in (host.paths.run / "net/vnics").glob("*")}
    yield from (f"link record {name}" for name in records - owned)
    yield from _rules(host, owned)


def _rules(host: Host, owned: set[str]) -> Iterator[str]:
    """Elements of nftables' sets are of links that there are."""
    listed = nft.apply(f"list table bridge hull-{host.paths.host_id}")
    words = {word.strip('",') for word in listed.split() if word.startswith('"h')}
    prefix = f"h{host.paths.host_id}z"
    named = {word for word in words if word.startswith(prefix) and not word.endswith("*")}
    yield from (f"rules for {name}" for name in named - owned)
    yield from (f"no rules for {name}" for name in owned - named)


def _cgroups(host: Host) -> Iterator[str]:
    up = {entry.uuid for entry in host.boots.all()}
    layout = cgroup.host_layout()
    for top in {*layout.v1.values(), *([layout.unified] if layout.unified else [])}:
        ours = top / f"hull-{host.paths.host_id}"
        found = [path for path in ours.iterdir() if path.is_dir()] if ours.exists() else []
        yield from (f"cgroup {path}" for path in found if path.name not in up)


def _processes(host: Host) -> Iterator[str]:
    """conmon, crun and what they started: those of zones that are up, once each.

    SMF and its services are the host's, whether hulld is one of them or not.
    """
    up = {entry.uuid: entry.pid for entry in host.boots.all()}
    keepers: list[str] = []
    root = str(host.paths.root).encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        # An init is crun by name until it has become what it is to be.
        if int(path.name) in (os.getpid(), *up.values()) or not any(root in word for word in words):
            continue
        name = Path(os.fsdecode(words[0])).name
        if name == "conmon":
            keepers.append(os.fsdecode(words[words.index(b"--cid") + 1]))
        elif name != "dnsmasq" and not any(word.endswith(b"/svc.init") for word in words):
            yield f"process {path.name}: {b' '.join(words).decode(errors='replace')[:150]}"
    yield from (f"conmon of {uuid}" for uuid in keepers if uuid not in up)
    yield from (
        f"{keepers.count(uuid)} conmons of {uuid}" for uuid in up if keepers.count(uuid) != 1
    )


def _mounts(host: Host) -> Iterator[str]:
    expected = {host.paths.run_mount, host.paths.zones, host.paths.etc_zones}
    expected |= {host.paths.var, host.paths.opt, host.paths.usbkey}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = Path(line.split()[1])
        if place.is_relative_to(host.paths.root) and place not in expected:
            yield f"mount {place}"


def _files(host: Host) -> Iterator[str]:
    """Nothing half written, in no directory of ours."""
    up = {entry.uuid for entry in host.boots.all()}
    for top in (host.paths.etc_zones, host.paths.var, host.paths.run, host.paths.usbkey):
        for path in top.rglob("*"):
            if path.name.endswith((".tmp", ".new")) or "import-" in path.name:
                yield f"file {path}"
    yield from (
        f"image being prepared: {path}" for path in (host.paths.imgadm / "preparing").glob("*")
    )
    for name in ("zones", "metadata"):
        directory = host.paths.run / name
        known = {path.name for path in directory.iterdir()} if directory.exists() else set()
        yield from (f"{directory / each}" for each in known - up)
