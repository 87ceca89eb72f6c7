# SPDX-License-Identifier: MPL-2.0
"""Manifests of the tests, and what becomes of them in a repository."""

from pathlib import Path

from smf import importer, manifest
from smf.bundle import Bundle
from smf.client import Client
from smf.tree import Groups

DATA = Path(__file__).parents[2] / "data/smf"
X, XI = "svc:/site/x", "svc:/site/x:default"


def load(name: str) -> Bundle:
    """One of tests/data/smf."""
    return manifest.read(str(DATA / name))


def bundle(body: str = "", *, service: str = "site/x", kind: str = "manifest") -> Bundle:
    """A bundle with one service that has this in it."""
    return manifest.parse(xml(body, service=service, kind=kind), "test")


def xml(body: str = "", *, service: str = "site/x", kind: str = "manifest") -> bytes:
    return (
        f"<service_bundle type='{kind}' name='test'>"
        f"<service name='{service}' type='service' version='1'>{body}</service></service_bundle>"
    ).encode()


def instance(body: str = "", *, name: str = "default", enabled: str = "true") -> str:
    return f"<instance name='{name}' enabled='{enabled}'>{body}</instance>"


def depends(kind: str, entity: str) -> str:
    """A dependency `a`, on a service or a path."""
    return (
        f"<dependency name='a' grouping='require_all' restart_on='none' type='{kind}'>"
        f"<service_fmri value='{entity}'/></dependency>"
    )


def config(attributes: str = "", **values: str) -> str:
    """A property group `config` of strings; attributes are of each of its properties."""
    properties = "".join(
        f"<propval name='{name}' type='astring' value='{text}' {attributes}/>"
        for name, text in values.items()
    )
    return f"<property_group name='config' type='application'>{properties}</property_group>"


def dependent(
    name: str = "x_b", target: str = "svc:/site/b", restart_on: str = "none", rest: str = ""
) -> str:
    return (
        f"<dependent name='{name}' grouping='optional_all' restart_on='{restart_on}' {rest}>"
        f"<service_fmri value='{target}'/></dependent>"
    )


class Importer:
    """Imports, and remembers what was told and what has changed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[str] = []
        self.changed: list[str] = []

    def __call__(self, what: Bundle | str, origin: str = "", *, service: str = "site/x") -> None:
        found = bundle(what, service=service) if isinstance(what, str) else what
        self.told = []
        self.changed = importer.import_bundle(self.client, found, self.told.append, origin)

    def values(self, fmri: str, group: str) -> dict[str, tuple[str, ...]]:
        """What is attached, without types; nothing if there is no such group."""
        found = self.client.attached(fmri).get(group)
        return {name: prop.values for name, prop in found.properties.items()} if found else {}

    def set(self, fmri: str, group: str, prop: str, value: str, kind: str = "") -> None:
        """As an administrator would."""
        self.client.commit([["set", fmri, group, prop, kind, [value]]])

    def refreshed(self, fmri: str) -> bool:
        """Whether it has been since the last time that this was asked."""
        found = self.client.attached(fmri).get("restarter_actions")
        self.client.commit([["ungroup", fmri, "restarter_actions"]])
        return found is not None and "refresh" in found.properties


def lasting(groups: Groups) -> dict[str, tuple[str, dict[str, tuple[str, ...]]]]:
    """Groups as they can be compared, without what is only for the run or about files."""
    return {
        name: (group.kind, {n: (p.kind, *p.values) for n, p in group.properties.items()})
        for name, group in groups.items()
        if group.persistent and name != "manifestfiles"
    }
