# SPDX-License-Identifier: MPL-2.0
"""What the payload left out: a uuid, MAC addresses, timestamps. Pure but for its random source."""

import secrets
import uuid as uuids
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from hull.model.nic import Nic
from hull.model.vm import VM

RandomBytes = Callable[[int], bytes]


def timestamp(when: float | None = None) -> str:
    """ISO 8601 with milliseconds, as SmartOS writes it."""
    now = datetime.now(UTC) if when is None else datetime.fromtimestamp(when, UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def new_mac(random: RandomBytes = secrets.token_bytes) -> str:
    """A locally administered unicast address whose second hex digit is 2, as vmadm makes them."""
    octets = bytearray(random(6))
    octets[0] = octets[0] & 0xF0 | 0x02
    return octets.hex(":")


def complete(vm: VM, random: RandomBytes = secrets.token_bytes) -> VM:
    """The VM with everything filled in that the payload did not say."""
    uuid = vm.uuid or str(uuids.UUID(bytes=random(16), version=4))
    return replace(
        vm,
        uuid=uuid,
        zonename=vm.zonename or uuid,
        create_timestamp=timestamp(),
        nics=complete_nics(vm.nics, random),
    )


def complete_nics(
    nics: tuple[Nic, ...], random: RandomBytes = secrets.token_bytes
) -> tuple[Nic, ...]:
    """Every nic with a MAC address of its own."""
    return tuple(nic if nic.mac else replace(nic, mac=new_mac(random)) for nic in nics)
