# SPDX-License-Identifier: MPL-2.0
"""What the image tests share: archives and manifests, a pool, image servers good and bad."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import signal
import socket
import ssl
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hull.image.manifest import parse_manifest
from hull.linux.netns import in_netns, opened
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import JsonObject

BIN = Path(__file__).resolve().parents[2] / "bin"
SUFFIXES = {"none": "", "gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


def member(name: str, **changes: object) -> tarfile.TarInfo:
    """A member of an archive, with the names of tarfile.TarInfo's attributes."""
    info = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def a_root(*more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A small root file system: owners, modes, links, an attribute, a device in /dev."""
    return archive(
        (member(".", type=tarfile.DIRTYPE, mode=0o755), b""),
        (member("./etc", type=tarfile.DIRTYPE, mode=0o755), b""),
        (member("./etc/motd", mode=0o640, uid=7, gid=33, mtime=1_000_000_000), b"hello\n"),
        (member("./etc/hard", type=tarfile.LNKTYPE, linkname="./etc/motd"), b""),
        (member("./etc/mtab", type=tarfile.SYMTYPE, linkname="/proc/mounts"), b""),
        (member("./bin", type=tarfile.DIRTYPE, mode=0o755), b""),
        (member("./bin/su", mode=0o4755), b"#!/bin/sh\n"),
        (
            member("./bin/ping", mode=0o755, pax_headers={"SCHILY.xattr.user.note": "kept"}),
            os.urandom(300_000),
        ),
        (member("./dev", type=tarfile.DIRTYPE, mode=0o755), b""),
        (member("./dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        *more,
    )


def hostile(name: str, target: Path) -> tuple[tuple[tarfile.TarInfo, bytes], ...]:
    """Archives that try to write to `target`, a directory of the host."""
    up = "/".join([".."] * 12)
    link, hard, device = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.BLKTYPE
    return {
        "dotdot": ((member(f"./{up}{target}/evil"), b"evil"),),
        "dotdot in the middle": ((member(f"./etc/{up}{target}/evil"), b"evil"),),
        "absolute": ((member(f"{target}/evil"), b"evil"),),
        "through an absolute link": (
            (member("./way", type=link, linkname=str(target)), b""),
            (member("./way/evil"), b"evil"),
        ),
        "through a relative link": (
            (member("./way", type=link, linkname=f"{up}{target}"), b""),
            (member("./way/evil"), b"evil"),
        ),
        "through two links": (
            (member("./a", type=link, linkname=".."), b""),
            (member("./b", type=link, linkname=f"a/{up}{target}"), b""),
            (member("./b/evil"), b"evil"),
        ),
        "overwrite through a link": (
            (member("./way", type=link, linkname=f"{target}/precious"), b""),
            (member("./way"), b"evil"),
        ),
        "the root is a link": (
            (member(".", type=link, linkname=str(target)), b""),
            (member("./evil"), b"evil"),
        ),
        "hard link outside": (
            (member("./way", type=hard, linkname=f"{target}/precious"), b""),
            (member("./way"), b"evil"),
        ),
        "hard link by dotdot": (
            (member("./way", type=hard, linkname=f"./{up}{target}/precious"), b""),
            (member("./way"), b"evil"),
        ),
        "mode of an outer directory": (
            (member("./way", type=link, linkname=str(target)), b""),
            (member("./way/.", type=tarfile.DIRTYPE, mode=0o777, uid=1), b""),
        ),
        "device": ((member("./sda", type=device, devmajor=8, devminor=0), b""),),
    }[name]


HOSTILE = (
    "dotdot", "dotdot in the middle", "absolute", "through an absolute link",
    "through a relative link", "through two links", "overwrite through a link",
    "the root is a link", "hard link outside", "hard link by dotdot",
    "mode of an outer directory", "device",
)  # fmt: skip


def manifest_for(data: bytes, compression: str = "none", **changes: object) -> JsonObject:
    made: JsonObject = {
        "v": 2,
        "uuid": str(uuid.uuid4()),
        "name": "test",
        "version": "1.0",
        "os": "linux",
        "type": "zone-dataset",
        "state": "active",
        "published_at": "2026-01-01T00:00:00Z",
        "files": [
            {
                "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
                "size": len(data),
                "compression": compression,
                "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            }
        ],
    }
    for key, value in changes.items():
        made[key] = value  # type: ignore[assignment]  # a test may say anything
    return made


def put_image(directory: Path, data: bytes, compression: str = "none", **changes: object) -> str:
    """Put an image into a directory for imgapid; returns its UUID."""
    manifest = manifest_for(COMPRESS[compression](data), compression, **changes)
    found = parse_manifest(manifest).uuid
    (directory / f"{found}.tar{SUFFIXES[compression]}").write_bytes(COMPRESS[compression](data))
    (directory / f"{found}.imgmanifest").write_text(json.dumps(manifest))
    return found


@contextmanager
def imgapid(directory: Path, *options: str, netns: str = "") -> Iterator[str]:
    """A real image server over a directory, in a network namespace; its URL."""
    enter = ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []
    with subprocess.Popen(
        [*enter, BIN / "imgapid", directory, "--listen", "127.0.0.1:0", *options],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


Serve = Callable[[str, dict[str, str], socket.socket], None]


@contextmanager
def bad_server(serve: Serve, tls: ssl.SSLContext | None = None, netns: str = "") -> Iterator[str]:
    """A server whose every connection is handled by `serve(path, headers, socket)`; its URL."""
    with opened(f"/run/netns/{netns}" if netns else "/proc/self/ns/net") as namespace:
        listener = in_netns(namespace, lambda: socket.create_server(("127.0.0.1", 0)))

    def run() -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=one, args=(peer,), daemon=True).start()

    def one(peer: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(peer, server_side=True) if tls else peer as peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(4096)
            lines = head.decode().split("\r\n")
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            serve(lines[0].split()[1], headers, peer)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def serve_file(manifest: JsonObject, file: Serve) -> Serve:
    """A server of one image whose file is served by `file`."""

    def serve(path: str, headers: dict[str, str], peer: socket.socket) -> None:
        if path.endswith("/file"):
            file(path, headers, peer)
        else:
            peer.sendall(reply(json.dumps(manifest).encode()))

    return serve


def assert_nothing_left(pool: Pool, paths: Paths, uuid_: str) -> None:
    """No dataset, record, scratch directory or mount of an import."""
    assert [found.name for found in pool.datasets() if uuid_ in found.name] == []
    assert not (paths.imgadm / f"images/zones-{uuid_}.json").exists()
    assert [found.name for found in paths.run.glob("import-*")] == []
    assert str(paths.run) not in Path("/proc/self/mountinfo").read_text()
