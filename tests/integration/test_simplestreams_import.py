# SPDX-License-Identifier: MPL-2.0
"""Images from a static tree of simplestreams, served by http.server."""

import functools
import hashlib
import http.server
import json
import lzma
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hull.errors import ActiveImageNotFound, Corrupt, DownloadError, SourcePing
from hull.image import import_, sources, store, view
from hull.image.oci import architecture
from hull.paths import Paths
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import create_pool, export_pool
from hull.wire import Json, JsonObject
from tests.integration.image_fixtures import a_root, assert_nothing_left

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        del format, args


@contextmanager
def http_server(directory: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Tree:
    """A server's directory, as incus-simplestreams lays it out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "streams/v1").mkdir(parents=True)
        self.products: dict[str, Json] = {}

    def add(self, release: str, stamp: str, files: dict[str, bytes], **more: Json) -> None:
        """A version of a product, of files by type."""
        items: dict[str, Json] = {}
        meta: JsonObject = {"ftype": "incus.tar.xz", "sha256": "0" * 64, "size": 1}
        for kind, data in files.items():
            path = f"images/{release}/{stamp}/{kind}"
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / path).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            items[kind] = {"ftype": kind, "sha256": digest, "size": len(data), "path": path}
            combined = "rootxz" if kind == "root.tar.xz" else "squashfs"
            meta[f"combined_{combined}_sha256"] = hashlib.sha256(b"meta" + data).hexdigest()
        items["incus.tar.xz"] = {**meta}
        key = f"debian:{release}:{architecture()}:default"
        product = self.products.setdefault(
            key,
            {
                "aliases": f"debian/{release}/default,debian/{release},debian/{more.get('n', 13)}",
                "arch": architecture(), "os": "Debian", "release": release, "variant": "default",
                "versions": {},
            },
        )  # fmt: skip
        assert isinstance(product, dict)
        versions = product["versions"]
        assert isinstance(versions, dict)
        versions[stamp] = {"items": items}
        self._write()

    def _write(self) -> None:
        index: JsonObject = {
            "format": "index:1.0",
            "index": {
                "images": {"datatype": "image-downloads", "path": "streams/v1/images.json"},
                "other": {"datatype": "other", "path": "streams/v1/none.json"},
            },
        }
        listed: JsonObject = {"format": "products:1.0", "products": self.products}
        (self.directory / "streams/v1/index.json").write_text(json.dumps(index))
        (self.directory / "streams/v1/images.json").write_text(json.dumps(listed))


@pytest.fixture(scope="module")
def pool_paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    root = tmp_path_factory.mktemp("streams")
    paths = Paths(root)
    create_pool(root / "pool", paths.zones, size=1 << 30)
    try:
        yield paths
    finally:
        export_pool(paths.zones)


@pytest.fixture
def target(pool_paths: Paths) -> Iterator[import_.Target]:
    pool = BtrfsPool("zones", pool_paths.zones)
    yield import_.Target(pool=pool, paths=pool_paths, platform="hosted")
    shutil.rmtree(pool_paths.var, ignore_errors=True)
    for dataset in pool.datasets(usage=False):
        if dataset.name.count("/") == 1:
            pool.destroy(dataset.name, recursive=True)


@pytest.fixture
def tree(tmp_path: Path, target: import_.Target) -> Iterator[Tree]:
    """A server's tree, which is the host's only source."""
    made = Tree(tmp_path / "www")
    with http_server(made.directory) as url:
        sources.add_source(target.paths, url, "simplestreams", force=True)
        yield made


def fetch(target: import_.Target, name: str) -> JsonObject:
    return import_.import_image(target, name, progress=lambda report: None)


def facts(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        links = 0 if path.is_dir() else status.st_nlink  # file systems count them differently
        owner = status.st_mode, status.st_uid, status.st_gid, links
        data: object = (
            path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        )
        names = os.listxattr(path, follow_symlinks=False)
        found[str(path.relative_to(root))] = owner, data, names
    return found


def unpacked(data: bytes, directory: Path) -> Path:
    directory.mkdir()
    argv = ["tar", "-C", str(directory), "-xp", "--xattrs", "--numeric-owner", "--exclude=./dev/*"]
    subprocess.run(argv, input=data, check=True)
    return directory


def test_the_newest_is_imported_by_alias(
    target: import_.Target, tree: Tree, tmp_path: Path
) -> None:
    data = a_root()
    tree.add("trixie", "20251231_05:24", {"root.tar.xz": lzma.compress(a_root())})
    tree.add("trixie", "20260101_05:24", {"root.tar.xz": lzma.compress(data)})
    tree.add("bookworm", "20260101_05:24", {"root.tar.xz": lzma.compress(a_root())}, n=12)
    done = fetch(target, "debian/13")
    assert done["name"] == "debian/trixie"
    assert done["version"] == "20260101_0524"
    root = target.paths.zones / str(done["uuid"]) / "root"
    assert facts(root) == facts(unpacked(data, tmp_path / "want"))
    manifest = store.get(target.paths, str(done["uuid"]), "zones").manifest
    assert (manifest.type, manifest.brand, manifest.os) == ("lx-dataset", "lx", "linux")
    assert fetch(target, str(done["uuid"]))["uuid"] == done["uuid"]
    images = view.available_images(target.paths)["images"]
    assert isinstance(images, list)
    assert len(images) == 2
    with pytest.raises(ActiveImageNotFound):
        fetch(target, "debian/14")


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="needs squashfs-tools")
def test_a_squashfs_is_unpacked(target: import_.Target, tree: Tree, tmp_path: Path) -> None:
    root = unpacked(a_root(), tmp_path / "want")
    file = tmp_path / "squashfs"
    subprocess.run(["mksquashfs", root, file, "-quiet", "-no-progress"], check=True)
    tree.add("trixie", "20260101", {"squashfs": file.read_bytes()})
    done = fetch(target, "debian/trixie")
    assert facts(target.paths.zones / str(done["uuid"]) / "root") == facts(root)


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="needs squashfs-tools")
def test_a_squashfs_with_a_device_leaves_nothing(
    target: import_.Target, tree: Tree, tmp_path: Path
) -> None:
    root = unpacked(a_root(), tmp_path / "bad")
    os.mknod(root / "sda", 0o060666, os.makedev(8, 0))
    file = tmp_path / "squashfs"
    subprocess.run(["mksquashfs", root, file, "-quiet", "-no-progress"], check=True)
    tree.add("trixie", "20260101", {"squashfs": file.read_bytes()})
    with pytest.raises(Corrupt, match="block device"):
        fetch(target, "debian/trixie")
    assert_nothing_left(target.pool, target.paths, "-partial")


def test_another_file_than_promised_is_refused(target: import_.Target, tree: Tree) -> None:
    tree.add("trixie", "20260101", {"root.tar.xz": lzma.compress(a_root())})
    path = tree.directory / "images/trixie/20260101/root.tar.xz"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DownloadError, match="digest"):
        fetch(target, "debian/trixie")


def test_what_is_no_simplestreams(target: import_.Target, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        http_server(tmp_path / "empty") as url,
        pytest.raises(SourcePing, match='unexpected ping error with "simplestreams"'),
    ):
        sources.add_source(target.paths, url, "simplestreams")
