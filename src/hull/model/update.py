# SPDX-License-Identifier: MPL-2.0
"""The update forms of model/forms.py, applied to a VM (facts/vmadm.md §7)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hull.errors import Problem
from hull.model.address import canonical_mac
from hull.model.canonical import memory_at_update
from hull.model.decode import Context, Values
from hull.model.filesystems import update_filesystems
from hull.model.forms import Update
from hull.model.nic import Nic
from hull.model.nics import (
    Placed,
    check_nics,
    finish_nics,
    is_spoiled,
    merge_nic,
    merge_nics,
)
from hull.model.prop import rows
from hull.model.routes import check_route_nics, check_routes
from hull.model.vm import VM
from hull.model.vrrp import check_vrrp


def apply_update(values: Values, vm: VM, ctx: Context) -> VM:
    """The VM with decoded values and forms applied; problems go to the context."""
    forms = {name: value for name, value in values.items() if name in rows(Update)}
    changes = {name: value for name, value in values.items() if name not in forms}
    changes = memory_at_update(changes, vm)
    for name in ("tags", "customer_metadata", "internal_metadata", "routes"):
        changes[name] = _merge_keys(name, getattr(vm, name), forms)
    changes["nics"] = _update_nics(vm, forms, ctx)
    changes["filesystems"] = update_filesystems(vm.filesystems, forms, ctx)
    bad_routes = list(check_routes("set_routes", forms.get("set_routes", {})))
    ctx.problems.extend(bad_routes or check_route_nics(changes["routes"], changes["nics"]))
    return replace(vm, **changes)


def _merge_keys(name: str, old: dict[str, Any], forms: Values) -> dict[str, Any]:
    removed = forms.get(f"remove_{name}", ())
    kept = {key: value for key, value in old.items() if key not in removed}
    set_: dict[str, Any] = forms.get(f"set_{name}", {})
    return kept | set_


def _update_nics(vm: VM, forms: Values, ctx: Context) -> tuple[Nic, ...]:
    problems = ctx.problems
    removed = [canonical_mac(mac) for mac in forms.get("remove_nics", ())]
    nics = {nic.mac: Placed(f"nics[{index}]", nic) for index, nic in enumerate(vm.nics)}
    gone = [nics.pop(mac).nic for mac in dict.fromkeys(removed) if mac in nics]
    known = {nic.mac for nic in vm.nics}
    ctx.warnings.extend(_unknown("remove_nics", mac, known) for mac in removed if mac not in known)
    _change_nics(nics, forms.get("update_nics", ()), problems)
    added = merge_nics("add_nics", forms.get("add_nics", ()), problems)
    placed = _move_primary([*nics.values(), *added], forms)
    problems.extend(check_nics(placed))
    problems.extend(check_vrrp(placed))
    lost_primary = any(nic.primary for nic in gone)
    return finish_nics([nic for _, nic in placed], vm.brand, lost_primary=lost_primary)


def _change_nics(
    nics: dict[str, Placed], elements: Sequence[Values], problems: list[Problem]
) -> None:
    """Apply update_nics in place; a nic that it changes has the element's path from then on."""
    for index, values in enumerate(elements):
        path = f"update_nics[{index}]"
        if is_spoiled(path, problems):
            continue
        mac = canonical_mac(values["mac"])
        if mac not in nics:
            problems.append(_unknown(f"{path}.mac", mac, nics))
            continue
        if values.get("primary") is False:
            message = "invalid value for NIC's primary flag: false (must be true)"
            hint = "set primary to true on the nic that is to have it"
            problems.append(Problem(f"{path}.primary", message, hint))
            continue
        nics[mac] = merge_nic(values, nics[mac].nic, path, problems)


def _unknown(path: str, mac: str, known: Any) -> Problem:
    hint = f"it has: {', '.join(known) or 'none'}"
    return Problem(path, f"There is no NIC with the MAC address {mac}", hint)


def _move_primary(placed: list[Placed], forms: Values) -> list[Placed]:
    """A nic that the payload makes primary takes that from the one that was."""
    flagged = {
        f"{form}[{index}]"
        for form in ("update_nics", "add_nics")
        for index, element in enumerate(forms.get(form, ()))
        if element.get("primary")
    }
    if not flagged:
        return placed
    return [
        each if each.path in flagged else Placed(each.path, replace(each.nic, primary=False))
        for each in placed
    ]
