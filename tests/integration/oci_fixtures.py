# SPDX-License-Identifier: MPL-2.0
"""A real registry (Debian's docker-registry) with data of its own, and images to push to it."""

import gzip
import hashlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hull.image.oci import architecture
from hull.image.registry import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from hull.wire import Json, JsonObject
from tests.integration.image_fixtures import zstd

BUSYBOX = Path("/bin/busybox")
# bcrypt of "secret"; Python 3.13 cannot make one.
HTPASSWD = "operator:$2b$05$JTzn5KAGbeLtGmSYcRLGIu.raHD0mn/JUPCRs7qa4c6rhzv1mOTS.\n"
CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
AUTH = """\
auth: {{htpasswd: {{realm: tests, path: {file}}}}}
"""


@contextmanager
def registry(directory: Path, *, netns: str = "", login: bool = False) -> Iterator[str]:
    """A registry over `directory`, on the loopback of a network namespace; its URL."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: `make setup` installs it")
    directory.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / "config.yml"
    text = CONFIG.format(data=directory / "data", port=port)
    if login:
        (directory / "htpasswd").write_text(HTPASSWD)
        text += AUTH.format(file=directory / "htpasswd")
    config.write_text(text)
    enter = ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []
    with subprocess.Popen(
        [*enter, program, "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_listening(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    """The kernel lists what listens in the process's network namespace."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + 20
    while wanted not in Path(f"/proc/{process.pid}/net/tcp").read_text():
        assert process.poll() is None, "the registry ended"
        assert time.monotonic() < deadline, "the registry does not listen"
        time.sleep(0.02)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd,
}


@dataclass(kw_only=True)
class Push:
    """Puts images into a registry by plain HTTP."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def send(
        self, method: str, url: str, data: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            url, data=data, method=method, headers=self.headers | named
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}

    def blob(self, repo: str, data: bytes) -> JsonObject:
        """Push a blob; returns its descriptor, without a type."""
        _, headers = self.send("POST", f"{self.url}/v2/{repo}/blobs/uploads/")
        joint = "&" if "?" in headers["location"] else "?"
        where = f"{headers['location']}{joint}digest={digest_of(data)}"
        self.send("PUT", where, data, Content_Type="application/octet-stream")
        return {"digest": digest_of(data), "size": len(data)}

    def manifest(self, repo: str, tag: str, body: JsonObject) -> JsonObject:
        data = json.dumps(body).encode()
        kind = str(body["mediaType"])
        self.send("PUT", f"{self.url}/v2/{repo}/manifests/{tag}", data, Content_Type=kind)
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def image(
        self,
        repo: str,
        tag: str,
        layers: list[bytes],
        *,
        pack: str = "gzip",
        docker: bool = False,
        config: JsonObject | None = None,
        **more: Json,
    ) -> JsonObject:
        """Push an image of uncompressed `layers`; returns the descriptor of its manifest."""
        said: JsonObject = {
            "architecture": architecture(),
            "os": "linux",
            "created": "2026-02-03T04:05:06.789012345Z",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            **more,
        }
        kind = "application/vnd.oci.image.layer.v1.tar"
        kind += "" if pack == "tar" else f"+{pack}"
        kind = "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else kind
        blobs: list[Json] = [
            {"mediaType": kind, **self.blob(repo, PACK[pack](layer))} for layer in layers
        ]
        described = self.blob(repo, json.dumps(said).encode())
        config_type = "application/vnd.docker.container.image.v1+json"
        body: JsonObject = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": {"mediaType": config_type, **described},
            "layers": blobs,
        }
        return self.manifest(repo, tag, body)

    def index(self, repo: str, tag: str, images: dict[str, JsonObject]) -> JsonObject:
        """Push an index of images by platform, such as `linux/amd64`."""
        listed: list[Json] = []
        for platform, image in images.items():
            system, _, machine = platform.partition("/")
            listed.append({**image, "platform": {"os": system, "architecture": machine}})
        body: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        return self.manifest(repo, tag, body)
