# SPDX-License-Identifier: MPL-2.0
"""apply.py over directories of ours: no root is needed where the archive's owner is who we are."""

import hashlib
import io
import os
import struct
import tarfile
from pathlib import Path

import pytest

from hull.image import apply

Entries = list[tuple[str, object]]


def layer(entries: Entries, **changed: object) -> bytes:
    """A tar archive: bytes are files, None directories, str symbolic links, ("=", X) hard ones."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, what in entries:
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mtime = os.getuid(), os.getgid(), 1_000_000_000
            member.mode = 0o755 if what is None else 0o644
            data = None
            match what:
                case None:
                    member.type = tarfile.DIRTYPE
                case bytes():
                    member.size, data = len(what), io.BytesIO(what)
                case str():
                    member.type, member.linkname = tarfile.SYMTYPE, what
                case ("=", str(target)):
                    member.type, member.linkname = tarfile.LNKTYPE, target
                case ("type", bytes(kind)):
                    member.type = kind
                case _:
                    raise TypeError(what)
            for key, value in changed.items():
                setattr(member, key, value)
            archive.addfile(member, data)
    return made.getvalue()


def lay(root: Path, entries: Entries) -> None:
    apply.apply(io.BytesIO(layer(entries)), str(root))


def tree(root: Path) -> dict[str, str]:
    """What is there: directories as `/`, links as `-> TARGET`, files as their text."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    lay(
        made,
        [
            ("./", None),
            ("etc/", None),
            ("etc/passwd", b"root"),
            ("etc/group", b"wheel"),
            ("usr/lib", None),
            ("usr/lib/libc", b"c"),
            ("lib", "/usr/lib"),
        ],
    )
    return made


def test_a_layer_adds_and_replaces(root: Path) -> None:
    lay(root, [("etc/passwd", b"new"), ("opt/deep/er", b"x"), ("hard", ("=", "etc/passwd"))])
    now = tree(root)
    assert now["etc/passwd"] == "new"
    assert now["etc/group"] == "wheel"
    assert now["opt/deep/er"] == "x"
    assert (root / "hard").stat().st_ino == (root / "etc/passwd").stat().st_ino


def test_absolute_links_of_lower_layers_mean_what_they_mean_in_the_zone(root: Path) -> None:
    lay(root, [("lib/libm", b"m")])
    assert tree(root)["usr/lib/libm"] == "m"
    assert tree(root)["lib"] == "-> /usr/lib"


def test_a_whiteout_takes_away_a_file_and_a_tree(root: Path) -> None:
    lay(root, [("etc/.wh.passwd", b""), (".wh.usr", b""), (".wh.no-such", b"")])
    assert tree(root) == {"etc": "/", "etc/group": "wheel", "lib": "-> /usr/lib"}


def test_a_whiteout_of_a_link_leaves_what_it_leads_to(root: Path) -> None:
    lay(root, [(".wh.lib", b"")])
    assert "lib" not in tree(root)
    assert tree(root)["usr/lib/libc"] == "c"


@pytest.mark.parametrize("first", [True, False])
def test_an_opaque_directory_keeps_what_its_own_layer_has(
    root: Path,
    first: bool,
) -> None:
    own: Entries = [("etc/", None), ("etc/own", b"1"), ("etc/sub/", None), ("etc/sub/own", b"2")]
    opaque: Entries = [("etc/.wh..wh..opq", b"")]
    lay(root, [("etc/sub/lower", b"gone")])
    lay(root, opaque + own if first else own + opaque)
    shown = {name: what for name, what in tree(root).items() if name.startswith("etc")}
    assert shown == {"etc": "/", "etc/own": "1", "etc/sub": "/", "etc/sub/own": "2"}


def test_a_whiteout_after_its_name_was_made_anew_is_for_lower_layers_only(root: Path) -> None:
    lay(root, [("etc/passwd", b"new"), ("etc/.wh.passwd", b"")])
    assert tree(root)["etc/passwd"] == "new"


def test_kinds_replace_each_other(root: Path) -> None:
    lay(root, [("etc", b"a file"), ("lib/", None), ("usr/lib/libc", "elsewhere")])
    now = tree(root)
    assert now["etc"] == "a file"
    assert now["lib"] == "/"
    assert now["usr/lib/libc"] == "-> elsewhere"


