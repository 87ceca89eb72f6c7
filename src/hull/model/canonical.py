# SPDX-License-Identifier: MPL-2.0
"""Decoded values -> canonical form: one spelling of each thing, and the defaults and limits that
follow from other properties (facts/vmadm.md §6.3)."""

from collections.abc import Mapping

from hull.errors import Problem
from hull.model.decode import Context, Values
from hull.model.prop import OS, Prop, rows
from hull.model.vm import VM

MIN_SWAP = 256
MAX_CPU_SHARES = 65535
NEEDS_DATASET = ("zfs_data_compression", "zfs_data_recsize", "indestructible_delegated")
DOCKER = "docker"  # prefix of the keys by which a docker VM is described
# Limits that SmartOS lets pass and no zone can boot under.
LEAST = {"max_physical_memory": (16, " MiB"), "max_lwps": (16, "")}


def fold(values: Values, ctx: Context, old: VM | None = None) -> Values:
    """The values without deprecated other names, and without what means the default.

    `old` is the VM that an update is of.
    """
    folded = dict(values)
    for name, row in rows(VM).items():
        if row.alias_of and name in folded:
            _fold_alias(folded, name, row, ctx.problems)
    _fold_numbers(folded)
    if ctx.brand in OS and (ram := folded.pop("ram", None)) is not None:
        folded.setdefault("max_physical_memory", ram)
    folded = _fold_datasets(folded, ctx, old)
    if folded.get("docker"):
        folded = _fold_docker(folded, old)
    for name, (least, unit) in LEAST.items():
        if folded.get(name, least) < least:
            message = f"{folded[name]}{unit} is too little for a zone to boot"
            written = name if name in values else "ram"  # its other name
            ctx.say(written, message, f"use {least}{unit} or more")
    return folded


def _fold_numbers(values: Values) -> None:
    """What 0 means, and the largest share."""
    for name in ("zfs_root_recsize", "zfs_data_recsize", "cpu_cap"):
        if values.get(name) == 0:
            values[name] = rows(VM)[name].initial
    if "cpu_shares" in values:
        values["cpu_shares"] = min(values["cpu_shares"], MAX_CPU_SHARES)


def _fold_alias(folded: Values, name: str, row: Prop, problems: list[Problem]) -> None:
    value = folded.pop(name)
    if folded.setdefault(row.alias_of, value) != value:
        problems.append(Problem(name, f"differs from {row.alias_of}", "give only the latter"))


def _fold_datasets(values: Values, ctx: Context, old: VM | None) -> Values:
    """Settings of a delegated dataset are nothing without one."""
    folded = dict(values)
    if folded.get("delegate_dataset", old is not None and old.delegate_dataset):
        return folded
    hint = "ignored" if old else 'add "delegate_dataset": true'
    for name in NEEDS_DATASET:
        if name in folded and folded.pop(name) != rows(VM)[name].initial:
            ctx.warn(name, "has no effect without a delegated dataset", hint)
    return folded


def _fold_docker(values: Values, old: VM | None) -> Values:
    """What docker: true implies: the zone may not change docker's keys, and init runs once."""
    namespaces = old.internal_metadata_namespaces if old else ()
    namespaces = values.get("internal_metadata_namespaces", namespaces)
    if DOCKER not in namespaces:
        namespaces = (*namespaces, DOCKER)
    return values | {"internal_metadata_namespaces": namespaces, "restart_init": False}


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

    max_locked_memory and max_swap keep their distance to it, tmpfs its ratio.
    """
    old = vm.max_physical_memory
    physical = values.get("max_physical_memory", old)
    # A swap of 256 MiB was raised to that: its distance says nothing.
    distance = 0 if vm.max_swap == MIN_SWAP and physical >= MIN_SWAP else vm.max_swap - old
    moved = {
        "max_locked_memory": vm.max_locked_memory + physical - old,
        "max_swap": physical + distance,
        "tmpfs": (2 * vm.tmpfs * physical + old) // (2 * old),
    }
    return values | _clamp({name: values.get(name, moved[name]) for name in moved}, physical)


def _clamp(limits: Mapping[str, int], physical: int) -> dict[str, int]:
    return {
        **limits,
        "max_locked_memory": max(min(limits["max_locked_memory"], physical), 0),
        "max_swap": max(limits["max_swap"], physical, MIN_SWAP),
        "tmpfs": min(limits["tmpfs"], physical),
    }
