# SPDX-License-Identifier: MPL-2.0
"""Images from a real registry: layers become images, and what comes out is what went in."""

import base64
import io
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.errors import ActiveImageNotFound, Corrupt, DownloadError, SourcePing, Unsupported
from hull.image import download, import_, sources, store, view
from hull.image.oci import Docker, architecture, uuid_of
from hull.image.web import Server
from hull.paths import Paths
from hull.storage.btrfs import BtrfsPool
from hull.storage.btrfs_pool import create_pool, export_pool
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject
from tests.integration.image_fixtures import (
    archive,
    assert_nothing_left,
    bad_server,
    member,
    reply,
)
from tests.integration.oci_fixtures import PACK, Push, digest_of, registry

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs]

DIRECTORY = tarfile.DIRTYPE
CAPABILITY = b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


def base_layer() -> bytes:
    note = {
        "SCHILY.xattr.user.note": "kept",
        "SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1"),
        "mtime": "1234567890.123456789",
    }
    return archive(
        (member("etc/", type=DIRECTORY, mode=0o755), b""),
        (member("etc/motd", mode=0o640, uid=7, gid=33), b"hello\n"),
        (member("etc/hard", type=tarfile.LNKTYPE, linkname="etc/motd"), b""),
        (member("etc/old", mode=0o600), b"to go"),
        (member("usr/lib/", type=DIRECTORY, mode=0o755), b""),
        (member("lib", type=tarfile.SYMTYPE, linkname="/usr/lib"), b""),
        (member("bin/", type=DIRECTORY, mode=0o755), b""),
        (member("bin/su", mode=0o4755, pax_headers=note), os.urandom(200_000)),
        (member("tmp/", type=DIRECTORY, mode=0o1777), b""),
        (member("var/cache/", type=DIRECTORY, mode=0o755), b""),
        (member("var/cache/stale", mode=0o644), b"stale"),
        (member("dev/", type=DIRECTORY, mode=0o755), b""),
        (member("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
    )


def upper_layer() -> bytes:
    return archive(
        (member("etc/.wh.old", mode=0o600), b""),
        (member("lib/libnew", mode=0o755), b"new"),
        (member("var/cache/", type=DIRECTORY, mode=0o700, uid=5), b""),
        (member("var/cache/.wh..wh..opq"), b""),
        (member("var/cache/fresh", mode=0o644), b"fresh"),
    )


@pytest.fixture(scope="module")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    root = tmp_path_factory.mktemp("oci")
    paths = Paths(root)
    create_pool(root / "pool", paths.zones, size=1 << 30)
    try:
        yield paths
    finally:
        export_pool(paths.zones)


@pytest.fixture
def target(btrfs: Paths) -> Iterator[import_.Target]:
    """A host's images; the sources are a test's own."""
    pool, paths = BtrfsPool("zones", btrfs.zones), btrfs
    yield import_.Target(pool=pool, paths=paths, platform="hosted")
    shutil.rmtree(paths.var, ignore_errors=True)
    for dataset in sorted(pool.datasets(usage=False), key=lambda each: each.name, reverse=True):
        if "/" in dataset.name and not dataset.origin:
            _destroy_with_clones(pool, dataset.name)


def _destroy_with_clones(pool: Pool, name: str) -> None:
    for snapshot in pool.snapshots(name):
        for clone in snapshot.clones:
            _destroy_with_clones(pool, clone)
    pool.destroy(name, recursive=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Push]:
    with registry(tmp_path_factory.mktemp("registry")) as url:
        yield Push(url=url)


def fetch(target: import_.Target, url: str, name: str) -> JsonObject:
    sources.add_source(target.paths, url, "docker")
    return import_.import_image(target, name, progress=lambda report: None)


def root_of(target: import_.Target, uuid: object) -> Path:
    return target.paths.zones / str(uuid) / "root"


def record_of(target: import_.Target, uuid: object) -> JsonObject:
    return store.get(target.paths, str(uuid), "zones").manifest.data


def facts(root: Path) -> dict[str, object]:
    """All that is worth keeping of what is below a directory."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        what: object = None
        if path.is_symlink():
            what = str(path.readlink())
        elif path.is_file():
            what = path.read_bytes()
        names = os.listxattr(path, follow_symlinks=False)
        xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
        owner = status.st_mode, status.st_uid, status.st_gid
        found[str(path.relative_to(root))] = owner, status.st_nlink, what, xattrs
    return found


@pytest.mark.parametrize(
    ("pack", "docker"), [("gzip", True), ("gzip", False), ("zstd", False), ("tar", False)]
)
def test_layers_become_images(
    target: import_.Target, served: Push, pack: str, docker: bool
) -> None:
    layers = [base_layer(), upper_layer()]
    repo = f"tests/{pack}-{docker}".lower()
    config: JsonObject = {"Cmd": ["/bin/su"], "Env": ["A=1"]}
    history: list[Json] = [
        {"created_by": "ADD"},
        {"created_by": "ENV", "empty_layer": True},
        {"created_by": "RUN x"},
    ]
    served.image(repo, "1", layers, pack=pack, docker=docker, config=config, history=history)
    done = fetch(target, served.url, f"{repo}:1")
    top = record_of(target, done["uuid"])
    base = record_of(target, top["origin"])
    host = served.url.removeprefix("http://")
    assert base["uuid"] == uuid_of([digest_of(PACK[pack](layers[0]))])
    assert "origin" not in base
    assert (base["description"], top["description"]) == ("ADD", "RUN x")
    assert (top["type"], top["os"], top["name"]) == ("docker", "linux", "docker-layer")
    assert top["published_at"] == "2026-02-03T04:05:06.789Z"
    tags = top["tags"]
    assert isinstance(tags, dict)
    assert tags["docker:repo"] == f"{host}/{repo}"
    assert tags["docker:tag:1"] is True
    assert tags["docker:config"] == config
    assert str(tags["docker:id"]).startswith(f"sha256:{top['version']}")

    lower = facts(root_of(target, base["uuid"]))
    upper = facts(root_of(target, top["uuid"]))
    changed = {"etc/old", "var/cache", "var/cache/stale", "var/cache/fresh", "usr/lib/libnew"}
    assert {n: f for n, f in upper.items() if n not in changed | {"etc", "usr/lib"}} == {
        n: f for n, f in lower.items() if n not in changed | {"etc", "usr/lib"}
    }
    assert upper.keys() ^ lower.keys() == changed - {"var/cache"}
    assert upper["var/cache"] == ((0o40700, 5, 0), 1, None, {})
    assert "dev/null" not in lower
    su = root_of(target, top["uuid"]) / "bin/su"
    assert su.stat().st_mtime_ns == 1234567890_123456789
    assert su.stat().st_mode & 0o7777 == 0o4755
    assert os.getxattr(su, "user.note") == b"kept"
    assert os.getxattr(su, "security.capability") == CAPABILITY
    assert su.read_bytes() == member_of(layers[0], "bin/su")
    again = fetch(target, served.url, f"{repo}:1")
    assert again["uuid"] == done["uuid"]


def member_of(layer: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = tar.extractfile(name)
        assert found
        return found.read()


def test_images_share_layers_but_not_what_they_run(target: import_.Target, served: Push) -> None:
    layers = [base_layer(), upper_layer()]
    served.image("tests/share", "a", layers, config={"Cmd": ["a"]})
    served.image("tests/share", "b", layers, config={"Cmd": ["b"]})
    first = record_of(target, fetch(target, served.url, "tests/share:a")["uuid"])
    second = record_of(target, fetch(target, served.url, "tests/share:b")["uuid"])
    assert first["uuid"] != second["uuid"]
    assert first["origin"] == second["origin"]
    assert len(store.images(target.pool, target.paths)) == 3


def test_a_tag_moves_to_the_image_that_has_it_now(target: import_.Target, served: Push) -> None:
    served.image("tests/moving", "1", [base_layer()], config={"Cmd": ["old"]})
    old = fetch(target, served.url, "tests/moving:1")["uuid"]
    served.image("tests/moving", "1", [base_layer()], config={"Cmd": ["new"]})
    new = fetch(target, served.url, "tests/moving:1")["uuid"]
    assert new != old

    def tags(uuid: object) -> set[str]:
        found = record_of(target, uuid)["tags"]
        assert isinstance(found, dict)
        return {name for name in found if name.startswith("docker:tag:")}

    assert (tags(old), tags(new)) == (set(), {"docker:tag:1"})


def test_an_index_is_for_many_machines(target: import_.Target, served: Push) -> None:
    other = "s390x" if architecture() != "s390x" else "arm64"
    foreign = served.image("tests/many", "f", [upper_layer()], architecture=other)
    own = served.image("tests/many", "o", [base_layer()])
    attestation = served.image("tests/many", "x", [upper_layer()], architecture="unknown")
    platforms = {"unknown/unknown": attestation, f"linux/{other}": foreign}
    served.index("tests/many", "foreign", platforms)
    whole = served.index("tests/many", "1", {**platforms, f"linux/{architecture()}": own})
    done = fetch(target, served.url, "tests/many:1")
    assert (root_of(target, done["uuid"]) / "etc/motd").read_bytes() == b"hello\n"
    by_digest = fetch(target, served.url, f"tests/many@{whole['digest']}")
    assert by_digest["uuid"] == done["uuid"]
    for name in ("tests/many:f", "tests/many:foreign"):
        with pytest.raises(Unsupported, match="linux/"):
            fetch(target, served.url, name)


def test_what_is_not_there(target: import_.Target, served: Push) -> None:
    sources.add_source(target.paths, served.url, "docker")
    for name in ("tests/nothing:1", "other.example/tests/many:1"):
        with pytest.raises(ActiveImageNotFound):
            import_.import_image(target, name, progress=lambda report: None)
    assert view.available_images(target.paths) == {"images": [], "errors": []}


def test_a_broken_download_goes_on(target: import_.Target, served: Push) -> None:
    layers = [base_layer(), upper_layer()]
    served.image("tests/resume", "1", layers)
    packed = PACK["gzip"](layers[0])
    uuid = uuid_of([digest_of(packed)])
    kept = download.directory(target.paths) / f"{uuid}.file"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(packed[:100_000])
    reports: list[JsonObject] = []
    sources.add_source(target.paths, served.url, "docker")
    import_.import_image(target, "tests/resume:1", progress=reports.append)
    assert any(report.get("name") == "Download 2 images" for report in reports)
    assert (root_of(target, uuid) / "etc/motd").read_bytes() == b"hello\n"
    assert list(kept.parent.iterdir()) == []


def test_a_registry_with_a_login(
    target: import_.Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = base64.b64encode(b"operator:secret").decode()
    with registry(tmp_path_factory.mktemp("private"), login=True) as url:
        push = Push(url=url, headers={"Authorization": f"Basic {secret}"})
        push.image("tests/private", "1", [base_layer()])
        with pytest.raises(DownloadError, match="401") as caught:
            fetch(target, url, "tests/private:1")
        assert "auth.json" in caught.value.hint
        auths = {url.removeprefix("http://"): {"auth": secret}}
        (target.paths.imgadm / "auth.json").write_text(json.dumps({"auths": auths}))
        done = fetch(target, url, "tests/private:1")
    assert (root_of(target, done["uuid"]) / "etc/motd").exists()


HOSTILE = {
    "traversal": [(member("../../evil"), b"x")],
    "traversal below": [(member("etc/../../../evil"), b"x")],
    "whiteout of ..": [(member("etc/.wh..."), b"")],
    "whiteout outside": [(member("../../.wh.victim"), b"")],
    "hard link outside": [(member("x", type=tarfile.LNKTYPE, linkname="../../victim"), b"")],
    "disk": [(member("sda", type=tarfile.BLKTYPE, devmajor=8), b"")],
    "memory": [(member("mem", type=tarfile.CHRTYPE, devmajor=1, devminor=1), b"")],
    "through a link": [
        (member("out", type=tarfile.SYMTYPE, linkname="/../../../../victims"), b""),
        (member("out/evil"), b"x"),
    ],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_layer_leaves_nothing(target: import_.Target, served: Push, what: str) -> None:
    victim = target.paths.zones / "victim"
    victim.write_text("alive")
    layers = [base_layer(), archive(*HOSTILE[what])]
    repo = f"tests/hostile-{list(HOSTILE).index(what)}"
    served.image(repo, "1", layers)
    with pytest.raises(Corrupt):
        fetch(target, served.url, f"{repo}:1")
    assert victim.read_text() == "alive"
    assert not list(target.paths.root.rglob("evil"))
    top = next(image for image in [Docker(Server(served.url)).get(f"{repo}:1")] if image)
    assert_nothing_left(target.pool, target.paths, str(top["uuid"]))
    victim.unlink()


def test_a_layer_that_is_not_what_the_image_says(target: import_.Target, served: Push) -> None:
    layers = [base_layer(), upper_layer()]
    wrong: JsonObject = {"type": "layers", "diff_ids": [digest_of(layers[0]), digest_of(b"other")]}
    served.image("tests/wrong", "1", layers, rootfs=wrong)
    with pytest.raises(Corrupt, match="diff_id"):
        fetch(target, served.url, "tests/wrong:1")


class Clerk:
    """A registry that wants a token, sends one elsewhere for blobs, and is busy at first."""

    def __init__(self, layer: bytes) -> None:
        self.layer = PACK["gzip"](layer)
        said = {
            "architecture": architecture(), "os": "linux",
            "rootfs": {"diff_ids": [digest_of(layer)]},
        }  # fmt: skip
        self.config = json.dumps(said).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": digest_of(self.config)},
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest_of(self.layer),
                "size": len(self.layer),
            }],
        }).encode()  # fmt: skip
        self.seen: list[tuple[str, str]] = []
        self.busy = 2
        self.tokens = 0
        self.elsewhere = ""
        self.lie = b""

    def serve(self, path: str, headers: dict[str, str], peer: socket.socket) -> None:
        authorization = headers.get("authorization", "")
        self.seen.append((path.partition("?")[0], authorization))
        host = headers["host"]
        if path.startswith("/token"):
            assert "scope=repository%3Aa%2Fb%3Apull" in path
            assert "service=clerk" in path
            self.tokens += 1
            peer.sendall(reply(json.dumps({"token": f"t{self.tokens}"}).encode()))
        elif authorization != f"Bearer t{self.tokens}" or not self.tokens:
            ask = f'WWW-Authenticate: Bearer realm="http://{host}/token",service="clerk"'
            peer.sendall(reply(b"{}", ask, status="401 Unauthorized"))
        elif self.busy:
            self.busy -= 1
            peer.sendall(reply(b"{}", "Retry-After: 0", status="429 Too Many Requests"))
        elif path == "/v2/a/b/manifests/latest":
            peer.sendall(
                reply(
                    self.manifest + self.lie, f"Docker-Content-Digest: {digest_of(self.manifest)}"
                )
            )
        elif digest_of(self.config) in path:
            peer.sendall(reply(self.config))
        else:
            peer.sendall(
                reply(b"", f"Location: {self.elsewhere}/x", status="307 Temporary Redirect")
            )

    def serve_blob(self, path: str, headers: dict[str, str], peer: socket.socket) -> None:
        self.seen.append((path, headers.get("authorization", "")))
        peer.sendall(reply(self.layer))


def test_tokens_patience_and_redirections(target: import_.Target) -> None:
    clerk = Clerk(base_layer())
    with bad_server(clerk.serve) as url, bad_server(clerk.serve_blob) as elsewhere:
        clerk.elsewhere = elsewhere
        sources.add_source(target.paths, url, "docker")
        (target.paths.imgadm / "auth.json").write_text(
            json.dumps({"auths": {url.removeprefix("http://"): {"auth": "bWU6bXk="}}})
        )
        done = fetch(target, url, "a/b")
    assert (root_of(target, done["uuid"]) / "etc/motd").read_bytes() == b"hello\n"
    assert ("/token", "Basic bWU6bXk=") in clerk.seen
    # What was for the registry is none of the other server's business.
    assert ("/x", "") in clerk.seen
    assert clerk.tokens == 1


def test_a_manifest_that_is_not_what_its_digest_says(target: import_.Target) -> None:
    clerk = Clerk(base_layer())
    clerk.lie = b" "
    with bad_server(clerk.serve) as url, pytest.raises(DownloadError, match="another manifest"):
        fetch(target, url, "a/b")


def test_what_is_no_registry(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.locks.mkdir(parents=True)
    with (
        bad_server(lambda _, __, peer: peer.sendall(reply(b"<html>"))) as url,
        pytest.raises(SourcePing, match='unexpected ping error with "docker" image source'),
    ):
        sources.add_source(paths, url, "docker")
