# SPDX-License-Identifier: MPL-2.0
"""The event stream: what has changed in which VM, told to everybody who listens.

Publishing never waits: who does not keep up is dropped, and asks anew.
"""

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator

from hull.daemon.logs import iso_time
from hull.errors import InUse
from hull.wire import Json, JsonObject

MAX_SUBSCRIBERS = 64
MAX_WAITING = 8 * 1024 * 1024  # bytes that a subscriber may lag behind

# What tells the elements of an array of objects apart.
IDENTITIES = ("mac", "path", "target", "name", "uuid")


class Subscription:
    """One listener's queue of encoded events. Any thread may put, one reader takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._open = True
        self._wake: Callable[[], None] = lambda: None

    def put(self, line: bytes) -> None:
        """Queue one line; a listener that lags too far behind loses its subscription."""
        with self._lock:
            if not self._open:
                return
            self._lines.append(line)
            self._size += len(line)
            if self._size > MAX_WAITING:
                self._open = False
                self._lines.clear()
            wake = self._wake
        wake()

    def put_first(self, line: bytes) -> None:
        """Queue a line before all that came since the subscription."""
        with self._lock:
            self._lines.appendleft(line)
            self._size += len(line)

    def take(self) -> bytes | None:
        """All lines that wait, joined; None once the subscription is lost."""
        with self._lock:
            if not self._open:
                return None
            data = b"".join(self._lines)
            self._lines.clear()
            self._size = 0
            return data

    def on_event(self, wake: Callable[[], None]) -> None:
        """`wake` is called, from any thread, after each event."""
        with self._lock:
            self._wake = wake

    def close(self) -> None:
        """No more events are queued."""
        with self._lock:
            self._open = False
            self._lines.clear()

    @property
    def is_open(self) -> bool:
        return self._open


class Bus:
    """Who listens. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return sum(one.is_open for one in self._subscriptions)

    def publish(self, event: JsonObject) -> None:
        """Tell everybody; never waits for anybody."""
        line = encode(event)
        with self._lock:
            self._subscriptions = [one for one in self._subscriptions if one.is_open]
            # Inside the lock, so that all listeners see one order.
            for one in self._subscriptions:
                one.put(line)

    def subscribe(self, first: Callable[[], JsonObject]) -> Subscription:
        """Listen from now on. `first()` makes the event that comes before all others.

        It is called after the subscription has begun: what changes while it reads the state is
        told twice rather than not at all. Raises InUse if too many listen.
        """
        subscription = Subscription()
        with self._lock:
            self._subscriptions = [one for one in self._subscriptions if one.is_open]
            if len(self._subscriptions) >= MAX_SUBSCRIBERS:
                raise InUse(f"{MAX_SUBSCRIBERS} clients listen to events already")
            self._subscriptions.append(subscription)
        try:
            subscription.put_first(encode(first()))
        except BaseException:
            subscription.close()
            raise
        return subscription


class Announcer:
    """Tells listeners what is different in a VM since they last heard of it. Thread-safe.

    While nobody listens nothing is looked at or remembered: an operation then costs no more.
    `look(uuid)` is a VM's view, None if it is gone; `look_all()` is all of them.
    """

    def __init__(
        self, look: Callable[[str], JsonObject | None], look_all: Callable[[], list[JsonObject]]
    ) -> None:
        self._look, self._look_all = look, look_all
        self._bus = Bus()
        self._lock = threading.Lock()
        self._seen: dict[str, JsonObject] = {}

    @property
    def listeners(self) -> int:
        return self._bus.listeners

    def subscribe(self) -> Subscription:
        """All VMs as they are, then every change. Raises InUse if too many listen."""
        # Inside the lock, so that no change falls between the two.
        with self._lock:
            vms = self._look_all()
            subscription = self._bus.subscribe(lambda: ready_event(vms))
            self._seen = {str(vm["uuid"]): vm for vm in vms}
        return subscription

    def announce(self, vm_uuid: str) -> None:
        """Something may have changed in this VM. No event if nothing has."""
        # Inside the lock, so that two changes of one VM are told in the order they happened.
        with self._lock:
            if not self._bus.listeners:
                self._seen.clear()
                return
            vm = self._look(vm_uuid)
            old = self._seen.pop(vm_uuid, None)
            if vm is not None:
                self._seen[vm_uuid] = vm
            event = vm_event(old, vm)
            if event is not None:
                self._bus.publish(event)


def encode(event: JsonObject) -> bytes:
    return json.dumps(event).encode() + b"\n"


def ready_event(vms: list[JsonObject]) -> JsonObject:
    """The first event of a stream: all VMs, serialised twice as vminfod does."""
    return {
        "type": "ready",
        "date": iso_time(time.time()),
        "uuid": str(uuid.uuid4()),
        "vms": json.dumps(vms),
    }


def vm_event(old: JsonObject | None, new: JsonObject | None) -> JsonObject | None:
    """create, modify or delete, from what a VM was and is; None if there is nothing to tell."""
    vm = old if new is None else new
    if vm is None:
        return None
    found = changes(old, new) if old is not None and new is not None else []
    if old is not None and new is not None and not found:
        return None
    return {
        "type": "create" if old is None else "delete" if new is None else "modify",
        "date": iso_time(time.time()),
        "zonename": vm.get("zonename", vm["uuid"]),
        "uuid": vm["uuid"],
        "vm": vm,
        "changes": list(found),
    }


def changes(old: Json, new: Json) -> list[JsonObject]:
    """What is different, leaf by leaf, in the order of the members' names.

    `path` has null, and `prettyPath` a `*`, where an element of an array is meant: objects in
    arrays are told apart by their mac, path, target, name or uuid, other elements by their value.
    """
    return list(_differences((), old, new))


def _differences(path: tuple[str | None, ...], old: Json, new: Json) -> Iterator[JsonObject]:
    if _canonical(old) == _canonical(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _member(path, key, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _elements(path, old, new)
    else:
        yield _change(path, "changed", old, new)


def _member(
    path: tuple[str | None, ...], key: str, old: JsonObject, new: JsonObject
) -> Iterator[JsonObject]:
    here = (*path, key)
    if key not in old:
        yield _change(here, "added", None, new[key])
    elif key not in new:
        yield _change(here, "removed", old[key], None)
    else:
        yield from _differences(here, old[key], new[key])


def _elements(
    path: tuple[str | None, ...], old: list[Json], new: list[Json]
) -> Iterator[JsonObject]:
    before = {_identity(element): element for element in old}
    after = {_identity(element): element for element in new}
    if before == after or len(before) < len(old) or len(after) < len(new):
        # The same elements in another order or number: that may matter, as with resolvers.
        yield _change(path, "changed", old, new)
        return
    here = (*path, None)
    for identity, element in before.items():
        if identity not in after:
            yield _change(here, "removed", element, None)
        else:
            yield from _differences(here, element, after[identity])
    for identity, element in after.items():
        if identity not in before:
            yield _change(here, "added", None, element)


def _identity(element: Json) -> str:
    if isinstance(element, dict):
        for name in IDENTITIES:
            if name in element:
                return _canonical([name, element[name]])
    return _canonical(element)


def _canonical(value: Json) -> str:
    """Equal for the same JSON only: to Python, true and 1 are equal."""
    return json.dumps(value, sort_keys=True)


def _change(path: tuple[str | None, ...], action: str, old: Json, new: Json) -> JsonObject:
    return {
        "prettyPath": ".".join("*" if part is None else part for part in path),
        "path": list(path),
        "action": action,
        "oldValue": old,
        "newValue": new,
    }
