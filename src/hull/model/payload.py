# SPDX-License-Identifier: MPL-2.0
"""Payloads: what `vmadm create`, `update` and `validate` are given, decoded and checked as far as
that needs no host. Problems are collected; nothing is raised before all of them are known."""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

from hull.errors import InvalidPayload, Problem
from hull.model.canonical import fold, memory_at_create
from hull.model.convert import describe
from hull.model.decode import Context, Values, build, context, decode_values
from hull.model.filesystems import check_filesystems, new_filesystems
from hull.model.nics import check_nics, finish_nics, merge_nics
from hull.model.prop import BRANDS, SUPPORTED, rows
from hull.model.routes import check_route_nics, check_routes
from hull.model.table import payload_rows
from hull.model.update import apply_update
from hull.model.vm import VM
from hull.model.vrrp import check_vrrp
from hull.wire import Json, JsonObject

FORMS = ("disks", "nics", "filesystems", "pci_devices")


class Decoded(NamedTuple):
    """What came of a payload; `warnings` name what of it was dropped."""

    vm: VM
    warnings: list[Problem]


class Verdict(NamedTuple):
    """What `vmadm validate` finds: readable, and sorted as SmartOS does (facts/vmadm.md §6.1)."""

    problems: list[Problem]
    report: JsonObject

    @property
    def is_valid(self) -> bool:
        return not any(self.report.values())


def decode_create(payload: Json) -> Decoded:
    """The VM that a payload of `vmadm create` asks for, with all defaults that it decides.

    uuid, create_timestamp and the nics' mac are left "" where the payload has none. Properties that
    are unknown or not for the brand are dropped with a warning. Raises InvalidPayload with every
    problem, and then with what would have been dropped, too.
    """
    ctx = _context(brand_of(payload), "create")
    vm = _new_vm(_decode(payload, ctx), ctx)
    _raise_problems(ctx)
    return Decoded(vm, ctx.warnings)


def decode_update(payload: Json, vm: VM) -> Decoded:
    """The VM as it is to be after an update; new nics without a mac have "".

    Raises InvalidPayload as decode_create does.
    """
    ctx = _context(vm.brand, "update")
    values = fold(_decode(payload, ctx), ctx, vm)
    updated = apply_update(values, vm, ctx)
    _raise_problems(ctx)
    return Decoded(updated, ctx.warnings)


def validate(action: str, brand: str, payload: Json) -> Verdict:
    """What is wrong with a payload of `action` (create, update); brand "" takes the payload's."""
    brand = brand or brand_of(payload)
    try:
        ctx = _context(brand, action)
    except InvalidPayload as exc:
        return Verdict(list(exc.problems), {"bad_brand": brand})
    values = _decode(payload, ctx)
    if action == "create":
        _new_vm(values, ctx)
    else:
        _check_forms(values, ctx)
    bad = [each.path for each in ctx.problems if each.path not in ctx.missing]
    report: JsonObject = {
        "bad_values": _names(bad),
        "bad_properties": _names(ctx.unknown),
        "missing_properties": [path.replace("[", ".").replace("]", "") for path in ctx.missing],
    }
    return Verdict([*ctx.problems, *ctx.warnings], report)


def _check_forms(values: Values, ctx: Context) -> None:
    """What can be said about an update without knowing the VM: any that has all it may refer to."""
    values = fold(values, ctx, VM(delegate_dataset=True))
    added = merge_nics("add_nics", values.get("add_nics", ()), ctx.problems)
    ctx.problems.extend(check_nics(added))
    ctx.problems.extend(check_routes("set_routes", values.get("set_routes", {})))


def _names(paths: Sequence[str]) -> list[Json]:
    """Paths as SmartOS names properties: `add_nics[0].mtu` is `nics.*.mtu`, `tags.a` is `tags`."""
    elements = re.compile(r"(?:(?:add|update)_)?(\w+)\[\d+\]\.(\w+)")
    found = (elements.match(path) for path in paths)
    names = (
        f"{match[1]}.*.{match[2]}" if match else re.split(r"[.[]", path)[0]
        for match, path in zip(found, paths, strict=True)
    )
    return list(dict.fromkeys(names))


def brand_of(payload: Json) -> str:
    """The brand that a create payload names; joyent without one."""
    brand = payload.get("brand") if isinstance(payload, dict) else None
    if brand is None or brand == "":
        return "joyent"
    return brand if isinstance(brand, str) else describe(brand)


def _context(brand: str, action: str) -> Context:
    """Raises InvalidPayload for a brand that there is not."""
    if brand not in BRANDS:
        near = get_close_matches(brand, BRANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of: {', '.join(BRANDS)}"
        raise InvalidPayload([Problem("brand", f"unknown brand {describe(brand)}", hint)])
    return context(brand, action)


def _decode(payload: Json, ctx: Context) -> Values:
    """What the payload sets; problems, and what is dropped, go to the context."""
    for name in FORMS:
        if isinstance(payload, dict) and {name, f"add_{name}"} <= payload.keys():
            ctx.say(name, f'Cannot specify both "{name}" and "add_{name}"', "use the one that fits")
    if ctx.brand not in SUPPORTED:
        brand = next(each for each, letter in BRANDS.items() if letter == ctx.brand)
        usable = ", ".join(each for each, letter in BRANDS.items() if letter in SUPPORTED)
        ctx.say("brand", f"needs the {brand} brand, which Hull cannot run yet", f"it runs {usable}")
    return decode_values(payload, payload_rows(), ctx)


def _new_vm(values: Values, ctx: Context) -> VM:
    """The VM of a create payload's values; worth something only if there are no problems."""
    values = memory_at_create(fold(values, ctx))
    _check_zonename(values, ctx)
    placed = merge_nics("nics", values.pop("nics", ()), ctx.problems)
    filesystems = new_filesystems("filesystems", values.pop("filesystems", ()), ctx)
    vm = build(VM, {name: value for name, value in values.items() if name in rows(VM)})
    vm = replace(vm, nics=finish_nics([nic for _, nic in placed], vm.brand))
    bad_routes = list(check_routes("routes", vm.routes))
    ctx.problems.extend(check_nics(placed))
    ctx.problems.extend(check_vrrp(placed))
    ctx.problems.extend(check_filesystems("filesystems", filesystems))
    ctx.problems.extend(bad_routes or check_route_nics(vm.routes, vm.nics))
    return replace(vm, filesystems=tuple(filesystems))


def _raise_problems(ctx: Context) -> None:
    if ctx.problems:
        raise InvalidPayload([*ctx.problems, *ctx.warnings])


def _check_zonename(values: Values, ctx: Context) -> None:
    zonename = values.get("zonename")
    if zonename and zonename != values.get("uuid"):
        ctx.say("zonename", "differs from uuid", "leave it out: zones are named by their uuid")
