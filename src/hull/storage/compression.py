# SPDX-License-Identifier: MPL-2.0
"""ZFS's names of compressions, as what a pool has that comes next to them. Pure."""


def nearest(wanted: str, known: tuple[str, ...]) -> str:
    """The value of `compression` to set for a ZFS name: itself, or its nearest relative."""
    family = wanted.partition("-")[0]
    relatives = {"zle": ("lz4", "on"), "lzjb": ("lz4", "on"), "gzip": ("zstd", "on")}
    choices = (wanted, family, *relatives.get(family, ("on",)))
    return next((name for name in choices if name in known), "off")
