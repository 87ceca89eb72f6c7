# SPDX-License-Identifier: MPL-2.0
"""cloud-init's NoCloud: a seed directory in the zone, for lx images that carry cloud-init.

It is written when internal_metadata.cloudinit_datasource is `nocloud`, or the image's tag says so,
and again before a boot for which it would differ. The files' words are cloud-init's; JSON is YAML.
"""

import json
import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from hull.errors import NotFound, Refused
from hull.host.host import Host
from hull.image import store
from hull.linux import inroot
from hull.model.vm import VM
from hull.net.datalink import Vnic
from hull.vm import network
from hull.wire import Json, JsonObject

log = logging.getLogger("hull.cloudinit")

SEED = "/var/lib/cloud/seed/nocloud"
DATASOURCE = "cloudinit_datasource"
TAG = "org.smartos:cloudinit_datasource"
HASH, PATH = "cloudinit_nocloud_hash", "cloudinit_nocloud_path"
NO_USER_DATA = "#cloud-config\n{}\n"


def write_seed(vm: VM, host: Host, root: Path) -> None:
    """Write the zone's seed, unless it wants none or has this one."""
    if vm.brand != "lx" or vm.docker or datasource(vm, host) != "nocloud":
        return
    files = seed(vm, network.vnics(vm, 0, host), host)
    digest = sha256(json.dumps(files).encode()).hexdigest()
    if vm.internal_metadata.get(HASH) == digest and inroot.exists(root, f"{SEED}/meta-data"):
        return
    try:
        put(files, root)
    except Refused as exc:  # the zone has something else there: its own affair, and it boots
        log.warning("VM %s gets no cloud-init seed: %s", vm.uuid, exc.message)
        return
    known = {DATASOURCE: "nocloud", HASH: digest, PATH: SEED}
    host.index.edit(
        vm.uuid, lambda now: replace(now, internal_metadata={**now.internal_metadata, **known})
    )


def put(files: dict[str, str], root: Path) -> None:
    """Make these the seed's files."""
    inroot.make_dirs(root, SEED)
    for name in ("meta-data", "network-config", "user-data", "vendor-data"):
        if name in files:  # user data often hold secrets
            inroot.write_file(root, f"{SEED}/{name}", files[name].encode(), mode=0o600)
        else:
            inroot.remove(root, f"{SEED}/{name}")


def datasource(vm: VM, host: Host) -> str:
    """What the VM says, or else its image."""
    if DATASOURCE in vm.internal_metadata:
        return str(vm.internal_metadata[DATASOURCE])
    try:
        tags = store.get(host.paths, vm.image_uuid).manifest.data.get("tags")
    except NotFound:  # images can be removed under their clones' feet by force
        return ""
    return str(tags.get(TAG, "")) if isinstance(tags, dict) else ""


def seed(vm: VM, vnics: list[Vnic], host: Host) -> dict[str, str]:
    """The files by name."""
    given = {
        key.removeprefix("cloud-init:"): str(value)
        for key, value in vm.customer_metadata.items()
        if key.startswith("cloud-init:")
    }
    files = {
        "meta-data": meta_data(vm),
        "network-config": given.get("network-config")
        or json.dumps(network_config(vnics, network.resolvers(vm, host), vm.dns_domain), indent=2),
        "user-data": given.get("user-data") or NO_USER_DATA,
    }
    if given.get("vendor-data"):
        files["vendor-data"] = given["vendor-data"]
    return files


def meta_data(vm: VM) -> str:
    name = vm.hostname or vm.alias or vm.uuid
    return f"instance-id: {vm.uuid}\nlocal-hostname: {json.dumps(name)}\n"


def network_config(vnics: list[Vnic], resolvers: list[str], domain: str) -> JsonObject:
    """The body of a version 2 configuration: what the host has set up from outside already.

    A leased address is there as a fixed one: it is the VM's for life, and no client need run.
    """
    ethernets: JsonObject = {}
    for vnic in vnics:
        nic: JsonObject = {
            "match": {"macaddress": vnic.mac},
            "set-name": vnic.interface,
            "addresses": [str(address) for address in vnic.addresses],
            "dhcp4": False,
            "dhcp6": False,
            "accept-ra": vnic.autoconf,
        }
        routes: list[Json] = [{"to": "default", "via": gateway} for gateway in vnic.gateways]
        for route in vnic.routes:
            to: JsonObject = {"to": route.destination}
            routes.append(to | ({"via": route.gateway} if route.gateway else {"scope": "link"}))
        if routes:
            nic["routes"] = routes
        if resolvers:
            nic["nameservers"] = {"addresses": list[Json](resolvers), "search": [domain]}
        ethernets[vnic.interface] = nic
    return {"version": 2, "ethernets": ethernets}
