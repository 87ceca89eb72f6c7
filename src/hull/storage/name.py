# SPDX-License-Identifier: MPL-2.0
"""ZFS's names: `zones/UUID/data` and `zones/UUID@final`, checked so that none leaves its pool."""

import re

from hull.errors import InvalidPayload, Problem

# ZFS's characters without the blank; a first dot or dash would meet hidden files and options.
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")
# `vmadm create-snapshot` takes % as well; ZFS itself does in the names of snapshots.
_SNAPSHOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]{0,254}")
_MAX = 255


def check_dataset(name: str, pool: str) -> tuple[str, ...]:
    """The components below the pool (none for the pool itself); InvalidPayload if it is no name."""
    first, *rest = name.split("/")
    if first != pool:
        raise _invalid(name, f"is not in pool {pool}")
    if len(name) > _MAX or not all(_COMPONENT.fullmatch(part) for part in rest):
        raise _invalid(name, "is not a dataset's name")
    return tuple(rest)


def check_snapshot(name: str, pool: str) -> tuple[str, str]:
    """The dataset and the short name; InvalidPayload if it is no snapshot's name."""
    dataset, at, short = name.partition("@")
    check_dataset(dataset, pool)
    if not at or not _SNAPSHOT.fullmatch(short):
        raise _invalid(name, "is not a snapshot's name")
    return dataset, short


def parent_of(name: str) -> str:
    return name.rpartition("/")[0]


def _invalid(name: str, what: str) -> InvalidPayload:
    hint = "POOL/NAME or POOL/NAME@SNAPSHOT, of letters, digits and . _ : - (SNAPSHOT also %)"
    return InvalidPayload([Problem("name", f"{name!r} {what}", hint)])
