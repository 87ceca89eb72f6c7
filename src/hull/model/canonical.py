# SPDX-License-Identifier: MPL-2.0
"""Decoded values -> canonical form: one spelling of each thing, and the defaults and limits that
follow from other properties (facts/vmadm.md §6.3)."""

from collections.abc import Mapping

from hull.errors import Problem
from hull.model.decode import Values
from hull.model.prop import OS, Prop, rows
from hull.model.vm import VM

MIN_SWAP = 256
MAX_CPU_SHARES = 65535
DEFAULT_RECSIZE = 131072
# Limits that SmartOS lets pass and no zone can boot under.
LEAST = {"max_physical_memory": (16, " MiB"), "max_lwps": (16, "")}


def fold(values: Values, letter: str, problems: list[Problem]) -> Values:
    """The values without deprecated other names, and without what means the default."""
    folded = dict(values)
    for name, row in rows(VM).items():
        if row.alias_of and name in folded:
            _fold_alias(folded, name, row, problems)
    if letter in OS and (ram := folded.pop("ram", None)) is not None:
        folded.setdefault("max_physical_memory", ram)
    if folded.get("zfs_root_recsize") == 0:
        folded["zfs_root_recsize"] = DEFAULT_RECSIZE
    if folded.get("cpu_cap") == 0:
        folded["cpu_cap"] = None
    if "cpu_shares" in folded:
        folded["cpu_shares"] = min(folded["cpu_shares"], MAX_CPU_SHARES)
    for name, (least, unit) in LEAST.items():
        if folded.get(name, least) < least:
            message = f"{folded[name]}{unit} is too little for a zone to boot"
            written = name if name in values else "ram"  # its other name
            problems.append(Problem(written, message, f"use {least}{unit} or more"))
    return folded


def _fold_alias(folded: Values, name: str, row: Prop, problems: list[Problem]) -> None:
    value = folded.pop(name)
    if folded.setdefault(row.alias_of, value) != value:
        problems.append(Problem(name, f"differs from {row.alias_of}", "give only the latter"))


def memory_at_create(values: Values) -> Values:
    """The values with the limits that follow from max_physical_memory."""
    physical = values.get("max_physical_memory", rows(VM)["max_physical_memory"].initial)
    return values | _clamp(
        {
            name: values.get(name, physical)
            for name in ("max_locked_memory", "max_swap", "max_shm_memory", "tmpfs")
        },
        physical,
    )


def memory_at_update(values: Values, vm: VM) -> Values:
    """The values with limits that follow max_physical_memory as it moves.

    max_locked_memory, max_swap and max_shm_memory keep their distance to it, tmpfs its ratio.
    """
    old = vm.max_physical_memory
    physical = values.get("max_physical_memory", old)
    moved = {
        "max_locked_memory": vm.max_locked_memory + physical - old,
        "max_swap": vm.max_swap + physical - old,
        "max_shm_memory": max(vm.max_shm_memory + physical - old, 0),
        "tmpfs": vm.tmpfs * physical // old,
    }
    return values | _clamp({name: values.get(name, moved[name]) for name in moved}, physical)


def _clamp(limits: Mapping[str, int], physical: int) -> dict[str, int]:
    return {
        **limits,
        "max_locked_memory": max(min(limits["max_locked_memory"], physical), 0),
        "max_swap": max(limits["max_swap"], physical, MIN_SWAP),
    }
