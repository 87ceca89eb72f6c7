# SPDX-License-Identifier: MPL-2.0
"""What is done to get the figures: each section fills some rows, all contenders taking turns."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.contender import Contender
from bench.hull import Hull, HullCommands
from bench.images import Image
from bench.measure import (
    Results,
    available,
    median,
    members,
    milliseconds,
    pss,
    rotated,
    rss,
    usage,
)
from bench.peers.nspawn import Nspawn
from bench.sandbox import Failed, attempt, run
from bench.smf import COUNT, DEPTH
from tests.smf.many import layers

IDLE_SECONDS = 10
SMF_DAEMONS = ("svc.startd", "svc.configd")
MIB = 1 << 20


@dataclass(frozen=True)
class Counts:
    """How many zones: `few` to weigh, `many` to list, and `most`, to see what grows."""

    few: int
    many: int
    most: int


def take_turns(
    contenders: Sequence[Contender],
    n: int,
    work: Callable[[Contender, int], None],
    results: Results,
) -> None:
    """`work(contender, turn)` for each, n times, in rotated order; who fails is left out."""
    by_name = {contender.name: contender for contender in contenders}
    for turn in range(n):
        for name in rotated(list(by_name), turn):
            try:
                work(by_name[name], turn)
            except Failed as exc:
                results.note(f"{name} left out of a section: {last_words(exc)}")
                del by_name[name]


def last_words(exc: Failed) -> str:
    """One line of them."""
    return str(exc).strip().splitlines()[-1][-300:]


# -- the life of a zone ----------------------------------------------------------------------------
def life(contenders: Sequence[Contender], image: Image, n: int, results: Results) -> None:
    """create, stop, delete: rows create API, create, ready, stop, delete."""

    def cycle(contender: Contender, turn: int) -> None:
        name, address = f"life{turn}", contender.address(turn)
        created = milliseconds(lambda: contender.create(name, address, image))
        answered = ping(contender, address)
        entered = milliseconds(lambda: enter(contender, name))
        stopped = milliseconds(lambda: contender.stop(name))
        deleted = milliseconds(lambda: contender.delete(name))
        if turn == 0:
            return  # caches are cold: theirs and the machine's
        if contender.pinger:
            for row in ("create API", "create"):
                results.add(row, contender.name, created + answered)
        results.add("ready", contender.name, created + entered)
        results.add("stop", contender.name, stopped)
        results.add("delete", contender.name, deleted)

    take_turns(contenders, n + 1, cycle, results)


def ping(contender: Contender, address: str) -> float:
    pinger = contender.pinger
    return milliseconds(lambda: pinger.until_answer(address.partition("/")[0])) if pinger else 0


def enter(contender: Contender, name: str) -> None:
    done = contender.execute(name, "/bin/true")
    if done.status != 0:
        raise Failed(f"cannot run /bin/true: {done.words}")


# -- many zones ------------------------------------------------------------------------------------
def density(contenders: Sequence[Contender], image: Image, few: int, results: Results) -> None:
    """The first `few` zones: rows clones, supervision, rss, cpu, wakeups."""

    def fill(contender: Contender, turn: int) -> None:
        del turn
        before = contender.used()
        for number in range(few):
            contender.create(f"many{number}", contender.address(100 + number), image)
        time.sleep(1)  # for what each zone still writes
        results.add("clones", contender.name, (contender.used() - before) / MIB)
        supervisors = contender.supervisors()
        if supervisors:
            total = sum(pss(pid) for pid in supervisors)
            results.add("supervision", contender.name, total / few / MIB)

    take_turns(contenders, 1, fill, results)
    idle(contenders, results)


def idle(contenders: Sequence[Contender], results: Results) -> None:
    """What the daemons take while nothing happens."""
    managers = {c.name: pid for c in contenders if (pid := c.manager())}
    before = {name: usage(pid) for name, pid in managers.items()}
    time.sleep(IDLE_SECONDS)
    for name, pid in managers.items():
        after = usage(pid)
        cpu = (after.cpu - before[name].cpu) / IDLE_SECONDS * 100
        results.add("cpu", name, cpu)
        results.add("wakeups", name, (after.wakeups - before[name].wakeups) / IDLE_SECONDS)
        results.add("rss", name, rss(pid) / MIB)


def crowd(
    contenders: Sequence[Contender], image: Image, counts: Counts, n: int, results: Results
) -> None:
    """All the zones, then: rows list, exec."""

    def fill(contender: Contender, turn: int) -> None:
        del turn
        for number in range(counts.few, counts.many):
            contender.create(f"many{number}", contender.address(100 + number), image)

    def ask(contender: Contender, turn: int) -> None:
        results.add("list", contender.name, milliseconds(contender.show))
        name = f"many{turn % counts.few}"
        results.add("exec", contender.name, milliseconds(lambda: enter(contender, name)))

    take_turns(contenders, 1, fill, results)
    take_turns(contenders, n, ask, results)


def thousand(hull: Hull, image: Image, have: int, n: int, results: Results) -> None:
    """A thousand VMs, most of which do not run: rows list 1000, lookup 1000."""

    def look_up() -> None:
        hull.command("vmadm", "lookup", "alias=defined999")

    for number in range(have, 1000):
        hull.define(f"defined{number}", image)
    for _ in range(n):
        results.add("list 1000", "hull", milliseconds(hull.show))
        results.add("lookup 1000", "hull", milliseconds(look_up))


def scale(hull: Hull, image: Image, most: int, results: Results) -> None:
    """Zones that run, one after the other: rows tenth, last, growth, total, memory, ... many.

    All the addresses of the network are for them: nothing else may be left.
    """
    hull.clear()
    before = available()
    taken = []
    for number in range(most):
        create = partial(hull.create, f"scale{number}", hull.address(number - 250), image)
        taken.append(milliseconds(create))
    tenth, last = taken[5:15], taken[-10:]
    memory = (before - available()) / most / MIB
    manager = hull.manager()
    start = usage(manager)
    time.sleep(IDLE_SECONDS)
    cpu = (usage(manager).cpu - start.cpu) / IDLE_SECONDS * 100
    for row, values in {
        "tenth": tenth,
        "last": last,
        "growth": [median(last) / median(tenth)],
        "total": [sum(taken) / 1000],
        "memory": [memory],
        "rss many": [rss(manager) / MIB],
        "cpu many": [cpu],
    }.items():
        for value in values:
            results.add(row, hull.name, value)


# -- real inits ------------------------------------------------------------------------------------
def systemd(contenders: Sequence[Contender], image: Image, n: int, results: Results) -> None:
    """The same Debian with systemd until it says that it is up: row systemd."""

    def boot(contender: Contender, turn: int) -> None:
        name, address = f"systemd{turn}", contender.address(300 + turn)

        def up() -> None:
            contender.create(name, address, image)
            until_systemd_runs(contender, name)

        results.add("systemd", contender.name, milliseconds(up))
        contender.stop(name)
        contender.delete(name)

    take_turns(contenders, n, boot, results)


def until_systemd_runs(contender: Contender, name: str) -> None:
    """Ask by the contender's own command, which waits, once systemd listens."""
    deadline = time.monotonic() + 8
    while True:
        done = contender.execute(name, "systemctl", "is-system-running", "--wait")
        if done.output.strip() in ("running", "degraded"):
            return
        if time.monotonic() > deadline:
            raise Failed(f"systemd does not run: {done.output.strip()} {done.words}")
        time.sleep(0.02)


