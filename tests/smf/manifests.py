# SPDX-License-Identifier: MPL-2.0
"""Manifests of services for tests: one service a bundle, the instance is `default`."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

SLEEPER = "/bin/sleep 1000 &"  # a daemon: what the method leaves behind


@dataclass(frozen=True)
class Needs:
    """A dependency: on services by their names below svc:/, or on paths."""

    on: str | Sequence[str]
    grouping: str = "require_all"
    restart_on: str = "none"
    kind: str = "service"
    name: str = "needs"

    def xml(self) -> str:
        names = [self.on] if isinstance(self.on, str) else self.on
        scheme = "svc:/" if self.kind == "service" else "file://localhost"
        return (
            f'<dependency name="{self.name}" grouping="{self.grouping}" '
            f'restart_on="{self.restart_on}" type="{self.kind}">'
            + "".join(f"<service_fmri value={quoteattr(scheme + each)}/>" for each in names)
            + "</dependency>"
        )


def method(name: str, command: str, timeout: int = 60, context: str = "") -> str:
    return (
        f'<exec_method type="method" name="{name}" exec={quoteattr(command)} '
        f'timeout_seconds="{timeout}">{context}</exec_method>'
    )


def group(name: str, kind: str, *properties: tuple[str, str, str], override: bool = False) -> str:
    """Properties are (name, type, value)."""
    more = ' override="true"' if override else ""
    rows = "".join(
        f'<propval name="{prop}" type="{type_}" value={quoteattr(value)}{more}/>'
        for prop, type_, value in properties
    )
    return f'<property_group name="{name}" type="{kind}">{rows}</property_group>'


def service(
    name: str,
    start: str = SLEEPER,
    stop: str = ":kill",
    *,
    refresh: str = "",
    duration: str = "",
    startd: Sequence[tuple[str, str, str]] = (),
    needs: Sequence[Needs] = (),
    dependents: str = "",
    context: str = "",
    groups: str = "",
    enabled: bool | None = False,
    instances: str = "",
    start_timeout: int = 60,
    stop_timeout: int = 5,
    template: str = "",
) -> str:
    """The text of a manifest. `enabled` None: no default instance; `startd` are properties."""
    settings = [*startd]
    if duration:
        settings.append(("duration", "astring", duration))
    default = ""
    if enabled is not None:
        default = f'<create_default_instance enabled="{str(enabled).lower()}"/>'
    parts = [
        default,
        *(need.xml() for need in needs),
        dependents,
        context,
        method("start", start, start_timeout) if start else "",
        method("stop", stop, stop_timeout) if stop else "",
        method("refresh", refresh) if refresh else "",
        group("startd", "framework", *settings) if settings else "",
        groups,
        instances,
        template,
    ]
    return bundle(f'<service name="{name}" type="service" version="1">{"".join(parts)}</service>')


def instance(name: str, *, enabled: bool = False, inside: str = "") -> str:
    return f'<instance name="{name}" enabled="{str(enabled).lower()}">{inside}</instance>'


def bundle(*services: str, kind: str = "manifest", name: str = "test") -> str:
    return (
        '<?xml version="1.0"?>\n'
        '<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">\n'
        f'<service_bundle type="{kind}" name="{name}">{"".join(services)}</service_bundle>\n'
    )


def counted(file: object, command: str = "") -> str:
    """A method that writes a line into a file, and then does what it is for."""
    return f"/bin/sh -c 'echo $SMF_METHOD >> {file}; {command or 'exit 0'}'"


def daemon(file: object) -> str:
    """A start method that counts itself and leaves a daemon behind."""
    return counted(file, "exec /bin/sleep 1000 >/dev/null 2>&1 &")
