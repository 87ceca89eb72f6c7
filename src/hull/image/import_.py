# SPDX-License-Identifier: MPL-2.0
"""`imgadm import` and `imgadm install`: an image comes to this host."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path

from hull.errors import ActiveImageNotFound, HostError, ManifestValidation, NotFound
from hull.image import store
from hull.image.manifest import ImageManifest, check_uuid, parse_manifest
from hull.image.receive import Progress, check_importable, receive
from hull.image.source import Source
from hull.image.sources import Configured, named, open_source
from hull.linux.lock import lock
from hull.paths import Paths
from hull.storage.pool import Pool
from hull.wire import Json, JsonObject

# A second import of the same image waits for the first; big images take their time.
LOCK_TIMEOUT = 3600.0
CHUNK = 1 << 20


def import_image(
    pool: Pool, paths: Paths, uuid: str, source: str = "", *, progress: Progress
) -> JsonObject:
    """Download the image from the first source that has it (or from the URL `source`).

    `progress` gets `{"phase", "done", "total"}` a few times a second (bytes of the file; phases
    start, download, unpack, done; start also says name, version and source). Returns
    `{"uuid", "name", "version", "source", "already"}`. Raises ActiveImageNotFound, Unsupported,
    DownloadError, Corrupt, HostError: then nothing has changed.
    """
    check_uuid(uuid)
    with lock_image(paths, uuid):
        if store.is_installed(paths, uuid, pool.name):
            image = store.get(paths, uuid, pool.name)
            return outcome(image.manifest, image.source, already=True)
        where, found, manifest = find(named(paths, source), uuid)
        check_importable(manifest)
        total = manifest.file.size
        if not (total and manifest.file.sha1):
            raise ManifestValidation(f'image "{uuid}" has no file')
        progress(_start(manifest, where.url))
        receive(pool, paths, manifest, where.url, found.read_file(uuid), progress, total)
    return outcome(manifest, where.url, already=False)


def install_image(
    pool: Pool, paths: Paths, manifest: Json, file: str, *, progress: Progress
) -> JsonObject:
    """Make an image from a manifest and a file (absolute path) of this host.

    As `import_image`; size and hashes are checked if the manifest has them.
    """
    parsed = parse_manifest(manifest)
    check_importable(parsed)
    path = Path(file)
    try:
        total = path.stat().st_size
    except OSError as exc:
        raise NotFound(f"{file}: {exc.strerror}") from exc
    with lock_image(paths, parsed.uuid):
        if store.is_installed(paths, parsed.uuid, pool.name):
            return outcome(parsed, "", already=True)
        progress(_start(parsed, ""))
        receive(pool, paths, parsed, "", read_local(path), progress, total)
    return outcome(parsed, "", already=False)


def find(asked: list[Configured], uuid: str) -> tuple[Configured, Source, ImageManifest]:
    """The first source that has the active image. Raises ActiveImageNotFound.

    A source that fails is passed over; if none has the image, its failure is what is told.
    """
    failure: HostError | None = None
    for where in asked:
        try:
            source = open_source(where)
            data = source.get(uuid)
        except HostError as exc:
            failure = failure or exc
            continue
        if data:
            return where, source, parse_manifest(data)
    if failure:
        raise failure
    raise ActiveImageNotFound(
        f'an active image "{uuid}" was not found in image sources',
        hint="imgadm avail lists what there is" if asked else "imgadm sources -a URL adds a source",
    )


def lock_image(paths: Paths, uuid: str) -> AbstractContextManager[None]:
    return lock(paths.locks / f"image-{uuid}", what=f"image {uuid}", timeout=LOCK_TIMEOUT)


def read_local(path: Path) -> Generator[bytes]:
    """The bytes of a file of this host."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as exc:
        raise NotFound(f"{path}: {exc.strerror}") from exc


def _start(manifest: ImageManifest, source: str) -> JsonObject:
    named_: JsonObject = {"name": manifest.name, "version": manifest.version}
    return {"phase": "start", "uuid": manifest.uuid, "source": source, **named_}


def outcome(manifest: ImageManifest, source: str, *, already: bool) -> JsonObject:
    return {
        "uuid": manifest.uuid,
        "name": manifest.name,
        "version": manifest.version,
        "source": source,
        "already": already,
    }