def native(hull: HullCommands, image: Image, n: int, few: int, results: Results) -> None:
    """Native zones with SMF, to which `vmadm create` waits: rows native, native memory, smf memory.

    All memory is PSS, a zone.
    """

    def boot(contender: Contender, turn: int) -> None:
        name, address = f"native{turn}", contender.address(400 + turn)
        taken = milliseconds(lambda: contender.create(name, address, image))
        results.add("native", contender.name, taken)
        contender.stop(name)
        contender.delete(name)

    take_turns([hull], n, boot, results)
    names = [f"idle{number}" for number in range(few)]
    for number, name in enumerate(names):
        hull.create(name, hull.address(420 + number), image)
    time.sleep(2)  # for what is still written
    memory = {
        pid: (comm, pss(pid) / MIB) for name in names for pid, comm in members(hull.uuid(name))
    }
    results.add("native memory", "hull", sum(size for _, size in memory.values()) / few)
    daemons = [size for comm, size in memory.values() if comm in SMF_DAEMONS]
    results.add("smf memory", "hull", sum(daemons) / few)
    for name in names:
        hull.stop(name)
        hull.delete(name)


# -- nspawn, which keeps nothing -------------------------------------------------------------------
def one_shots(nspawn: Nspawn, tiny: Image, debian: Image, n: int, results: Results) -> None:
    """Make, run, remove in one command: rows ready and systemd."""
    try:
        for image in (tiny, debian):
            nspawn.load(image)
        for _ in range(n):
            results.add("ready", nspawn.name, milliseconds(lambda: nspawn.once(tiny)))
        for _ in range(max(2, n // 2)):
            results.add("systemd", nspawn.name, milliseconds(lambda: nspawn.boot(debian.name)))
    except Failed as exc:
        results.note(f"{nspawn.name} left out: {last_words(exc)}")


def systemd_services(nspawn: Nspawn, debian: Image, n: int, results: Results) -> None:
    """The services of the section smf in systemd: a boot with them, less one without."""
    names = [[f"s{layer}-{number}.service" for number in range(len(layer_of))]
             for layer, layer_of in enumerate(layers(COUNT, DEPTH))]  # fmt: skip
    try:
        services = nspawn.load_services(debian, names)
        for _ in range(n):
            without = milliseconds(lambda: nspawn.boot(debian.name))
            results.add(
                "smf boot", "systemd", milliseconds(lambda: nspawn.boot(services)) - without
            )
    except Failed as exc:
        results.note(f"{nspawn.name} left out of smf: {last_words(exc)}")


# -- images ----------------------------------------------------------------------------------------
def importing(hull: Hull, image: Image, directory: Path, n: int, results: Results) -> None:
    """imgadm import, beside the decompressor alone and the disk alone: rows import*."""
    copy = hull.root / "zones" / "bench-write"
    with hull.image_server(directory) as url:
        hull.command("imgadm", "sources", "-a", url)
        for _ in range(n):
            taken = milliseconds(lambda: hull.command("imgadm", "import", image.uuid))
            unpacking = milliseconds(
                lambda: run("sh", "-c", 'zstd -dcq "$0" >/dev/null', str(image.file))
            )
            writing = milliseconds(
                lambda: run("dd", f"if={image.tar}", f"of={copy}", "bs=1M", "conv=fsync")
            )
            copy.unlink()
            hull.command("imgadm", "delete", image.uuid)
            results.add("import", "hull", taken)
            results.add("import", "zstd alone", unpacking)
            results.add("import", "disk alone", writing)
            results.add("import share", "hull", max(unpacking, writing) / taken * 100)
        attempt("sync", "-f", str(hull.root / "zones"))


def load_images(
    contenders: Sequence[Contender], images: Sequence[Image], results: Results
) -> list[Contender]:
    """Bring the images in; returns the contenders that have them. Row image: the first's size."""
    ready = []
    for contender in contenders:
        try:
            before = contender.used()
            contender.load(images[0])
            results.add("image", contender.name, (contender.used() - before) / MIB)
            for image in images[1:]:
                contender.load(image)
            ready.append(contender)
        except Failed as exc:
            results.note(f"{contender.name} left out: {last_words(exc)}")
    return ready
