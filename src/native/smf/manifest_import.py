# SPDX-License-Identifier: MPL-2.0
"""The method of svc:/system/manifest-import, and what svc.startd does before its first graph.

svc:/smf/manifest has a group for each file that was read, with its md5sum: a file that is as it was
is passed over, so that nothing is set again that somebody has changed since. manifestfiles of a
service says which files it is of: it goes when none of them is left.
"""

import functools
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from smf.bundle import Bundle
from smf.client import Client, retry_stale
from smf.document import printable
from smf.errors import Broken, Denied, SmfError, Unwritable
from smf.fmri import MASTER
from smf.importer import Report, file_key, import_bundle, withdraw
from smf.manifest import ManifestError, read
from smf.places import Places
from smf.plan import FILES, Plan
from smf.profile import apply
from smf.record import RESTARTER
from smf.shapes import FRAMEWORK
from smf.tree import LAST_IMPORT, Group

HASHES = "svc:/smf/manifest"
_SUM, _FILE = "md5sum", "manifestfile"


def run(client: Client, places: Places, report: Report, *, early: bool = False) -> list[str]:
    """Import and apply all that is new or has changed; returns the files that could not be used.

    `report` is told what is wrong with each of those, and the others are done nevertheless.
    `early`: only the platform's manifests, and what is in /etc.
    """
    tops = places.platform if early else places.manifests
    work = _Run(client, report)
    for path in manifests(tops):
        work.use(path, work.import_file)
    work.remember()
    cleanup(client, tops, report, work.inside)
    for path in profiles(places):
        work.use(path, work.apply_file)
    if not early:
        upgrade(places.upgrade, report)
        if os.path.exists(places.site_profile):
            work.use(places.site_profile, work.apply_file)
    work.remember()
    return work.broken


def boot(client: Client, places: Places) -> None:
    """What startd does before its first graph: the platform's manifests, as they are by now; and
    when nothing has ever been imported, what is enabled in such a place."""
    if RESTARTER in client.dump([RESTARTER]).get(MASTER, {}):
        return  # startd was killed: the machine is up
    first = HASHES not in client.entities()
    report = functools.partial(print, file=sys.stderr, flush=True)
    run(client, places, report, early=True)
    if first and os.path.exists(places.first_profile):
        apply(client, read(places.first_profile), report)


def manifests(tops: tuple[str, ...]) -> Iterator[str]:
    """The files below each of the directories: first what is not in its `site`, then what is."""
    for top in tops:
        found = list(_below(top))
        site = os.path.join(top, "site") + os.sep
        yield from (path for path in found if not path.startswith(site))
        yield from (path for path in found if path.startswith(site))


def profiles(places: Places) -> Iterator[str]:
    """The profiles of /etc that there are, in the order in which they are applied."""
    files = [f"{places.profiles}/{name}.xml" for name in ("generic", "platform", "site")]
    files += _below(places.profiles + "/site")
    return (path for path in files if os.path.exists(path))


def upgrade(path: str, report: Report) -> None:
    """Run a script that an upgrade has left, if there is one, and give it another name: whatever
    comes of it, it is run once. `report` is told if it fails."""
    if not os.path.exists(path):
        return
    if status := os.spawnv(os.P_WAIT, "/bin/sh", ["sh", path]):
        report(f"{path}: {f'signal {-status}' if status < 0 else f'exit status {status}'}")
    os.rename(path, f"{path}.app.{time.strftime('%Y%m%d%H%M%S')}")


def _below(top: str) -> Iterator[str]:
    for directory, directories, files in os.walk(top):
        directories.sort()
        for name in sorted(files):
            if name.endswith(".xml"):
                yield os.path.join(directory, name)


