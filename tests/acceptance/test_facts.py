# SPDX-License-Identifier: MPL-2.0
"""SmartOS's facts, row by row, on the real commands. The rows are in facts.toml."""

import json
import os
import re
import shlex
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.population import Population
from tests.acceptance.table import Row, fill, load, merged
from tests.integration.hosts import BIN, CHECKOUT, Done

ROWS = load()
# Every part of the facts that speaks of commands of this part of Hull, and how many rows at least.
SECTIONS = {
    "vmadm §1": 40, "vmadm §2": 50, "vmadm §3": 90, "vmadm §4": 40, "vmadm §6": 80,
    "vmadm §7": 20, "vmadm §8": 6, "vmadm §9": 10, "vmadm §11": 12,
    "imgadm §1": 15, "imgadm §2": 12, "imgadm §3": 14, "imgadm §4": 5, "imgadm §5": 8,
    "imgadm §6": 6, "imgadm §7": 15,
    "zones §1": 4, "zones §2": 20, "zones §3": 20, "zones §4": 9,
    "boot §6": 40, "boot §8": 25,
}  # fmt: skip
NEEDS = [pytest.mark.needs_root, pytest.mark.needs_btrfs, pytest.mark.needs_netns]
NEEDS += [pytest.mark.needs_zones]
IN_NETNS = ("vminfo", "http")
HTTP = """
import sys, urllib.request, urllib.error
try:
    answer = urllib.request.urlopen("http://127.0.0.1:9090" + sys.argv[1], timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
sys.stdout.write((answer.readline() if sys.argv[1] == "/events" else answer.read()).decode())
"""


def parameter(row: Row) -> Any:
    marks = list(NEEDS)
    if row.open:
        marks.append(pytest.mark.xfail(reason=row.open, strict=True, raises=AssertionError))
    return pytest.param(row, id=row.id, marks=marks)


@pytest.mark.parametrize("row", [parameter(row) for row in ROWS])
def test_fact(row: Row, population: Population) -> None:
    with population.prepared(row.setup, row.vm) as names:
        for line in row.before:
            done = run(population, fill(line, names))
            assert done.returncode == 0, f"before: {line}: {done.stderr}"
        if row.update:
            line = fill("vmadm update {new}", names)
            done = run(population, line, fill(row.update, names))
            assert done.returncode == 0, f"update: {done.stderr}"
        if row.during:
            stream(population, row, names)
            return
        done = run(population, fill(row.run, names), merged(row, names))
    check(row, names, done)


def argv_of(population: Population, line: str) -> tuple[list[str], str]:
    """The words of a line, and what `<<<` gives it on standard input."""
    words = shlex.split(line)
    stdin = ""
    if "<<<" in words:
        stdin = words[words.index("<<<") + 1]
        words = words[: words.index("<<<")]
    inside = ["nsenter", f"--net=/run/netns/{population.host.netns}", "--"]
    netns = inside if words[0] in IN_NETNS else []
    if words[0] == "http":
        words = ["/usr/bin/python3", "-c", HTTP, words[1]]
    elif (BIN / words[0]).exists():
        words[0] = str(BIN / words[0])
    return [*netns, *words], stdin


def run(population: Population, line: str, stdin: str = "") -> Done:
    if line.startswith("metadata "):
        return population.ask_metadata(line.split()[1], stdin)
    argv, given = argv_of(population, line)
    return subprocess.run(
        argv,
        input=stdin or given,
        capture_output=True,
        text=True,
        env=population.environment,
        timeout=60,
        check=False,
    )


def stream(population: Population, row: Row, names: dict[str, str]) -> None:
    """A command that goes on: until it has printed what it must, things happen."""
    argv, _ = argv_of(population, fill(row.run, names))
    output = Path(names["dir"]) / "stream"
    with (
        output.open("w") as file,
        subprocess.Popen(argv, stdout=file, env=population.environment) as process,
    ):
        try:
            for number in range(10):
                line = fill(row.during, names | {"n": str(number)})
                assert run(population, line).returncode == 0, line
                end = time.monotonic() + 0.5
                while time.monotonic() < end:
                    if re.search(fill(row.out_re, names), output.read_text(), re.MULTILINE):
                        return
                    time.sleep(0.02)
        finally:
            process.terminate()
    raise AssertionError(f"{row.out_re} did not come:\n{output.read_text()}")


