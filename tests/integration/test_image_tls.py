# SPDX-License-Identifier: MPL-2.0
"""Image sources over https: certificates are checked, unless the source was added with -k."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import pytest

from tests.integration.hosts import TestHost
from tests.integration.image_fixtures import a_root, bad_server, manifest_for, reply

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_netns]


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's side, with a certificate that nobody vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
def source(tls: ssl.SSLContext, clean_host: TestHost) -> Iterator[tuple[str, str]]:
    """URL and the UUID of its one image."""
    data = a_root()
    manifest = manifest_for(data)

    def serve(path: str, headers: dict[str, str], peer: socket) -> None:
        del headers
        if path.endswith("/file"):
            peer.sendall(reply(data))
        elif path.startswith("/ping"):
            peer.sendall(reply(b'{"ping": "pong", "imgapi": true}'))
        elif path.startswith("/images?"):
            peer.sendall(reply(json.dumps([manifest]).encode()))
        else:
            peer.sendall(reply(json.dumps(manifest).encode()))

    with bad_server(serve, tls, clean_host.netns) as url:
        yield url, str(manifest["uuid"])
        clean_host("imgadm", "sources", "-d", url)


def test_certificates_are_checked(clean_host: TestHost, source: tuple[str, str]) -> None:
    url, uuid = source
    done = clean_host("imgadm", "sources", "-a", url, check=False)
    assert done.returncode == 1
    assert "error (SourcePing)" in done.stderr
    assert "certificate" in done.stderr.lower()
    clean_host("imgadm", "sources", "-f", "-a", url)
    done = clean_host("imgadm", "import", uuid, check=False)
    assert done.returncode == 1
    assert "certificate" in done.stderr.lower()


def test_unless_the_source_is_insecure(clean_host: TestHost, source: tuple[str, str]) -> None:
    url, uuid = source
    assert clean_host("imgadm", "sources", "-k", "-a", url).stdout.startswith('Added "imgapi"')
    table = clean_host("imgadm", "sources", "-v").stdout.splitlines()
    assert next(line for line in table if url in line).split() == [url, "imgapi", "true"]
    assert {"url": url, "type": "imgapi", "insecure": True} in clean_host.json(
        "imgadm", "sources", "-j"
    )
    clean_host("imgadm", "import", uuid)
    assert clean_host.json("imgadm", "get", uuid)["source"] == url
