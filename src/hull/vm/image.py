# SPDX-License-Identifier: MPL-2.0
"""imgadm create: a VM becomes an image; with a prepare script, in the VM, and undone afterwards.

The script is the VM's operator-script for one boot. It says how far it is in the VM's own metadata
(`prepare-image:state`: running, then success or error, `prepare-image:error`), and shuts down.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from hull.errors import HostError, NotFound, PrepareImageDidNotRun, PrepareImageError, Timeout
from hull.host.host import Host
from hull.image import create, receive
from hull.image.create import Created, Wanted
from hull.image.download import Progress
from hull.image.publish import publish_image
from hull.linux.files import read_json, write_json
from hull.linux.lock import lock
from hull.vm.announce import announce, operation
from hull.vm.start import boot
from hull.vm.stop import halt, shut_down
from hull.vm.update import change_metadata
from hull.wire import Json, JsonObject

SNAPSHOT = "imgadm-create-pre-prepare"
STATE, ERROR = "prepare-image:state", "prepare-image:error"
SCRIPT = "operator-script"
STAGE_SECONDS = 300.0  # for the script to begin, to end, and for the VM to be down
PAUSE = 0.2


def create_image(
    wanted: Wanted, host: Host, progress: Progress, *, script: str = "", publish: str = ""
) -> JsonObject:
    """Make an image of a VM; `script` prepares the VM for it, `publish` is where it goes instead.

    Returns `{"uuid"}`. Raises as image.create.create_image and image.publish.publish_image, and
    PrepareImageDidNotRun, PrepareImageError; then nothing has changed.
    """
    what = f"VM {wanted.vm}"
    with (
        lock(host.paths.locks / f"image-of-{wanted.vm}", what=what, timeout=0),
        ExitStack() as undo,
    ):
        if script:
            create.plan(wanted, host, lambda report: None, stopped=False)
            prepare(wanted.vm, script, host, progress, undo)
        made = create.create_image(wanted, host, progress)
    if publish:
        send(made, publish, host, progress)
    return {"uuid": made.manifest["uuid"]}


def send(made: Created, url: str, host: Host, progress: Progress) -> None:
    """Publish the files and remove them."""
    try:
        file = str(made.file_path)
        publish_image(host.paths, made.manifest, file, url, insecure=False, progress=progress)
    finally:
        for path in (made.file_path, made.manifest_path):
            path.unlink(missing_ok=True)


def prepare(uuid: str, script: str, host: Host, progress: Progress, undo: ExitStack) -> None:
    """Boot the VM with the script and wait until it is down again; `undo` takes all of it back."""
    with operation(uuid, host):
        create.vm_of(uuid, host, stopped=False)
        was_up = host.boots.find(uuid) is not None
        if was_up:
            progress({"line": f"Stopping VM {uuid} to snapshot it"})
        note(uuid, restart=was_up, host=host)
        undo.callback(roll_back, uuid, host, progress)
        if was_up:
            shut_down(uuid, host)
        name = snapshot_name(uuid, host)
        progress({"line": f'Snapshotting VM "{uuid}" to @{SNAPSHOT}'})
        host.pool.destroy(name)
        host.pool.snapshot(name)
    change_metadata(uuid, {"remove_customer_metadata": [STATE, ERROR]}, host)
    change_metadata(uuid, {"set_internal_metadata": {SCRIPT: script}}, host)
    progress({"line": f"Preparing VM {uuid} (starting it)"})
    with operation(uuid, host):
        boot(host.index.get(uuid), host)
    watch(uuid, host, progress)


def watch(uuid: str, host: Host, progress: Progress) -> None:
    """From boot to the VM's end. Raises PrepareImageDidNotRun, PrepareImageError."""
    try:
        wait(lambda: metadatum(uuid, STATE, host))
    except Timeout as exc:
        progress({"line": "Timeout waiting for prepare-image script to signal it started"})
        raise PrepareImageDidNotRun(
            f"prepare-image script did not run on VM {uuid} boot",
            hint=f"it must begin with `mdata-put {STATE} running`",
        ) from exc
    progress({"line": "Prepare script is running"})
    try:
        wait(lambda: metadatum(uuid, STATE, host) in ("success", "error"))
    except Timeout as exc:
        raise failure(uuid, "prepare-image script did not complete") from exc
    if metadatum(uuid, STATE, host) == "error":
        raise failure(uuid, metadatum(uuid, ERROR, host))
    progress({"line": "Prepare script succeeded"})
    try:
        wait(lambda: host.boots.find(uuid) is None)
    except Timeout as exc:
        raise failure(uuid, "VM did not shutdown") from exc
    progress({"line": f"Prepare script stopped VM {uuid}"})