# -- what must have come ---------------------------------------------------------------------------
def check(row: Row, names: dict[str, str], done: Done) -> None:
    told = f"\nstatus {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}"
    assert done.returncode == row.status, told
    if row.out is not None:
        wanted = fill(row.out, names)
        assert done.stdout == (wanted + "\n" if wanted else ""), told
    if row.err is not None:
        check_message(row, fill(row.err, names), done)
    if row.out_re:
        assert re.search(fill(row.out_re, names), done.stdout, re.MULTILINE), told
    if row.err_re:
        assert re.search(fill(row.err_re, names), done.stderr, re.MULTILINE), told
    if row.report is not None:
        check_report(row.report, done)
    if row.has or row.lacks or row.keys:
        check_json(row, names, json.loads(done.stdout))


def check_message(row: Row, wanted: str, done: Done) -> None:
    """Alone, if all went well; else first, and after the name of who speaks (departures)."""
    if row.status == 0:
        assert done.stderr == (wanted + "\n" if wanted else "")
        return
    first = done.stderr.partition("\n")[0]
    if row.run.startswith("vmadm "):
        first = re.sub(r"^vmadm( [a-z-]+)?: ", "", first, count=1)
    assert first == wanted, done.stderr


def check_report(wanted: dict[str, list[str]], done: Done) -> None:
    if not wanted:
        assert re.fullmatch(r"VALID '(create|update)' payload for \S+ brand VMs\.\n", done.stderr)
        return
    found = json.loads(done.stderr)
    if "bad_brand" not in wanted:
        lists = ("bad_values", "bad_properties", "missing_properties")
        wanted = {name: wanted.get(name, []) for name in lists}
        found = {name: sorted(items) for name, items in found.items()}
    assert found == wanted


def check_json(row: Row, names: dict[str, str], found: Any) -> None:
    if row.has:
        check_subset(json.loads(fill(row.has, names)), found)
    assert not [key for key in row.lacks if key in found]
    if row.keys:
        assert set(found) - set(row.may) == set(row.keys)


def check_subset(wanted: Any, found: Any, where: str = "") -> None:
    """All that is wanted is there; a text that begins with ~ is a regular expression."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), f"{where}: {found}"
        for key, item in wanted.items():
            assert key in found, f"{where}.{key} is not in {found}"
            check_subset(item, found[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), f"{where}: {found}"
        assert len(wanted) == len(found), f"{where}: {found}"
        for index, item in enumerate(wanted):
            check_subset(item, found[index], f"{where}.{index}")
    elif isinstance(wanted, str) and wanted.startswith("~"):
        assert re.search(wanted[1:], found if isinstance(found, str) else json.dumps(found)), where
    else:
        assert (found, type(found)) == (wanted, type(wanted)), where


# -- the table itself ------------------------------------------------------------------------------
def test_every_section_of_the_facts_has_its_rows() -> None:
    count = Counter(row.section for row in ROWS)
    assert set(count) == set(SECTIONS)
    assert not {name: count[name] for name, least in SECTIONS.items() if count[name] < least}


def test_every_row_says_something_of_its_own() -> None:
    assert not [row.id for row in ROWS if not row.stated]
    assert not [name for name, times in Counter(row.id for row in ROWS).items() if times > 1]


def test_every_departure_is_documented() -> None:
    table = [
        line for line in (CHECKOUT / "docs/departures.md").read_text().splitlines()
        if line.startswith("| ")
    ]  # fmt: skip
    named = {row.departure for row in ROWS if row.departure}
    assert not {text for text in named if not any(text in line for line in table)}


def test_the_commands_run_as_root_only_for_these_rows() -> None:
    """The table's own commands are Hull's, but for shells that join them."""
    first = {shlex.split(row.run)[0] for row in ROWS}
    hull = {path.name for path in BIN.iterdir() if os.access(path, os.X_OK)}
    assert first - hull <= {"bash", "script", "setpriv", "http", "metadata"}
