# SPDX-License-Identifier: MPL-2.0
"""VMs of a whole host as attackers: what their root tries, and what it holds meanwhile."""

import json
import os
import select
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.hosts import BIN, TestHost
from tests.isolation.stage import PYTHON, copy_attacks, install_attacks

NICS = [{"nic_tag": "admin", "ip": "dhcp", "primary": True}]


class Attacker:
    """A VM whose root means harm. Its image has Python."""

    def __init__(self, host: TestHost, image: str, alias: str, **payload: object) -> None:
        self.host = host
        base = {"image_uuid": image, "alias": alias, "max_physical_memory": 128, "quota": 1}
        self.uuid = host.create(**base | {"nics": NICS} | payload)
        install_attacks(host.zone_root(self.uuid))

    def __call__(self, *attacks: str, **given: object) -> dict[str, str]:
        """What comes of some attacks."""
        done = self.host("zlogin", self.uuid, shlex.join(words(attacks, given)), timeout=300)
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def running(self, attack: str, /, **given: object) -> "Running":
        """One attack, which holds what it gets until the end."""
        argv = [str(BIN / "zlogin"), self.uuid, shlex.join(words(("hold", attack), given))]
        return Running(argv, os.environ | {"HULL_ROOT": str(self.host.root)})

    @contextmanager
    def holding(self, attack: str, /, **given: object) -> Iterator[str]:
        """Its word, once it has got what it gets."""
        with self.running(attack, **given) as running:
            yield running.word()

    def pid(self) -> int:
        """Its init's, as the host numbers it."""
        pid = self.host.json("vmadm", "get", self.uuid)["pid"]
        assert isinstance(pid, int)
        return pid

    def enter(self, *how: str) -> list[str]:
        """nsenter(1), which enters what it is told to and nothing else."""
        user = ["--setuid=0", "--setgid=0"] if "--user" in how else []
        return ["nsenter", f"--target={self.pid()}", *how, *user, "--"]

    def shell(self, script: str) -> str:
        """What a script of its root's prints."""
        return self.host("zlogin", self.uuid, script, timeout=300).stdout

    def delete(self) -> None:
        self.host("vmadm", "delete", self.uuid, timeout=300)


class Running:
    """An attack under way, until the end of the block."""

    def __init__(self, argv: list[str], env: Mapping[str, str] | None = None) -> None:
        self._argv = argv
        self._env = env

    def __enter__(self) -> "Running":
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._argv, stdin=pipe, stdout=pipe, text=True, env=self._env, cwd="/"
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self.end()

    def end(self) -> None:
        """Let it come to its end, if it waits for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def begun(self) -> None:
        """Wait until it is under way."""
        assert self.word() == "begun"

    def is_under_way(self) -> bool:
        """Whether nothing has come of it yet."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], 0)[0]

    def word(self) -> str:
        """What has come of it; waits for that."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def words(attacks: tuple[str, ...], given: Mapping[str, object]) -> list[str]:
    """The command that tries them in a zone."""
    told = {name: str(value) for name, value in given.items()}
    return [*PYTHON, json.dumps(told), *attacks]


class Outside:
    """The same attacks as controls, by the host in the namespaces that a test chooses.

    `tree` is where Python finds them there.
    """

    def __init__(self, tree: Path) -> None:
        self._tree = tree

    def __call__(self, attack: str, /, enter: Sequence[str] = (), **given: object) -> str:
        """What comes of one."""
        with self.running(attack, enter, **given) as running:
            return running.word()

    def running(self, attack: str, /, enter: Sequence[str] = (), **given: object) -> Running:
        told = {name: str(value) for name, value in given.items()}
        code = OUTSIDE.format(tree=str(self._tree))
        return Running([*enter, "/usr/bin/python3", "-ISBc", code, json.dumps(told), attack])


OUTSIDE = """\
import json, sys
sys.path.insert(0, {tree!r})
from tests.isolation.attacks import base, run
base.GIVEN.update(json.loads(sys.argv[1]))
print(base.outcome(base.ATTACKS[sys.argv[2]]), flush=True)
sys.stdin.read()
"""


@contextmanager
def outside_attacks() -> Iterator[Outside]:
    """The attacks where everybody may read them, as the checkout need not be."""
    with tempfile.TemporaryDirectory(prefix="hull-attacks-", dir="/var/tmp") as tree:
        Path(tree).chmod(0o755)
        copy_attacks(Path(tree))
        yield Outside(Path(tree))


@contextmanager
def attackers(
    host: TestHost, image: str, *aliases: str, **payload: object
) -> Iterator[list[Attacker]]:
    """VMs that are deleted in the end."""
    made: list[Attacker] = []
    try:
        for alias in aliases:
            made.append(Attacker(host, image, alias, **payload))
        yield made
    finally:
        for each in made:
            each.delete()
