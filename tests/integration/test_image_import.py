# SPDX-License-Identifier: MPL-2.0
"""Images from servers good and bad, from files good and hostile; the kernel is the oracle."""

import os
import socket
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hull.errors import (
    ActiveImageNotFound,
    Corrupt,
    DownloadError,
    Error,
    Exists,
    ImageHasDependentClones,
    ImageNotInstalled,
    ManifestValidation,
    OriginNotInstalled,
    SourcePing,
    Unsupported,
)
from hull.image import delete, download, import_, sources, store, view
from hull.paths import Paths
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import create_pool, export_pool
from hull.storage.fake import FakePool
from hull.storage.pool import Pool
from hull.wire import JsonObject
from tests.integration.image_fixtures import (
    COMPRESS,
    HOSTILE,
    Serve,
    a_root,
    archive,
    assert_nothing_left,
    bad_server,
    hostile,
    imgapid,
    manifest_for,
    member,
    put_image,
    reply,
    serve_file,
)

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]

POOL_SIZE = 1 << 30


@pytest.fixture(scope="module")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    root = tmp_path_factory.mktemp("images")
    paths = Paths(root)
    create_pool(root / "pool", paths.zones, size=POOL_SIZE)
    try:
        yield paths
    finally:
        export_pool(paths.zones)


@pytest.fixture(params=["fake", "btrfs"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Pool, Paths]:
    """A pool, and paths of its own for each test."""
    if request.param == "fake":
        paths = Paths(tmp_path / "host")
        paths.zones.mkdir(parents=True)
        return FakePool("zones", paths.zones), paths
    paths = request.getfixturevalue("btrfs")
    return BtrfsPool("zones", paths.zones), paths


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    directory = tmp_path / "images"
    directory.mkdir()
    with imgapid(directory) as url:
        yield directory, url


def ignore(report: JsonObject) -> None:
    del report


def to(host: tuple[Pool, Paths], platform: str = "hosted") -> import_.Target:
    return import_.Target(pool=host[0], paths=host[1], platform=platform)


def fetch(host: tuple[Pool, Paths], uuid: str, source: str) -> JsonObject:
    return import_.import_image(to(host), uuid, source, progress=ignore)


def install(host: tuple[Pool, Paths], data: bytes, tmp_path: Path, **changes: str) -> Path:
    """Install an archive; returns the root of the image."""
    file = tmp_path / "file.tar"
    file.write_bytes(data)
    manifest = manifest_for(data) | dict(changes)
    import_.install_image(to(host), manifest, str(file), progress=ignore)
    return root_of(host[0], str(manifest["uuid"]))


def root_of(pool: Pool, uuid: str) -> Path:
    return Path(pool.datasets(f"zones/{uuid}")[0].mountpoint) / "root"


@pytest.mark.parametrize("compression", list(COMPRESS))
def test_an_image_arrives_whole(
    host: tuple[Pool, Paths], server: tuple[Path, str], compression: str
) -> None:
    pool, paths = host
    uuid = put_image(server[0], a_root(), compression)
    reports: list[JsonObject] = []
    done = import_.import_image(to(host), uuid, server[1], progress=reports.append)
    assert done == {"uuid": uuid, "name": "test", "version": "1.0"}
    root = root_of(pool, uuid)
    motd = (root / "etc/motd").stat()
    assert (root / "etc/motd").read_text() == "hello\n"
    assert (motd.st_uid, motd.st_gid, stat.S_IMODE(motd.st_mode)) == (7, 33, 0o640)
    assert (motd.st_nlink, int(motd.st_mtime)) == (2, 1_000_000_000)
    assert str((root / "etc/mtab").readlink()) == "/proc/mounts"
    assert stat.S_IMODE((root / "bin/su").stat().st_mode) == 0o4755
    assert os.getxattr(root / "bin/ping", "user.note") == b"kept"
    assert list((root / "dev").iterdir()) == []
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700
    assert [s.name for s in pool.snapshots(f"zones/{uuid}")] == [store.origin_snapshot(uuid)]
    assert view.get_image(pool, paths, uuid)["source"] == server[1]
    size = download.human_size(store.get(paths, uuid).manifest.file.size)
    assert [report["line"] for report in reports if "line" in report] == [
        f'Importing {uuid} (test@1.0) from "{server[1]}"',
        f"Gather image {uuid} ancestry",
        f"Must download and install 1 image ({size})",
        f"Downloaded image {uuid} ({size})",
        f"Imported image {uuid} (test@1.0)",
    ]
    drawn = [report for report in reports if "done" in report]
    assert drawn[-1]["done"] == drawn[-1]["total"]
    assert list(download.directory(paths).iterdir()) == []
    delete.delete_image(pool, paths, uuid)
    assert_nothing_left(pool, paths, uuid)


def test_sources_are_asked_in_order(host: tuple[Pool, Paths], server: tuple[Path, str]) -> None:
    pool, paths = host
    uuid = put_image(server[0], a_root())
    hidden = put_image(server[0], a_root(), state="disabled")
    with bad_server(lambda path, headers, peer: peer.sendall(reply(b"", status="404 No"))) as empty:
        with pytest.raises(SourcePing):
            sources.add_source(paths, empty)
        sources.add_source(paths, empty, force=True)
        with pytest.raises(ActiveImageNotFound):
            fetch(host, uuid, "")
        sources.add_source(paths, server[1])
        listed: Any = view.available_images(paths)
        assert [(entry["manifest"]["uuid"], entry["source"]) for entry in listed["images"]] == [
            (uuid, server[1])
        ]
        assert view.available_image(paths, uuid)["source"] == server[1]
        fetch(host, uuid, "")
        assert store.get(paths, uuid).source == server[1]
        with pytest.raises(ActiveImageNotFound):
            fetch(host, hidden, "")
        for url in (empty, server[1]):
            sources.delete_source(paths, url)
    delete.delete_image(pool, paths, uuid)


def test_a_second_import_finds_it_installed(
    host: tuple[Pool, Paths], server: tuple[Path, str]
) -> None:
    uuid = put_image(server[0], a_root())
    said: list[str] = []

    def run() -> None:
        import_.import_image(
            to(host), uuid, server[1], progress=lambda report: said.append(str(report))
        )

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([line for line in said if "Imported image" in line]) == 1
    assert len([line for line in said if "is already installed" in line]) == 2
    delete.delete_image(*host, uuid)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha1", "0" * 40),
        ("digest", f"sha256:{'0' * 64}"),
        ("size", 1000),
        ("size", 1 << 40),
        ("size", 0),
    ],
)
def test_a_file_that_is_not_as_promised(
    host: tuple[Pool, Paths], server: tuple[Path, str], field: str, value: object
) -> None:
    data = a_root()
    whole: Any = manifest_for(data)
    promised = whole["files"][0] | {field: value}
    uuid = put_image(server[0], data, files=[promised])
    with pytest.raises((DownloadError, ManifestValidation)):
        fetch(host, uuid, server[1])
    assert_nothing_left(*host, uuid)


