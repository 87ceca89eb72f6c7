# SPDX-License-Identifier: MPL-2.0
"""The whole property table: every row once, under its full name (`nics.*.ip`)."""

from collections.abc import Mapping
from functools import cache

from hull.model.forms import Update
from hull.model.prop import Prop, rows
from hull.model.status import Status
from hull.model.vm import VM


def payload_rows() -> Mapping[str, Prop]:
    """The rows of a payload's top level; those that a payload may not carry are refused by name."""
    return rows(VM, Update, Status)


@cache
def table() -> Mapping[str, Prop]:
    """Every property by its full name."""
    full: dict[str, Prop] = dict(payload_rows())
    for name, row in rows(VM).items():
        if row.item is not None:
            full |= {f"{name}.*.{member}": each for member, each in rows(row.item).items()}
    return full
