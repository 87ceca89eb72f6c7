# SPDX-License-Identifier: MPL-2.0
"""The IMGAPI v2 manifest: what it may say, checked all at once, and what Hull reads from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from hull.errors import InvalidPayload, ManifestValidation, Problem
from hull.wire import Json, JsonObject

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NAME = re.compile(r"[A-Za-z0-9 ._/-]{1,512}")
VERSION = re.compile(r"[A-Za-z0-9._/+-]{1,128}")
SHA1 = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
URL = re.compile(r"https?://[^\s]{1,1000}")
STAMP = re.compile(r"\d{8}T\d{6}Z")
NETWORK = re.compile(r"net\d+")

TYPES = ("zone-dataset", "lx-dataset", "zvol", "docker", "other")
SYSTEMS = ("smartos", "linux", "windows", "bsd", "illumos", "other")
STATES = ("active", "unactivated", "disabled", "creating", "failed")
COMPRESSIONS = ("none", "gzip", "bzip2", "xz", "zstd")
ZVOL_ONLY = ("nic_driver", "disk_driver", "cpu_type", "image_size")

# Says what is wrong with a value, or nothing.
Check = Callable[[Json], str]


def matches(pattern: re.Pattern[str], what: str) -> Check:
    def check(value: Json) -> str:
        good = isinstance(value, str) and pattern.fullmatch(value)
        return "" if good else f"must be {what}"

    return check


def one_of(*choices: str) -> Check:
    return lambda value: "" if value in choices else f"must be one of {', '.join(choices)}"


def text(limit: int) -> Check:
    def check(value: Json) -> str:
        good = isinstance(value, str) and len(value) <= limit
        return "" if good else f"must be a string of at most {limit} characters"

    return check


def boolean(value: Json) -> str:
    good = isinstance(value, bool) or value in ("true", "false")
    return "" if good else "must be true or false"


def size(value: Json) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if good else "must be a whole number, 0 or more"


def an_object(value: Json) -> str:
    return "" if isinstance(value, dict) else "must be an object"


def a_list(value: Json) -> str:
    return "" if isinstance(value, list) else "must be a list"


def strings(value: Json) -> str:
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "" if good else "must be a list of strings"


def uuids(value: Json) -> str:
    good = isinstance(value, list) and not any(map(a_uuid, value))
    return "" if good else "must be a list of UUIDs"


def anything(value: Json) -> str:
    del value
    return ""


a_uuid = matches(UUID, "a lower-case UUID")

REQUIRED = ("uuid", "name", "version", "os", "type")

FIELDS: dict[str, Check] = {
    "v": anything,
    "uuid": a_uuid,
    "name": matches(NAME, "letters, digits, spaces and ._/- (at most 512)"),
    "version": matches(VERSION, "letters, digits and ._/+- (at most 128)"),
    "os": one_of(*SYSTEMS),
    "type": one_of(*TYPES),
    "owner": a_uuid,
    "state": one_of(*STATES),
    "disabled": boolean,
    "public": boolean,
    "published_at": matches(TIME, "a time such as 2026-01-31T12:00:00Z"),
    "description": text(512),
    "homepage": matches(URL, "an http or https URL"),
    "eula": matches(URL, "an http or https URL"),
    "tags": an_object,
    "files": a_list,
    "origin": a_uuid,
    "acl": uuids,
    "requirements": an_object,
    "users": a_list,
    "billing_tags": strings,
    "traits": an_object,
    "generate_passwords": boolean,
    "inherited_directories": strings,
    "nic_driver": text(64),
    "disk_driver": text(64),
    "cpu_type": text(64),
    "image_size": size,
    "channels": strings,
    "icon": anything,
    "error": anything,
}

FILE_FIELDS: dict[str, Check] = {
    "sha1": matches(SHA1, "40 hexadecimal digits"),
    "size": size,
    "compression": one_of(*COMPRESSIONS),
    "digest": matches(DIGEST, "sha256: and 64 hexadecimal digits"),
    "dataset_guid": anything,
    "stor": anything,
    "uncompressedDigest": matches(DIGEST, "sha256: and 64 hexadecimal digits"),
}

REQUIREMENT_FIELDS: dict[str, Check] = {
    "networks": a_list,
    "brand": text(64),
    "ssh_key": boolean,
    "min_ram": size,
    "max_ram": size,
    "min_platform": an_object,
    "max_platform": an_object,
    "bootrom": one_of("bios", "uefi"),
}


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """The one file of an image; empty or 0: the manifest does not say."""

    sha1: str = ""
    size: int = 0
    compression: str = ""
    digest: str = ""  # sha256:HEX
    uncompressed_digest: str = ""  # sha256:HEX of the archive in it


@dataclass(frozen=True, kw_only=True)
class ImageManifest:
    """A manifest that has been checked. `data` is all of it, as it was given."""

    uuid: str
    name: str
    version: str
    os: str
    type: str
    published_at: str
    origin: str
    brand: str  # requirements.brand
    file: ImageFile
    data: JsonObject

    @property
    def title(self) -> str:
        return f"{self.name}@{self.version}"


def check_uuid(uuid: str) -> None:
    """Before a UUID from outside becomes part of a name. Raises InvalidPayload."""
    if not UUID.fullmatch(uuid):
        raise InvalidPayload([Problem("uuid", f'invalid uuid: "{uuid}"')])


def parse_manifest(data: Json) -> ImageManifest:
    """Raises ManifestValidation, whose message names every problem."""
    if not isinstance(data, dict):
        raise ManifestValidation("an image manifest must be a JSON object")
    if problems := check_manifest(data):
        wrong = ", ".join(f"{problem.path} ({problem.message})" for problem in problems)
        raise ManifestValidation(f"invalid manifest: {wrong}")
    requirements = _object(data.get("requirements"))
    return ImageManifest(
        uuid=_text(data, "uuid"),
        name=_text(data, "name"),
        version=_text(data, "version"),
        os=_text(data, "os"),
        type=_text(data, "type"),
        published_at=_text(data, "published_at"),
        origin=_text(data, "origin"),
        brand=_text(requirements, "brand"),
        file=_file(data.get("files")),
        data=data,
    )


def _text(data: JsonObject, key: str) -> str:
    return str(data.get(key) or "")


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _file(files: Json) -> ImageFile:
    first = _object(files[0]) if isinstance(files, list) and files else {}
    length = first.get("size")
    return ImageFile(
        sha1=_text(first, "sha1"),
        size=length if isinstance(length, int) else 0,
        compression=_text(first, "compression"),
        digest=_text(first, "digest"),
        uncompressed_digest=_text(first, "uncompressedDigest"),
    )


def check_manifest(data: JsonObject) -> list[Problem]:
    """Everything that is wrong with a manifest."""
    problems = check_object(data, FIELDS, REQUIRED, "")
    problems += check_files(data.get("files"))
    problems += check_requirements(data.get("requirements"))
    users = data.get("users")
    for index, user in enumerate(users if isinstance(users, list) else []):
        problems += check_object(user, {"name": text(64)}, ("name",), f"users[{index}]")
    if data.get("type") != "zvol":
        problems += [
            Problem(key, "only an image of type zvol has it") for key in ZVOL_ONLY if data.get(key)
        ]
    return problems


def check_object(
    data: Json, known: dict[str, Check], required: tuple[str, ...], path: str
) -> list[Problem]:
    """Required, unknown and wrong fields of one object; null counts as absent."""
    if not isinstance(data, dict):
        return [Problem(path, "must be an object")]
    prefix = f"{path}." if path else ""
    problems = [Problem(prefix + key, "required") for key in required if data.get(key) is None]
    for key, value in data.items():
        if key not in known:
            problems.append(Problem(prefix + key, "unknown field"))
        elif value is not None and (wrong := known[key](value)):
            problems.append(Problem(prefix + key, wrong))
    return problems


def check_files(files: Json) -> list[Problem]:
    if not isinstance(files, list):
        return []
    problems = [Problem("files", "at most one file")] if len(files) > 1 else []
    for index, file in enumerate(files):
        # A registry knows its layers by their digest.
        named = "digest" if isinstance(file, dict) and file.get("digest") else "sha1"
        required = (named, "size", "compression")
        problems += check_object(file, FILE_FIELDS, required, f"files[{index}]")
    return problems


def check_requirements(requirements: Json) -> list[Problem]:
    if not isinstance(requirements, dict):
        return []
    problems = check_object(requirements, REQUIREMENT_FIELDS, (), "requirements")
    networks = requirements.get("networks")
    for index, network in enumerate(networks if isinstance(networks, list) else []):
        known = {"name": matches(NETWORK, "net0, net1 …"), "description": text(512)}
        problems += check_object(network, known, ("name",), f"requirements.networks[{index}]")
    for key in ("min_platform", "max_platform"):
        stamps = requirements.get(key)
        for version, stamp in (stamps if isinstance(stamps, dict) else {}).items():
            if not (isinstance(stamp, str) and STAMP.fullmatch(stamp)):
                problems.append(
                    Problem(f"requirements.{key}.{version}", "must be a build stamp", "…T…Z")
                )
    low, high = requirements.get("min_ram"), requirements.get("max_ram")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        problems.append(Problem("requirements.min_ram", "more than max_ram"))
    if requirements.get("bootrom") and not requirements.get("brand"):
        problems.append(Problem("requirements.bootrom", "needs a brand"))
    return problems
