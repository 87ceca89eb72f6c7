# SPDX-License-Identifier: MPL-2.0
"""vmadm receive: a VM from the stream of `vmadm send`. Whole, or not at all."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

from hull.brand.table import BRANDS
from hull.errors import Corrupt, InvalidPayload, Unsupported
from hull.host.host import Host
from hull.linux import pipe
from hull.model.record import vm_from_record
from hull.model.vm import VM
from hull.vm import network
from hull.vm.announce import announce, operation
from hull.vm.check import check_identity, check_nics
from hull.vm.send import SENDING, VERSION, Part, dataset_of
from hull.vm.vmbundle import JSON, read_record, read_stream
from hull.wire import Json, JsonObject
from hull.zone.index import INSTALLED, RECEIVING, Zone

CHILD = re.compile(r"([A-Za-z0-9][A-Za-z0-9._:-]*(/[A-Za-z0-9][A-Za-z0-9._:-]*)*)?")


def receive(fd: int, host: Host) -> JsonObject:
    """Make the VM that the stream on `fd` brings; it is stopped, and stays so; returns its uuid.

    Raises InvalidPayload with all that stands against it here, Corrupt for a broken stream.
    """
    vm, parts = read_plan(fd)
    # Before its lock too: on one host, the send that feeds us may be what holds that.
    refuse_unwanted(vm, host)
    with operation(vm.uuid, host), ExitStack() as undo:
        claim(vm, host, undo)
        announce(vm.uuid, host)
        undo.callback(host.pool.destroy, host.dataset(vm.uuid), recursive=True)
        for part in parts:
            receive_part(part, dataset_of(vm.uuid, part.child, host), fd, host)
        host.index.change(vm.uuid, zone_state=INSTALLED)
        undo.pop_all()
    return {"uuid": vm.uuid}


def read_plan(fd: int) -> tuple[VM, list[Part]]:
    """What the stream says that it brings. Raises Corrupt, Unsupported."""
    name, data = read_record(fd)
    if name != JSON:
        raise Corrupt(f"the stream begins with {name}")
    try:
        match json.loads(data):
            case {"v": int(version), "vm": record, "datasets": list(datasets)}:
                pass
            case _:
                raise Corrupt("the stream does not say what it brings")
    except ValueError as exc:
        raise Corrupt(f"the stream's JSON is broken: {exc}") from exc
    if version != VERSION:
        raise Corrupt(f"the VM is of version {version}", hint="a newer vmadm has sent it")
    vm = replace(vm_from_record(record), autoboot=False)
    if vm.brand not in BRANDS:
        raise Unsupported(f"this host runs no VMs of brand {vm.brand}")
    parts = [parse_part(dataset) for dataset in datasets]
    if not parts or parts[0].child:
        raise Corrupt("the stream brings no VM's dataset")
    return vm, parts


def parse_part(data: Json) -> Part:
    match data:
        case {
            "child": str(child),
            "snapshots": [*snapshots],
            "quota": int(quota),
            "compression": str(compression),
        } if snapshots and CHILD.fullmatch(child):
            return Part(
                child=child,
                snapshots=tuple(map(str, snapshots)),
                quota=quota,
                compression=compression,
            )
        case _:
            raise Corrupt("the stream brings a dataset that is none")


def claim(vm: VM, host: Host, undo: ExitStack) -> None:
    """Take the uuid, MAC and IP addresses, in state receiving."""
    with host.lock_allocations():
        refuse_unwanted(vm, host)
        host.index.put(Zone(vm=vm, zone_state=RECEIVING))
        undo.callback(host.index.remove, vm.uuid)
        undo.callback(network.release_addresses, vm, host)
        network.lease_addresses(vm, host)


def refuse_unwanted(vm: VM, host: Host) -> None:
    """Raises InvalidPayload."""
    if problems := [*check_identity(vm, host), *check_nics(vm, host)]:
        raise InvalidPayload(problems)


def receive_part(part: Part, dataset: str, fd: int, host: Host) -> None:
    """One dataset, snapshot by snapshot, and its properties."""
    for short in part.snapshots:
        receive_stream(dataset, short, read_stream(fd, f"{part.child}@{short}"), host)
    host.pool.destroy(f"{dataset}@{SENDING}")
    host.pool.set(dataset, quota=part.quota, compression=part.compression)


def receive_stream(dataset: str, short: str, chunks: Iterator[bytes], host: Host) -> None:
    """Let the pool unpack one stream. Raises Corrupt, or what the pool raises."""
    reader, writer = pipe.opened()

    def consume() -> str:
        try:
            return host.pool.receive(dataset, reader).short_name
        finally:
            os.close(reader)

    with ThreadPoolExecutor(1, "receive") as thread:
        try:
            consumed = thread.submit(consume)
            with suppress(BrokenPipeError):  # a pool that reads no more says why
                for chunk in chunks:
                    pipe.write_all(writer, chunk)
        finally:
            os.close(writer)
    if consumed.result() != short:
        raise Corrupt(f"the stream brings {consumed.result()} where {short} should be")
    for _ in chunks:  # the pool need not read what comes after its own end
        pass