def test_the_bookkeeping_of_aufs_and_devices_below_dev_are_left_out(root: Path) -> None:
    lay(root, [(".wh..wh.aufs", b""), ("dev/", None), ("dev/null", ("type", tarfile.CHRTYPE))])
    assert tree(root)["dev"] == "/"
    assert "dev/null" not in tree(root)


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", b"x")],
        [("a/../../out", b"x")],
        [("etc/.wh...", b"")],
        [("../.wh.victim", b"")],
        [(".wh..", b"")],
        [(".wh.", b"")],
        [("link", ("=", "../../etc/shadow"))],
        [("sda", ("type", tarfile.BLKTYPE))],
        [("tty", ("type", tarfile.CHRTYPE))],
        [("odd", ("type", b"Z"))],
    ],
)
def test_a_hostile_layer_is_refused(root: Path, entries: Entries) -> None:
    (root.parent / "victim").write_text("alive")
    with pytest.raises(apply.BadLayerError):
        lay(root, entries)
    assert sorted(path.name for path in root.parent.iterdir()) == ["root", "victim"]


def test_links_lead_nowhere_outside(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "victim").write_text("alive")
    lay(root, [("up", "../outside"), ("abs", str(outside)), ("up2", "../../../../../../etc")])
    for name in ("up", "abs"):
        with pytest.raises(FileExistsError):
            lay(root, [(f"{name}/new", b"x")])
        lay(root, [(f"{name}/.wh.victim", b""), (f"{name}/.wh..wh..opq", b"")])
    lay(root, [("up2/inside", b"x")])
    assert tree(root)["etc/inside"] == "x"
    assert tree(outside) == {"victim": "alive"}


def test_a_hard_link_to_what_is_not_there_keeps_what_is(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lay(root, [("etc/passwd", ("=", "etc/nothing"))])
    assert tree(root)["etc/passwd"] == "root"


def test_times_modes_and_attributes(root: Path) -> None:
    headers = {"mtime": "1234567890.123456789", "SCHILY.xattr.user.note": "\udcff\0a=b"}
    data = layer([("etc/file", b"x"), ("etc/", None)], mode=0o4751, pax_headers=headers)
    apply.apply(io.BytesIO(data), str(root))
    for name in ("etc", "etc/file"):
        status = (root / name).stat()
        assert status.st_mtime_ns == 1234567890_123456789
        assert status.st_mode & 0o7777 == 0o4751
        assert os.getxattr(root / name, "user.note") == b"\xff\0a=b"


def test_holes_stay_holes(root: Path) -> None:
    data = b"a" + bytes(8 << 20) + b"b" + bytes(3 << 20)
    lay(root, [("sparse", data)])
    assert (root / "sparse").read_bytes() == data
    assert (root / "sparse").stat().st_blocks * 512 < 6 << 20


def test_the_diff_id_is_that_of_every_byte(root: Path) -> None:
    data = layer([("new", b"x")]) + b"behind the end"
    right = f"sha256:{hashlib.sha256(data).hexdigest()}"
    apply.apply(io.BytesIO(data), str(root), right)
    with pytest.raises(apply.BadLayerError, match="diff_id"):
        apply.apply(io.BytesIO(data + b"!"), str(root), right)


def test_an_empty_layer_changes_nothing(root: Path) -> None:
    before = tree(root)
    for empty in (b"", bytes(1024), layer([])):
        apply.apply(io.BytesIO(empty), str(root), f"sha256:{hashlib.sha256(empty).hexdigest()}")
    assert tree(root) == before


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 1500])
def test_a_broken_archive_is_refused(root: Path, cut: int) -> None:
    data = layer([("a", b"x" * 600), ("b", b"y")])
    broken = data[:cut] if cut != 1024 else data[:1536] + b"\1" * 512 + data[2048:]
    with pytest.raises((apply.BadLayerError, tarfile.TarError)):
        apply.apply(io.BytesIO(broken), str(root))


def test_acls_of_gnu_tar_become_the_kernels() -> None:
    text = "user::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::---\n"
    want = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *entry)
        for entry in (
            (1, 6, apply.NO_ID),
            (2, 4, 1000),
            (4, 4, apply.NO_ID),
            (16, 4, apply.NO_ID),
            (32, 0, apply.NO_ID),
        )
    )
    assert apply.parse_acl(text) == want
    assert apply.parse_acl(text.replace("\n", ",")) == want
    with pytest.raises(apply.BadLayerError):
        apply.parse_acl("user:bob:rwx")
