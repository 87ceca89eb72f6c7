# SPDX-License-Identifier: MPL-2.0
"""cpio archives as the kernel unpacks them (initramfs buffer format): always the same bytes."""

DIRECTORY, FILE = 0o040755, 0o100644
PROGRAM = 0o100755


class Newc:
    """An archive in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._inode = 0

    def add(self, name: str, mode: int, content: bytes = b"") -> None:
        """A file or directory, owned by root."""
        self.data += header(name, mode, len(content), self._next())
        self.data += content
        self._pad()

    def end(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return bytes(self.data)

    def _next(self) -> int:
        self._inode += 1
        return self._inode

    def _pad(self) -> None:
        self.data += bytes(-len(self.data) % 4)


def header(name: str, mode: int, size: int, inode: int) -> bytes:
    """What comes before a member's content, padded."""
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(path), 0)
    made = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return made + bytes(-len(made) % 4)
