# SPDX-License-Identifier: MPL-2.0
"""`imgadm import`, `install` and `reinstall`: an image, with its origins, comes to this host."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hull.errors import (
    ActiveImageNotFound,
    Error,
    HostError,
    InUse,
    ManifestValidation,
    NoSources,
    NotFound,
    OriginNotFoundInSource,
)
from hull.image import download, store
from hull.image.delete import check_unused
from hull.image.download import Content, Progress, human_size
from hull.image.manifest import UUID, ImageManifest, check_uuid, parse_manifest
from hull.image.platform import check_platform
from hull.image.prefetch import prefetch
from hull.image.receive import check_importable, check_origin, receive
from hull.image.source import Source
from hull.image.sources import Configured, named, open_source
from hull.image.tag import claim_tags
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject

MAX_ORIGINS = 200  # registries have images of more than a hundred layers


@dataclass(frozen=True, kw_only=True)
class Found:
    """An image, and the source that has it."""

    url: str
    source: Source
    manifest: ImageManifest


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where images go to."""

    pool: Pool
    paths: Paths
    platform: str  # build stamp, or what a hosted host says instead

    def is_installed(self, uuid: str) -> bool:
        return store.is_installed(self.paths, uuid, self.pool.name)


def import_image(
    target: Target, name: str, source: str = "", channel: str = "", *, progress: Progress
) -> JsonObject:
    """Fetch an image and what it is laid over from the first source that has it.

    `name` is a UUID, NAME@VERSION, NAME (the latest), or a registry's REPO:TAG; `source` a URL to
    be asked instead of the sources. `progress` gets what there is to say (download.Progress).
    Returns `{"uuid", "name", "version"}`. Raises ActiveImageNotFound, OriginNotFoundInSource,
    MinPlatform, MaxPlatform, Unsupported, DownloadError, Corrupt, HostError; what was whole by then
    stays installed.
    """
    if UUID.fullmatch(name) and target.is_installed(name):
        return _skip(target, name, progress)
    found = find(named(target.paths, source), name, channel)
    manifest = found.manifest
    if target.is_installed(manifest.uuid):
        have = store.get(target.paths, manifest.uuid, target.pool.name)
        whence = f" from {have.source}" if have.source else ""
        what = f"Image {have.manifest.uuid} ({have.manifest.title})"
        progress(_line(f"{what} is already installed", whence))
        for tag in claim_tags(target.pool, target.paths, manifest):
            progress(_line(f"Image {manifest.uuid} is {tag} too"))
        return outcome(have.manifest)
    via = f', channel "{channel}"' if channel else ""
    progress(_line(f'Importing {manifest.uuid} ({manifest.title}) from "{found.url}"', via))
    try:
        _import_chain(target, found, progress)
    except Error as exc:
        progress(_line(f"Aborting ({exc.message})"))
        raise
    claim_tags(target.pool, target.paths, manifest)
    return outcome(manifest)


def _line(text: str, more: str = "") -> JsonObject:
    return {"line": text + more}


def _skip(target: Target, uuid: str, progress: Progress) -> JsonObject:
    manifest = store.get(target.paths, uuid, target.pool.name).manifest
    what = f"{manifest.uuid} ({manifest.name} {manifest.version})"
    progress(_line(f"Image {what} is already installed, skipping"))
    return outcome(manifest)


def outcome(manifest: ImageManifest) -> JsonObject:
    return {"uuid": manifest.uuid, "name": manifest.name, "version": manifest.version}


def _import_chain(target: Target, found: Found, progress: Progress) -> None:
    """The image and its origins as far as they are missing: all are checked before any comes."""
    progress(_line(f"Gather image {found.manifest.uuid} ancestry"))
    missing = []
    for manifest in gather(target, found):
        if target.is_installed(manifest.uuid):
            progress(_line(f"Image {manifest.uuid} already installed"))
            continue
        check_importable(manifest)
        check_platform(manifest, target.platform)
        if not (manifest.file.size and (manifest.file.sha1 or manifest.file.digest)):
            raise ManifestValidation(f'image "{manifest.uuid}" has no file')
        missing.append(manifest)
    size = human_size(sum(manifest.file.size for manifest in missing))
    images = f"{len(missing)} image{'' if len(missing) == 1 else 's'}"
    progress(_line(f"Must download and install {images} ({size})"))
    prefetch(found.source, missing, target.paths, progress)
    for manifest in reversed(missing):
        _import_one(target, found, manifest, progress)


def gather(target: Target, found: Found) -> list[ImageManifest]:
    """The image, then its origins, down to the one that is whole. What is here need not be there.

    Raises OriginNotFoundInSource, DownloadError, ManifestValidation.
    """
    chain = [found.manifest]
    while origin := chain[-1].origin:
        if len(chain) > MAX_ORIGINS or any(manifest.uuid == origin for manifest in chain):
            raise ManifestValidation(f'image "{found.manifest.uuid}" has no end of origins')
        if target.is_installed(origin):
            chain.append(store.get(target.paths, origin, target.pool.name).manifest)
            continue
        data = found.source.get(origin)
        if data is None:
            raise OriginNotFoundInSource(
                f'origin image "{origin}" does not exist in image source "{found.url}"'
            )
        chain.append(parse_manifest(data))
    return chain