def wait(condition: Callable[[], object]) -> None:
    """Raises Timeout."""
    deadline = time.monotonic() + STAGE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise Timeout(f"not within {STAGE_SECONDS:.0f} seconds")
        time.sleep(PAUSE)


def metadatum(uuid: str, key: str, host: Host) -> str:
    return str(host.index.get(uuid).vm.customer_metadata.get(key) or "")


def failure(uuid: str, details: str) -> PrepareImageError:
    return PrepareImageError(f"prepare-image script error while preparing VM {uuid}: {details}")


# -- back to what it was ---------------------------------------------------------------------------
def snapshot_name(uuid: str, host: Host) -> str:
    return f"{host.dataset(uuid)}@{SNAPSHOT}"


def journals(host: Host) -> Path:
    return host.paths.imgadm / "preparing"


def note(uuid: str, *, restart: bool, host: Host) -> None:
    """Write down how the VM was, for `roll_back`, which a crash may put off."""
    vm = host.index.get(uuid).vm
    before: JsonObject = {
        "customer_metadata": {
            key: vm.customer_metadata[key] for key in (STATE, ERROR) if key in vm.customer_metadata
        },
        "internal_metadata": {
            key: vm.internal_metadata[key] for key in (SCRIPT,) if key in vm.internal_metadata
        },
        "restart": restart,
    }
    journals(host).mkdir(parents=True, exist_ok=True)
    write_json(journals(host) / f"{uuid}.json", before)


def roll_back(uuid: str, host: Host, progress: Progress) -> None:
    """Make the VM what it was before `prepare`. May be repeated."""
    journal = journals(host) / f"{uuid}.json"
    before = read_json(journal)
    assert isinstance(before, dict)
    progress({"line": f"Rollback VM {uuid} to pre-prepare snapshot (cleanup)"})
    with operation(uuid, host):
        name = snapshot_name(uuid, host)
        if any(found.name == name for found in host.pool.snapshots(host.dataset(uuid))):
            halt(uuid, host)
            host.pool.rollback(name)
            host.pool.destroy(name)
        restore_metadata(uuid, before, host)
        if before.get("restart") and not host.boots.find(uuid):
            progress({"line": f"Restarting VM {uuid} (cleanup)"})
            boot(host.index.get(uuid), host)
    journal.unlink(missing_ok=True)
    announce(uuid, host)


def restore_metadata(uuid: str, before: JsonObject, host: Host) -> None:
    for kind, keys in (("customer_metadata", (STATE, ERROR)), ("internal_metadata", (SCRIPT,))):
        had = before.get(kind)
        kept: dict[str, Json] = had if isinstance(had, dict) else {}
        gone: list[Json] = [key for key in keys if key not in kept]
        change_metadata(uuid, {f"set_{kind}": kept, f"remove_{kind}": gone}, host)


def recover(host: Host) -> None:
    """Undo what was under way when hulld died: imports, and images being made of VMs."""
    receive.recover(host.pool, host.paths)
    create.recover(host)
    for journal in journals(host).glob("*.json"):
        with suppress(HostError, NotFound):
            roll_back(journal.stem, host, lambda report: None)
        journal.unlink(missing_ok=True)
