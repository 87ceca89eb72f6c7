# SPDX-License-Identifier: MPL-2.0
"""What a zone is told and what it may change: pure rules over its own VM's view.

Keys that begin with `sdc:` speak of the VM itself. `*_pw` and the namespaces that the operator
listed live in internal_metadata, all others in customer_metadata.
"""

import json
import re
from dataclasses import dataclass

from hull.metadata.protocol import Answer, Code, Command, Verb
from hull.wire import Json, JsonObject

SDC = "sdc:"
# A zone may not fill the host's disk and memory through its metadata.
MAX_KEY = 1024  # characters
MAX_TOTAL = 1024 * 1024  # characters of all keys and values that its PUT adds to

NIC = re.compile(r"nics\[(\d{1,5})\]")
NOT_FOUND = Answer(Code.NOTFOUND)
DONE = Answer(Code.SUCCESS)


@dataclass(frozen=True)
class Change:
    """What a PUT or DELETE asks for, as a `vmadm update` payload would say it."""

    where: str  # "customer_metadata" or "internal_metadata"
    key: str
    value: str | None  # None: remove the key

    @property
    def payload(self) -> JsonObject:
        if self.value is None:
            return {f"remove_{self.where}": [self.key]}
        return {f"set_{self.where}": {self.key: self.value}}


def answer(command: Command, vm: JsonObject) -> Answer | Change:
    """The answer to a command, or the change that has to be made before it is DONE."""
    match command.verb:
        case Verb.GET:
            return get(command.key, vm)
        case Verb.KEYS:
            return Answer(Code.SUCCESS, "\n".join(keys(vm)))
        case Verb.PUT:
            return put(command.key, command.value, vm)
        case Verb.DELETE:
            return delete(command.key, vm)
        case Verb.NEGOTIATE | Verb.INVALID:
            return DONE


def get(key: str, vm: JsonObject) -> Answer:
    """The value of one key."""
    if key.startswith(SDC):
        return _sdc(key.removeprefix(SDC), vm)
    value = _object(vm, where(key, vm)).get(key)
    if value is None:
        return NOT_FOUND
    if isinstance(value, bool | dict | list):
        return Answer(Code.FAILURE, f"{key} is neither a text nor a number")
    return Answer(Code.SUCCESS, str(value))


def keys(vm: JsonObject) -> list[str]:
    """The names of all keys, but for those of sdc."""
    return [
        key
        for place in ("customer_metadata", "internal_metadata")
        for key in _object(vm, place)
        if where(key, vm) == place and not key.startswith(SDC)
    ]


def put(key: str, value: str, vm: JsonObject) -> Answer | Change:
    """Setting a key; an empty value removes it."""
    if reason := refusal(key, vm):
        return Answer(Code.FAILURE, reason)
    if not value:
        return delete(key, vm)
    place = where(key, vm)
    others = {name: old for name, old in _object(vm, place).items() if name != key}
    if len(json.dumps(others)) + len(key) + len(value) > MAX_TOTAL:
        return Answer(Code.FAILURE, f"{place} would be larger than {MAX_TOTAL} characters")
    return Change(place, key, value)


def delete(key: str, vm: JsonObject) -> Answer | Change:
    """Removing a key; one that is not there is no error."""
    if reason := refusal(key, vm):
        return Answer(Code.FAILURE, reason)
    place = where(key, vm)
    return Change(place, key, None) if key in _object(vm, place) else DONE


def refusal(key: str, vm: JsonObject) -> str:
    """Why a zone may not write this key; "" if it may."""
    if key.startswith(SDC) or key == SDC.rstrip(":"):
        return 'Cannot update the "sdc" Namespace.'
    if namespace := _internal_namespace(key, vm):
        return f'Cannot update the read-only "{namespace}" Namespace.'
    if len(key) > MAX_KEY or not key.isprintable():
        return f"A key is at most {MAX_KEY} printable characters."
    return ""


def where(key: str, vm: JsonObject) -> str:
    """The member of the VM that holds a key."""
    internal = key.endswith("_pw") or _internal_namespace(key, vm)
    return "internal_metadata" if internal else "customer_metadata"


def _internal_namespace(key: str, vm: JsonObject) -> str:
    namespace, colon, _ = key.partition(":")
    listed = vm.get("internal_metadata_namespaces")
    return namespace if colon and isinstance(listed, list) and namespace in listed else ""


def _sdc(name: str, vm: JsonObject) -> Answer:
    internal = _object(vm, "internal_metadata")
    if name == "operator-script":
        return _told(internal.get(name))
    if name == "volumes":
        return _told(internal.get("sdc:volumes"))
    if name == "routes":
        return _told(_routes(vm))
    # What only the operator may read would otherwise be open under another name.
    if name.partition(".")[0] == "internal_metadata":
        return NOT_FOUND
    return _told(flatten(name, vm))


def flatten(name: str, vm: JsonObject) -> Json:
    """A member of the VM: `alias`, `tags.role`, `resolvers.0`, `nics.0.mac`; None if not there."""
    if name in vm:
        return vm[name]
    first, _, rest = name.partition(".")
    value = vm.get(first)
    if isinstance(value, dict):
        return value.get(rest)
    index, _, member = rest.partition(".")
    if isinstance(value, list) and index.isdecimal() and len(index) < 6 and int(index) < len(value):
        element = value[int(index)]
        if not member:
            return element
        return element.get(member) if isinstance(element, dict) else None
    return None


def _routes(vm: JsonObject) -> list[Json]:
    """Static routes as the image's network set-up wants them.

    One through `nics[N]` goes to neighbours on that nic, which is named by its address; without a
    fixed one there is nothing to name it by.
    """
    told: list[Json] = []
    for destination, gateway in _object(vm, "routes").items():
        nic = NIC.fullmatch(str(gateway))
        via = flatten(f"nics.{nic[1]}.ip", vm) if nic else gateway
        if via not in (None, "dhcp"):
            told.append({"linklocal": nic is not None, "dst": destination, "gateway": via})
    return told


def _told(value: Json) -> Answer:
    if value is None:
        return NOT_FOUND
    return Answer(Code.SUCCESS, value if isinstance(value, str) else json.dumps(value))


def _object(vm: JsonObject, name: str) -> JsonObject:
    value = vm.get(name)
    return value if isinstance(value, dict) else {}
