# SPDX-License-Identifier: MPL-2.0
"""A VM as zonecfg shows it, and what has changed there as a payload of vmadm. Pure.

What SmartOS keeps in a zone's configuration is there under the names that it has there; tags,
metadata and routes are not, as on SmartOS.
"""

import base64
import binascii
from collections.abc import Callable

from hull.cli.zonecfg_lang import Config, Resource, cents, to_bytes, units
from hull.errors import Refused
from hull.wire import Json, JsonObject

MIB = 1 << 20
# Global properties: vmadm's name.
VALUES = {"autoboot": "autoboot", "limitpriv": "limit_priv", "fs-allowed": "fs_allowed"}
RCTLS = {
    "cpu-shares": "cpu_shares",
    "max-lwps": "max_lwps",
    "max-msg-ids": "max_msg_ids",
    "max-sem-ids": "max_sem_ids",
    "max-shm-ids": "max_shm_ids",
    "max-shm-memory": "max_shm_memory",
    "zfs-io-priority": "zfs_io_priority",
}
# What a cleared property goes back to.
DEFAULTS: JsonObject = {
    "cpu_shares": 100,
    "max_lwps": 2000,
    "max_msg_ids": 4096,
    "max_sem_ids": 4096,
    "max_shm_ids": 4096,
    "zfs_io_priority": 100,
    "limit_priv": "default",
    "fs_allowed": "",
    "autoboot": False,
}
MEMORY = {"physical": "max_physical_memory", "swap": "max_swap", "locked": "max_locked_memory"}
# Attributes: vmadm's name, and what the text stands for.
ATTRS = {
    "alias": ("alias", "base64"),
    "archive-on-delete": ("archive_on_delete", "flag"),
    "billing-id": ("billing_id", "text"),
    "dataset-uuid": ("image_uuid", "text"),
    "create-timestamp": ("create_timestamp", "fixed"),
    "dns-domain": ("dns_domain", "text"),
    "do-not-inventory": ("do_not_inventory", "flag"),
    "docker": ("docker", "flag"),
    "firewall-enabled": ("firewall_enabled", "flag"),
    "hostname": ("hostname", "text"),
    "init-name": ("init_name", "text"),
    "kernel-version": ("kernel_version", "text"),
    "maintain-resolvers": ("maintain_resolvers", "flag"),
    "owner-uuid": ("owner_uuid", "text"),
    "package-name": ("package_name", "text"),
    "package-version": ("package_version", "text"),
    "quota": ("quota", "number"),
    "resolvers": ("resolvers", "list"),
    "tmpfs": ("tmpfs", "number"),
    "vm-version": ("v", "fixed"),
}
NET = {
    "global-nic": "nic_tag",
    "mac-addr": "mac",
    "physical": "interface",
    "vlan-id": "vlan_id",
    "allowed-address": "ips",
    "defrouter": "gateways",
}
NET_LISTS = ("ips", "gateways", "allowed_ips", "allowed_dhcp_cids", "blocked_outgoing_ports")
NET_NUMBERS = ("mtu", "vrrp_vrid", "vlan_id")
NET_FLAGS = (
    *("primary", "allow_dhcp_spoofing", "allow_ip_spoofing", "allow_mac_spoofing"),
    *("allow_restricted_traffic", "allow_unfiltered_promisc", "dhcp_server"),
)
FIXED = ("zonename", "zonepath", "brand", "ip-type", "uuid")
FOREIGN = ("bootargs", "pool", "scheduling-class", "hostid")


# -- from a VM -------------------------------------------------------------------------------------
def from_vm(vm: JsonObject) -> Config:
    """The configuration of a VM as `vmadm get` prints it."""
    config = Config()
    config.values = {
        "zonename": str(vm["zonename"]),
        "zonepath": str(vm["zonepath"]),
        "brand": str(vm["brand"]),
        "ip-type": "exclusive",
        "uuid": str(vm["uuid"]),
    }
    config.values |= {name: _text(vm[key]) for name, key in VALUES.items() if key in vm}
    config.values |= {name: _rctl_text(name, vm[key]) for name, key in RCTLS.items() if key in vm}
    config.resources = [
        *(_fs(fs) for fs in _objects(vm, "filesystems")),
        *(_net(nic) for nic in _objects(vm, "nics")),
        *_caps(vm),
        *_attrs(vm),
        *(Resource("dataset", {"name": str(name)}) for name in _list(vm, "datasets")),
    ]
    return config


def new_config(name: str, uuid: str) -> Config:
    """What `create` begins with."""
    config = Config()
    config.values = {
        "zonename": name,
        "zonepath": f"/zones/{uuid or name}",
        "brand": "joyent",
        "autoboot": "false",
        "ip-type": "exclusive",
        "uuid": uuid,
    }
    return config


