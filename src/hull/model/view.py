# SPDX-License-Identifier: MPL-2.0
"""VM + live state -> view: the object that `vmadm get` prints."""

from typing import Any

from hull.model.address import interface_of
from hull.model.nic import Nic
from hull.model.prop import BRANDS, HVM, Prop, Shown, rows
from hull.model.record import to_json
from hull.model.status import Status
from hull.model.vm import VM
from hull.wire import Json, JsonObject

TYPES = {"L": "LX", "K": "KVM", "H": "BHYVE"}


def vm_to_view(vm: VM, status: JsonObject, only: frozenset[str] | None = None) -> JsonObject:
    """What `vmadm get` prints. `status`: values of the rows of model/status.py, and no others.

    What follows from the VM alone (zonename, zonepath, hvm, …) is filled in; `status` has the last
    word. With `only`, other properties need not be there: a table of many VMs shows few of them.
    """
    letter = BRANDS[vm.brand]
    view: JsonObject = {}
    table = rows(VM)
    for name in table if only is None else table.keys() & only:
        row = table[name]
        if row.belongs(letter) and _is_shown(getattr(vm, name), row):
            view[name] = _value_to_view(getattr(vm, name), row, letter)
    if only is None or "nics" in only:
        view["nics"] = [_element_to_view(nic, letter) | first_ipv4(nic) for nic in vm.nics]
    zfs_filesystem = f"{vm.zpool}/{vm.uuid}"
    if vm.delegate_dataset:
        view["datasets"] = [f"{zfs_filesystem}/data"]
    view |= {
        "zonename": vm.zonename or vm.uuid,
        "zfs_filesystem": zfs_filesystem,
        "zonepath": f"/{zfs_filesystem}",
        "hvm": letter in HVM,
        "snapshots": [],
    }
    live = rows(Status)
    view |= {name: value for name, value in status.items() if _is_shown(value, live[name])}
    if "zoneid" in view:
        view["zonedid"] = view["zoneid"]
    return view


def vm_to_listed(view: JsonObject) -> JsonObject:
    """A view with what only list and lookup have: `type`, and `ram` for zones."""
    letter = BRANDS[str(view["brand"])]
    listed = view | {"type": TYPES.get(letter, "OS")}
    if letter not in HVM and "max_physical_memory" in view:
        listed["ram"] = view["max_physical_memory"]
    return listed


def _is_shown(value: object, row: Prop) -> bool:
    match row.shown:
        case Shown.ALWAYS:
            return True
        case Shown.SET:
            return value is not None and value != row.initial
        case Shown.NEVER:
            return False


def _value_to_view(value: Any, row: Prop, letter: str) -> Json:
    if row.joined:
        return ",".join(value)
    if row.item is not None:
        return [_element_to_view(each, letter) for each in value]
    return to_json(value)


def _element_to_view(element: Any, letter: str) -> JsonObject:
    """A nic, disk, file system or device."""
    return {
        name: to_json(getattr(element, name))
        for name, row in rows(type(element)).items()
        if row.belongs(letter) and _is_shown(getattr(element, name), row)
    }


def first_ipv4(nic: Nic) -> dict[str, Json]:
    """The deprecated ip, netmask and gateway, as far as the nic has them."""
    spelling: dict[str, Json] = {}
    for text in nic.ips:
        interface = interface_of(text)
        if interface is None and text == "dhcp":
            spelling["ip"] = "dhcp"
            break
        if interface is not None and interface.version == 4:
            spelling |= {"ip": str(interface.ip), "netmask": str(interface.netmask)}
            break
    if gateway := next((each for each in nic.gateways if ":" not in each), None):
        spelling["gateway"] = gateway
    return spelling