@pytest.mark.parametrize("cut", [100, 20_000, -1000])
def test_an_archive_that_ends_too_early(
    host: tuple[Pool, Paths], server: tuple[Path, str], tmp_path: Path, cut: int
) -> None:
    del server
    data = COMPRESS["zstd"](a_root())[:cut]
    manifest = manifest_for(data)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Corrupt):
        import_.install_image(to(host), manifest, str(tmp_path / "file"), progress=ignore)
    assert_nothing_left(*host, str(manifest["uuid"]))


@pytest.mark.parametrize("data", [b"", b"x", b"<html>not found</html>" * 100])
def test_a_file_that_is_no_archive(host: tuple[Pool, Paths], tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    manifest = manifest_for(data)
    with pytest.raises(Corrupt):
        import_.install_image(to(host), manifest, str(tmp_path / "file"), progress=ignore)
    assert_nothing_left(*host, str(manifest["uuid"]))


def test_an_endless_file_is_cut_off(host: tuple[Pool, Paths]) -> None:
    data = a_root()
    manifest = manifest_for(data)
    sent = 0

    def endless(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        nonlocal sent
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + data)
        while True:
            sent += peer.send(bytes(1 << 16))

    uuid = str(manifest["uuid"])
    with bad_server(serve_file(manifest, endless)) as url, pytest.raises(DownloadError) as caught:
        fetch(host, uuid, url)
    assert "longer than" in str(caught.value)
    assert sent < 64 << 20
    assert_nothing_left(*host, uuid)


def broken_server(data: bytes, *, etags: Iterator[str], parts: int) -> tuple[Serve, list[str]]:
    """Sends the file in pieces: each connection breaks after one of them."""
    asked: list[str] = []

    def serve(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        asked.append(headers.get("range", ""))
        start = int(headers["range"][6:-1]) if "range" in headers else 0
        rest = data[start:]
        head = [f'ETag: "{next(etags)}"']
        status = "200 OK"
        if start:
            head.append(f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}")
            status = "206 Partial Content"
        piece = rest[: len(data) // parts + 1]
        peer.sendall(reply(piece, *head, status=status, length=len(rest)))

    return serve, asked


def test_a_broken_download_is_resumed(host: tuple[Pool, Paths]) -> None:
    data = a_root()
    manifest = manifest_for(data)
    serve, asked = broken_server(data, etags=iter(["a"] * 9), parts=3)
    with bad_server(serve_file(manifest, serve)) as url:
        fetch(host, str(manifest["uuid"]), url)
    assert len(asked) == 3
    assert asked[0] == ""
    delete.delete_image(*host, str(manifest["uuid"]))


def test_a_file_that_changes_on_the_way_is_not_mixed(host: tuple[Pool, Paths]) -> None:
    data = a_root()
    manifest = manifest_for(data)
    serve, _ = broken_server(data, etags=iter("abcdefghi"), parts=3)
    with bad_server(serve_file(manifest, serve)) as url, pytest.raises(DownloadError):
        fetch(host, str(manifest["uuid"]), url)
    assert_nothing_left(*host, str(manifest["uuid"]))


@pytest.mark.parametrize("kept", ["half", "garbage", "another"])
def test_what_an_earlier_download_left(
    host: tuple[Pool, Paths], server: tuple[Path, str], kept: str
) -> None:
    """It is gone on with, or thrown away together with what was unpacked from it so far."""
    pool, paths = host
    data = a_root()
    uuid = put_image(server[0], data)
    left = {
        "half": data[: len(data) // 2],
        "garbage": b"garbage" * 100,
        "another": archive((member("./another"), b"x" * 9000))[:-512],
    }
    file = download.directory(paths) / f"{uuid}.file"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(left[kept])
    fetch(host, uuid, server[1])
    assert not (root_of(pool, uuid) / "another").exists()
    assert list(root_of(pool, uuid).iterdir())
    assert not file.exists()
    delete.delete_image(pool, paths, uuid)


def test_a_server_that_answers_nonsense(host: tuple[Pool, Paths]) -> None:
    uuid = "01b2c898-945f-11e1-a523-af1afbe22822"
    for answer in (b"[]", b"null", b"<html>", b'{"uuid": "other"}', b"\xff"):
        with bad_server(lambda path, headers, peer, a=answer: peer.sendall(reply(a))) as url:  # type: ignore[misc]  # a default argument
            with pytest.raises(DownloadError):
                fetch(host, uuid, url)
            with pytest.raises(SourcePing):
                sources.add_source(host[1], url)
    assert_nothing_left(*host, uuid)


def test_a_redirection_to_a_local_file_is_not_followed(host: tuple[Pool, Paths]) -> None:
    uuid = "01b2c898-945f-11e1-a523-af1afbe22822"
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        answer = reply(b"", f"Location: {target}", status="302 Found")
        with (
            bad_server(lambda path, headers, peer, a=answer: peer.sendall(a)) as url,  # type: ignore[misc]  # a default argument
            pytest.raises(DownloadError),
        ):
            fetch(host, uuid, url)


def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "precious").write_text("untouched")
    return made


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_stays_in_its_root(
    host: tuple[Pool, Paths], tmp_path: Path, name: str
) -> None:
    pool, paths = host
    target = outside(tmp_path)
    before = target.stat()
    data = a_root(*hostile(name, target))
    manifest = manifest_for(data)
    uuid = str(manifest["uuid"])
    (tmp_path / "file").write_bytes(data)
    try:
        import_.install_image(to(host), manifest, str(tmp_path / "file"), progress=ignore)
    except Corrupt:
        assert_nothing_left(pool, paths, uuid)
    else:
        root = root_of(pool, uuid)
        assert [path.name for path in root.parent.iterdir() if path.name != "root"] == []
        assert not root.is_symlink()
        assert not any(path.is_block_device() for path in root.rglob("*"))
        delete.delete_image(pool, paths, uuid)
    assert [path.name for path in target.iterdir()] == ["precious"]
    assert (target / "precious").read_text() == "untouched"
    assert (target / "precious").stat().st_nlink == 1
    after = target.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_a_device_refuses_the_image(host: tuple[Pool, Paths], tmp_path: Path) -> None:
    device = member("./etc/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0)
    with pytest.raises(Corrupt):
        install(host, a_root((device, b"")), tmp_path)


def test_privileged_attributes_are_left_out(host: tuple[Pool, Paths], tmp_path: Path) -> None:
    trusted = member("./etc/x", pax_headers={"SCHILY.xattr.trusted.overlay.opaque": "y"})
    root = install(host, a_root((trusted, b"")), tmp_path)
    assert os.listxattr(root / "etc/x") == []
    delete.delete_image(*host, root.parent.name)


def test_an_archive_that_would_fill_the_pool(btrfs: Paths, tmp_path: Path) -> None:
    """A few kilobytes that unpack to more than the pool holds."""
    host = BtrfsPool("zones", btrfs.zones), btrfs
    # zstd finds the repetition, btrfs's compression of 128 KiB at a time does not.
    block = os.urandom(256 << 10)
    info = member("./big", size=POOL_SIZE + (64 << 20))
    file = tmp_path / "file"
    with (
        file.open("wb") as out,
        subprocess.Popen(["zstd", "-q", "-c"], stdin=subprocess.PIPE, stdout=out) as zstd,
    ):
        assert zstd.stdin
        zstd.stdin.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(info.size // len(block)):
            zstd.stdin.write(block)
        zstd.stdin.close()
    data = file.read_bytes()
    assert len(data) < 4 << 20
    manifest = manifest_for(data)
    with pytest.raises(Corrupt):
        import_.install_image(to(host), manifest, str(tmp_path / "file"), progress=ignore)
    assert_nothing_left(*host, str(manifest["uuid"]))
    install(host, a_root(), tmp_path)


def test_an_image_with_clones_stays(host: tuple[Pool, Paths], tmp_path: Path) -> None:
    pool, paths = host
    uuid = install(host, a_root(), tmp_path).parent.name
    for name in ("zones/one", "zones/two"):
        pool.clone(store.origin_snapshot(uuid), name)
    with pytest.raises(ImageHasDependentClones) as caught:
        delete.delete_image(pool, paths, uuid)
    assert f'image "{uuid}" has dependent clones: zones/' in str(caught.value)
    assert "and 1 others..." in str(caught.value)
    (listed,) = [found for found in view.list_images(pool, paths) if uuid in str(found)]
    assert listed["clones"] == 2
    assert (root_of(pool, "one") / "etc/motd").read_text() == "hello\n"
    for name in ("zones/one", "zones/two"):
        pool.destroy(name)
    delete.delete_image(pool, paths, uuid)
    with pytest.raises(ImageNotInstalled):
        delete.delete_image(pool, paths, uuid)


def test_what_a_crash_left_is_replaced(host: tuple[Pool, Paths], tmp_path: Path) -> None:
    pool, paths = host
    data = a_root()
    manifest = manifest_for(data)
    uuid = str(manifest["uuid"])
    for name in (f"zones/{uuid}-partial", f"zones/{uuid}"):
        Path(pool.create(name).mountpoint, "junk").write_text("junk")
    pool.snapshot(f"zones/{uuid}@final")
    root = install(host, data, tmp_path, uuid=uuid)
    assert not (root.parent / "junk").exists()
    delete.delete_image(pool, paths, uuid)


def test_an_image_cannot_replace_a_vm(host: tuple[Pool, Paths], tmp_path: Path) -> None:
    pool, paths = host
    data = a_root()
    uuid = str(manifest_for(data)["uuid"])
    pool.create(f"zones/{uuid}")
    paths.etc_zones.mkdir(parents=True, exist_ok=True)
    (paths.etc_zones / f"{uuid}.json").write_text("{}")
    with pytest.raises(Exists):
        install(host, data, tmp_path, uuid=uuid)
    assert pool.datasets(f"zones/{uuid}")
    pool.destroy(f"zones/{uuid}")
    (paths.etc_zones / f"{uuid}.json").unlink()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"type": "zvol"}, Unsupported),
        ({"origin": "01b2c898-945f-11e1-a523-af1afbe22822"}, OriginNotInstalled),
    ],
)
def test_images_of_other_kinds(
    host: tuple[Pool, Paths], tmp_path: Path, changes: dict[str, str], error: type[Error]
) -> None:
    with pytest.raises(error):
        install(host, a_root(), tmp_path, **changes)