def _objects(vm: JsonObject, name: str) -> list[JsonObject]:
    return [each for each in _list(vm, name) if isinstance(each, dict)]


def _list(vm: JsonObject, name: str) -> list[Json]:
    value = vm.get(name)
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(str(each) for each in value)
        case _:
            return str(value)


def _rctl_text(name: str, value: Json) -> str:
    return units(int(str(value)) * MIB) if name == "max-shm-memory" else str(value)


def _caps(vm: JsonObject) -> list[Resource]:
    memory = {name: units(int(str(vm[key])) * MIB) for name, key in MEMORY.items() if vm.get(key)}
    found = [Resource("capped-memory", memory)] if memory else []
    if vm.get("cpu_cap"):
        found.insert(0, Resource("capped-cpu", {"ncpus": cents(int(str(vm["cpu_cap"])))}))
    return found


def _attrs(vm: JsonObject) -> list[Resource]:
    found = []
    for name, (key, kind) in ATTRS.items():
        value = vm.get(key)
        if value in (None, "", False, []):
            continue
        text = _text(value)
        if kind == "base64":
            text = base64.b64encode(text.encode()).decode()
        found.append(Resource("attr", {"name": name, "type": "string", "value": text}))
    return found


def _fs(fs: JsonObject) -> Resource:
    values = {
        "dir": str(fs["target"]),
        "special": str(fs["source"]),
        "type": str(fs["type"]),
        "options": _text(fs.get("options", [])),
    }
    return Resource("fs", values | ({"raw": str(fs["raw"])} if fs.get("raw") else {}))


def _net(nic: JsonObject) -> Resource:
    values = {
        name: _text(nic[key])
        for name, key in NET.items()
        if key in nic and key not in ("ips", "gateways")
    }
    values["mac-addr"] = short_mac(values["mac-addr"])
    resource = Resource("net", values)
    shown = set(NET.values()) - {"ips", "gateways"}
    resource.properties = {k: _text(v) for k, v in sorted(nic.items()) if k not in shown}
    return resource


def short_mac(mac: str) -> str:
    """Without leading zeros, as zonecfg keeps it."""
    return ":".join(octet.lstrip("0") or "0" for octet in mac.split(":"))


def long_mac(mac: str) -> str:
    return ":".join(octet.zfill(2) for octet in mac.lower().split(":"))


# -- to a payload ----------------------------------------------------------------------------------
def create_payload(config: Config) -> JsonObject:
    """What `vmadm create` would be given for a new configuration."""
    payload: JsonObject = {"brand": config.values["brand"]}
    if config.values.get("uuid"):
        payload["uuid"] = config.values["uuid"]
    elif config.values["zonename"]:
        payload["alias"] = config.values["zonename"]
    empty = Config()
    empty.values = {name: config.values.get(name, "") for name in FIXED}
    payload |= _scalars(empty, config)
    payload["nics"] = [_nic(each, Resource("net")) for each in config.of("net")]
    if filesystems := config.of("fs"):
        payload["filesystems"] = [_filesystem(each) for each in filesystems]
    if config.of("dataset"):
        payload["delegate_dataset"] = True
    return {key: value for key, value in payload.items() if value != ""}


def update_payload(old: Config, new: Config) -> JsonObject:
    """What `vmadm update` is to be given to make one configuration the other."""
    payload = _scalars(old, new)
    if new.of("dataset") != old.of("dataset"):
        raise Refused("datasets are delegated when a zone is made, and not later")
    payload |= _changed(
        "nics", "net", lambda each: long_mac(each.values.get("mac-addr", "")), _nic, old, new
    )
    payload |= _changed(
        "filesystems", "fs", lambda each: each.values["dir"], lambda each, _: _filesystem(each),
        old, new,
    )  # fmt: skip
    return payload


def _scalars(old: Config, new: Config) -> JsonObject:
    for name in FIXED:
        if new.values.get(name) != old.values.get(name):
            raise Refused(f"{name} cannot be changed")
    for name in FOREIGN:
        if new.values.get(name):
            raise Refused(f"{name} means nothing to a zone of this host", hint="leave it out")
    payload: JsonObject = {}
    for name, key in (VALUES | RCTLS).items():
        value = new.values.get(name, "")
        if value != old.values.get(name, ""):
            payload[key] = _global(name, key, value)
    return payload | _cap_changes(old, new) | _attr_changes(old, new)


