# SPDX-License-Identifier: MPL-2.0
"""How an image file is compressed: told from its first bytes, never from its name."""

from hull.errors import Corrupt

HEAD = 512  # bytes that are needed to tell

# Compression, offset, magic, and the program that undoes it (reads stdin, writes stdout). The
# memory of a decompressor is bounded: an archive may ask for gigabytes.
_KNOWN = (
    ("zstd", 0, b"\x28\xb5\x2f\xfd", ("zstd", "-q", "-d", "-c", "--memory=256MB")),
    ("gzip", 0, b"\x1f\x8b", ("gzip", "-d", "-c")),
    ("bzip2", 0, b"BZh", ("bzip2", "-d", "-c")),
    ("xz", 0, b"\xfd7zXZ\x00", ("xz", "-d", "-c", "-M", "256MiB")),
    ("none", 257, b"ustar", ()),
)


def parse_compression(head: bytes) -> str:
    """none, gzip, bzip2, xz or zstd. Raises Corrupt for anything else."""
    for name, offset, magic, _ in _KNOWN:
        if head[offset:].startswith(magic):
            return name
    raise Corrupt(
        "the file is no tar archive, plain or compressed by gzip, bzip2, xz or zstd",
        hint="see docs/image-format.md",
    )


def decompressor_argv(compression: str) -> list[str]:
    """Empty for none. The program runs as nobody: what it reads is not trusted."""
    argv = next(argv for name, _, _, argv in _KNOWN if name == compression)
    if not argv:
        return []
    return [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
        "--inh-caps=-all", "--bounding-set=-all", *argv,
    ]  # fmt: skip
