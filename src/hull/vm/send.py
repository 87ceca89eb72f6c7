# SPDX-License-Identifier: MPL-2.0
"""vmadm send: a stopped VM as a stream, its record first, then each dataset with its snapshots.

The stream carries whole datasets: an image is unpacked anew on each host, so that no block of a
receiver's is known to be the sender's, and the receiver need not have the image.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from hull.errors import InvalidState
from hull.host.host import Host
from hull.linux import pipe
from hull.model.record import vm_to_record
from hull.vm.announce import operation
from hull.vm.stop import shut_down
from hull.vm.view import state
from hull.vm.vmbundle import CHUNK, JSON, write_record
from hull.wire import Json, JsonObject
from hull.zone.index import INSTALLED

SENDING = "sending"  # the snapshot that a stream ends with
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """One dataset of a VM, as the stream carries it."""

    child: str  # its name below the VM's own dataset; empty: that one
    snapshots: tuple[str, ...]  # oldest first; a stream each, the first one whole
    quota: int
    compression: str

    def to_json(self) -> JsonObject:
        return {
            "child": self.child,
            "snapshots": list[Json](self.snapshots),
            "quota": self.quota,
            "compression": self.compression,
        }


def send(uuid: str, fd: int, host: Host) -> JsonObject:
    """Stop the VM, for good, and write it to `fd`. Raises InvalidState, HostError."""
    with operation(uuid, host), ExitStack() as undo:
        stop_first(uuid, host)
        parts = freeze(uuid, host, undo)
        vm = host.index.edit(uuid, lambda vm: replace(vm, autoboot=False)).vm
        plan: JsonObject = {
            "v": VERSION,
            "vm": vm_to_record(vm),
            "datasets": [part.to_json() for part in parts],
        }
        write_record(fd, JSON, json.dumps(plan).encode())
        for part in parts:
            dataset = dataset_of(uuid, part.child, host)
            for base, short in zip(("", *part.snapshots), part.snapshots, strict=False):
                start = f"{dataset}@{base}" if base else ""
                send_stream(f"{part.child}@{short}", f"{dataset}@{short}", start, fd, host)
    return {"uuid": uuid}


def stop_first(uuid: str, host: Host) -> None:
    """Raises InvalidState for a VM that is not whole."""
    zone = host.index.get(uuid)
    now = state(zone, host)
    if zone.zone_state != INSTALLED or now == "provisioning":
        raise InvalidState(f'Cannot send vm from state "{now}", must be "running" or "stopped".')
    if host.boots.find(uuid):
        shut_down(uuid, host)


def freeze(uuid: str, host: Host, undo: ExitStack) -> list[Part]:
    """Snapshot every dataset of the VM; the snapshots are gone when the stream has ended."""
    parts = []
    for dataset in host.pool.datasets(host.dataset(uuid), usage=False):
        snapshot = f"{dataset.name}@{SENDING}"
        host.pool.destroy(snapshot)  # what a crash has left
        host.pool.snapshot(snapshot)
        undo.callback(host.pool.destroy, snapshot)
        parts.append(
            Part(
                child=dataset.name.removeprefix(host.dataset(uuid)).removeprefix("/"),
                snapshots=tuple(one.short_name for one in host.pool.snapshots(dataset.name)),
                quota=dataset.quota,
                compression=dataset.compression,
            )
        )
    return parts


def dataset_of(uuid: str, child: str, host: Host) -> str:
    return f"{host.dataset(uuid)}/{child}" if child else host.dataset(uuid)


def send_stream(name: str, snapshot: str, base: str, fd: int, host: Host) -> None:
    """One stream of the pool as records named `name`."""
    reader, writer = pipe.opened()

    def produce() -> None:
        try:
            host.pool.send(snapshot, writer, base=base)
        finally:
            os.close(writer)

    with ThreadPoolExecutor(1, "send") as thread:
        try:
            produced = thread.submit(produce)
            while chunk := pipe.read_some(reader, CHUNK):
                write_record(fd, name, chunk)
        finally:
            os.close(reader)  # a pool that still writes then stops
    produced.result()
    write_record(fd, name, b"")


def forget_snapshots(host: Host) -> None:
    """What a send that hulld did not survive has left."""
    for dataset in host.pool.datasets(usage=False):
        if host.index.find(dataset.name.partition("/")[2].partition("/")[0]):
            host.pool.destroy(f"{dataset.name}@{SENDING}")
