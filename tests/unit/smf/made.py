# SPDX-License-Identifier: MPL-2.0
"""Repositories made by hand: instances in a state, with dependencies, as startd would have them."""

from collections.abc import Iterable

from smf.client import Client
from smf.fmri import service_of
from smf.states import ONLINE
from smf.tree import RUNNING

NOON = 1_700_049_600  # 2023-11-15 12:00:00 UTC


def group(kind: str, flags: str = "", **properties: object) -> dict[str, object]:
    """A group on the wire; a property is (TYPE, VALUE, ...)."""
    return {"type": kind, "flags": flags, "gen": 0, "props": properties}


def instance(
    client: Client,
    fmri: str,
    state: str = ONLINE,
    *,
    enabled: bool | None = True,
    override: bool | None = None,
    needs: Iterable[tuple[str, str]] = (),
    since: int = NOON,
    **restarter: object,
) -> None:
    """An instance that has been refreshed. `needs` are (GROUPING/RESTART_ON, ENTITIES)."""
    operations: list[list[object]] = [["add", fmri]]
    if enabled is not None:
        operations.append(["put", fmri, "general", group("framework", enabled=_flag(enabled))])
    if override is not None:
        ovr = group("framework", "P", enabled=_flag(override))
        operations.append(["put", fmri, "general_ovr", ovr])
    if state:
        texts = {
            "state": ["astring", state],
            "next_state": ["astring", "none"],
            "state_timestamp": ["time", f"{since}.5"],
        }
        operations.append(["put", fmri, "restarter", group("framework", "P", **texts | restarter)])
    for number, (kind, entities) in enumerate(needs):
        grouping, _, restart_on = kind.partition("/")
        dependency = group(
            "dependency",
            grouping=["astring", grouping],
            restart_on=["astring", restart_on or "none"],
            type=["astring", "path" if entities.startswith("file:") else "service"],
            entities=["fmri", *entities.split()],
        )
        operations.append(["put", fmri, f"needs{number}", dependency])
    client.commit([*operations, ["snapshot", fmri, RUNNING, ""]])


def template(client: Client, fmri: str, name: str, **documents: object) -> None:
    """What a service is called, and its man page `tm_man_x=(title, section)`."""
    service = service_of(fmri)
    operations: list[list[object]] = [
        ["put", service, "tm_common_name", group("template", C=["ustring", name])]
    ]
    for pg, properties in documents.items():
        assert isinstance(properties, dict)
        texts: dict[str, object] = {key: ["astring", text] for key, text in properties.items()}
        operations.append(["put", service, pg, {**group("template"), "props": texts}])
    client.commit([*operations, ["snapshot", fmri, RUNNING, ""]])


def _flag(said: bool) -> list[str]:
    return ["boolean", str(said).lower()]
