# SPDX-License-Identifier: MPL-2.0
"""`imgadm create`: a VM at rest becomes an image file and its manifest.

What reads the VM's files works on a snapshot of them. The name of that snapshot, and of the files
that are being written, are noted first, so that a start after a crash can remove them.
"""

import json
import os
import re
import shutil
import textwrap
import time
import uuid as uuids
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from hull.errors import (
    HostError,
    InvalidPayload,
    MaxOriginDepth,
    NotFound,
    Problem,
    VmHasNoOrigin,
    VmNotFound,
    VmNotStopped,
)
from hull.host.host import Host
from hull.image import diff, pack, store
from hull.image.download import Progress
from hull.image.manifest import COMPRESSIONS, ImageManifest, parse_manifest
from hull.image.platform import VERSION, is_stamp
from hull.linux.files import read_json, write_json
from hull.model.vm import VM
from hull.wire import Json, JsonObject
from hull.zone.index import INSTALLED

INHERITED = (
    "type", "os", "requirements", "users", "billing_tags", "traits", "generate_passwords",
    "inherited_directories", "nic_driver", "disk_driver", "cpu_type", "image_size",
)  # fmt: skip
NATIVE = ("joyent", "joyent-minimal")
BRAND_STAYS = ("bhyve", "lx", "kvm")  # what was made for one of these is for no other
SUFFIX = ".imgmanifest"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line of `imgadm create` says."""

    vm: str
    manifest: JsonObject
    output: Path  # a directory, or what the names of both files begin with
    compression: str = "none"
    incremental: bool = False
    max_origin_depth: int = 0  # 0: any


@dataclass(frozen=True, kw_only=True)
class Created:
    manifest: JsonObject
    manifest_path: Path
    file_path: Path


@dataclass(frozen=True)
class Drafts:
    """The two files of an image, each under the name it is written by and the one it is to have."""

    file: tuple[Path, Path]
    manifest: tuple[Path, Path]

    def keep(self, manifest: JsonObject) -> None:
        """Let both have their names; `discard` goes on where a crash has ended it."""
        try:
            with self.manifest[0].open("w", encoding="utf-8") as file:
                file.write(json.dumps(manifest, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            for draft, name in (self.file, self.manifest):
                draft.rename(name)
        except OSError as exc:
            raise HostError(f"cannot write {self.file[1]}: {exc.strerror}") from exc

    def discard(self) -> None:
        """Remove what has not got its name, unless the image's file has: it is then whole."""
        if self.manifest[0].exists() and not self.file[0].exists():
            self.manifest[0].rename(self.manifest[1])
        for draft, _ in (self.file, self.manifest):
            draft.unlink(missing_ok=True)


def create_image(wanted: Wanted, host: Host, progress: Progress) -> Created:
    """Raises VmNotFound, VmNotStopped, VmHasNoOrigin, MaxOriginDepth, ManifestValidation.

    Whatever it raises, nothing is left of it.
    """
    manifest = plan(wanted, host, progress)
    file, target = output_paths(wanted, manifest)
    with host.lock_zone(wanted.vm), ExitStack() as undo:
        vm_of(wanted.vm, host, stopped=True)
        drafts = Drafts(
            (file.with_name(f".{file.name}.{manifest.uuid}"), file),
            (target.with_name(f".{target.name}.{manifest.uuid}"), target),
        )
        journal = _note(wanted.vm, drafts, host, undo)
        undo.callback(drafts.discard)
        snapshot = _snapshot(wanted.vm, host, undo, progress)
        progress({"line": f'Sending image file to "{file}"'})
        contents = contents_of(snapshot, manifest, host)
        root = Path(snapshot) / "root"
        packed = pack.pack(root, contents, wanted.compression, drafts.file[0], journal.parent)
        whole = _with_file(manifest.data, packed, wanted.compression)
        progress({"line": f'Saving manifest to "{target}"'})
        drafts.keep(whole)
    return Created(manifest=whole, manifest_path=target, file_path=file)


# -- the plan --------------------------------------------------------------------------------------
def vm_of(uuid: str, host: Host, *, stopped: bool) -> VM:
    """Raises VmNotFound, VmNotStopped."""
    zone = host.index.find(uuid)
    if zone is None:
        raise VmNotFound(f'vm "{uuid}" was not found', hint="`vmadm list` shows the VMs")
    if stopped and (host.boots.find(uuid) or zone.zone_state != INSTALLED):
        raise VmNotStopped(f'vm "{uuid}" is not stopped', hint=f"vmadm stop {uuid}")
    return zone.vm


def plan(wanted: Wanted, host: Host, progress: Progress, *, stopped: bool = True) -> ImageManifest:
    """The image's manifest, all but its file: every check that can be made before anything is done.

    Raises InvalidPayload, and as `create_image`.
    """
    if wanted.compression not in COMPRESSIONS:
        problem = f'"{wanted.compression}" is not one of {", ".join(COMPRESSIONS)}'
        raise InvalidPayload([Problem("compression", problem)])
    vm = vm_of(wanted.vm, host, stopped=stopped)
    chain = origin_chain(vm, host)
    if wanted.max_origin_depth and len(chain) > max(1, wanted.max_origin_depth):
        raise MaxOriginDepth(
            f'cannot create image: maximum origin depth "{wanted.max_origin_depth}" '
            "has been reached"
        )
    if wanted.incremental and not chain:
        raise VmHasNoOrigin(f'cannot create an incremental image: vm "{vm.uuid}" has no origin')
    origin = chain[0].manifest if chain else None
    if origin:
        text = f"{origin.uuid} ({origin.name} {origin.version})"
        progress({"line": f"Inheriting from origin image {text}"})
    made = manifest_of(wanted.manifest, vm, origin, host.platform)
    if wanted.incremental and origin:
        made["origin"] = origin.uuid
    shown = textwrap.indent(json.dumps(made, indent=2, ensure_ascii=False), "    ")
    progress({"line": f"Manifest:\n{shown}"})
    return parse_manifest(made)