def _import_one(target: Target, found: Found, manifest: ImageManifest, progress: Progress) -> None:
    """One image whose origin is there. Whoever imports it at the same time is waited for."""
    with ExitStack() as held:
        try:
            held.enter_context(store.lock_image(target.paths, manifest.uuid, timeout=0))
        except InUse:
            progress(_line(f"Waiting for image {manifest.uuid} import lock"))
            held.enter_context(store.lock_image(target.paths, manifest.uuid))
        _import_locked(target, found, manifest, progress)


def _import_locked(
    target: Target, found: Found, manifest: ImageManifest, progress: Progress
) -> None:
    uuid = manifest.uuid
    if target.is_installed(uuid):
        _skip(target, uuid, progress)
        return

    def use(content: Content) -> None:
        receive(target.pool, target.paths, manifest, found.url, content)

    file = download.fetch(found.source, manifest, target.paths, progress, use)
    progress(_line(f"Downloaded image {uuid} ({human_size(manifest.file.size)})"))
    file.unlink()
    progress(_line(f"Imported image {uuid} ({manifest.title})"))


def install_image(target: Target, manifest: Json, file: str, *, progress: Progress) -> JsonObject:
    """Make an image from a manifest and a file (absolute path) of this host.

    As `import_image`; size and hashes are checked if the manifest has them.
    """
    if isinstance(manifest, dict) and not manifest.get("published_at"):
        manifest = manifest | {"published_at": _now()}
    parsed = parse_manifest(manifest)
    check_importable(parsed)
    check_platform(parsed, target.platform)
    path = Path(file)
    if not path.is_file():
        raise NotFound(f'file path does not exist: "{file}"')
    if target.is_installed(parsed.uuid):
        return _skip(target, parsed.uuid, progress)
    progress(_line(f"Installing image {parsed.uuid} ({parsed.title})"))
    with store.lock_image(target.paths, parsed.uuid):
        if target.is_installed(parsed.uuid):
            return _skip(target, parsed.uuid, progress)
        if parsed.origin:
            check_origin(target.pool, parsed.origin)
        chunks = download.local(path, parsed.file, progress)
        receive(target.pool, target.paths, parsed, "", Content(path=path, chunks=chunks))
    progress(_line(f"Installed image {parsed.uuid} ({parsed.title})"))
    return outcome(parsed)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def reinstall_image(target: Target, uuid: str, *, progress: Progress) -> JsonObject:
    """Make the dataset of an installed image anew from a source that has it.

    Raises ImageHasDependentClones. The file is here and right before the old dataset goes.
    """
    check_uuid(uuid)
    pool, paths = target.pool, target.paths
    image = store.find(pool, paths, uuid)
    check_unused(image)
    found = find(named(paths, str(image.record.get("source") or "")), uuid)
    with store.lock_image(paths, uuid):
        check_unused(store.find(pool, paths, uuid))
        if found.manifest.origin:
            check_origin(pool, found.manifest.origin)
        file = download.fetch(found.source, found.manifest, paths, progress)
        store.remove(paths, uuid, pool.name)
        content = Content(path=file, chunks=download.read_local(file))
        receive(pool, paths, found.manifest, found.url, content)
        file.unlink()
    progress(_line(f"Reinstalled image {uuid} ({found.manifest.title})"))
    return outcome(found.manifest)


# -- looking it up ---------------------------------------------------------------------------------
def find(asked: list[Configured], name: str, channel: str = "") -> Found:
    """The first source that has the active image. Raises NoSources, ActiveImageNotFound.

    A source that fails is passed over; if none has the image, its failure is what is told.
    """
    if not asked:
        raise NoSources("imgadm has no configured sources", hint="imgadm sources -a URL adds one")
    failure: HostError | None = None
    for where in asked:
        source = open_source(where, channel)
        try:
            data = _look(source, name)
        except HostError as exc:
            failure = failure or exc
            continue
        if data:
            return Found(url=where.url, source=source, manifest=parse_manifest(data))
    if failure:
        raise failure
    raise ActiveImageNotFound(
        f'an active image "{name}" was not found in image sources',
        hint="imgadm avail lists what there is",
    )


def _look(source: Source, name: str) -> JsonObject | None:
    """By what the source itself calls an image, else by its name in the source's list."""
    if UUID.fullmatch(name):
        return source.get(name)
    wanted, _, version = name.partition("@")
    listed = [
        data
        for data in source.list()
        if data.get("name") == wanted and version in ("", data.get("version"))
    ]
    if listed:
        return max(listed, key=lambda data: str(data.get("published_at") or ""))
    return source.get(name) if _may_be_reference(name) else None


def _may_be_reference(name: str) -> bool:
    """What a registry may call an image: nothing that would change the path of a request."""
    return name.isascii() and name.isprintable() and not set(name) & set(" ?#%\\")
