# SPDX-License-Identifier: MPL-2.0
"""A second opinion: the rules of the facts (3.1, 4.1 to 4.4), as small as they can be said.

Written from the facts alone, not from smf.graph. Here a method takes no time: what happens to one
instance has happened to all that depend on it before anything else does. So what is compared with
the engine is what is so once the engine has come to rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

YES, NOT_YET, NEVER = "yes", "not yet", "never"
RUNNING = ("online", "degraded")
# Whom a stop, a refresh or a start of one that they depend on takes along, by their restart_on.
FAULT = ("error", "restart", "refresh")
RESTART = ("restart", "refresh")
REFRESH = ("refresh",)


@dataclass(frozen=True)
class Needs:
    """A dependency: on instances by number, on paths by name; None is what there is not."""

    grouping: str
    restart_on: str
    on: tuple[int | str | None, ...]


@dataclass
class Instance:
    needs: tuple[Needs, ...]
    enabled: bool = False
    state: str = "disabled"
    broken: bool = False  # its start method fails for good

    @property
    def runs(self) -> bool:
        return self.state in RUNNING


@dataclass
class Reference:
    """Instances, which may only need those before them, but for exclude_all."""

    instances: list[Instance]
    files: set[str] = field(default_factory=set)
    # In which order those that may start do: for the proof that it does not matter.
    order: Callable[[list[int]], int] = min
    starts: int = 0

    # -- 4.1, 4.2: who may run ---------------------------------------------------------------------
    def entity(self, on: int | str | None) -> str:
        if on is None:
            return NEVER
        if isinstance(on, str):
            return YES if on in self.files else NEVER
        instance = self.instances[on]
        if not instance.enabled and instance.state != "uninitialized":
            return NEVER  # disabled, or about to be
        if instance.runs:
            return YES
        if instance.state == "uninitialized":
            return NOT_YET
        if instance.state == "offline":
            return NEVER if self.satisfaction(on) == NEVER else NOT_YET
        return NEVER

    def group(self, needs: Needs) -> str:
        match needs.grouping:
            case _ if not needs.on:
                return YES
            case "require_all":
                return worst([self.entity(on) for on in needs.on])
            case "require_any":
                return best([self.entity(on) for on in needs.on])
            case "optional_all":
                return worst([self.optional(on) for on in needs.on])
            case _:
                return worst([self.excluded(on) for on in needs.on])

    def optional(self, on: int | str | None) -> str:
        """Who will not come by himself is not waited for; but a path is."""
        answer = self.entity(on)
        return YES if answer == NEVER and not isinstance(on, str) else answer

    def excluded(self, on: int | str | None) -> str:
        if isinstance(on, str):
            return NEVER if on in self.files else YES
        if on is None or self.instances[on].state in ("disabled", "maintenance"):
            return YES
        instance = self.instances[on]
        return NEVER if instance.runs and instance.enabled else NOT_YET

    def satisfaction(self, number: int) -> str:
        return worst([self.group(needs) for needs in self.instances[number].needs])

    def startable(self, number: int) -> bool:
        instance = self.instances[number]
        offline = instance.enabled and instance.state == "offline"
        return offline and self.satisfaction(number) == YES

    # -- 4.3, 4.4: who goes with whom --------------------------------------------------------------
    def dependents(self, number: int, restart_on: Sequence[str]) -> list[int]:
        """Those that run and mind."""
        return [
            other
            for other, instance in enumerate(self.instances)
            if instance.runs
            and any(
                number in needs.on and needs.restart_on in restart_on
                for needs in instance.needs
                if needs.grouping != "exclude_all"
            )
        ]

    def stop(self, number: int, state: str, restart_on: Sequence[str]) -> None:
        """Dependents first. They stop without a fault, whatever the reason was here."""
        for other in self.dependents(number, restart_on):
            if self.instances[other].runs:  # not so if it went with another one
                self.stop(other, "offline", RESTART)
        self.instances[number].state = state

    def start(self, number: int) -> None:
        self.starts += 1
        instance = self.instances[number]
        instance.state = "maintenance" if instance.broken else "online"
        if instance.broken:
            return
        for other in self.dependents(number, RESTART):
            if self.instances[other].runs:
                self.stop(other, "offline", RESTART)
        for other, found in enumerate(self.instances):
            excludes = [n for n in found.needs if n.grouping == "exclude_all" and number in n.on]
            if excludes and found.runs:
                self.stop(other, "offline", RESTART)

    def settle(self) -> None:
        while ready := [n for n in range(len(self.instances)) if self.startable(n)]:
            self.start(self.order(ready))

    # -- 3.1: what is asked, and what happens ------------------------------------------------------
    def happens(self, event: str, number: int) -> None:
        getattr(self, f"on_{event}")(number, self.instances[number])
        self.settle()

    def on_enable(self, number: int, instance: Instance) -> None:
        instance.enabled = True
        if instance.state == "disabled":
            instance.state = "offline"

    def on_disable(self, number: int, instance: Instance) -> None:
        instance.enabled = False
        if instance.runs:
            self.stop(number, "disabled", RESTART)
        instance.state = "disabled"

    def on_restart(self, number: int, instance: Instance) -> None:
        if instance.runs:
            self.stop(number, "offline", RESTART)

    def on_exit(self, number: int, instance: Instance) -> None:
        """All its processes have ended."""
        self.on_restart(number, instance)

    def on_core(self, number: int, instance: Instance) -> None:
        if instance.runs:
            self.stop(number, "offline", FAULT)

    def on_refresh(self, number: int, instance: Instance) -> None:
        if instance.runs:
            for other in self.dependents(number, REFRESH):
                if self.instances[other].runs:
                    self.stop(other, "offline", RESTART)

    def on_maintenance(self, number: int, instance: Instance) -> None:
        if instance.runs:
            self.stop(number, "maintenance", RESTART)
        instance.state = "maintenance"

    def on_clear(self, number: int, instance: Instance) -> None:
        if instance.state == "maintenance":
            instance.state = "offline" if instance.enabled else "disabled"
        elif instance.state == "degraded":
            instance.state = "online"

    def on_degraded(self, number: int, instance: Instance) -> None:
        if instance.state == "online":
            instance.state = "degraded"

    def on_break(self, number: int, instance: Instance) -> None:
        """From now on it cannot be started; not of one that runs, which may stop at any time."""
        instance.broken = instance.broken or not instance.runs

    def on_mend(self, number: int, instance: Instance) -> None:
        instance.broken = False


EVENTS = tuple(name.removeprefix("on_") for name in vars(Reference) if name.startswith("on_"))


def worst(answers: Sequence[str]) -> str:
    return next((a for a in (NEVER, NOT_YET) if a in answers), YES)


def best(answers: Sequence[str]) -> str:
    return next((a for a in (YES, NOT_YET) if a in answers), NEVER)
