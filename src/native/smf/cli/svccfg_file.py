# SPDX-License-Identifier: MPL-2.0
"""svccfg: manifests, profiles and archives, into the repository and out of it."""

import os
from collections.abc import Iterator

from smf.cli.options import Usage
from smf.cli.svccfg_session import Line, Session
from smf.errors import NotFound, SmfError
from smf.fmri import instance_of, is_exact, service_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from smf.bundle import Bundle


def files(paths: list[str]) -> Iterator[str]:
    """The files themselves, and the .xml files below directories, by name. NotFound."""
    for path in paths:
        if not os.path.exists(path):
            raise NotFound(f"there is no {path}")
        if not os.path.isdir(path):
            yield path
            continue
        for directory, names, found in os.walk(path):
            names.sort()
            yield from (f"{directory}/{name}" for name in sorted(found) if name.endswith(".xml"))


# -- manifests -------------------------------------------------------------------------------------
def import_(line: Line) -> None:
    """All files that can be; what is wrong with the others is said, and then it has failed."""
    from smf import importer

    if not line.words:
        raise Usage("import takes manifests, or directories of them")
    session = line.session
    paths = list(files(line.words))
    failed = 0
    for number, path in enumerate(paths, 1):
        try:
            bundle = _manifest(path)
            _check(session, path, bundle, strict=line.has("-V") or session.interactive)
            changed = importer.import_bundle(
                session.client, bundle, session.warn, _origin(session, path)
            )
            for fmri in changed:
                session.say(f"{path}: {fmri} refreshed")
        except SmfError as exc:
            if len(paths) == 1:
                raise
            session.warn(str(exc))
            failed += 1
        if progress := line.value("-p"):
            _progress(progress, f"{number}/{len(paths)} {path}\n")
    if failed:
        raise SmfError(f"{failed} of {len(paths)} files could not be imported")


def _origin(session: Session, path: str) -> str:
    """The file, if it is where manifests are kept: then its services go when it goes."""
    path = os.path.abspath(path)
    return path if path.startswith(tuple(top + "/" for top in session.places.manifests)) else ""


def _manifest(path: str) -> "Bundle":
    from smf import manifest
    from smf.bundle import MANIFEST

    bundle = manifest.read(path)
    if bundle.kind != MANIFEST:
        verb = {"profile": "apply", "archive": "restore"}.get(bundle.kind, "validate")
        raise SmfError(f"{path} is a {bundle.kind}, not a manifest: `{verb}` takes it")
    return bundle


def _check(session: Session, path: str, bundle: "Bundle", *, strict: bool) -> None:
    """What templates say of instances: warnings, or with -V and interactively the end."""
    from smf import check
    from smf.tree import compose

    problems = [
        f"{path}: {service.fmri}:{instance.name}: {problem}"
        for service in bundle.services
        for instance in service.instances
        for problem in check.problems(compose(instance.groups, service.groups))
    ]
    if problems and strict:
        raise SmfError("\n".join(problems))
    for problem in problems:
        session.warn(problem)


def _progress(path: str, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise SmfError(f"cannot write {path}: {exc.strerror}") from None


def validate(line: Line) -> None:
    """A file; or an instance, the one that is selected without an operand."""
    words = line.take(0, 1)
    session = line.session
    if words and os.path.exists(words[0]) and not is_exact(words[0]):
        from smf import manifest

        bundle = manifest.read(words[0], strict=True)
        _check(session, words[0], bundle, strict=True)
        return
    from smf import check

    fmri = session.entity() if not words else _entity(session, words[0])
    snapshot = session.snapshot if fmri == session.fmri else ""
    problems = [
        f"{each}: {problem}"
        for each in session.instances(fmri)
        for problem in check.problems(session.client.composed(each, snapshot))
    ]
    if problems:
        raise SmfError("\n".join(problems))


def _entity(session: Session, word: str) -> str:
    try:
        return session.resolve(word)
    except NotFound as exc:
        raise NotFound(f'there is no file "{word}", and {exc}') from None


def inventory(line: Line) -> None:
    """What a manifest makes."""
    (path,) = line.take(1, 1)
    from smf import manifest

    for fmri in manifest.read(path).inventory():
        line.session.out(fmri)


def export(line: Line) -> None:
    """A service as a manifest."""
    from smf import export as exporter

    (word,) = line.take(1, 1)
    session = line.session
    fmri = session.resolve(word)
    if instance_of(fmri):
        if not is_exact(word):
            raise SmfError(
                f'"{word}" is an instance; only services are exported: {service_of(fmri)}'
            )
        session.warn(f"{fmri} is an instance; exporting all of {service_of(fmri)}")
    text = exporter.export(session.client, service_of(fmri), everything=line.has("-a"))
    line.write(text)


def archive(line: Line) -> None:
    """The whole repository."""
    from smf import export as exporter

    line.take(0, 0)
    line.write(exporter.archive(line.session.client, everything=line.has("-a")))


def restore(line: Line) -> None:
    """An archive: what it has is as it was when it was made."""
    from smf import importer, manifest, profile
    from smf.bundle import ARCHIVE, PROFILE

    (path,) = line.take(1, 1)
    session = line.session
    bundle = manifest.read(path)
    if bundle.kind != ARCHIVE:
        raise SmfError(f"{path} is a {bundle.kind}, not an archive")
    importer.import_bundle(session.client, bundle, lambda _: None)
    # What import leaves as it is, because an administrator may have changed it, comes back, too.
    bundle.kind = PROFILE
    profile.apply(session.client, bundle, session.warn)


# -- profiles --------------------------------------------------------------------------------------
def apply(line: Line) -> None:
    """Profiles; with -n nothing is done, and what would be is said."""
    from smf import manifest, profile
    from smf.bundle import PROFILE

    if not line.words:
        raise Usage("apply takes profiles, or directories of them")
    session = line.session
    tell = session.out if line.has("-n") else session.warn
    for path in files(line.words):
        bundle = manifest.read(path)
        if bundle.kind != PROFILE:
            raise SmfError(f"{path} is a {bundle.kind}, not a profile")
        profile.apply(session.client, bundle, tell, dry_run=line.has("-n"))
        session.say(f"{path} applied")


def extract(line: Line) -> None:
    """A profile of what is enabled."""
    from smf import profile

    line.take(0, 0)
    line.write(profile.extract(line.session.client))


# -- what manifest-import remembers ----------------------------------------------------------------
def delhash(line: Line) -> None:
    """Forget that a file was imported."""
    from smf.manifest_import import forget

    (path,) = line.take(1, 1)
    path = os.path.abspath(path)
    if not line.has("-d") and not os.path.exists(path):
        raise NotFound(f"there is no {path}; -d does without it")
    if not forget(line.session.client, path):
        raise NotFound(f"{path} was not imported by manifest-import")


def cleanup(line: Line) -> None:
    """Delete services whose manifests are gone."""
    from smf import manifest_import

    line.take(0, 0)
    session = line.session
    tops = ("/",) if line.has("-a") else session.places.manifests
    for service in manifest_import.cleanup(session.client, tops, session.warn):
        session.say(f"{service} deleted")
