# SPDX-License-Identifier: MPL-2.0
"""References, manifests of registries as ours, and a registry's patience: no network is needed."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.errors import Corrupt, Unsupported
from hull.image import auth, oci, registry
from hull.image.manifest import UUID, parse_manifest
from hull.image.reference import Reference, parse_reference, registry_host, registry_url
from hull.image.web import Server
from hull.linux.files import write_json
from hull.paths import Paths

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
ARCH = oci.architecture()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("alpine", Reference(repo="alpine")),
        ("alpine:3", Reference(repo="alpine", tag="3")),
        ("a/b_c/d--e:V1.x-y", Reference(repo="a/b_c/d--e", tag="V1.x-y")),
        ("quay.io/a/b", Reference(host="quay.io", repo="a/b")),
        ("localhost/a", Reference(host="localhost", repo="a")),
        ("h:5000/a:1", Reference(host="h:5000", repo="a", tag="1")),
        (f"a@{A}", Reference(repo="a", digest=A)),
        (f"a:1@{A}", Reference(repo="a", tag="1", digest=A)),
    ],
)
def test_references(text: str, parsed: Reference) -> None:
    assert parse_reference(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "", "A", "a:", "a:b/c", "-a", "a//b", "a/../b", "a@sha256:abc", "a b", "a:1:2", "a@",
        "../a", "a" * 256, "a:" + "b" * 129, "3b5fad5c-3267-5748-bc28-26061ac68fe5", "quay.io/",
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    assert parse_reference(text) is None


@given(st.text(max_size=40))
def test_a_reference_never_leads_elsewhere(text: str) -> None:
    found = parse_reference(text)
    if found:
        path = f"/v2/{found.repo}/manifests/{found.wanted}"
        assert ".." not in path.split("/")
        assert not set(path) & set("?#% \n")


def test_the_hub_has_short_names() -> None:
    short = parse_reference("alpine:3")
    assert short
    there = short.of("docker.io")
    assert there == Reference(host="docker.io", repo="library/alpine", tag="3")
    assert there.local_name == "alpine"
    elsewhere = short.of("h:5000")
    assert elsewhere == Reference(host="h:5000", repo="alpine", tag="3")
    assert elsewhere.local_name == "h:5000/alpine"
    assert there.of("quay.io") is None
    assert registry_host("https://index.docker.io") == "docker.io"
    assert registry_url("https://docker.io") == "https://registry-1.docker.io"
    assert registry_url("http://h:5000/") == "http://h:5000"


def manifest(*digests: str, **changes: Any) -> Any:
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    return {
        "schemaVersion": 2,
        "mediaType": registry.OCI_MANIFEST,
        "config": {"digest": C},
        "layers": [{"digest": digest, "size": 9, "mediaType": kind} for digest in digests],
        **changes,
    }


def config(*diff_ids: str, **changes: Any) -> Any:
    return {
        "os": "linux",
        "architecture": ARCH,
        "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["x"]},
        "rootfs": {"diff_ids": list(diff_ids)},
        **changes,
    }


def test_a_chain_of_images() -> None:
    layers = oci.layers_of(manifest(A, B), config(B, A))
    reference = Reference(host="docker.io", repo="library/alpine", tag="3")
    base, top = oci.manifests(reference, C, config(B, A), layers)
    assert base["uuid"] == oci.uuid_of([A])
    assert top["uuid"] == oci.uuid_of([A, B, C])
    assert top["origin"] == base["uuid"]
    parsed = parse_manifest(top)
    assert (parsed.file.digest, parsed.file.uncompressed_digest, parsed.file.size) == (B, A, 9)
    assert parsed.file.compression == "gzip"
    assert parse_manifest(base).origin == ""
    assert base["tags"] == {"docker:repo": "alpine", "docker:id": A}
    assert top["tags"] == {
        "docker:repo": "alpine",
        "docker:id": C,
        "docker:tag:3": True,
        "docker:architecture": ARCH,
        "docker:config": {"Cmd": ["x"]},
    }
    by_digest = oci.tags(Reference(repo="a", digest=A), C, config())
    assert not any(tag.startswith("docker:tag:") for tag in by_digest)


@given(st.lists(st.text(max_size=80), max_size=5))
def test_uuids_of_chains(digests: list[str]) -> None:
    assert UUID.fullmatch(oci.uuid_of(digests))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (manifest(), config()),
        (manifest(A), config(A, B)),
        (manifest("md5:1"), config(A)),
        (manifest(A), config("sha256:x")),
        (manifest(A), config(rootfs=None)),
        (manifest(A, layers=[{"digest": A, "size": "9"}]), config(A)),
        (manifest(A, layers=[{"digest": A, "size": -1}]), config(A)),
        (manifest(*[A] * 128), config(*[A] * 128)),
    ],
)
def test_layers_that_make_no_sense(broken: Any, said: Any) -> None:
    with pytest.raises(Corrupt):
        oci.layers_of(broken, said)


def test_what_is_not_supported() -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layers = [{"digest": A, "size": 1, "mediaType": foreign}]
    with pytest.raises(Unsupported, match="foreign"):
        oci.layers_of(manifest(layers=layers), config(A))
    for odd in ({"schemaVersion": 1}, {"mediaType": "application/x"}):
        with pytest.raises(Unsupported):
            oci.check_manifest(manifest(A, **odd))
    with pytest.raises(Corrupt):
        oci.check_manifest(manifest(A, config=None))


def test_an_index_names_what_it_has() -> None:
    items: Any = [
        {"digest": A, "platform": {"os": "windows", "architecture": ARCH}},
        {"digest": B, "platform": {"os": "linux", "architecture": ARCH}},
        {"digest": C},
    ]
    assert oci.choose({"manifests": [*items]}, ARCH) == B
    with pytest.raises(Unsupported) as caught:
        oci.choose({"manifests": [items[0]]}, ARCH)
    assert f"windows/{ARCH}" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "time_"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
        ("2026-01-02T03:04:05.678901234+00:00", "2026-01-02T03:04:05.678Z"),
        ("yesterday", oci.OLDEST),
        (None, oci.OLDEST),
        (7, oci.OLDEST),
    ],
)
def test_times(said: Any, time_: str) -> None:
    assert oci.created(said) == time_


def test_history_that_does_not_fit_is_left_out() -> None:
    said = {"history": [{"created_by": "a"}, {"created_by": "e", "empty_layer": True}, {}]}
    assert oci.history(said, 2) == ["a", ""]  # type: ignore[arg-type]  # JSON, only narrower
    assert oci.history(said, 3) == ["", "", ""]  # type: ignore[arg-type]  # JSON, only narrower


def test_how_long_a_busy_registry_is_waited_for() -> None:
    assert registry.wait_of("7", 0) == 7
    assert registry.wait_of("100000", 0) == registry.LONGEST_WAIT
    assert [registry.wait_of("", attempt) for attempt in range(3)] == [1, 2, 4]
    assert registry.wait_of("soon", 9) == registry.LONGEST_WAIT
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < registry.wait_of(later, 0) <= 30
    assert registry.wait_of("Thu, 01 Jan 1970 00:00:00 GMT", 0) == 0


def test_a_safe_registry_does_not_send_one_to_an_unsafe_token_server() -> None:
    assert registry.token_schemes(Server("https://docker.io")) == ("https",)
    assert registry.token_schemes(Server("http://127.0.0.1:5000")) == ("https", "http")


def test_credentials(tmp_path: Any) -> None:
    paths = Paths(tmp_path)
    assert auth.credentials(paths, "https://docker.io") == ""
    paths.imgadm.mkdir(parents=True)
    entries: Any = {
        "https://index.docker.io/v1/": {"auth": "hub"},
        "h:5000": {"auth": "mine"},
        "odd": 7,
    }
    write_json(paths.imgadm / "auth.json", {"auths": entries})
    assert auth.credentials(paths, "https://docker.io") == "hub"
    assert auth.credentials(paths, "http://h:5000") == "mine"
    assert auth.credentials(paths, "http://h:5001") == ""
    assert auth.credentials(paths, "http://odd") == ""
