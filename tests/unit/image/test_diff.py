# SPDX-License-Identifier: MPL-2.0
"""What an incremental image holds: whatever makes the one tree of the other, and no more."""

import os
import socket
from pathlib import Path

import pytest

from hull.errors import Refused
from hull.image.diff import Contents, difference, scan, whole
from hull.image.pack import plan


def tree(root: Path, *directories: str, **files: str) -> Path:
    root.mkdir()
    for name in directories:
        (root / name).mkdir(parents=True)
    for name, content in files.items():
        (root / name.replace("__", "/")).write_text(content)
    same_times(root)
    return root


def same_times(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        os.utime(path, ns=(1, 1), follow_symlinks=False)


def between(old: Path, new: Path) -> Contents:
    return difference(scan(bytes(new)), scan(bytes(old)))


def test_the_same_is_next_to_nothing(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", "etc", etc__a="1")
    new = tree(tmp_path / "new", "etc", etc__a="1")
    assert between(old, new) == Contents([b"."], [])


def test_new_changed_and_gone(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", "etc", "gone/deep", etc__a="1", etc__b="2", gone__deep__x="")
    new = tree(tmp_path / "new", "etc", "more", etc__a="2", more__x="")
    assert between(old, new) == Contents(
        [b".", b"./etc", b"./etc/a", b"./more", b"./more/x"], [b"./etc/b", b"./gone"]
    )


def test_content_that_differs_in_nothing_but_itself(tmp_path: Path) -> None:
    """Same size, same time: only reading tells."""
    old = tree(tmp_path / "old", a="12")
    new = tree(tmp_path / "new", a="21")
    assert between(old, new).names == [b".", b"./a"]


def test_owners_modes_and_attributes(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", a="", b="", c="")
    new = tree(tmp_path / "new", a="", b="", c="")
    (new / "a").chmod(0o600)
    os.setxattr(new / "b", "user.note", b"x")
    same_times(new)
    assert between(old, new).names == [b".", b"./a", b"./b"]


def test_a_file_that_becomes_a_directory_and_back(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", "d", f="", d__x="")
    new = tree(tmp_path / "new", "f", d="", f__x="")
    assert between(old, new) == Contents([b".", b"./d", b"./f", b"./f/x"], [b"./d", b"./f"])


def test_all_links_of_a_file_come_together(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", a="1")
    new = tree(tmp_path / "new", a="1")
    os.link(old / "a", old / "b")
    os.link(new / "a", new / "b")
    os.link(new / "a", new / "c")
    same_times(old)
    same_times(new)
    assert between(old, new).names == [b".", b"./a", b"./b", b"./c"]


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    old = tree(tmp_path / "old")
    new = tree(tmp_path / "new")
    (old / "l").symlink_to("/etc")
    (new / "l").symlink_to("/usr")
    same_times(old)
    same_times(new)
    assert between(old, new).names == [b".", b"./l"]


def test_devices_and_sockets_stay_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "root", "dev", dev__console="", fifo="")
    (root / "fifo").unlink()
    os.mkfifo(root / "fifo")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert whole(scan(bytes(root))).names == [b".", b"./dev", b"./fifo"]


def test_a_name_that_would_be_a_whiteout(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", **{".wh.x": ""})
    assert whole(scan(bytes(root))).names == [b".", b"./.wh.x"]
    with pytest.raises(Refused, match="whiteout"):
        between(tree(tmp_path / "old"), root)


def test_names_of_any_bytes(tmp_path: Path) -> None:
    root = tree(tmp_path / "root")
    with open(os.path.join(bytes(root), b"\xff\n-C"), "w"):
        pass
    assert whole(scan(bytes(root))).names == [b".", b"./\xff\n-C"]


def test_the_plan_of_an_archive(tmp_path: Path) -> None:
    plan(tmp_path, Contents([b".", b"./a"], [b"./b/c", b"./d"]))
    assert (tmp_path / "names").read_bytes() == b".\0./a\0"
    assert (tmp_path / "removed").read_bytes() == b"./b/.wh.c\0./.wh.d\0"
    assert (tmp_path / "whiteouts/b/.wh.c").read_bytes() == b""