def _global(name: str, key: str, value: str) -> Json:
    if not value:
        return DEFAULTS.get(key, "")
    if name == "autoboot":
        return _flag(name, value)
    if name == "max-shm-memory":
        return to_bytes(value) // MIB
    return _number(name, value) if name in RCTLS else value


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false", "1", "0"):
        raise Refused(f"{name}: {value} is neither true nor false")
    return value in ("true", "1")


def _number(name: str, value: str) -> int:
    if not value.isdigit():
        raise Refused(f"{name}: {value} is no number")
    return int(value)


def _cap_changes(old: Config, new: Config) -> JsonObject:
    payload: JsonObject = {}
    before, after = (_single(config, "capped-memory") for config in (old, new))
    for name, key in MEMORY.items():
        if name in after and after[name] != before.get(name):
            payload[key] = to_bytes(after[name]) // MIB
        elif name in before and name not in after:
            raise Refused(f"capped-memory: {name} can be changed, but not taken away")
    before, after = (_single(config, "capped-cpu") for config in (old, new))
    if before != after:
        try:
            payload["cpu_cap"] = round(float(after.get("ncpus") or 0) * 100)
        except ValueError:
            raise Refused(f"capped-cpu: ncpus={after['ncpus']} is no number") from None
    return payload


def _single(config: Config, kind: str) -> dict[str, str]:
    return next((each.values for each in config.of(kind)), {})


def _attr_changes(old: Config, new: Config) -> JsonObject:
    before, after = (
        {each.values["name"]: each.values["value"] for each in config.of("attr")}
        for config in (old, new)
    )
    payload: JsonObject = {}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name):
            continue
        if name not in ATTRS:
            raise Refused(f'attr "{name}" means nothing to Hull', hint=f"known: {', '.join(ATTRS)}")
        key, kind = ATTRS[name]
        if kind == "fixed":
            if before:  # an exported zone that is made anew has its own
                raise Refused(f"attr {name} cannot be changed")
        else:
            payload[key] = _attr(name, kind, after.get(name, ""))
    return payload


def _attr(name: str, kind: str, value: str) -> Json:
    match kind:
        case "flag":
            return _flag(name, value or "false")
        case "number":
            return _number(name, value or "0")
        case "list":
            return [each for each in value.split(",") if each]
        case "base64":
            try:
                return base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise Refused(f"attr {name}: its value is not in base64") from None
        case _:
            return value


def _filesystem(resource: Resource) -> JsonObject:
    values = resource.values
    filesystem: JsonObject = {
        "target": values["dir"],
        "source": values["special"],
        "type": values["type"],
        "options": [each for each in values.get("options", "").split(",") if each],
    }
    return filesystem | ({"raw": values["raw"]} if values.get("raw") else {})


def _nic(new: Resource, old: Resource) -> JsonObject:
    """What is different about a net, as members of a nic."""
    nic: JsonObject = {}
    for name, key in NET.items():
        value = new.values.get(name)
        if value is not None and value != old.values.get(name):
            nic[key] = long_mac(value) if key == "mac" else _member(key, value)
    for key in sorted(new.properties.keys() | old.properties.keys()):
        value = new.properties.get(key, "")
        if value != old.properties.get(key, ""):
            nic[key] = _member(key, value)
    # Two spellings of one thing: the newer one says all, if it says anything.
    if "ips" in nic:
        nic = {key: value for key, value in nic.items() if key not in ("ip", "netmask")}
    if "gateways" in nic:
        nic.pop("gateway", None)
    return nic


def _member(key: str, value: str) -> Json:
    if key in NET_LISTS:
        return [each for each in value.split(",") if each]
    if key in NET_FLAGS:
        return _flag(key, value or "false")
    return _number(key, value or "0") if key in NET_NUMBERS else value


def _changed(
    what: str,
    kind: str,
    identity: Callable[[Resource], str],
    to_json: Callable[[Resource, Resource], JsonObject],
    old: Config,
    new: Config,
) -> JsonObject:
    """add_, update_ and remove_ of the resources of one kind."""
    before = {identity(each): each for each in old.of(kind)}
    after = {identity(each): each for each in new.of(kind) if identity(each) in before}
    key = "mac" if kind == "net" else "target"
    added = [to_json(each, Resource(kind)) for each in new.of(kind) if identity(each) not in before]
    updated: list[JsonObject] = [
        {key: name, **to_json(each, before[name])}
        for name, each in after.items()
        if each != before[name]
    ]
    removed: list[Json] = [name for name in before if name not in after]
    forms: JsonObject = {
        f"add_{what}": list[Json](added),
        f"update_{what}": list[Json](updated),
        f"remove_{what}": removed,
    }
    return {name: value for name, value in forms.items() if value}
