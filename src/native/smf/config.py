# SPDX-License-Identifier: MPL-2.0
"""What an instance's property groups ask of its restarter. Pure: groups in, a Config out.

Dependencies, methods and startd's own properties come from the running snapshot; `enabled` and the
restarter from what is there now.
"""

from smf.errors import BadName
from smf.fmri import FILE, MASTER, SCHEME, canonical, instance_of
from smf.states import EXCLUDE_ALL, GROUPINGS, REQUIRE_ALL, RESTART_ON
from smf.tree import Group, Groups, enabled, value

CONTRACT, TRANSIENT, CHILD = "contract", "transient", "child"
MODELS = {"contract": CONTRACT, "transient": TRANSIENT, "child": CHILD, "wait": CHILD}
# startd/ignore_error is compared as a whole: anything else ignores nothing.
IGNORED = {
    "core": frozenset(("core",)),
    "signal": frozenset(("signal",)),
    "core,signal": frozenset(("core", "signal")),
    "signal,core": frozenset(("core", "signal")),
}
# start/restart_on: what a fault has to be to count.
FAULTS = {"external_fault": frozenset(("signal",)), "any_fault": frozenset(("signal", "core"))}
ALL_FAULTS = frozenset(("empty", "core", "signal"))
# More starts than this at a mean distance of fewer seconds end in maintenance.
CRITICAL_COUNT, CRITICAL_PERIOD = 5, 600
# Without these nothing else comes up: their methods have all the time in the world.
PATIENT = frozenset((
    "system/manifest-import", "system/filesystem/usr", "system/filesystem/minimal",
    "system/filesystem/local", "network/loopback", "network/physical", "network/initial",
    "network/service", "system/device/local", "system/rmtmpfiles", "system/metainit",
))  # fmt: skip
METHODS = ("start", "stop", "refresh")


class Dependency:
    """One property group of type dependency."""

    __slots__ = ("entities", "grouping", "name", "restart_on")

    def __init__(
        self, name: str, grouping: str, restart_on: str, entities: tuple[str, ...]
    ) -> None:
        self.name = name
        self.grouping = grouping
        self.restart_on = restart_on
        self.entities = entities


class Method:
    """A start, stop or refresh method."""

    __slots__ = ("command", "group", "timeout")

    def __init__(self, command: str, timeout: float | None, group: Group) -> None:
        self.command = command
        self.timeout = timeout  # seconds; None: as long as it takes
        self.group = group  # its context


class Config:
    """Everything startd wants to know of an instance."""

    __slots__ = (
        "count", "dependencies", "duration", "enabled", "faults", "groups", "ignored", "invalid",
        "methods", "period", "restarter", "timeout_retry",
    )  # fmt: skip

    def __init__(self) -> None:
        self.enabled: bool | None = None
        self.restarter = MASTER  # "": what is configured is none
        self.dependencies: tuple[Dependency, ...] = ()
        self.methods: dict[str, Method] = {}
        self.duration = CONTRACT
        self.ignored: frozenset[str] = frozenset()
        self.faults = ALL_FAULTS
        self.count, self.period = CRITICAL_COUNT, float(CRITICAL_PERIOD)
        self.timeout_retry = True
        self.groups: Groups = {}
        self.invalid = ""  # the dependency that nobody can understand

    @property
    def managed(self) -> bool:
        """Whether startd is its restarter, or nobody can be."""
        return self.restarter in (MASTER, "")


def read(fmri: str, running: Groups, live: Groups) -> Config:
    """`running`: the composed running snapshot; `live`: what is composed now."""
    config = Config()
    config.enabled = enabled(live)
    config.groups = running
    config.restarter = restarter(live)
    found = []
    for name, group in running.items():
        if group.kind != "dependency":
            continue
        dependency = read_dependency(name, group)
        if dependency is None:
            config.invalid = name
        else:
            found.append(dependency)
    if config.restarter not in ("", MASTER):
        found.append(Dependency("restarter", REQUIRE_ALL, "none", (config.restarter,)))
    config.dependencies = tuple(found)
    _read_methods(fmri, running, config)
    _read_startd(running, config)
    return config


def restarter(live: Groups) -> str:
    """The instance that is to look after it; "" if what it says is none."""
    try:
        found = canonical(value(live, "general", "restarter") or MASTER)
    except BadName:
        return ""
    return found if instance_of(found) else ""


def read_dependency(name: str, group: Group) -> Dependency | None:
    """None if its grouping, its restart_on or an entity of it is none."""
    grouping, restart_on = group.value("grouping"), group.value("restart_on", "none")
    if grouping not in GROUPINGS or restart_on not in RESTART_ON:
        return None
    try:
        entities = tuple(map(_entity, group.values("entities")))
    except BadName:
        return None
    return Dependency(name, grouping, restart_on, entities)


def _entity(text: str) -> str:
    if text.startswith(FILE):
        return text
    if not text.startswith(SCHEME[:4]):
        raise BadName(f'"{text}" is neither svc: nor file:')
    return canonical(text)


def _read_methods(fmri: str, running: Groups, config: Config) -> None:
    patient = fmri[len(SCHEME) :].partition(":")[0] in PATIENT
    for name in METHODS:
        group = running.get(name)
        if group is None or group.kind != "method":
            continue
        timeout = group.properties.get("timeout_seconds")
        typed = timeout is not None and timeout.kind == "count"
        seconds = _integer(group.value("timeout_seconds")) if typed else 0
        endless = patient or seconds <= 0 or seconds >= 1 << 63
        config.methods[name] = Method(
            group.value("exec"), None if endless else float(seconds), group
        )


def _read_startd(running: Groups, config: Config) -> None:
    config.duration = MODELS.get(value(running, "startd", "duration"), CONTRACT)
    config.ignored = IGNORED.get(value(running, "startd", "ignore_error"), frozenset())
    config.faults = FAULTS.get(value(running, "start", "restart_on"), ALL_FAULTS)
    config.timeout_retry = value(running, "startd", "timeout_retry", "true") == "true"
    startd = running.get("startd")
    limits = [
        found.values[0]
        for name in ("critical_failure_count", "critical_failure_period")
        if startd and (found := startd.properties.get(name)) and found.kind == "integer"
        if found.values
    ]
    if len(limits) == 2:  # one alone means nothing
        config.count, config.period = int(limits[0]), float(limits[1])


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def edges(config: Config) -> tuple[Dependency, ...]:
    """The dependencies that order things: what must not be there orders nothing."""
    return tuple(each for each in config.dependencies if each.grouping != EXCLUDE_ALL)
