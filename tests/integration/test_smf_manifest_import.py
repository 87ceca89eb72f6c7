# SPDX-License-Identifier: MPL-2.0
"""manifest-import as the method that it is: another process, over a configd that may be killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smf.client import Client
from smf.places import Places
from smf.tree import Groups

TOP = Path(__file__).parents[2]
NATIVE = TOP / "src/native"
BROKEN = TOP / "tests/data/smf/broken"
FILES = 60
KILLS = 8
# Configd as svc.init starts it: on a socket that outlives it.
CONFIGD = (
    "import sys, socket; sys.path.insert(0, sys.argv[1]);"
    "from smf.configd import Configd; from smf.store import Store;"
    "Configd(Store(*sys.argv[2:4]), socket.socket(fileno=int(sys.argv[4]))).serve()"
)
MANIFEST = """<service_bundle type='manifest' name='s'>
  <service name='site/s{0}' type='service' version='1'>
    <create_default_instance enabled='true'/>
    <dependent name='s{0}' grouping='optional_all' restart_on='none'>
      <service_fmri value='svc:/site/s{1}'/>
    </dependent>
    <exec_method type='method' name='start' exec='/bin/true' timeout_seconds='{2}'/>
  </service>
</service_bundle>
"""


class Machine:
    """A root with manifests, and a configd."""

    def __init__(self, root: Path) -> None:
        self.places = Places(str(root))
        self.top = root / "var/svc/manifest/site"
        for directory in (self.top, Path(self.places.volatile), Path(self.places.etc)):
            directory.mkdir(parents=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.places.door)
        self.listener.listen(64)
        self.configd: subprocess.Popen[bytes] | None = None
        self.client = Client(self.places.door)

    def start(self) -> None:
        number = self.listener.fileno()
        files = [self.places.repository, self.places.nonpersistent]
        self.configd = subprocess.Popen(
            [sys.executable, "-IS", "-c", CONFIGD, str(NATIVE), *files, str(number)],
            pass_fds=[number],
        )

    def kill(self) -> None:
        if self.configd is not None:
            self.configd.send_signal(signal.SIGKILL)
            self.configd.wait(20)
            self.configd = None

    def close(self) -> None:
        self.client.close()
        self.kill()
        self.listener.close()

    def method(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-S", "-m", "smf.manifest_import"],
            env={**os.environ, "PYTHONPATH": str(NATIVE), "HULL_ROOT": self.places.root},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def write(self, version: int) -> None:
        """Services of which each is a dependency of the one after it."""
        for number in range(FILES):
            text = MANIFEST.format(number, (number + 1) % FILES, version)
            (self.top / f"s{number}.xml").write_text(text)

    def site(self) -> dict[str, Groups]:
        self.client.close()
        found = self.client.dump()
        return {fmri: groups for fmri, groups in found.items() if fmri.startswith("svc:/site/s")}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    made.start()
    yield made
    made.close()


def said(process: subprocess.Popen[str], status: int = 0) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == status, out
    return out


def test_the_method(machine: Machine) -> None:
    machine.write(1)
    shutil.copy(BROKEN / "unclosed.xml", machine.top)
    where = f"{machine.top}/unclosed.xml"
    assert (
        said(machine.method())
        == f"{where}:4: not well-formed XML: mismatched tag; <service> of line 3 is not closed\n"
    )
    found = machine.site()
    assert len(found) == 2 * FILES
    assert found["svc:/site/s1"]["s0"].value("entities") == "svc:/site/s0"
    (machine.top / "unclosed.xml").unlink()
    assert said(machine.method()) == ""
    again = machine.site()
    assert {fmri: _generations(groups) for fmri, groups in again.items()} == {
        fmri: _generations(groups) for fmri, groups in found.items()
    }
    (machine.top / "s0.xml").unlink()
    assert said(machine.method()) == ""
    left = machine.site()
    assert "svc:/site/s0" not in left
    assert "s0" not in left["svc:/site/s1"]


def _generations(groups: Groups) -> dict[str, int]:
    return {name: group.generation for name, group in groups.items()}


def test_nobody_is_there(machine: Machine) -> None:
    machine.kill()
    machine.listener.close()
    assert "cannot reach svc.configd" in said(machine.method(), 1)


def test_configd_is_killed_again_and_again(machine: Machine) -> None:
    """What was asked of one configd, the next one does: once."""
    machine.write(1)
    said(machine.method())
    for number in range(FILES):  # as an administrator would
        machine.client.commit([
            ["set", f"svc:/site/s{number}:default", "general", "enabled", "boolean", ["false"]]
        ])  # fmt: skip
    machine.client.close()
    machine.write(2)
    method = machine.method()
    ended = threading.Event()

    def storm() -> None:
        for _ in range(KILLS):
            ended.wait(0.1)
            machine.kill()
            machine.start()

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        assert said(method) == ""
    finally:
        ended.set()
        thread.join()
        method.kill()
    found = machine.site()
    assert len(found) == 2 * FILES
    for number in range(FILES):
        service, instance = f"svc:/site/s{number}", f"svc:/site/s{number}:default"
        assert found[service]["start"].value("timeout_seconds") == "2"
        assert found[instance]["general"].value("enabled") == "false"
        running = machine.client.composed(instance, "running")
        assert running["start"].value("timeout_seconds") == "2"
        assert running[f"s{(number - 1) % FILES}"].value("external") == "true"
