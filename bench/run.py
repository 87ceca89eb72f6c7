# SPDX-License-Identifier: MPL-2.0
"""One run of the benchmark: sets everything up, goes through the sections, prints the table."""

import argparse
import platform
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from bench import images, sections, smf
from bench.chart import draw
from bench.contender import Contender
from bench.hull import Hull, HullCommands
from bench.images import Image
from bench.measure import Results, load
from bench.peers import crun, incus, lxc, nspawn, podman
from bench.peers.nspawn import Nspawn
from bench.rows import table
from bench.sandbox import Failed, Sandbox
from bench.sections import Counts

GROUPS = ("life", "many", "thousand", "systemd", "native", "import", "scale", "smf")


@dataclass(frozen=True)
class Kinds:
    """The images of a run."""

    tiny: Image
    big: Image  # the tiny one again in a quick run
    debian: Image
    base: Image


@dataclass
class Bench:
    """Who takes part in this run, and what has been measured."""

    directory: Path
    stack: ExitStack
    results: Results = field(default_factory=Results)
    peers: list[Contender] = field(default_factory=list)
    second: list[Contender] = field(default_factory=list)  # the same, by another interface
    keeps_nothing: Nspawn | None = None

    def add_peers(self) -> None:
        """Those that are here; the others are named with the reason."""
        for module, only_v1 in (
            (podman, True),
            (incus, False),
            (lxc, False),
            (crun, True),
            (nspawn, False),
        ):
            name = module.__name__.rpartition(".")[2]
            if reason := module.unavailable():
                self.results.note(f"{name}: {reason}")
                continue
            try:
                box = self.stack.enter_context(Sandbox(name, only_v1=only_v1))
                self._add(name, box)
            except Failed as exc:
                self.results.note(f"{name}: {exc}")

    def _add(self, name: str, box: Sandbox) -> None:
        match name:
            case "podman":
                self.peers.append(podman.Podman(box, self.directory))
            case "incus":
                made = incus.Incus(box, self.directory)
                self.peers.append(made)
                self.second.append(incus.IncusRest(made))
            case "lxc":
                self.peers.append(lxc.Lxc(box, self.directory))
            case "crun":
                self.peers.append(crun.Crun(box, self.directory))
            case _:
                self.keeps_nothing = Nspawn(box, self.directory)

    def go(self, hull: Hull, groups: list[str], kinds: Kinds, n: int, counts: Counts) -> None:
        """The sections, in an order that leaves each what it needs."""
        commands = HullCommands(hull)
        if "import" in groups and kinds.big is not kinds.tiny:
            say("import")
            sections.importing(hull, kinds.big, self.directory, 3, self.results)
        say("bringing the images in")
        wanted = [kinds.tiny, kinds.debian]
        if kinds.big is not kinds.tiny:
            wanted.insert(0, kinds.big)
        peers = sections.load_images([hull, *self.peers], wanted, self.results)[1:]
        self.one_at_a_time([hull, commands, *peers, *self.second], groups, kinds, n)
        if "native" in groups:
            say("native")
            hull.load(kinds.base)
            sections.native(commands, kinds.base, max(2, n // 2), counts.few, self.results)
        if "many" in groups:
            say("many")
            sections.density([commands, *peers], kinds.big, counts.few, self.results)
            sections.crowd([commands, *peers], kinds.big, counts, n, self.results)
        if "thousand" in groups and kinds.big is not kinds.tiny:
            say("a thousand")
            sections.thousand(hull, kinds.tiny, counts.many, n, self.results)
        if "scale" in groups:
            say(f"{counts.most} zones that run")
            sections.scale(hull, kinds.tiny, counts.most, self.results)

    def one_at_a_time(
        self, everyone: list[Contender], groups: list[str], kinds: Kinds, n: int
    ) -> None:
        if "life" in groups:
            say("life")
            sections.life(everyone, kinds.tiny, n, self.results)
        if "systemd" in groups:
            say("systemd")
            by_command = [c for c in everyone if c.name not in ("hull API", "incus REST", "crun")]
            sections.systemd(by_command, kinds.debian, max(2, n // 2), self.results)
        if self.keeps_nothing:
            sections.one_shots(self.keeps_nothing, kinds.tiny, kinds.debian, n, self.results)
            if "smf" in groups:
                half = max(2, n // 2)
                sections.systemd_services(self.keeps_nothing, kinds.debian, half, self.results)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", default=",".join(GROUPS), help=f"of {','.join(GROUPS)}")
    parser.add_argument("-n", type=int, default=0, help="samples (10; 4 if --quick)")
    parser.add_argument("--quick", action="store_true", help="fewer samples, zones and rows")
    parser.add_argument("--no-peers", action="store_true", help="Hull alone")
    parser.add_argument("--chart", type=Path, help="draw the times, as an SVG, into this file")
    return parser.parse_args()


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')} load {load()}] {text}", file=sys.stderr, flush=True)


def main() -> None:
    given = options()
    groups = given.rows.split(",")
    if unknown := set(groups) - set(GROUPS):
        sys.exit(f"no rows {', '.join(unknown)}; there are {', '.join(GROUPS)}")

    def interrupted(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    before = load()
    try:
        results, words = measure(groups, given.n or (4 if given.quick else 10), given)
    except KeyboardInterrupt:
        sys.exit("interrupted; all is cleaned up")
    print(f"\nHull beside its peers, {time.strftime('%Y-%m-%d')}, kernel {platform.release()}, "
          f"load average {before} before, {load()} after\n")  # fmt: skip
    print(table(results.samples, words))
    if given.chart:
        heading = f"Hull beside its peers, medians, {time.strftime('%Y-%m-%d')}"
        given.chart.write_text(draw(results.samples, words, heading))
    for note in results.notes:
        print(f"- {note}")


def measure(
    groups: list[str], n: int, given: argparse.Namespace
) -> tuple[Results, dict[str, object]]:
    """Everything that is set up here is gone when it returns, however it does."""
    counts = Counts(8, 16, 50) if given.quick else Counts(20, 50, 1000)
    alone = Results()
    if "smf" in groups:
        say("smf")
        smf.measure(max(2, n // 2), alone)
        if groups == ["smf"]:
            return alone, asdict(counts)
    name = f"hullbench{secrets.token_hex(3)}"
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix=name, dir="/var/tmp")))
        bench = Bench(directory, stack, alone)
        say("building the images")
        tiny = images.make_tiny(directory)
        big = tiny if given.quick else images.make_big(directory)
        debian = images.unpacked(images.find("debian-13"), directory)
        kinds = Kinds(tiny, big, debian, images.find("base-64"))
        size = big.file.stat().st_size // 1_000_000
        words: dict[str, object] = asdict(counts) | {"size": size}
        say("bringing Hull up")
        hull = stack.enter_context(Hull(f"{name}h"))
        say("bringing the peers up")
        if not given.no_peers:
            bench.add_peers()
        bench.go(hull, groups, kinds, n, counts)
        say("cleaning up")
    return bench.results, words
