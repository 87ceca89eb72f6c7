# SPDX-License-Identifier: MPL-2.0
"""Payloads: what `vmadm create`, `update` and `validate` are given, decoded and checked as far as
that needs no host. Problems are collected; nothing is raised before all of them are known."""

from dataclasses import replace
from difflib import get_close_matches

from hull.errors import InvalidPayload, Problem
from hull.model.canonical import fold, memory_at_create
from hull.model.convert import describe
from hull.model.decode import Context, Values, build, context, decode_values
from hull.model.nics import check_nics, finish_nics, merge_nics
from hull.model.prop import BRANDS, SUPPORTED
from hull.model.table import payload_rows
from hull.model.update import apply_update
from hull.model.vm import VM
from hull.wire import Json


def decode_create(payload: Json) -> VM:
    """The VM that a payload of `vmadm create` asks for, with all defaults that it decides.

    uuid, create_timestamp and the nics' mac are left "" where the payload has none. Raises
    InvalidPayload with every problem.
    """
    ctx, values = _decode(payload, brand_of(payload), "create")
    values = memory_at_create(fold(values, ctx.brand, ctx.problems))
    _check_zonename(values, ctx)
    placed = merge_nics("nics", values.pop("nics", ()), ctx.problems)
    ctx.problems.extend(check_nics(placed))
    if ctx.problems:
        raise InvalidPayload(ctx.problems)
    vm = build(VM, values)
    return replace(vm, nics=finish_nics([nic for _, nic in placed], vm.brand))


def decode_update(payload: Json, vm: VM) -> VM:
    """The VM as it is to be after an update; new nics without a mac have "".

    Raises InvalidPayload with every problem.
    """
    ctx, values = _decode(payload, vm.brand, "update")
    updated = apply_update(fold(values, ctx.brand, ctx.problems), vm, ctx.problems)
    if ctx.problems:
        raise InvalidPayload(ctx.problems)
    return updated


def validate(action: str, brand: str, payload: Json) -> list[Problem]:
    """What is wrong with a payload; brand "" takes the payload's."""
    if action not in ("create", "update"):
        return [Problem("", f"unknown action {describe(action)}", "use create or update")]
    try:
        if action == "create":
            if brand and isinstance(payload, dict):
                payload = payload | {"brand": brand}
            decode_create(payload)
            return []
        ctx, values = _decode(payload, brand, action)
    except InvalidPayload as exc:
        return list(exc.problems)
    fold(values, ctx.brand, ctx.problems)
    added = merge_nics("add_nics", values.get("add_nics", ()), ctx.problems)
    ctx.problems.extend(check_nics(added))
    return ctx.problems


def brand_of(payload: Json) -> str:
    """The brand that a create payload names; joyent without one."""
    brand = payload.get("brand") if isinstance(payload, dict) else None
    if brand is None or brand == "":
        return "joyent"
    return brand if isinstance(brand, str) else describe(brand)


def _decode(payload: Json, brand: str, action: str) -> tuple[Context, Values]:
    if brand not in BRANDS:
        near = get_close_matches(brand, BRANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"use one of: {', '.join(BRANDS)}"
        raise InvalidPayload([Problem("brand", f"unknown brand {describe(brand)}", hint)])
    ctx = context(brand, action)
    if ctx.brand not in SUPPORTED:
        usable = [each for each, letter in BRANDS.items() if letter in SUPPORTED]
        ctx.say("brand", f"{brand} is not supported yet", f"use one of: {', '.join(usable)}")
    return ctx, decode_values(payload, payload_rows(), ctx)


def _check_zonename(values: Values, ctx: Context) -> None:
    zonename = values.get("zonename")
    if zonename and zonename != values.get("uuid"):
        ctx.say("zonename", "differs from uuid", "leave it out: zones are named by their uuid")
