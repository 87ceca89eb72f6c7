# SPDX-License-Identifier: MPL-2.0
"""vmadm kill and sysrq: a signal to a zone's init, a key to a guest."""

import signal

from hull.errors import InvalidState, Refused, Unsupported
from hull.host.host import Host
from hull.wire import JsonObject


def kill(uuid: str, name: str, host: Host) -> JsonObject:
    """Send a signal (`SIGTERM`, `TERM` or `15`) to the VM's init; returns its full name.

    Raises Refused for a signal that there is not, InvalidState if nothing runs. Not under the VM's
    lock: who waits for a VM to end holds that.
    """
    sent = parse_signal(name)
    host.index.get(uuid)
    if not host.runtime.pid(uuid):
        raise InvalidState(f"Cannot find running init PID for VM {uuid}")
    host.runtime.kill(uuid, sent)
    return {"uuid": uuid, "signal": sent.name}


def parse_signal(name: str) -> signal.Signals:
    """By number or name, with or without SIG. Raises Refused."""
    try:
        if name.isdecimal():
            return signal.Signals(int(name))
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        raise Refused(f'Unknown signal "{name}"', hint="`kill -l` lists them") from None


def sysrq(uuid: str, host: Host) -> JsonObject:
    """Raises Unsupported: a zone has no keyboard."""
    host.index.get(uuid)
    # Two spaces, as SmartOS has it.
    raise Unsupported('The sysrq command is only supported for VMs  with brand "bhyve" or "kvm".')
