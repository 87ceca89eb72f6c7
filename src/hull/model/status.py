# SPDX-License-Identifier: MPL-2.0
"""What only views have: the rows of properties that nobody sets."""

from collections.abc import Mapping
from dataclasses import dataclass

from hull.model.prop import Flat, Kind, Shown, prop


@dataclass(frozen=True, kw_only=True)
class Status:
    """The live state of a VM, as `vmadm get` and `vmadm list` print it."""

    state: str = prop(
        Kind.STRING,
        "ro",
        "State of the VM: running, stopped, provisioning, failed, stopping, receiving.",
        width=16,
    )
    zone_state: str = prop(
        Kind.STRING,
        "ro",
        "State of the zone: configured, incomplete, installed, ready, running, down.",
        width=10,
    )
    type: str = prop(
        Kind.STRING,
        "ro",
        "OS, LX, KVM or BHYVE; only in list and lookup.",
        width=4,
        shown=Shown.NEVER,
    )
    hvm: bool = prop(Kind.BOOLEAN, "ro", "Whether the brand is kvm or bhyve.", width=5)
    zonepath: str = prop(Kind.STRING, "ro", "Directory of the zone.", width=40)
    zoneid: int | None = prop(
        Kind.INTEGER, "ro", "Number of the zone while it is up.", width=6, shown=Shown.SET
    )
    pid: int | None = prop(
        Kind.INTEGER, "ro", "Process id of the zone's init on the host.", width=6, shown=Shown.SET
    )
    init_restarts: int | None = prop(
        Kind.INTEGER, "ro", "How often init was started again.", shown=Shown.SET
    )
    boot_timestamp: str = prop(Kind.STRING, "ro", "When it was booted.", width=24, shown=Shown.SET)
    exit_status: int | None = prop(
        Kind.INTEGER,
        "ro",
        "Exit status of init, or minus the signal that ended it; only when not running.",
        header="EXIT",
        width=4,
        shown=Shown.SET,
    )
    exit_timestamp: str = prop(
        Kind.STRING, "ro", "When init ended; only when not running.", width=24, shown=Shown.SET
    )
    last_modified: str = prop(Kind.STRING, "ro", "When the configuration was last changed.")
    snapshots: tuple[Mapping[str, Flat], ...] = prop(
        Kind.LIST, "ro", "Snapshots, newest first: name, size (MiB), created_at."
    )
    server_uuid: str = prop(Kind.UUID, "ro", "UUID of the host.")
    platform_buildstamp: str = prop(Kind.STRING, "ro", "Platform image of the host.")
    datacenter_name: str = prop(
        Kind.STRING, "ro", "Data centre of the host, if it has a name.", shown=Shown.SET
    )
    headnode_id: str = prop(
        Kind.STRING, "ro", "Head node of the host, if it has one.", shown=Shown.SET
    )
    failed: str = prop(
        Kind.STRING, "ro", "Why provisioning failed; state is then failed.", shown=Shown.SET
    )
    provisioning: bool = prop(
        Kind.BOOLEAN,
        "ro",
        "The first boot has not ended yet.",
        shown=Shown.NEVER,
    )
    transition_to: str = prop(
        Kind.STRING, "ro", "State that a transition ends in.", shown=Shown.SET
    )
    transition_expire: int | None = prop(
        Kind.INTEGER, "ro", "When a transition is given up.", unit="s", shown=Shown.SET
    )
    free_space: int | None = prop(
        Kind.INTEGER,
        "ro",
        "What is left of flexible_disk_size.",
        unit="MiB",
        width=14,
        shown=Shown.SET,
    )
    zlog_mode: str = prop(Kind.STRING, "ro", "How a Docker container logs.", shown=Shown.SET)
    zlog_name: str = prop(Kind.STRING, "ro", "Name of that log.", shown=Shown.SET)
    missing: bool = prop(Kind.BOOLEAN, "ro", "Datasets or disks are gone.", shown=Shown.NEVER)
    # What illumos keeps in a zone's configuration; Hull accepts no such thing and has none.
    allowed_address: str = prop(
        Kind.STRING, "ro", "illumos: addresses of the zone.", shown=Shown.NEVER
    )
    app_svc_dependent: str = prop(
        Kind.STRING, "ro", "illumos: service the zone waits for.", shown=Shown.NEVER
    )
    debug_id: int | None = prop(
        Kind.INTEGER, "ro", "illumos: debugging id of the zone.", shown=Shown.NEVER
    )
    default_gateway: str = prop(
        Kind.STRING, "ro", "(deprecated) Gateway of the zone.", shown=Shown.NEVER
    )
    ip_type: str = prop(
        Kind.STRING, "ro", "illumos: whether the zone has its own IP stack.", shown=Shown.NEVER
    )
    vm_autoboot: bool = prop(
        Kind.BOOLEAN, "ro", "illumos: autoboot of the guest.", shown=Shown.NEVER
    )