class _Run:
    """One pass over all files."""

    def __init__(self, client: Client, report: Report) -> None:
        self.client = client
        self.report = report
        self.broken: list[str] = []
        self.inside: dict[str, set[str]] = {}  # the services in each file that was imported
        self._known = known(client)
        self._learnt: dict[str, str] = {}

    def use(self, path: str, how: Callable[[str, Bundle], None]) -> None:
        """Do it unless the file is as it was."""
        try:
            found = _sum(path)
            if self._known.get(path) != found:
                how(path, read(path))
                self._learnt[path] = found
        except (Broken, Denied, Unwritable):  # so it will be with all others
            raise
        except ManifestError as exc:
            self._is_broken(path, exc.problems)
        except SmfError as exc:
            self._is_broken(path, [printable(f"{path}: {exc}")])

    def _is_broken(self, path: str, problems: list[str]) -> None:
        self.broken.append(path)
        for problem in problems:
            self.report(problem)

    def import_file(self, path: str, bundle: Bundle) -> None:
        import_bundle(self.client, bundle, self.report, path)
        self.inside[path] = {service.fmri for service in bundle.services}

    def apply_file(self, path: str, bundle: Bundle) -> None:
        del path
        apply(self.client, bundle, self.report)

    def remember(self) -> None:
        """Note the sums of the files that were used."""
        do: list[list[object]] = []
        for path, found in self._learnt.items():
            name = file_key(path)
            do += [
                ["group", HASHES, name, FRAMEWORK, ""],
                ["set", HASHES, name, _SUM, "opaque", [found]],
                ["set", HASHES, name, _FILE, "astring", [path]],
            ]
        self.client.commit([["add", HASHES], *do] if do else [])
        self._learnt.clear()


def _sum(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except OSError as exc:
        raise SmfError(str(exc.strerror)) from None


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def known(client: Client) -> dict[str, str]:
    """The files that were read, with their sums."""
    groups = client.attached(HASHES) if HASHES in client.entities() else {}
    return {group.value(_FILE): group.value(_SUM) for group in groups.values()}


def forget(client: Client, path: str) -> bool:
    """Let a file be read again the next time; whether it was known."""
    if path not in known(client):
        return False
    client.commit([["ungroup", HASHES, file_key(path)]])
    return True


def cleanup(
    client: Client,
    tops: tuple[str, ...],
    report: Report,
    inside: dict[str, set[str]] | None = None,
) -> list[str]:
    """Delete the services whose manifests below these directories are gone; returns them.

    `inside`: files of which is known which services are in them: others are not any more. A
    directory that is not there at all says nothing.
    """
    done: list[_Cleanup] = []

    def attempt() -> None:
        work = _Cleanup(Plan(client), tops, inside or {})
        work.all()
        work.plan.commit()
        done.append(work)

    retry_stale(attempt)
    for text in done[-1].told:
        report(printable(text))
    return done[-1].deleted


class _Cleanup:
    """One attempt."""

    def __init__(self, plan: Plan, tops: tuple[str, ...], inside: dict[str, set[str]]) -> None:
        self.plan = plan
        self.tops = [os.path.join(top, "") for top in tops if os.path.isdir(top)]
        self.inside = inside
        self.told: list[str] = []
        self.deleted: list[str] = []

    def all(self) -> None:
        for service, groups in self.plan.client.dump([FILES]).items():
            for prop, found in groups[FILES].properties.items() if FILES in groups else ():
                if self._gone(service, found.values[0]):
                    self._leave(service, prop)
        for name, group in self._hashes().items():
            if not self._is_there(group.value(_FILE)):
                self.plan.drop(HASHES, name)

    def _hashes(self) -> dict[str, Group]:
        return dict(self.plan.groups(HASHES)) if self.plan.exists(HASHES) else {}

    def _is_there(self, path: str) -> bool:
        return os.path.exists(path) or not path.startswith(tuple(self.tops))

    def _gone(self, service: str, path: str) -> bool:
        if path in self.inside:
            return service not in self.inside[path]
        return not self._is_there(path)

    def _leave(self, service: str, prop: str) -> None:
        """A service is not of this file any more."""
        before = self.plan.groups(service)[FILES]
        rest = {name: found for name, found in before.properties.items() if name != prop}
        self.plan.put(service, FILES, Group(before.kind, rest))
        if rest:
            return
        own = [each for each in self.plan.instances(service) if not self._is_imported(each)]
        if own:
            self.told.append(f"{service}: its manifest is gone; it stays because of {own[0]}")
            return
        for entity in (service, *self.plan.instances(service)):
            withdraw(self.plan, entity)
        self.plan.delete(service)
        self.deleted.append(service)

    def _is_imported(self, instance: str) -> bool:
        return LAST_IMPORT in self.plan.client.snapshots(instance)


def main(argv: list[str]) -> int:
    """The method. A broken file does not keep the others, nor the machine, from coming up."""
    if argv:
        sys.stderr.write("usage: python3 -m smf.manifest_import\n")
        return 2
    places = Places()
    try:
        run(Client(places.door), places, lambda text: print(text, flush=True))
    except SmfError as exc:
        print(f"manifest-import: {exc}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
