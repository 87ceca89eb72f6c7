# SPDX-License-Identifier: MPL-2.0
"""What svcadm asks of instances (smf.actions), as svc.startd hears it: done once, then removed."""

from collections.abc import Callable

from smf import states
from smf.actions import ACTIONS
from smf.client import Client
from smf.config import Config
from smf.engine import Engine
from smf.errors import NotFound, SmfError, Stale
from smf.fmri import instance_of
from smf.methods import Methods

# Actions by which something is marked, and how.
MARKS: dict[str, tuple[str, bool]] = {
    "maint_on": (states.MAINTENANCE, False),
    "maint_on_temporary": (states.MAINTENANCE, False),
    "maint_on_immediate": (states.MAINTENANCE, True),
    "maint_on_immtemp": (states.MAINTENANCE, True),
    "degraded": (states.DEGRADED, False),
    "degrade_immediate": (states.DEGRADED, True),
}


class Requests:
    """What was asked, and what of it was done."""

    def __init__(
        self,
        client: Client,
        engine: Engine,
        methods: Methods,
        settings: Callable[[str], Config],
    ) -> None:
        """`settings`: what is configured of an instance now."""
        self.client = client
        self.engine = engine
        self.methods = methods
        self._settings = settings
        self._handled: dict[str, dict[str, str]] = {}  # FMRI -> actions that were done, with times

    def look(self, fmri: str) -> None:
        """Do what was asked of an instance, in the order in which it was."""
        try:
            group = self.client.attached(fmri).get(ACTIONS) if instance_of(fmri) else None
        except NotFound:
            return
        if group is None or fmri not in self.engine.graph.vertices:
            return
        done = self._handled.setdefault(fmri, {})
        asker = self.methods.records[fmri].asker = group.value("auxiliary_fmri")
        by_service = bool(asker) and group.value("auxiliary_tty") != "true"
        wanted = [name for name, found in group.properties.items() if found.kind == "integer"]
        for verb in sorted(wanted, key=lambda name: int(group.value(name, "0"))):
            if done.get(verb) == group.value(verb):
                continue
            done[verb] = group.value(verb)
            self._act(fmri, verb, by_service=by_service)

    def _act(self, fmri: str, verb: str, *, by_service: bool) -> None:
        if verb == "restart":
            self.engine.restart(fmri)
        elif verb == "refresh":
            self.engine.refresh(fmri, self._settings(fmri))
        elif verb in ("maint_off", "restore"):
            self.engine.clear(fmri)
        elif verb == "dodump":
            if self.engine.graph.vertices[fmri].running:
                self.methods.dump(fmri)
                self.engine.restart(fmri)
        elif verb in MARKS:
            state, immediately = MARKS[verb]
            self.engine.mark(fmri, state, immediately=immediately, service=by_service)

    def clear(self, claim: list[tuple[str, str, int]]) -> None:
        """Remove what was done; what was asked since is looked at next. `claim`: see Startd."""
        for fmri in list(self._handled):
            try:
                group = self.client.attached(fmri).get(ACTIONS)
                if group is None:
                    del self._handled[fmri]
                    continue
                asked = {name: group.value(name) for name, it in group.properties.items()
                         if it.kind == "integer"}  # fmt: skip
                if all(self._handled[fmri].get(verb) == when for verb, when in asked.items()):
                    self.client.commit(
                        [["ungroup", fmri, ACTIONS]],
                        [*claim, (fmri, ACTIONS, group.generation)],
                    )
                    del self._handled[fmri]
            except Stale:
                continue
            except SmfError:
                del self._handled[fmri]
