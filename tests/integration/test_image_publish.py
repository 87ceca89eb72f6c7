# SPDX-License-Identifier: MPL-2.0
"""Image servers that take images: step by step, wholly or not at all, and from whom."""

import http.client
import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hull.errors import ActiveImageNotFound, DownloadError, NoSources, UploadError
from hull.image import download, import_, sources, store, update, view
from hull.image.publish import publish_image
from hull.paths import Paths
from hull.storage.fake import FakePool
from hull.wire import Json, JsonObject
from tests.integration.image_fixtures import (
    a_root,
    bad_server,
    imgapid,
    manifest_for,
    put_image,
    reply,
    serve_file,
)

pytestmark = [pytest.mark.needs_root]

TOKEN = "correct-horse-battery"
CHANNELS: list[JsonObject] = [
    {"name": "release", "default": True},
    {"name": "dev", "description": "what comes next"},
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (made := tmp_path / "images").mkdir()
    return made


@pytest.fixture
def url(directory: Path) -> Iterator[str]:
    with imgapid(directory, "--writable") as found:
        yield found


@pytest.fixture
def target(tmp_path: Path) -> import_.Target:
    paths = Paths(tmp_path / "host")
    paths.zones.mkdir(parents=True)
    pool = FakePool("zones", paths.zones)
    return import_.Target(pool=pool, paths=paths, platform="hosted")


def ask(url: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of one request."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body=data, headers=named)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def an_image(tmp_path: Path, **changes: Json) -> tuple[JsonObject, Path, bytes]:
    data = a_root()
    file = tmp_path / "file.tar"
    file.write_bytes(data)
    return manifest_for(data) | changes, file, data


def publish(paths: Paths, manifest: JsonObject, file: Path, url: str) -> list[str]:
    """The lines that it says."""
    said: list[str] = []
    publish_image(
        paths, manifest, str(file), url, insecure=False,
        progress=lambda report: said.append(str(report["line"])) if "line" in report else None,
    )  # fmt: skip
    return said


def fetch(target: import_.Target, name: str, source: str = "", channel: str = "") -> list[str]:
    said: list[str] = []
    import_.import_image(
        target, name, source, channel,
        progress=lambda report: said.append(str(report["line"])) if "line" in report else None,
    )  # fmt: skip
    return said


# -- publish ---------------------------------------------------------------------------------------
def test_three_steps(url: str, directory: Path, tmp_path: Path, target: import_.Target) -> None:
    manifest, file, data = an_image(tmp_path)
    ident = manifest["uuid"]
    assert publish(target.paths, manifest, file, url) == [
        f"Imported image {ident} (test, 1.0, state=unactivated)",
        f'Added file "{file}" (compression "none") to image {ident}',
        f"Activated image {ident}",
        f"Successfully published image {ident} to {url}",
    ]
    assert files(directory) == [f"{ident}.file", f"{ident}.imgmanifest"]
    assert (directory / f"{ident}.file").read_bytes() == data
    status, kept = ask(url, "GET", f"/images/{ident}")
    assert (status, kept["state"], kept["files"]) == (200, "active", manifest["files"])
    fetch(target, "test@1.0", url)
    assert store.is_installed(target.paths, str(ident))
    with pytest.raises(UploadError, match="an image with UUID"):
        publish(target.paths, manifest, file, url)
    assert files(directory) == [f"{ident}.file", f"{ident}.imgmanifest"]


def test_a_file_that_is_not_as_promised_is_undone(
    url: str, directory: Path, tmp_path: Path, target: import_.Target
) -> None:
    manifest, file, data = an_image(tmp_path)
    file.write_bytes(b"x" + data[1:])
    with pytest.raises(UploadError, match="sha1 expected to be"):
        publish(target.paths, manifest, file, url)
    assert files(directory) == []


def test_an_upload_that_breaks_leaves_nothing(url: str, directory: Path, tmp_path: Path) -> None:
    manifest, _, data = an_image(tmp_path)
    ident = manifest["uuid"]
    assert ask(url, "POST", "/images?action=import", manifest)[0] == 200
    with socket.create_connection((url[7:].split(":")[0], int(url.rsplit(":", 1)[1]))) as peer:
        head = f"PUT /images/{ident}/file?compression=none HTTP/1.1\r\nContent-Length: {len(data)}"
        peer.sendall(head.encode() + b"\r\n\r\n" + data[:1000])
        peer.shutdown(socket.SHUT_WR)
        assert b" 400 " in peer.recv(100)
    assert files(directory) == [f"{ident}.imgmanifest"]
    assert ask(url, "POST", f"/images/{ident}?action=activate")[1]["code"] == "NoActivationNoFile"
    assert ask(url, "DELETE", f"/images/{ident}")[0] == 204
    assert files(directory) == []


def test_states(url: str, tmp_path: Path, target: import_.Target) -> None:
    manifest, file, _ = an_image(tmp_path)
    ident = manifest["uuid"]
    publish(target.paths, manifest, file, url)
    path = f"/images/{ident}"
    assert ask(url, "POST", f"{path}?action=disable")[1]["state"] == "disabled"
    assert ask(url, "GET", "/images")[1] == []
    assert len(ask(url, "GET", "/images?state=disabled")[1]) == 1
    with pytest.raises(ActiveImageNotFound):
        fetch(target, str(ident), url)
    assert ask(url, "POST", f"{path}?action=enable")[1]["state"] == "active"
    tags = {"tags": {"role": "db", "big": True}}
    assert ask(url, "POST", f"{path}?action=update", tags)[0] == 200
    assert len(ask(url, "GET", "/images?tag.role=db&tag.big=true")[1]) == 1
    assert ask(url, "GET", "/images?tag.role=web")[1] == []
    changes: list[JsonObject] = [{"uuid": str(uuid.uuid4())}, {"files": []}, {"name": ":"}]
    for change in changes:
        assert ask(url, "POST", f"{path}?action=update", change)[0] == 422
    assert ask(url, "PUT", f"{path}/file?compression=none", b"x")[1]["code"] == (
        "ImageAlreadyActivated"
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/images?action=import", {"uuid": "x"}, 422),
        ("POST", "/images?action=import", b"[]", 400),
        ("POST", "/images?action=import", b"{", 400),
        ("POST", "/images?action=format-disk", {}, 422),
        ("POST", f"/images/{uuid.uuid4()}?action=activate", {}, 404),
        ("DELETE", f"/images/{uuid.uuid4()}", None, 404),
        ("DELETE", "/images", None, 405),
        ("PUT", f"/images/{uuid.uuid4()}/file?compression=none", b"x", 404),
        ("POST", "/images?action=import", b" " * (2 << 20), 413),
    ],
)
def test_what_is_refused(
    url: str, directory: Path, method: str, path: str, body: object, status: int
) -> None:
    assert ask(url, method, path, body)[0] == status
    assert files(directory) == []


def test_an_origin_stays(url: str, tmp_path: Path, target: import_.Target) -> None:
    base, file, _ = an_image(tmp_path)
    publish(target.paths, base, file, url)
    layer, _, _ = an_image(tmp_path, origin=base["uuid"])
    publish(target.paths, layer | {"files": manifest_for(file.read_bytes())["files"]}, file, url)
    assert ask(url, "DELETE", f"/images/{base['uuid']}")[1]["code"] == "ImageHasDependentImages"
    stray, _, _ = an_image(tmp_path, origin=str(uuid.uuid4()))
    assert ask(url, "POST", "/images?action=import", stray)[1]["code"] == "OriginDoesNotExist"


# -- who may ---------------------------------------------------------------------------------------
def test_reading_is_all_without_being_asked_for_more(directory: Path, tmp_path: Path) -> None:
    manifest, _, _ = an_image(tmp_path)
    with imgapid(directory) as url:
        assert ask(url, "POST", "/images?action=import", manifest)[0] == 501
    assert files(directory) == []


def test_a_web_page_may_not_write(url: str, directory: Path, tmp_path: Path) -> None:
    manifest, _, _ = an_image(tmp_path)
    status, answer = ask(
        url, "POST", "/images?action=import", manifest, Origin="http://evil.example.com"
    )
    assert (status, answer["code"]) == (403, "NotAuthorized")
    assert files(directory) == []


def test_who_shows_the_token_may(directory: Path, tmp_path: Path, target: import_.Target) -> None:
    manifest, file, _ = an_image(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with imgapid(directory, "--writable", "--token-file", str(token)) as url:
        assert ask(url, "POST", "/images?action=import", manifest)[0] == 401
        wrong = ask(url, "DELETE", f"/images/{manifest['uuid']}", Authorization="Bearer x")
        assert wrong[0] == 401
        with pytest.raises(UploadError, match="token"):
            publish(target.paths, manifest, file, url)
        target.paths.imgadm.mkdir(parents=True)
        (target.paths.imgadm / "imgapi.token").write_text(TOKEN)
        publish(target.paths, manifest, file, url)
    assert len(files(directory)) == 2


# -- channels, dsapi -------------------------------------------------------------------------------
def test_channels(url: str, directory: Path, tmp_path: Path, target: import_.Target) -> None:
    assert ask(url, "GET", "/channels")[0] == 404
    (directory / "channels.json").write_text(json.dumps(CHANNELS))
    assert ask(url, "GET", "/channels")[1] == CHANNELS
    manifest, file, _ = an_image(tmp_path)
    ident = str(manifest["uuid"])
    publish(target.paths, manifest, file, f"{url}?channel=dev")
    assert ask(url, "GET", f"/images/{ident}")[0] == 404
    assert ask(url, "GET", f"/images/{ident}?channel=dev")[1]["channels"] == ["dev"]
    assert ask(url, "GET", "/images?channel=nope")[1]["code"] == "UnknownChannel"
    sources.add_source(target.paths, url)
    assert view.channels(target.paths) == [entry | {"source": url} for entry in CHANNELS]
    with pytest.raises(ActiveImageNotFound):
        fetch(target, ident)
    assert fetch(target, ident, channel="dev")[0].endswith(f'from "{url}", channel "dev"')
    added = ask(url, "POST", f"/images/{ident}?action=channel-add", {"channel": "release"})[1]
    assert added["channels"] == ["dev", "release"]
    assert [entry["uuid"] for entry in ask(url, "GET", "/images")[1]] == [ident]
    assert ask(url, "DELETE", f"/images/{ident}?channel=dev")[0] == 204
    assert ask(url, "GET", f"/images/{ident}?channel=dev")[0] == 404
    assert ask(url, "DELETE", f"/images/{ident}?channel=release")[0] == 204
    assert files(directory) == ["channels.json"]


def test_a_source_s_url_may_name_its_channel(
    url: str, directory: Path, tmp_path: Path, target: import_.Target
) -> None:
    (directory / "channels.json").write_text(json.dumps(CHANNELS))
    manifest, file, _ = an_image(tmp_path)
    publish(target.paths, manifest, file, f"{url}?channel=dev")
    sources.add_source(target.paths, f"{url}?channel=dev")
    fetch(target, str(manifest["uuid"]))
    assert store.get(target.paths, str(manifest["uuid"])).source == f"{url}?channel=dev"


def test_dsapi(url: str, directory: Path, target: import_.Target) -> None:
    ident = put_image(directory, a_root(), "gzip")
    (listed,) = ask(url, "GET", "/datasets")[1]
    assert (listed["uuid"], listed["files"][0]["path"]) == (ident, f"{ident}.tar.gz")
    assert ask(url, "GET", f"/datasets/{ident}")[1] == listed
    assert ask(url, "GET", f"/datasets/{ident}/passwd")[0] == 404
    assert sources.add_source(target.paths, url, "dsapi")["added"] is True
    offered: Any = view.available_images(target.paths)
    assert [entry["manifest"]["uuid"] for entry in offered["images"]] == [ident]
    fetch(target, ident)
    assert store.get(target.paths, ident).source == url


# -- downloads -------------------------------------------------------------------------------------
def test_the_next_import_goes_on_where_one_broke(target: import_.Target) -> None:
    data = a_root()
    manifest = manifest_for(data)
    asked: list[str] = []

    def serve(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        """Breaks off after half of it; without an ETag it is not tried again at once."""
        asked.append(headers.get("range", ""))
        if "range" not in headers:
            peer.sendall(reply(data[: len(data) // 2], length=len(data)))
        else:
            start = int(headers["range"][6:-1])
            peer.sendall(reply(data[start:], status="206 Partial Content"))

    with bad_server(serve_file(manifest, serve)) as url:
        with pytest.raises(DownloadError, match="broke off after"):
            fetch(target, str(manifest["uuid"]), url)
        (partial,) = download.directory(target.paths).iterdir()
        assert partial.stat().st_size == len(data) // 2
        fetch(target, str(manifest["uuid"]), url)
    assert asked == ["", f"bytes={len(data) // 2}-"]
    assert not partial.exists()


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_what_is_there_of_another_file_is_thrown_away(
    target: import_.Target, directory: Path, size: int
) -> None:
    ident = put_image(directory, a_root())
    partial = download.directory(target.paths) / f"{ident}.file"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(size))
    with imgapid(directory) as url:
        fetch(target, ident, url)
    assert not partial.exists()


def test_a_whole_file_is_not_fetched_again(target: import_.Target) -> None:
    data = a_root()
    manifest = manifest_for(data)
    partial = download.directory(target.paths) / f"{manifest['uuid']}.file"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(data)

    def refuse(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        peer.sendall(reply(b"", status="500 No"))

    with bad_server(serve_file(manifest, refuse)) as url:
        said = fetch(target, str(manifest["uuid"]), url)
    assert said[-1].startswith("Imported image")


# -- what is here, and what sources say of it ------------------------------------------------------
def test_update(url: str, directory: Path, target: import_.Target) -> None:
    ident = put_image(directory, a_root())
    fetch(target, ident, url)

    def updated(*uuids: str, dry_run: bool = False) -> list[str]:
        said: list[str] = []
        update.update_images(
            target.pool, target.paths, [*uuids], dry_run=dry_run,
            progress=lambda report: said.append(str(report["line"])),
        )  # fmt: skip
        return said

    sources.add_source(target.paths, url)
    assert updated() == []
    change = {"description": "new", "requirements": {"ssh_key": True}}
    ask(url, "POST", f"/images/{ident}?action=update", change)
    line = f'Updated 2 manifest fields for image {ident} from "{url}": description, requirements'
    assert updated(ident, dry_run=True) == [line]
    assert updated(ident) == [line]
    assert updated() == []
    assert store.get(target.paths, ident).manifest.data["description"] == "new"
    target.pool.rename(f"zones/{ident}@final", f"zones/{ident}@other")
    assert updated() == [
        f"Renamed image {ident} original snapshot from zones/{ident}@other to zones/{ident}@final"
    ]
    store.remove(target.paths, ident)
    assert updated() == [f'Added manifest info for image {ident} from "{url}"']
    ask(url, "DELETE", f"/images/{ident}")
    assert updated() == [f"warning: Could not find image {ident} in image sources (skipping)"]


def test_reinstall(directory: Path, target: import_.Target) -> None:
    ident = put_image(directory, a_root())
    with imgapid(directory) as url:
        fetch(target, ident, url)
        (root := Path(target.pool.datasets(f"zones/{ident}")[0].mountpoint) / "root").joinpath(
            "etc/motd"
        ).write_text("spoilt")
        import_.reinstall_image(target, ident, progress=lambda report: None)
        assert (root / "etc/motd").read_text() == "hello\n"
    with pytest.raises(DownloadError):
        import_.reinstall_image(target, ident, progress=lambda report: None)
    assert store.is_installed(target.paths, ident)


def test_a_host_without_sources(target: import_.Target) -> None:
    with pytest.raises(NoSources, match="imgadm has no configured sources"):
        fetch(target, "base-64")
    with pytest.raises(NoSources):
        view.available_images(target.paths)


def test_the_latest_of_a_name(directory: Path, target: import_.Target) -> None:
    wanted = {}
    for version, day in (("1.0", 1), ("3.0", 3), ("2.0", 2)):
        published = f"2026-01-0{day}T00:00:00Z"
        wanted[version] = put_image(directory, a_root(), version=version, published_at=published)
    with imgapid(directory) as url:
        assert fetch(target, "test", url)[-1] == f"Imported image {wanted['3.0']} (test@3.0)"
        assert fetch(target, "test@1.0", url)[-1] == f"Imported image {wanted['1.0']} (test@1.0)"
        with pytest.raises(ActiveImageNotFound):
            fetch(target, "test@9", url)


def test_what_is_checked_of_sources(url: str, target: import_.Target) -> None:
    sources.add_source(target.paths, url)
    sources.add_source(target.paths, "http://127.0.0.1:9", "dsapi", force=True)
    good, bad = view.check_sources(target.paths)
    assert good == {"url": url, "type": "imgapi", "ok": True}
    assert bad["ok"] is False
    assert 'unexpected ping error with "dsapi" image source' in str(bad["error"])
