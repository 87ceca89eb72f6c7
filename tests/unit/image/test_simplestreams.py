# SPDX-License-Identifier: MPL-2.0
"""Products of simplestreams as manifests; what a server says is not trusted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.image import simplestreams
from hull.image.manifest import parse_manifest

ROOT, SQUASH, META = ("1" * 64, "2" * 64, "3" * 64)
FINGERPRINT = "f" * 64


def version(**items: Any) -> Any:
    found = {
        "incus.tar.xz": {
            "ftype": "incus.tar.xz", "size": 5, "sha256": META, "path": "p/incus.tar.xz",
            "combined_rootxz_sha256": FINGERPRINT,
        },
        "root.tar.xz": {
            "ftype": "root.tar.xz", "size": 7, "sha256": ROOT, "path": "p/root.tar.xz",
        },
    }  # fmt: skip
    return {"items": found | items}


def product(**changes: Any) -> Any:
    return {
        "aliases": "debian/13/default,debian/13",
        "arch": "amd64",
        "os": "Debian",
        "release": "trixie",
        "release_title": "13",
        "variant": "default",
        "versions": {"20260101_05:24": version(), "20251231_05:24": version()},
        **changes,
    }


def parse(**products: Any) -> list[simplestreams.Product]:
    return list(simplestreams.parse_products({"products": products}, "amd64"))


def test_a_product_becomes_a_manifest() -> None:
    (found,) = parse(**{"debian:trixie:amd64:default": product()})
    manifest = parse_manifest(found.manifest)
    assert (manifest.name, manifest.version) == ("debian/trixie", "20260101_0524")
    assert (manifest.type, manifest.os, manifest.brand) == ("lx-dataset", "linux", "lx")
    assert manifest.published_at == "2026-01-01T05:24:00Z"
    assert (manifest.file.digest, manifest.file.size) == (f"sha256:{ROOT}", 7)
    assert found.aliases == ("debian/13/default", "debian/13")
    assert found.path == "p/root.tar.xz"
    assert found.manifest["tags"] == {
        "fingerprint": FINGERPRINT,
        "aliases": "debian/13/default,debian/13",
    }


def test_a_uuid_is_that_of_the_fingerprint() -> None:
    (one,) = parse(a=product())
    (same,) = parse(b=product(aliases="x", versions={"20270101": version()}))
    other_items = {"incus.tar.xz": {"ftype": "incus.tar.xz", "sha256": META}}
    (other,) = parse(a=product(versions={"20260101": version(**other_items)}))
    assert one.manifest["uuid"] == same.manifest["uuid"] != other.manifest["uuid"]


def test_variants_are_named() -> None:
    (found,) = parse(**{"debian:trixie:amd64:cloud": product(variant="cloud")})
    assert found.manifest["name"] == "debian/trixie/cloud"


def test_a_squashfs_is_second_best() -> None:
    squash = {"ftype": "squashfs", "size": 3, "sha256": SQUASH, "path": "p/rootfs.squashfs"}
    both, only = version(s=squash), version(s=squash)
    del only["items"]["root.tar.xz"]
    (first,) = parse(a=product(versions={"20260101": both}))
    (second,) = parse(a=product(versions={"20260101": only}))
    assert (first.path, second.path) == ("p/root.tar.xz", "p/rootfs.squashfs")
    assert parse_manifest(second.manifest).file.compression == "none"


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "arm64"},
        {"versions": {}},
        {"versions": {"latest": version()}},
        {"versions": {"20260101": {"items": {}}}},
        {"versions": {"20260101": version(**{"root.tar.xz": {"ftype": "disk-kvm.img"}})}},
        {"versions": {"20260101": version(**{"incus.tar.xz": {"ftype": "x"}})}},
        {"versions": {"20260101": version(**{"root.tar.xz": {"ftype": "root.tar.xz"}})}},
    ],
)
def test_what_is_of_no_use_is_left_out(changes: Any) -> None:
    assert parse(a=product(**changes)) == []


def test_an_older_version_that_is_whole_will_do() -> None:
    versions = {"20260102": {"items": {}}, "20260101": version()}
    (found,) = parse(a=product(versions=versions))
    assert found.manifest["version"] == "20260101"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(JSON)
def test_nonsense_is_left_out(value: Any) -> None:
    assert parse(a=value) == []
    assert list(simplestreams.parse_products({"products": value}, "amd64")) == []
    for key in ("versions", "aliases", "variant"):
        for found in parse(a=product(**{key: value})):
            parse_manifest(found.manifest)
