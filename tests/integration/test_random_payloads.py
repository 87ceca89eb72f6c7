# SPDX-License-Identifier: MPL-2.0
"""2,000 random payloads for create and 2,000 for update, on a real host, the same in every run.

Never an internal error, never a half change: what is refused leaves the host as it was, what is
accepted reads back as it was given. The decoder alone has as many in tests/unit/model.
"""

import os
from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import given

from hull.client.call import call
from hull.errors import Error, Refused
from hull.wire import Json, JsonObject
from tests.integration.hosts import TestHost
from tests.payloads import MANY, NOT_READ_BACK, Sent, mixed

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

HELD = {"indestructible_zoneroot": False, "indestructible_delegated": False}
# What live zones and time change by themselves, and what create decides.
MOVING = {"last_modified", "snapshots", "create_timestamp"}


@pytest.fixture(scope="module")
def target(host: TestHost) -> Iterator[TestHost]:
    """hulld of the shared host, asked in this process."""
    before = os.environ.get("HULL_ROOT")
    os.environ["HULL_ROOT"] = str(host.root)
    try:
        yield host
    finally:
        for uuid in uuids():
            destroy(uuid)
        os.environ.pop("HULL_ROOT")
        if before is not None:
            os.environ["HULL_ROOT"] = before


def uuids() -> list[str]:
    return [str(vm["uuid"]) for vm in cast(list[JsonObject], call("GET", "/vms"))]


def get(uuid: str) -> JsonObject:
    view = cast(JsonObject, call("GET", f"/vms/{uuid}"))
    return {key: value for key, value in view.items() if key not in MOVING}


def destroy(uuid: str) -> None:
    view = get(uuid)
    if any(view.get(name) for name in HELD):
        call("POST", f"/vms/{uuid}?action=update", cast(Json, HELD))
    call("DELETE", f"/vms/{uuid}")


def traces(host: TestHost) -> set[str]:
    """The names of all that a VM has on the host's disk."""
    places = ("zones", "zones/.snapshots", "zones/.staging", "etc/zones", "run/hull/boots")
    return {
        f"{place}/{path.name}"
        for place in places
        if (host.root / place).exists()
        for path in (host.root / place).iterdir()
    }


def read_back(sent: Sent, view: JsonObject) -> None:
    for name, value in sent.good.items():
        if name in NOT_READ_BACK or name not in view or name in ("nics", "filesystems"):
            continue
        shown = view[name]
        if isinstance(value, list) and isinstance(shown, str):
            value = ",".join(map(str, value))
        assert shown == value, name


def ours(exc: Error) -> None:
    """A refusal, with a reason; a bug in hulld answers InternalError, which is none."""
    assert isinstance(exc, Refused), f"{exc.code}: {exc}"
    assert str(exc)


def test_create(target: TestHost, base_image: str) -> None:
    before = traces(target)
    made = 0

    @MANY
    @given(mixed("c", image_uuid=base_image, autoboot=False, brand="joyent"))
    def each(sent: Sent) -> None:
        nonlocal made
        try:
            uuid = str(cast(JsonObject, call("POST", "/vms", sent.payload))["uuid"])
        except Error as exc:
            ours(exc)
        else:
            made += 1
            read_back(Sent(sent.payload, {**sent.good, "brand": "joyent", "autoboot": False},
                           sent.must), get(uuid))  # fmt: skip
            destroy(uuid)
        assert traces(target) == before

    each()
    assert made > 500  # the rest was refused


def test_update(target: TestHost, base_image: str) -> None:
    uuid = target.create(
        image_uuid=base_image, autoboot=False, delegate_dataset=True,
        nics=[{"nic_tag": "admin", "ip": "dhcp", "mac": "02:00:00:00:00:0a"}],
    )  # fmt: skip
    changed = 0

    @MANY
    @given(mixed("u"))
    def each(sent: Sent) -> None:
        nonlocal changed
        before = get(uuid)
        try:
            call("POST", f"/vms/{uuid}?action=update", sent.payload)
        except Error as exc:
            ours(exc)
            assert get(uuid) == before
        else:
            changed += 1
            read_back(sent, get(uuid))

    each()
    assert changed > 500
