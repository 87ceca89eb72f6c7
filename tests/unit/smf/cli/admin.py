# SPDX-License-Identifier: MPL-2.0
"""svccfg and svcadm in this process, over a repository in this process."""

import pytest

from smf.cli import svcadm, svccfg
from smf.cli.options import Args
from tests.unit.smf.local import Local


class Admin:
    """What a command says: status, output and messages."""

    def __init__(
        self, local: Local, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.local = local
        self.capsys = capsys
        self.error = ""
        monkeypatch.setattr(Args, "client", lambda _: local)
        monkeypatch.setattr(svccfg, "Client", lambda _: local)
        monkeypatch.delenv(svccfg.REPOSITORY, raising=False)

    def svcadm(self, *words: str, status: int = 0) -> str:
        return self._done(svcadm.COMMAND.main(list(words)), status)

    def svccfg(self, *words: str, status: int = 0) -> str:
        return self._done(svccfg.COMMAND.main(list(words)), status)

    def _done(self, found: int, status: int) -> str:
        said = self.capsys.readouterr()
        self.error = said.err
        assert found == status, said.err
        assert bool(said.err) == bool(status), said.err
        return said.out

    def make(self, fmri: str, *, state: str = "", enabled: bool | None = None) -> str:
        """An instance as startd would have it."""
        do: list[list[object]] = [["add", fmri], ["snapshot", fmri, "running", ""]]
        if enabled is not None:
            do += [
                ["group", fmri, "general", "framework", ""],
                ["set", fmri, "general", "enabled", "boolean", [str(enabled).lower()]],
            ]
        if state:
            do += self.in_state(fmri, state)
        self.local.commit(do)
        return fmri

    @staticmethod
    def in_state(
        fmri: str, state: str, since: str = "1", following: str = "none"
    ) -> list[list[object]]:
        return [
            ["group", fmri, "restarter", "framework", "P"],
            ["set", fmri, "restarter", "state", "astring", [state]],
            ["set", fmri, "restarter", "next_state", "astring", [following]],
            ["set", fmri, "restarter", "state_timestamp", "time", [since]],
        ]

    def require(self, fmri: str, name: str, *entities: str, grouping: str = "require_all") -> None:
        kind = "path" if entities and entities[0].startswith("file:") else "service"
        self.local.commit([
            ["group", fmri, name, "dependency", ""],
            ["set", fmri, name, "grouping", "astring", [grouping]],
            ["set", fmri, name, "restart_on", "astring", ["none"]],
            ["set", fmri, name, "type", "astring", [kind]],
            ["set", fmri, name, "entities", "fmri", list(entities)],
            ["snapshot", fmri, "running", ""],
        ])  # fmt: skip

    def value(self, fmri: str, group: str, prop: str) -> tuple[str, ...] | None:
        """The values of a property; None if it is not there."""
        found = self.local.attached(fmri).get(group)
        return found.values(prop) if found and prop in found.properties else None
