# SPDX-License-Identifier: MPL-2.0
"""The manifest's rules, one by one and all at once."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hull.errors import InvalidPayload, ManifestValidation
from hull.image.manifest import check_manifest, check_uuid, parse_manifest
from hull.wire import Json, JsonObject

UUID = "01b2c898-945f-11e1-a523-af1afbe22822"
GOOD: JsonObject = {
    "v": 2,
    "uuid": UUID,
    "owner": "352971aa-31ba-496c-9ade-a379feaecd52",
    "name": "smartos",
    "version": "1.6.3",
    "type": "zone-dataset",
    "os": "smartos",
    "state": "active",
    "disabled": False,
    "public": True,
    "published_at": "2012-05-02T15:15:24Z",
    "files": [
        {"sha1": "a" * 40, "size": 12, "compression": "gzip", "digest": "sha256:" + "b" * 64}
    ],
    "requirements": {
        "networks": [{"name": "net0", "description": "public"}],
        "brand": "lx",
        "min_platform": {"7.0": "20140101T000000Z"},
    },
    "users": [{"name": "root"}],
    "tags": {"role": "db"},
}


def test_a_good_manifest_is_decoded() -> None:
    manifest = parse_manifest(GOOD)
    assert (manifest.uuid, manifest.title, manifest.brand) == (UUID, "smartos@1.6.3", "lx")
    assert (manifest.file.size, manifest.file.compression) == (12, "gzip")
    assert manifest.data is GOOD


def test_the_least_that_a_manifest_must_say() -> None:
    least: JsonObject = {
        "uuid": UUID, "name": "a", "version": "1", "os": "linux", "type": "lx-dataset",
    }  # fmt: skip
    assert parse_manifest(least).file.size == 0
    for key in least:
        paths = [p.path for p in check_manifest({k: v for k, v in least.items() if k != key})]
        assert paths == [key]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("uuid", {"uuid": UUID.upper()}),
        ("uuid", {"uuid": "../../etc"}),
        ("name", {"name": "a:b"}),
        ("name", {"name": "bär"}),
        ("name", {"name": ""}),
        ("version", {"version": "1 2"}),
        ("type", {"type": "tarball"}),
        ("os", {"os": "plan9"}),
        ("owner", {"owner": "me"}),
        ("state", {"state": "sleepy"}),
        ("public", {"public": "maybe"}),
        ("published_at", {"published_at": "yesterday"}),
        ("homepage", {"homepage": "file:///etc/passwd"}),
        ("tags", {"tags": ["a"]}),
        ("files", {"files": [{"sha1": "a" * 40, "size": 1, "compression": "xz"}] * 2}),
        ("files[0].sha1", {"files": [{"size": 1, "compression": "xz"}]}),
        ("files[0].sha1", {"files": [{"sha1": "x", "size": 1, "compression": "xz"}]}),
        ("files[0].size", {"files": [{"sha1": "a" * 40, "size": -1, "compression": "xz"}]}),
        ("files[0].size", {"files": [{"sha1": "a" * 40, "size": True, "compression": "xz"}]}),
        ("files[0].compression", {"files": [{"sha1": "a" * 40, "size": 1, "compression": "rar"}]}),
        (
            "files[0].url",
            {"files": [{"sha1": "a" * 40, "size": 1, "compression": "xz", "url": ""}]},
        ),
        ("files[0]", {"files": ["x"]}),
        ("origin", {"origin": "base"}),
        ("acl", {"acl": ["x"]}),
        ("requirements", {"requirements": []}),
        ("requirements.cpu", {"requirements": {"cpu": 1}}),
        ("requirements.networks[0].name", {"requirements": {"networks": [{"name": "eth0"}]}}),
        ("requirements.min_ram", {"requirements": {"min_ram": 2, "max_ram": 1}}),
        ("requirements.min_platform.7.0", {"requirements": {"min_platform": {"7.0": "new"}}}),
        ("requirements.bootrom", {"requirements": {"bootrom": "uefi"}}),
        ("users[0].name", {"users": [{}]}),
        ("image_size", {"image_size": 1024}),
        ("nic_driver", {"nic_driver": "virtio"}),
        ("colour", {"colour": "blue"}),
    ],
)
def test_each_rule_names_the_place(path: str, change: JsonObject) -> None:
    assert [problem.path for problem in check_manifest(GOOD | change)] == [path]


def test_a_volume_may_have_what_others_may_not() -> None:
    assert not check_manifest(GOOD | {"type": "zvol", "image_size": 1024, "nic_driver": "virtio"})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ManifestValidation) as caught:
        parse_manifest({"name": "a:b", "version": "1", "os": "linux", "colour": "blue"})
    for path in ("uuid", "name", "type", "colour"):
        assert f"{path} (" in caught.value.message


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_a_manifest_is_an_object(value: Json) -> None:
    with pytest.raises(ManifestValidation):
        parse_manifest(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


# A shared machine may be slow at making examples; that is no fault of ours.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*GOOD, "x"]), json_values))
def test_whatever_a_server_sends_is_accepted_or_refused(data: JsonObject) -> None:
    try:
        manifest = parse_manifest(data)
    except ManifestValidation:
        return
    check_uuid(manifest.uuid)


@pytest.mark.parametrize("uuid", ["", "x", UUID + "\n", UUID.upper(), f"../{UUID}"])
def test_a_uuid_from_outside_is_checked(uuid: str) -> None:
    with pytest.raises(InvalidPayload):
        check_uuid(uuid)