def origin_chain(vm: VM, host: Host) -> list[store.Image]:
    """The image that the VM was made from, and its origins; nothing if it is not there any more."""
    if not vm.image_uuid or not store.is_installed(host.paths, vm.image_uuid, host.pool.name):
        return []
    return store.ancestry(host.paths, vm.image_uuid, host.pool.name)


def manifest_of(
    given: JsonObject, vm: VM, origin: ImageManifest | None, platform: str
) -> JsonObject:
    """What was given, what the origin image says, and what the VM's brand wants."""
    made: JsonObject = {"v": 2, "uuid": str(uuids.uuid4()), **given}
    for key in INHERITED if origin else ():
        value = origin.data.get(key) if origin else None
        if key not in made and value not in (None, []):
            made[key] = value
    asked = given.get("requirements")
    stated: JsonObject = asked if isinstance(asked, dict) else {}
    inherited = made.get("requirements")
    requirements: JsonObject = dict(inherited) if isinstance(inherited, dict) else {}
    if vm.brand in NATIVE and "min_platform" not in stated and is_stamp(platform):
        requirements["min_platform"] = {VERSION: platform}
    if vm.brand in BRAND_STAYS and "brand" not in stated:
        requirements["brand"] = vm.brand
    if not requirements.get("brand"):
        requirements.pop("brand", None)  # "" says: for any
    if requirements or "requirements" in made:
        made["requirements"] = requirements
    return made


def output_paths(wanted: Wanted, manifest: ImageManifest) -> tuple[Path, Path]:
    """Where the file and the manifest go."""
    prefix = wanted.output
    if prefix.is_dir():
        prefix /= f"{slug(manifest.name)}-{slug(manifest.version)}"
    file = prefix.with_name(f"{prefix.name}.tar{pack.SUFFIXES[wanted.compression]}")
    return file, prefix.with_name(prefix.name + SUFFIX)


def slug(text: str) -> str:
    """As a file's name."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s._-]", "", text).strip().lower())


# -- the work --------------------------------------------------------------------------------------
def _snapshot(uuid: str, host: Host, undo: ExitStack, progress: Progress) -> str:
    """Freeze the VM's files as @final; returns where that is seen."""
    dataset = host.dataset(uuid)
    final = f"{dataset}@{store.FINAL}"
    if any(snapshot.name == final for snapshot in host.pool.snapshots(dataset)):
        aside = f"{final}-{int(time.time() * 1000)}"
        progress({"line": f'Moving existing @final snapshot out of the way to "{aside}"'})
        host.pool.rename(final, aside)
    progress({"line": f'Snapshotting to "{final}"'})
    made = host.pool.snapshot(final)
    undo.callback(host.pool.destroy, final)
    return made.mountpoint


def contents_of(snapshot: str, manifest: ImageManifest, host: Host) -> diff.Contents:
    tree = diff.scan(_root(snapshot))
    if not manifest.origin:
        return diff.whole(tree)
    name = store.origin_snapshot(manifest.origin, host.pool.name)
    snapshots = host.pool.snapshots(name.partition("@")[0])
    origin = next(found.mountpoint for found in snapshots if found.name == name)
    return diff.difference(tree, diff.scan(_root(origin)))


def _root(mountpoint: str) -> bytes:
    return bytes(Path(mountpoint) / "root")


def _with_file(manifest: JsonObject, packed: pack.Packed, compression: str) -> JsonObject:
    file: Json = {
        "sha1": packed.sha1,
        "size": packed.size,
        "compression": compression,
        "digest": packed.digest,
    }
    return manifest | {"files": [file]}


# -- the journal -----------------------------------------------------------------------------------
def journals(host: Host) -> Path:
    return host.paths.var / "tmp/.imgadm-create"


def _note(uuid: str, drafts: Drafts, host: Host, undo: ExitStack) -> Path:
    """Write down what has to go if this does not come to its end."""
    directory = drafts.file[0].parent
    if not directory.is_dir():
        raise InvalidPayload([Problem("output", f"{directory} is not a directory")])
    journal = journals(host) / f"{uuid}.json"
    journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    snapshot = f"{host.dataset(uuid)}@{store.FINAL}"
    names: list[Json] = [str(path) for pair in (drafts.file, drafts.manifest) for path in pair]
    write_json(journal, {"snapshot": snapshot, "files": names})
    undo.callback(journal.unlink, missing_ok=True)
    return journal


def recover(host: Host) -> None:
    """Remove what was being made when hulld died."""
    for journal in journals(host).glob("*.json"):
        match read_json(journal):
            case {"snapshot": str(snapshot), "files": [*names]}:
                with suppress(NotFound):
                    host.pool.destroy(snapshot)
                draft, file, draft_manifest, manifest = (Path(str(name)) for name in names)
                with suppress(OSError):  # they are in somebody else's directory
                    Drafts((draft, file), (draft_manifest, manifest)).discard()
            case _:
                pass
    shutil.rmtree(journals(host), ignore_errors=True)
